"""Decision trees in circuits: comparators, covers by LUTs and sums are exact and small; trees too deep are refused."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from gatewright.chips.luts import LUT4, LUT6
from gatewright.errors import LowerError, ProgramError
from gatewright.fixedpoint import Fixed
from gatewright.ir import Constant, Interpreter, Program, verify
from gatewright.lower.build.builder import CircuitBuilder, Wire
from gatewright.lower.build.cover import Diagram, cover, truth_table
from gatewright.lower.build.elements import build, check_circuit
from gatewright.lower.build.reach import reaches
from gatewright.lower.circuit.nodes import GreaterEqual, Table, evaluate
from gatewright.lower.estimate import estimate
from tests.forests import forest_program
from tests.lowering import lower_for
from tests.programs import codes

ONE_BIT = Fixed.parse("ufixed<1,1>")


@pytest.mark.parametrize("luts", [LUT4, LUT6])
@pytest.mark.parametrize(("lo", "hi", "shift"), [(0, 1, 0), (-5, 9, 2), (0, 300, 0), (-4096, 4095, 1)])
def test_reaches_every_cut(lo: int, hi: int, shift: int, luts) -> None:
    x = np.arange(lo, hi + 1, dtype=np.int64)[:, None]
    step = max((hi - lo) // 40, 1)
    for cut in [*range((lo - 1) << shift, (hi + 2) << shift, step), 1 << shift, 0]:
        b = CircuitBuilder()
        ref = reaches(b, b.source(0, Wire(lo, hi, shift)), cut, luts.inputs)
        values = []
        for node in b.nodes:
            values.append(evaluate(node, values, x))
        assert (values[ref.node] == ((x[:, 0] << shift) >= cut)).all(), cut
        assert all(sum(node.widths) <= luts.inputs for node in b.nodes if isinstance(node, Table))


def test_the_highest_bit_is_a_wire():
    b = CircuitBuilder()
    reaches(b, b.source(0, Wire(0, 255, 0)), 128, 6)
    assert not [node for node in b.nodes if isinstance(node, Table | GreaterEqual)]


def test_covers_are_the_functions_and_small():
    """A tree of six questions is one LUT6, however often it asks them; five levels of different ones are few."""
    diagram, rng = Diagram(), np.random.default_rng(1)
    level = [~int(v) for v in rng.integers(0, 2, 64)]
    for ask in reversed(range(6)):
        level = [diagram.node(ask, *level[i : i + 2]) for i in range(0, len(level), 2)]
    assert len(cover(diagram, level[0], 6)) == 1
    wide = Diagram()
    level = [~(i & 1) for i in range(32)]
    for ask in (range(15, 31), range(7, 15), range(3, 7), range(1, 3), range(1)):
        level = [wide.node(100 + a, *level[2 * i : 2 * i + 2]) for i, a in enumerate(ask)]
    pieces = cover(wide, level[0], 6)
    assert len(pieces) == 10
    for bits in itertools.islice(itertools.product((0, 1), repeat=5), 32):
        answers = {100 + a: bits[a % 5] for a in range(31)}
        found: dict[int, int] = {}
        for piece in pieces:
            inputs = [answers[a] for a in piece.asks] + [found[n] for n in piece.nodes]
            found[piece.node] = truth_table(wide, piece)[sum(bit << i for i, bit in enumerate(inputs))]
        at = level[0]
        while at >= 0:
            at = wide.children[at][answers[wide.asks[at]]]
        assert found[level[0]] == ~at


@pytest.mark.parametrize("family", ["xc7", "ecp5"])
@pytest.mark.parametrize(
    ("fixed", "leaf_bits", "trees"),
    [("ufixed<1,1>", 1, 14), ("fixed<4,1>", 2, 9), ("ufixed<8,8>", 4, 5), ("fixed<14,2>", 7, 3)],
)
def test_circuits_equal_the_program(fixed: str, leaf_bits: int, trees: int, family: str) -> None:
    program = forest_program(Fixed.parse(fixed), features=9, trees=trees, depth=5, leaf_bits=leaf_bits, n_out=3, seed=4)
    x = codes(program, 400)
    made = lower_for(program, x, family=family, clock_mhz=100.0)
    assert (made.replay(x) == Interpreter(program).run(x)).all()
    assert made.initiation_interval == 1
    assert estimate(made).lut > 0


def test_a_wrong_table_is_caught():
    program = forest_program(Fixed.parse("fixed<5,2>"), trees=8, seed=2)
    x = codes(program, 600)
    circuit = build(program)
    assert check_circuit(program, circuit, x) > 0
    tables = [i for i, node in enumerate(circuit.nodes) if isinstance(node, Table) and node.hi == 1]
    caught = 0
    for at in tables:
        node = circuit.nodes[at]
        assert isinstance(node, Table)
        wrong = replace(node, values=tuple(1 - v for v in node.values))
        nodes = (*circuit.nodes[:at], wrong, *circuit.nodes[at + 1 :])
        try:
            check_circuit(program, replace(circuit, nodes=nodes), x)
        except LowerError:
            caught += 1
    assert caught == len(tables) > 10


def changed(program: Program, name: str, at: tuple[int, ...], value: int) -> Program:
    q = program.constants[name].q.copy()
    q[at] = value
    return replace(program, constants={**program.constants, name: Constant(q, program.constants[name].frac_bits)})


@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("feature", (0,), 6, "feature must be 0..5"),
        ("children", (1, 0), 1, r"children\[1, 0\] is 1; it must be a node that comes later"),
        ("children", (0, 1), -99, "or ~leaf of the"),
        ("roots", (0,), 99, r"roots\[0\] is 99"),
    ],
)
def test_tables_that_are_no_trees_are_refused(name: str, at: tuple[int, ...], value: int, message: str) -> None:
    program = forest_program(Fixed.parse("fixed<5,2>"), seed=3)
    with pytest.raises(ProgramError, match=message):
        verify(changed(program, name, at, value))


def test_trees_too_deep_are_refused():
    """A diamond of nodes has few of them and 2**90 ways through."""
    nodes = 90
    program = forest_program(ONE_BIT, trees=1, depth=1, features=6, seed=5)
    children = np.array([[at + 1, at + 1] for at in range(nodes - 1)] + [[-1, -1]])
    tables = {"feature": np.arange(nodes) % 6, "thresholds": np.ones(nodes), "children": children, "roots": [0]}
    made = {name: Constant(np.array(q, dtype=np.int64), 0) for name, q in tables.items()}
    program = replace(program, constants={**program.constants, **made})
    verify(program)
    with pytest.raises(LowerError, match="at most 200 and 65536 are built: train shallower trees"):
        build(program)
