"""Ops of two vectors and ops that move elements: exact ranges, shared wires, elements that are not built."""

import numpy as np
import pytest

from gatewright.fixedpoint import Fixed
from gatewright.ir import (
    Add,
    Concat,
    Const,
    Constant,
    Fill,
    Input,
    Max,
    Min,
    Mul,
    Op,
    Pad,
    Program,
    Reshape,
    Slice,
    Sub,
    Transpose,
    Upsample,
    run,
    verify,
)
from gatewright.ir.ranges import ranges
from gatewright.lower.build.elements import build, check_circuit
from gatewright.lower.build.facts import Facts
from gatewright.lower.circuit.nodes import Circuit, GreaterEqual, Select, Source
from gatewright.lower.rewrites.narrow import drop_dead
from tests.programs import codes, requant

X = Input(name="x", layer="input", shape=(3,), format=Fixed(width_bits=4, frac_bits=1))


def made(*ops: Op, constants: dict[str, Constant] | None = None) -> Program:
    program = Program(name="p", ops=(X, *ops), output=ops[-1].name, constants=constants or {})
    verify(program)
    return program


def built(program: Program) -> Circuit:
    """Return the circuit, checked on every input there is: 3 elements of 4 bits."""
    every = np.stack(np.meshgrid(*[np.arange(-8, 8)] * 3), axis=-1).reshape(-1, 3)
    circuit = drop_dead(build(program))
    check_circuit(program, circuit, every)
    return circuit


def spans(circuit: Circuit) -> list[tuple[int, int]]:
    nodes = circuit.nodes
    return [(nodes[ref.node].lo << ref.shift, nodes[ref.node].hi << ref.shift) for ref in circuit.outputs]


@pytest.mark.parametrize("kind", [Add, Sub, Mul, Max, Min])
@pytest.mark.parametrize("frac", [-1, 1, 3])
def test_ranges_of_two_vectors_are_attained(kind: type[Add], frac: int):
    c = Constant(np.array([-3, 5, 1]), frac)
    program = made(
        Const(name="c", layer="c", value="c"), kind(name="y", layer="y", left="x", right="c"), constants={"c": c}
    )
    circuit, known = built(program), ranges(program)["y"]
    assert spans(circuit) == list(zip(known.lo.tolist(), known.hi.tolist(), strict=True))
    assert circuit.output_format.frac_bits == known.frac_bits


def test_one_element_stands_beside_each():
    first = Slice(name="first", layer="first", source="x", starts=(0,), stops=(1,), steps=(1,))
    program = made(first, Max(name="y", layer="y", left="first", right="x"))
    circuit = built(program)
    assert len(circuit.outputs) == 3
    assert sum(isinstance(node, GreaterEqual) for node in circuit.nodes) == 2  # an element equals itself


def test_a_square_is_never_negative():
    program = made(Mul(name="y", layer="y", left="x", right="x"))
    assert spans(built(program)) == [(0, 64)] * 3


def test_a_value_with_itself_needs_no_adder():
    for kind, want in ((Add, (-16, 14)), (Sub, (0, 0)), (Max, (-8, 7)), (Min, (-8, 7))):
        circuit = built(made(kind(name="y", layer="y", left="x", right="x")))
        assert circuit.adders == 0
        assert not any(isinstance(node, GreaterEqual | Select) for node in circuit.nodes)
        assert spans(circuit) == [want] * 3


def test_a_constant_factor_is_written_in_signed_digits():
    c = Constant(np.array([7, -8, 0]), 0)
    program = made(
        Const(name="c", layer="c", value="c"), Mul(name="y", layer="y", left="c", right="x"), constants={"c": c}
    )
    circuit = built(program)
    assert circuit.adders == 2  # 7 = 8 - 1; -8 is one subtraction from 0; 0 is nothing
    assert spans(circuit) == [(-56, 49), (-56, 64), (0, 0)]


@pytest.mark.parametrize(
    ("op", "want"),
    [
        (Slice(name="y", layer="y", source="x", starts=(2,), stops=(-1,), steps=(-2,)), [3, 1]),
        (Reshape(name="y", layer="y", source="x", shape=(3,)), [1, 2, 3]),
        (Transpose(name="y", layer="y", source="x", axes=(0,)), [1, 2, 3]),
        (Pad(name="y", layer="y", source="x", pads=((1, 2),), value=-5), [-5, 1, 2, 3, -5, -5]),
        (Upsample(name="y", layer="y", source="x", factors=(2,), fill=Fill.REPEAT), [1, 1, 2, 2, 3, 3]),
        (Upsample(name="y", layer="y", source="x", factors=(2,), fill=Fill.ZEROS), [1, 0, 2, 0, 3, 0]),
        (Concat(name="y", layer="y", sources=("x", "x"), axis=0), [1, 2, 3, 1, 2, 3]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_moves_elements_is_wires(op: Op, want: list[int]):
    program = made(op)
    assert run(program, np.array([[1, 2, 3]])).tolist() == [want]
    circuit = built(program)
    assert circuit.adders == 0
    assert all(node.layer == "input" or node.lo == node.hi for node in circuit.nodes)


def test_concat_aligns_the_binary_points():
    finer = requant("q", "x", frac_bits=3, width_bits=6)
    program = made(finer, Concat(name="y", layer="y", sources=("x", "q"), axis=0))
    assert run(program, np.array([[1, 2, 3]])).tolist() == [[4, 8, 12, 4, 8, 12]]
    assert [ref.shift for ref in built(program).outputs] == [2] * 6


def test_only_read_elements_live():
    last = Slice(name="y", layer="y", source="sum", starts=(2,), stops=(3,), steps=(1,))
    total = Add(name="sum", layer="sum", left="joined", right="c")
    half = Slice(name="half", layer="half", source="x", starts=(1,), stops=(3,), steps=(1,))
    joined = Concat(name="joined", layer="joined", sources=("half", "x"), axis=0)
    const = Const(name="c", layer="c", value="c")
    program = made(half, joined, const, total, last, constants={"c": Constant(np.array([1]), 1)})
    live = Facts(program=program).live
    assert live["joined"] == [False, False, True, False, False]
    assert (live["half"], live["x"], live["c"]) == ([False, False], [True, False, False], [True])
    circuit = built(program)
    assert [node.element for node in circuit.nodes if isinstance(node, Source)] == [0]
    assert dict(circuit.layer_values)["half"] == (None, None)


def test_two_roads_meet_again():
    """A skip: what passes by is as old as what it meets, whatever lies between."""
    narrow = requant("q", "x", frac_bits=0, width_bits=3)
    program = made(
        narrow,
        Mul(name="squared", layer="squared", left="q", right="q"),
        Add(name="y", layer="y", left="squared", right="x"),
    )
    check_circuit(program, built(program), codes(program, 50))
