"""The generated Verilog, simulated cycle by cycle, against the interpreter; and what a broken netlist looks like."""

import dataclasses
from math import prod

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy

from gatewright.errors import MismatchError
from gatewright.fixedpoint import Fixed
from gatewright.ir import ArgMax, Input, OutputStage, Program, Reshape, add_output_stage, parse_program, print_program
from gatewright.ir.shapes import shapes
from gatewright.lower.circuit.nodes import Table
from gatewright.rtl.dataflow import compile_dataflow
from gatewright.rtl.manifest import stream_ports, write_core, write_design
from gatewright.sim import lint, require_match, simulate_compiled
from tests.forests import forest_program
from tests.lowering import lower_for, only
from tests.operators import operator_programs
from tests.programs import codes, mlp, programs, sparse_mlp
from tests.rtl.batch import mutated, simulate_batch

pytestmark = pytest.mark.sim
CHAINS = programs()


def drawn(count: int, family: SearchStrategy[Program] = CHAINS) -> list[Program]:
    """Let Hypothesis draw programs (under its seed, printed by make) without running anything on them."""
    found: list[Program] = []

    @given(family)
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate])
    def collect(program: Program) -> None:
        found.append(program)

    collect()
    return found


def of_vectors(program: Program) -> Program:
    """Return a program of matrices with its input and its result as vectors, without a last ArgMax."""
    ops, given = tuple(op for op in program.ops if not isinstance(op, ArgMax)), program.input
    size, last = prod(given.shape), prod(shapes(program)[ops[-1].name])
    first = Input(name="given", layer="input", shape=(size,), format=given.format)
    rows = Reshape(name=given.name, layer="rows", source="given", shape=given.shape)
    flat = Reshape(name="flat", layer="flat", source=ops[-1].name, shape=(last,))
    return dataclasses.replace(program, ops=(first, rows, *ops[1:], flat), output="flat")


PRODUCTS = operator_programs(max_ops=3, kinds=("matmul", "matmul", "requant"), shape=(2, 2), max_width=4)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "clock_mhz"), [("xc7", 120.0), ("ecp5", 40.0), ("xcup", 350.0)])
def test_random_programs_equal_the_interpreter(tmp_path, family: str, clock_mhz: float):
    """50 programs in one simulation: every output and every layer's every element, in its cycle."""
    batch = [*drawn(44), *drawn(6, PRODUCTS.map(of_vectors))]
    report = simulate_batch(batch, out=tmp_path, family=family, clock_mhz=clock_mhz, vectors=300)
    if report.first_mismatch and report.first_mismatch.layer.startswith("p"):
        pytest.fail(print_program(batch[int(report.first_mismatch.layer[1:].split(".")[0])]) + repr(report))
    require_match(report)
    assert len(batch) >= 35
    assert report.probes_compared > 35 * 300


@pytest.mark.parametrize(("family", "clock_mhz"), [("xc7", 400.0), ("ecp5", 60.0)])
def test_truth_tables_equal_the_interpreter(tmp_path, family: str, clock_mhz: float):
    """Sparse networks of few bits: nearly every neuron is a table, of one LUT or several; and decision trees."""
    drawn = [
        sparse_mlp((9, 7, 5), seed=seed, fan_in=fan_in, activation_bits=bits, input_bits=bits)
        for seed, (fan_in, bits) in enumerate([(2, 1), (5, 1), (3, 2), (4, 2), (6, 2), (3, 3), (4, 3), (2, 5)])
    ]
    tables = [only(lower_for(p, codes(p, 16), family=family, clock_mhz=clock_mhz)).circuit.nodes for p in drawn]
    assert all(any(isinstance(node, Table) for node in nodes) for nodes in tables[:6])
    drawn += [
        forest_program(Fixed.parse(fixed), features=9, n_out=3, trees=trees, depth=5, leaf_bits=leaf_bits, seed=7)
        for fixed, leaf_bits, trees in [("ufixed<1,1>", 1, 14), ("fixed<4,1>", 2, 9), ("ufixed<12,8>", 5, 4)]
    ]
    require_match(simulate_batch(drawn, out=tmp_path, family=family, clock_mhz=clock_mhz, vectors=500))


def test_wrap_into_more_bits_than_the_value_has(tmp_path):
    """-1 in two bits wraps to 255 in eight: the sign fills what the value does not have."""
    text = (
        "gatewright-program 1\nname p\nclasses []\n\n%x = input layer=input shape=[2] format=fixed<2,2>\n"
        "%fc1 = dense layer=fc1 source=%x weight=@w bias=@b\n%act = requant layer=fc1 source=%fc1 frac_bits=0 "
        "width_bits=[8] keep_frac_bits=[0] signed=[0] rounding=truncate overflow=wrap\nreturn %act\n\n"
        "@w shape=[2,1] frac_bits=0\n 1\n 1\n@b shape=[1] frac_bits=0\n 0\n"
    )
    require_match(simulate_batch([parse_program(text)], out=tmp_path, family="xc7", clock_mhz=100, vectors=64))


@pytest.mark.slow
def test_one_broken_adder_is_caught_and_named(tmp_path):
    """Ten random corruptions of one adder each are all found, in the layer where they sit."""
    program = mlp((8, 6, 4), seed=2, output="scores")
    x = codes(program, 400)
    lowered = lower_for(program, x, family="xc7", clock_mhz=200)
    design = compile_dataflow(lowered, program_hash="0" * 64)
    rng = np.random.default_rng(5)
    for number in range(10):
        broken, what = mutated(design, rng)
        folder = tmp_path / str(number)
        manifest = write_core(broken, *stream_ports(lowered, 0), program_hash="0" * 64, folder=folder)
        report = simulate_compiled(program, manifest, x, folder=folder, stall_fraction=0.3, seed=1, out=folder / "sim")
        layer = what.split(":")[0].removeprefix("net_")
        text = rf"layer '{layer}', element \d+, .*cycle \d+.*expected -?\d+, got -?\d+ \(difference [+-]\d+ LSB"
        with pytest.raises(MismatchError, match=text):
            require_match(report)


@pytest.mark.parametrize(
    ("stream_bits", "stage"),
    [
        (0, OutputStage()),
        (8, OutputStage()),
        (32, OutputStage(kind="topk", top_k=3)),
        (32, OutputStage(kind="threshold", threshold=0.2)),
        (0, OutputStage(kind="softmax")),
        (32, OutputStage(kind="softmax", softmax="latency")),
    ],
)
def test_lint_is_clean(tmp_path, stream_bits: int, stage: OutputStage):
    program = add_output_stage(mlp((9, 7, 5), seed=4, output="scores"), stage)
    lowered = lower_for(program, codes(program, 16), family="ecp5", clock_mhz=80)
    manifest = write_design(lowered, program_hash="0" * 64, stream_bits=stream_bits, folder=tmp_path)
    lint(sources=manifest.sources(tmp_path), top=manifest.top, out=tmp_path / "lint")
