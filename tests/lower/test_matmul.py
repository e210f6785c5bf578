"""Matrix products of two values, and values of several axes, in the parallel architecture: exact, and simulated."""

import dataclasses

import numpy as np
import pytest

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed
from gatewright.ir import (
    Add,
    Concat,
    Constant,
    Dense,
    Input,
    MatMul,
    Max,
    Mul,
    Op,
    Pad,
    Program,
    Reshape,
    Slice,
    Sub,
    Transpose,
    ranges,
    run,
    softmax_op,
    verify,
)
from gatewright.lower.build.elements import build, check_circuit
from gatewright.lower.build.facts import Facts
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.rewrites.narrow import drop_dead
from gatewright.rtl.manifest import write_design
from gatewright.sim import require_match, simulate_compiled
from tests.lowering import lower_for
from tests.programs import codes, requant

STEPS, FEATURES, HEADS, SIZE = 2, 4, 2, 2
X = Input(name="x", layer="input", shape=(STEPS, FEATURES), format=Fixed(width_bits=3, frac_bits=1))


def dense(name: str, source: str) -> Dense:
    return Dense(name=name, layer=name, source=source, weight=f"{name}.weight", bias=f"{name}.bias")


def attention() -> Program:
    """Return two heads of attention over three steps with drawn weights; formats differ from element to element."""
    rng = np.random.default_rng(2)
    constants: dict[str, Constant] = {}
    ops: list[Op] = [X]
    for name, axes in (("q", (1, 0, 2)), ("k", (1, 2, 0)), ("v", (1, 0, 2))):
        constants[f"{name}.weight"] = Constant(rng.integers(-3, 4, (FEATURES, HEADS * SIZE)), 2)
        constants[f"{name}.bias"] = Constant(rng.integers(-9, 10, HEADS * SIZE), 4)
        act = requant(f"{name}.act", name, frac_bits=2, width_bits=4)
        widths = tuple(rng.integers(2, 5, STEPS * FEATURES).tolist())
        keep = tuple(rng.integers(0, 3, STEPS * FEATURES).tolist())
        act = dataclasses.replace(act, layer=name, width_bits=widths, keep_frac_bits=keep)
        ops += [dense(name, "x"), act]
        ops.append(Reshape(name=f"{name}.heads", layer=name, source=act.name, shape=(STEPS, HEADS, SIZE)))
        ops.append(Transpose(name=f"{name}.turned", layer=name, source=f"{name}.heads", axes=axes))
    ops.append(MatMul(name="scores", layer="scores", left="q.turned", right="k.turned"))
    ops.append(requant("rounded", "scores", frac_bits=2, width_bits=4))
    known = ranges(Program(name="p", ops=tuple(ops), output="rounded", constants=constants))["rounded"]
    weights, tables = softmax_op(
        name="weights", layer="weights", source="rounded", values=known, output=Fixed.parse("ufixed<5,0>")
    )
    constants |= tables
    ops += [
        weights,
        MatMul(name="mixed", layer="mixed", left="weights", right="v.turned"),
        Transpose(name="back", layer="back", source="mixed", axes=(1, 0, 2)),
        Reshape(name="flat", layer="flat", source="back", shape=(STEPS, HEADS * SIZE)),
        Add(name="sum", layer="sum", left="flat", right="x"),
    ]
    program = Program(name="attention", ops=tuple(ops), output="sum", constants=constants)
    verify(program)
    return program


def built(*ops: Op, constants: dict[str, Constant] | None = None) -> tuple[Program, Circuit]:
    program = Program(name="p", ops=(X, *ops), output=ops[-1].name, constants=constants or {})
    verify(program)
    circuit = drop_dead(build(program))
    check_circuit(program, circuit, codes(program, 200))
    return program, circuit


def test_ranges_of_products_are_attained():
    turned = Transpose(name="t", layer="t", source="x", axes=(1, 0))
    program, _ = built(turned, MatMul(name="y", layer="y", left="t", right="x"))
    found = ranges(program)["y"]
    assert found.frac_bits == 2
    assert (found.hi == STEPS * 16).all()
    assert (found.lo == STEPS * -12).all()
    assert (run(program, np.full((1, *X.shape), -4)) == STEPS * 16).all()


def test_values_of_several_axes_are_moved_and_broadcast():
    column = Slice(name="column", layer="column", source="x", starts=(0, 1), stops=(2, 2), steps=(1, 1))
    row = Slice(name="row", layer="row", source="x", starts=(1, 3), stops=(2, -1), steps=(1, -1))
    around = Pad(name="around", layer="around", source="sub", pads=((1, 0), (0, 2)), value=-3)
    program, _ = built(
        column,
        row,
        Mul(name="outer", layer="outer", left="column", right="row"),
        Max(name="max", layer="max", left="outer", right="x"),
        Sub(name="sub", layer="sub", left="column", right="max"),
        around,
        Concat(name="both", layer="both", sources=("around", "around"), axis=0),
        Transpose(name="y", layer="y", source="both", axes=(1, 0)),
    )
    assert run(program, codes(program, 1)).shape == (1, 6, 6)


def test_products_that_nothing_reads_are_not_built():
    other = Reshape(name="other", layer="other", source="x", shape=(FEATURES, STEPS))
    product = MatMul(name="all", layer="all", left="x", right="other")
    one = Slice(name="one", layer="one", source="all", starts=(0, 0), stops=(1, 1), steps=(1, 1))
    whole, part = built(other, product)[1], built(other, product, one)
    assert len(part[1].nodes) < len(whole.nodes) / 2
    live = Facts(program=part[0]).live
    assert [live["all"].count(True), live["x"].count(True)] == [1, 6]


def test_folded_layers_read_vectors():
    program = attention()
    with pytest.raises(
        LowerError, match=r"reuse_factor of layer 'q' must be 1, not 2: folded layers read vectors, not"
    ):
        lower_for(program, codes(program, 4), family="xc7", clock_mhz=100.0, reuse=2)


def test_products_are_refused_on_streams_by_name():
    program = attention()
    with pytest.raises(LowerError, match=r"layer 'scores': no streaming hardware for MatMul"):
        lower_for(program, codes(program, 4), family="xc7", clock_mhz=100.0, stream="always")


@pytest.mark.sim
def test_the_hardware_of_attention_equals_the_program(tmp_path):
    """A program with a product is built in parallel unless it is told otherwise."""
    program = attention()
    x = codes(program, 200)
    dataflow = lower_for(program, x[:50], family="xc7", clock_mhz=200.0, stream="auto")
    assert [len(dataflow.units), dataflow.initiation_interval] == [1, 1]
    manifest = write_design(dataflow, program_hash="0" * 64, stream_bits=0, folder=tmp_path)
    out = tmp_path / "sim"
    require_match(simulate_compiled(program, manifest, x, folder=tmp_path, stall_fraction=0.2, seed=1, out=out))
