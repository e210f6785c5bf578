"""Output stages: the softmax's stated error holds and is near what occurs; what the verifier refuses."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import ProgramError
from gatewright.fixedpoint import Fixed
from gatewright.ir import (
    Constant,
    Input,
    Lookup,
    Op,
    Program,
    Range,
    Softmax,
    SoftmaxVariant,
    Thresholds,
    TopK,
    run,
    softmax_error_bound,
    softmax_op,
    verify,
)

BYTE = Fixed(width_bits=8, frac_bits=8, signed=False)


def span(classes: int, low: int, high: int, frac_bits: int) -> Range:
    return Range(np.full(classes, low, dtype=object), np.full(classes, high, dtype=object), frac_bits)


def softmax_program(values: Range, **options) -> tuple[Program, Softmax]:
    bits = max(int(max(values.hi)).bit_length(), int(-min(values.lo) - 1).bit_length()) + 1
    source = Input(
        name="x", layer="input", shape=values.lo.shape, format=Fixed(width_bits=bits, frac_bits=values.frac_bits)
    )
    op, tables = softmax_op(name="p", layer="softmax", source="x", values=values, **options)
    program = Program(name="p", ops=(source, op), output="p", constants=tables)
    verify(program)
    return program, op


def difficult(values: Range, count: int) -> np.ndarray:
    """Uniform vectors, vectors close to one value, vectors of two values."""
    rng = np.random.default_rng(1)
    low, high, classes = int(min(values.lo)), int(max(values.hi)), values.lo.size
    lsb = max(int(2.0**values.frac_bits), 1)
    x = [rng.integers(low, high, (count, classes), endpoint=True)]
    for near in (1, 4, 16, 64):
        base = rng.integers(low, high, (count, 1), endpoint=True)
        reach = max(near * lsb // 8, 1)
        x.append(np.clip(base + rng.integers(-reach, reach, (count, classes), endpoint=True), low, high))
    two = rng.integers(low, high, (2 * count, 2), endpoint=True)
    x.append(np.where(rng.random((2 * count, classes)) < rng.random((2 * count, 1)), two[:, :1], two[:, 1:]))
    return np.concatenate(x)


def deviation(program: Program, op: Softmax, values: Range, x: np.ndarray) -> float:
    exact = np.exp((x - x.max(axis=1, keepdims=True)) * 2.0**-values.frac_bits)
    return float(abs(run(program, x) * 2.0**-op.frac_bits - exact / exact.sum(axis=1, keepdims=True)).max())


@given(
    classes=st.integers(1, 12),
    bits=st.integers(1, 12),
    frac_bits=st.integers(-1, 9),
    width_bits=st.integers(1, 10),
    variant=st.sampled_from(SoftmaxVariant),
    max_entries=st.sampled_from((2, 40, 300, 1024)),
    guard_bits=st.integers(0, 2),
)
@settings(max_examples=80, deadline=None)
def test_softmax_error_never_passes_its_bound(classes, bits, frac_bits, width_bits, variant, max_entries, guard_bits):
    values = span(classes, -(1 << bits), (1 << bits) - 1, frac_bits)
    output = Fixed(width_bits=width_bits, frac_bits=width_bits, signed=False)
    program, op = softmax_program(
        values, output=output, variant=variant, max_entries=max_entries, guard_bits=guard_bits
    )
    bound = softmax_error_bound(op, program.constants, values)
    assert deviation(program, op, values, difficult(values, 300)) <= bound


@pytest.mark.parametrize(
    ("variant", "values", "most_ulp", "slack"),
    [
        (SoftmaxVariant.STABLE, span(2, -128, 127, 4), 1.2, 1.3),
        (SoftmaxVariant.STABLE, span(5, -32, 31, 4), 1.2, 1.4),
        (SoftmaxVariant.STABLE, span(10, -500, 600, 5), 3.6, 2.0),
        (SoftmaxVariant.STABLE, span(10, -2000, 2000, 8), 3.8, 2.0),
        (SoftmaxVariant.LATENCY, span(4, -16, 15, 3), 6.5, 3.5),
        (SoftmaxVariant.LATENCY, span(5, -32, 31, 4), 10.5, 3.5),
    ],
)
def test_softmax_error_bound_is_near_what_occurs(variant, values: Range, most_ulp: float, slack: float):
    program, op = softmax_program(values, output=BYTE, variant=variant)
    bound = softmax_error_bound(op, program.constants, values)
    seen = deviation(program, op, values, difficult(values, 20_000))
    assert bound * 256 <= most_ulp
    assert seen <= bound <= slack * seen


def test_latency_variant_says_what_clipping_costs():
    """Two scores above the table's end look equal: the bound is then the whole difference."""
    wide = span(2, -4096, 4095, 4)
    program, op = softmax_program(wide, output=BYTE, variant=SoftmaxVariant.LATENCY)
    assert softmax_error_bound(op, program.constants, wide) > 0.49
    assert run(program, np.array([[4095, 300]])).tolist() == [[128, 128]]


def small(op: Op, tables: dict[str, Constant]) -> Program:
    source = Input(name="x", layer="input", shape=(3,), format=Fixed(width_bits=4, frac_bits=0))
    return Program(name="p", ops=(source, op), output=op.name, constants=tables)


CUT = Thresholds(name="y", layer="y", source="x", thresholds="t", start=0, step=1, frac_bits=0)
LOOK = Lookup(name="y", layer="y", source="x", table="t", first=-8)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (small(TopK(name="y", layer="y", source="x", k=4), {}), r"k must be 1..3, the number of elements, not 4"),
        (small(CUT, {}), r"constant 't' is not in the table"),
        (small(CUT, {"t": Constant(np.array([[3, 1]]), 0)}), r"thresholds of a channel must ascend"),
        (small(CUT, {"t": Constant(np.array([[1], [2]]), 0)}), r"must have shape \(1 or 3, at least 1\).*not \(2, 1\)"),
        (
            small(LOOK, {"t": Constant(np.zeros((1, 15), dtype=np.int64), 0)}),
            r"holds entries for -8..6, but its source reaches -8..7; extend the table",
        ),
    ],
)
def test_verifier_refuses(program: Program, message: str):
    with pytest.raises(ProgramError, match=message):
        verify(program)


def test_top_k_is_only_an_output():
    top = small(TopK(name="y", layer="y", source="x", k=2), {})
    with pytest.raises(ProgramError, match="TopK may only be the output"):
        verify(dataclasses.replace(top, output="x"))


def test_softmax_refuses():
    values = span(3, -8, 7, 2)
    program, op = softmax_program(values, output=BYTE)

    def changed(key: str, table: np.ndarray) -> Program:
        return dataclasses.replace(program, constants={**program.constants, key: Constant(table, 0)})

    with pytest.raises(ProgramError, match=r"reads entries 0..\d+ of 3 reciprocals; build the op with"):
        verify(changed("p.reciprocal", np.arange(3)))
    with pytest.raises(ProgramError, match="must be a vector of numbers >= 0"):
        verify(changed("p.exp", np.full(4, -1)))
    with pytest.raises(ProgramError, match="first must be 0 in the stable variant, not 2"):
        verify(dataclasses.replace(program, ops=(program.ops[0], dataclasses.replace(op, first=2))))
    with pytest.raises(ProgramError, match=r"output must be ufixed<W,0> or ufixed<W,1>.*not fixed<8,1>"):
        softmax_op(name="p", layer="p", source="x", values=values, output=Fixed(width_bits=8, frac_bits=7))
    with pytest.raises(ProgramError, match="at least 2 entries, not 1"):
        softmax_op(name="p", layer="p", source="x", values=values, output=BYTE, max_entries=1)
