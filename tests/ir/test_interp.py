"""The interpreter against exact rational arithmetic, written a second time from docs/program.md."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from gatewright.errors import ProgramError
from gatewright.fixedpoint import Overflow, Rounding
from gatewright.ir import (
    ArgMax,
    Dense,
    Input,
    Interpreter,
    Lookup,
    Program,
    Relu,
    Requant,
    Softmax,
    SoftmaxVariant,
    Thresholds,
    TopK,
    ranges,
    run,
)
from tests.programs import codes, mlp, programs


def rational(program: Program, row: np.ndarray) -> dict[str, list[Fraction]]:
    values: dict[str, list[Fraction]] = {}
    for op in program.ops:
        match op:
            case Input():
                values[op.name] = [Fraction(int(q)) * Fraction(2) ** -op.format.frac_bits for q in row]
            case Dense():
                w, b = program.constants[op.weight], program.constants[op.bias]
                values[op.name] = [
                    sum(
                        (x * int(w.q[i, j]) * Fraction(2) ** -w.frac_bits for i, x in enumerate(values[op.source])),
                        int(b.q[j]) * Fraction(2) ** -b.frac_bits,
                    )
                    for j in range(w.q.shape[1])
                ]
            case Relu():
                values[op.name] = [max(v, Fraction(0)) for v in values[op.source]]
            case Requant():
                values[op.name] = [requantised(op, i, v) for i, v in enumerate(values[op.source])]
            case ArgMax():
                source = values[op.source]
                values[op.name] = [Fraction(source.index(max(source)))]
            case TopK():
                source = values[op.source]
                order = sorted(range(len(source)), key=lambda i, s=source: (-s[i], i))
                values[op.name] = [Fraction(i) for i in order[: op.k]]
            case Thresholds():
                at = program.constants[op.thresholds]
                exact = [[Fraction(int(t)) * Fraction(2) ** -at.frac_bits for t in row] for row in at.q]
                reached = [sum(v >= t for t in exact[i % len(exact)]) for i, v in enumerate(values[op.source])]
                values[op.name] = [(op.start + op.step * n) * Fraction(2) ** -op.frac_bits for n in reached]
            case Lookup():
                table, frac = program.constants[op.table], ranges(program)[op.source].frac_bits
                values[op.name] = [
                    int(table.q[i % len(table.q), int(v * Fraction(2) ** frac) - op.first])
                    * Fraction(2) ** -table.frac_bits
                    for i, v in enumerate(values[op.source])
                ]
            case Softmax():
                frac = ranges(program)[op.source].frac_bits
                values[op.name] = probabilities(op, program, [int(v * Fraction(2) ** frac) for v in values[op.source]])
    return values


def probabilities(op: Softmax, program: Program, x: list[int]) -> list[Fraction]:
    exp, inverse = program.constants[op.exp_table].q.tolist(), program.constants[op.reciprocal_table].q.tolist()
    if op.variant is SoftmaxVariant.STABLE:
        index = [min((max(x) - v) // 2**op.drop, len(exp) - 1) for v in x]
    else:
        index = [min(max(v // 2**op.drop - op.first, 0), len(exp) - 1) for v in x]
    e = [exp[k] for k in index]
    r = inverse[sum(e) // 2**op.sum_drop - op.sum_first]
    y = [math.floor(Fraction(v * r, 2**op.shift) + Fraction(1, 2)) for v in e]
    return [min(v, 2**op.width_bits - 1) * Fraction(2) ** -op.frac_bits for v in y]


def requantised(op: Requant, i: int, value: Fraction) -> Fraction:
    def pick(many):
        return many[i] if len(many) > 1 else many[0]

    width, frac, signed = pick(op.width_bits), pick(op.keep_frac_bits), pick(op.signed)
    if width == 0:
        return Fraction(0)
    scaled = value * Fraction(2) ** frac
    match op.rounding:
        case Rounding.TRUNCATE:
            q = math.floor(scaled)
        case Rounding.HALF_UP:
            q = math.floor(scaled + Fraction(1, 2))
        case Rounding.HALF_EVEN:
            q = round(scaled)
        case Rounding.HALF_DOWN:
            q = math.ceil(scaled - Fraction(1, 2))
        case Rounding.HALF_AWAY:
            q = int(math.copysign(math.floor(abs(scaled) + Fraction(1, 2)), scaled))
        case Rounding.HALF_ZERO:
            q = int(math.copysign(math.ceil(abs(scaled) - Fraction(1, 2)), scaled))
        case Rounding.ZERO:
            q = math.trunc(scaled)
        case Rounding.CEIL:
            q = math.ceil(scaled)
    lo, hi = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    if op.overflow is Overflow.WRAP:
        return ((q - lo) % 2**width + lo) * Fraction(2) ** -frac
    if op.overflow is Overflow.SATURATE_SYMMETRIC:
        lo = max(lo, -hi)
    q = min(max(q, lo), hi)
    return q * Fraction(2) ** -frac


@given(programs(chain=True))
@settings(max_examples=150, deadline=None)
def test_equals_rational_arithmetic(program: Program):
    x = codes(program, 8)
    trace, bounds = Interpreter(program).trace(x), ranges(program)
    for n, row in enumerate(x):
        for name, exact in rational(program, row).items():
            frac = bounds[name].frac_bits
            got = [Fraction(int(q)) * Fraction(2) ** -frac for q in trace[name][n]]
            assert got == exact, name


@given(programs())
@settings(max_examples=100, deadline=None)
def test_ranges_hold(program: Program):
    trace = Interpreter(program).trace(codes(program, 64))
    for name, bounds in ranges(program).items():
        assert (trace[name] >= bounds.lo.astype(np.int64)).all(), name
        assert (trace[name] <= bounds.hi.astype(np.int64)).all(), name


def test_wide_sums_leave_float64():
    """Where float64 would round, int64 takes over."""
    program = mlp((3, 2), seed=1, weight_bits=45, sparsity=0.0, output="scores")
    x = codes(program, 50)
    w, b = program.constants["out.weight"].q.astype(object), program.constants["out.bias"]
    frac = ranges(program)["out"].frac_bits
    exact = x.astype(object) @ w + b.q.astype(object) * (1 << (frac - b.frac_bits))
    assert (run(program, x).astype(object) == exact).all()
    assert max(abs(v) for v in exact.flat) > 2**50


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 5), dtype=np.int64), r"must be \(n, \(3,\)\), not \(2, 5\)"),
        (np.zeros((2, 3)), "must be integer codes, not float64"),
        (np.full((1, 3), 200), r"must lie in -128..127 \(fixed<8,4>\), not 200..200"),
    ],
)
def test_input_errors(x: np.ndarray, message: str):
    with pytest.raises(ProgramError, match=message):
        run(mlp((3, 2), seed=1), x)
