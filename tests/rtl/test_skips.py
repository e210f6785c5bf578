"""Values that pass by folded layers, simulated cycle by cycle: held until their reader starts, and never overtaken."""

import dataclasses

import numpy as np
import pytest

from gatewright.errors import MismatchError
from gatewright.fixedpoint import Fixed
from gatewright.ir import Add, Concat, Constant, Dense, Input, Max, Op, Program, Relu, verify
from gatewright.lower.dataflow import Dataflow
from gatewright.rtl.dataflow import compile_dataflow
from gatewright.rtl.manifest import stream_ports, write_core, write_design
from gatewright.rtl.netlist import Choose, Design, Register
from gatewright.sim import lint, require_match, simulate_compiled
from tests.lowering import lower_for
from tests.programs import codes, requant

pytestmark = pytest.mark.sim


def made(*ops: Op, layers: dict[str, tuple[int, int]]) -> Program:
    """Return the program of x, (6,), and ops; layers: (inputs, outputs) of each dense layer."""
    rng = np.random.default_rng(4)
    constants: dict[str, Constant] = {}
    for name, shape in layers.items():
        constants[f"{name}.weight"] = Constant(rng.integers(-7, 8, shape), 3)
        constants[f"{name}.bias"] = Constant(rng.integers(-40, 40, shape[1]), 5)
    x = Input(name="x", layer="input", shape=(6,), format=Fixed(width_bits=6, frac_bits=3))
    program = Program(name="net", ops=(x, *ops), output=ops[-1].name, constants=constants)
    verify(program)
    return program


def dense(name: str, source: str) -> Dense:
    return Dense(name=name, layer=name, source=source, weight=f"{name}.weight", bias=f"{name}.bias")


def block(name: str, source: str) -> list[Op]:
    """Return a dense layer with ReLU and Requant; its result is `name`_act."""
    relu = Relu(name=f"{name}.relu", layer=name, source=name)
    return [dense(name, source), relu, requant(f"{name}_act", f"{name}.relu", frac_bits=3, width_bits=6)]


RESIDUAL = made(
    *block("fc1", "x"),
    Add(name="sum", layer="join", left="fc1_act", right="x"),
    dense("out", "sum"),
    layers={"fc1": (6, 6), "out": (6, 3)},
)
LONG = made(
    *block("fc1", "x"),
    *block("fc2", "fc1_act"),
    Add(name="inner", layer="inner", left="fc2_act", right="fc1_act"),
    Concat(name="all", layer="outer", sources=("inner", "x"), axis=0),
    dense("out", "all"),
    layers={"fc1": (6, 4), "fc2": (4, 4), "out": (10, 3)},
)
BRANCHES = made(
    *block("left", "x"),
    *block("right", "x"),
    Max(name="most", layer="join", left="left_act", right="right_act"),
    dense("out", "most"),
    layers={"left": (6, 4), "right": (6, 4), "out": (4, 3)},
)
CASES = {
    "residual": (RESIDUAL, (9, 6), 2),
    "long": (LONG, (4, 4, 1), 5),
    "branches": (BRANCHES, (12, 3, 1), 1),
}


def lowered(name: str) -> Dataflow:
    program, reuse, _ = CASES[name]
    return lower_for(program, codes(program, 50), family="xc7", clock_mhz=200.0, reuse=reuse, truth_tables=False)


@pytest.mark.parametrize("name", CASES)
def test_values_wait_for_their_reader(tmp_path, name: str):
    """Every output and every layer's element, with stalls on both streams; vectors follow as closely as claimed."""
    program, _, slots = CASES[name]
    dataflow = lowered(name)
    assert max(dataflow.slots(channel) for channel in dataflow.channels) == slots
    manifest = write_design(dataflow, program_hash="0" * 64, stream_bits=0, folder=tmp_path)
    lint(sources=manifest.sources(tmp_path), top=manifest.top, out=tmp_path / "lint")
    report = simulate_compiled(
        program, manifest, codes(program, 400), folder=tmp_path, stall_fraction=0.3, seed=1, out=tmp_path / "sim",
    )  # fmt: skip
    require_match(report)
    assert report.initiation_interval == dataflow.initiation_interval > 1
    assert report.latency_cycles == dataflow.latency_cycles
    assert {signal.layer for signal in manifest.watch} == set(program.layers)


def unheld(design: Design) -> Design:
    """Return the design whose held values are taken in every cycle."""
    items = [
        dataclasses.replace(item, value=item.value.a)
        if isinstance(item, Register) and isinstance(item.value, Choose) and "_held" in item.target.name
        else item
        for item in design.core.items
    ]
    core = dataclasses.replace(design.core, items=tuple(items))
    assert core != design.core
    return dataclasses.replace(design, modules=(*design.modules[:-1], core))


def test_a_value_that_is_not_held_is_caught(tmp_path):
    program, dataflow = RESIDUAL, lowered("residual")
    broken = unheld(compile_dataflow(dataflow, program_hash="0" * 64))
    manifest = write_core(broken, *stream_ports(dataflow, 0), program_hash="0" * 64, folder=tmp_path)
    x = codes(program, 100)
    report = simulate_compiled(program, manifest, x, folder=tmp_path, stall_fraction=0.3, seed=1, out=tmp_path / "sim")
    with pytest.raises(MismatchError, match=r"layer 'join', element \d+"):
        require_match(report)
