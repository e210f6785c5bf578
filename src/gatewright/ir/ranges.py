"""Program in, the lowest and highest possible integer of every element of every result out (interval arithmetic).

Bounds are exact Python integers (object arrays), so that nothing overflows while overflow is being ruled out.
Intervals of one op are attained: inputs are taken as independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ProgramError
from gatewright.ir.formats import MAX_BITS, Ints, Overflow, Rounding
from gatewright.ir.ops import (
    ArgMax,
    Dense,
    Input,
    Lookup,
    Op,
    Relu,
    Requant,
    Softmax,
    SoftmaxVariant,
    Thresholds,
    TopK,
)
from gatewright.ir.program import Program
from gatewright.ir.tables import cuts

BigInts = NDArray[Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Range:
    """lo, hi: object arrays of Python ints with the value's shape; frac_bits as the value's."""

    lo: BigInts
    hi: BigInts
    frac_bits: int

    @property
    def width_bits(self) -> int:
        """Bits (two's complement where negative values occur) that hold every element."""
        lo, hi = min(self.lo.flat), max(self.hi.flat)
        return max(max(hi, 0).bit_length(), (-lo - 1).bit_length() if lo < 0 else 0) + (lo < 0)


def ranges(program: Program) -> dict[str, Range]:
    """Return the range of every result, by name."""
    known: dict[str, Range] = {}
    for op in program.ops:
        known[op.name] = _range(op, program, known)
    return known


def _range(op: Op, program: Program, known: dict[str, Range]) -> Range:
    match op:
        case Input():
            full = np.empty(op.shape, dtype=object)
            lo, hi = full.copy(), full.copy()
            lo[...], hi[...] = op.format.lo, op.format.hi
            return Range(lo, hi, op.format.frac_bits)
        case Dense():
            x, w, b = known[op.source], program.constants[op.weight], program.constants[op.bias]
            frac = max(x.frac_bits + w.frac_bits, b.frac_bits)
            big = w.q.astype(object)
            plus, minus = np.maximum(big, 0), np.minimum(big, 0)
            up = frac - x.frac_bits - w.frac_bits
            bias = b.q.astype(object) * (1 << (frac - b.frac_bits))
            lo = (x.lo @ plus + x.hi @ minus) * (1 << up) + bias
            hi = (x.hi @ plus + x.lo @ minus) * (1 << up) + bias
            return Range(lo, hi, frac)
        case Relu():
            x = known[op.source]
            return Range(np.maximum(x.lo, 0), np.maximum(x.hi, 0), x.frac_bits)
        case Requant():
            x = known[op.source]
            lo, hi = np.empty(x.lo.shape, dtype=object), np.empty(x.lo.shape, dtype=object)
            spec = zip(*(spread(v, x.lo.size) for v in (op.width_bits, op.keep_frac_bits, op.signed)), strict=True)
            for i, (width, frac, signed) in enumerate(spec):
                lo.flat[i], hi.flat[i] = _requant_ends(op, x, i, width, frac, signed)
            return Range(lo, hi, op.frac_bits)
        case ArgMax():
            x = known[op.source]
            return Range(_one(0), _one(x.lo.shape[-1] - 1), 0)
        case TopK():
            last = known[op.source].lo.shape[-1] - 1
            return Range(np.repeat(_one(0), op.k), np.repeat(_one(last), op.k), 0)
        case Thresholds():
            x = known[op.source]
            at = cuts(program.constants[op.thresholds], x.frac_bits).astype(object)
            ends = [op.start + op.step * (end[..., None] >= at).sum(axis=-1).astype(object) for end in (x.lo, x.hi)]
            return Range(np.minimum(*ends), np.maximum(*ends), op.frac_bits)
        case Lookup():
            return _lookup_range(op, program, known[op.source])
        case Softmax():
            return _softmax_range(op, program, known[op.source])
        case _:
            assert_never(op)


def _lookup_range(op: Lookup, program: Program, x: Range) -> Range:
    table = program.constants[op.table]
    entries = table.q.shape[1]
    low, high = min(x.lo.flat), max(x.hi.flat)
    if low < op.first or high >= op.first + entries:
        raise ProgramError(
            f"program {program.name!r}, op {op.name!r}: the table holds entries for {op.first}.."
            f"{op.first + entries - 1}, but its source reaches {low}..{high}; extend the table or requantise before it"
        )
    lo, hi = np.empty(x.lo.shape, dtype=object), np.empty(x.lo.shape, dtype=object)
    for i, (a, b) in enumerate(zip(x.lo.flat, x.hi.flat, strict=True)):
        row = table.q[i % x.lo.shape[-1] if len(table.q) > 1 else 0, a - op.first : b - op.first + 1]
        lo.flat[i], hi.flat[i] = int(row.min()), int(row.max())
    return Range(lo, hi, table.frac_bits)


def _softmax_range(op: Softmax, program: Program, x: Range) -> Range:
    exp, reciprocal = (program.constants[key].q for key in (op.exp_table, op.reciprocal_table))
    lo, hi = exp_sum_ends(op, exp, x.lo.shape[-1])
    first, last = (lo >> op.sum_drop) - op.sum_first, (hi >> op.sum_drop) - op.sum_first
    if first < 0 or last >= len(reciprocal):
        raise ProgramError(
            f"program {program.name!r}, op {op.name!r}: sums of exponentials reach {lo}..{hi}, which reads entries "
            f"{first}..{last} of {len(reciprocal)} reciprocals; build the op with gatewright.ir.softmax_op"
        )
    top = int(exp.max()) * int(reciprocal[first : last + 1].max())
    if max(hi, top + (1 << op.shift)).bit_length() > MAX_BITS:
        raise ProgramError(f"program {program.name!r}, op {op.name!r}: the product passes {MAX_BITS} bits")
    most = min((top + ((1 << op.shift) >> 1)) >> op.shift, (1 << op.width_bits) - 1)
    return Range(x.lo * 0, x.lo * 0 + most, op.frac_bits)


def exp_sum_ends(op: Softmax, exp_table: Ints, classes: int) -> tuple[int, int]:
    """Return the lowest and highest possible sum of exponentials; in the stable variant one of them is entry 0."""
    least, most = int(exp_table.min()), int(exp_table.max())
    if op.variant is SoftmaxVariant.STABLE:
        return int(exp_table[0]) + (classes - 1) * least, int(exp_table[0]) + (classes - 1) * most
    return classes * least, classes * most


def _requant_ends(op: Requant, x: Range, i: int, width: int, frac: int, signed: bool) -> tuple[int, int]:
    if width == 0:
        return 0, 0
    lo, hi = (round_shift(end, x.frac_bits - frac, op.rounding) for end in (x.lo.flat[i], x.hi.flat[i]))
    bottom, top = (-(1 << (width - 1)) if signed else 0), (1 << (width - signed)) - 1
    up = op.frac_bits - frac
    if op.overflow is Overflow.SATURATE:
        return min(max(lo, bottom), top) << up, min(max(hi, bottom), top) << up
    if bottom <= lo and hi <= top:
        return lo << up, hi << up
    return bottom << up, top << up


def round_shift(value: int, drop: int, rounding: Rounding) -> int:
    """Return value * 2**-drop rounded to an integer, with Python's exact integers."""
    if drop <= 0:
        return value << -drop
    match rounding:
        case Rounding.TRUNCATE:
            return value >> drop
        case Rounding.HALF_UP:
            return (value + (1 << (drop - 1))) >> drop
        case Rounding.HALF_EVEN:
            return (value + (1 << (drop - 1)) - 1 + ((value >> drop) & 1)) >> drop
        case _:
            assert_never(rounding)


def spread(values: tuple[_T, ...], size: int) -> tuple[_T, ...]:
    """Return one value per element: `values` itself, or its single value repeated."""
    return values * size if len(values) == 1 else values


def _one(value: int) -> BigInts:
    array = np.empty((1,), dtype=object)
    array[0] = value
    return array
