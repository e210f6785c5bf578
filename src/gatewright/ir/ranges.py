"""Program in, the lowest and highest possible integer of every element of every result out (interval arithmetic).

Bounds are exact: int64 where a bound proves that they fit, else Python integers (object arrays), so that nothing
overflows while overflow is being ruled out. Intervals of one op are attained: its sources are taken as independent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ProgramError
from gatewright.fixedpoint import MAX_BITS, Ints, Overflow, rounded
from gatewright.ir.linear import carrier, product, result_frac
from gatewright.ir.lookups import cuts
from gatewright.ir.moves import moved
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, SoftmaxVariant, Thresholds, TopK, Trees
from gatewright.ir.ops import Add, Binary, Const, Conv, Dense, Input, MatMul, Max, Min, Mul, Pool, Relu, Requant, Sub
from gatewright.ir.program import Op, Program, Scan
from gatewright.ir.rounding import ends as format_ends
from gatewright.ir.rounding import per_element
from gatewright.ir.trees import Forest
from gatewright.ir.windows import pool

Bounds = NDArray[Any]
_SAFE = 1 << 61  # below it one sum or difference of two values fits int64


@dataclass(frozen=True, slots=True)
class Range:
    """The lowest and highest integer that each element of a value can be.

    lo, hi: arrays of the value's shape, int64 or (past 61 bits) Python ints; frac_bits as the value's.
    """

    lo: Bounds
    hi: Bounds
    frac_bits: int
    _ends: list[int] = field(
        default_factory=list[int], init=False, repr=False, compare=False
    )  # once they are asked for

    @property
    def ends(self) -> tuple[int, int]:
        """The least and greatest of all elements."""
        if not self._ends:
            self._ends.extend((int(self.lo.min()), int(self.hi.max())))
        return self._ends[0], self._ends[1]

    @property
    def width_bits(self) -> int:
        """Bits (two's complement where negative values occur) that hold every element."""
        lo, hi = self.ends
        return max(max(hi, 0).bit_length(), (-lo - 1).bit_length() if lo < 0 else 0) + (lo < 0)

    @property
    def peak(self) -> int:
        """The greatest magnitude of any element."""
        lo, hi = self.ends
        return max(abs(lo), abs(hi))

    @property
    def magnitude(self) -> Bounds:
        """Each element's greatest magnitude."""
        return np.maximum(abs(self.lo), abs(self.hi))


def ranges(program: Program, source: Range | None = None) -> dict[str, Range]:
    """Return the range of every result, by name. source: the input's, where it is known to be narrower."""
    known: dict[str, Range] = {}
    for op in program.ops:
        known[op.name] = source if source and isinstance(op, Input) else range_of(op, program, known)
    return known


def range_of(op: Op, program: Program, known: dict[str, Range]) -> Range:
    """Return the range of one op's result from those of its sources; program: whose tables it reads."""
    return _settled(_range(op, program, known))


def _range(op: Op, program: Program, known: dict[str, Range]) -> Range:
    match op:
        case Input():
            lo, hi = (np.full(op.shape, end, dtype=np.int64) for end in (op.format.lo, op.format.hi))
            return Range(lo, hi, op.format.frac_bits)
        case Const():
            constant = program.constants[op.value]
            return Range(constant.q, constant.q, constant.frac_bits)
        case Dense() | Conv():
            return _linear(op, program, known[op.source])
        case Relu():
            x = known[op.source]
            return Range(np.maximum(x.lo, 0), np.maximum(x.hi, 0), x.frac_bits)
        case Requant():
            return _requant(op, known[op.source])
        case Add() | Sub() | Mul() | Max() | Min():
            return _binary(op, known[op.left], known[op.right])
        case MatMul():
            return _matmul(known[op.left], known[op.right])
        case Concat():
            frac = max(known[name].frac_bits for name in op.sources)
            parts = [at_frac(known[name], frac) for name in op.sources]
            lo, hi = (np.concatenate(side, axis=op.axis) for side in zip(*((p.lo, p.hi) for p in parts), strict=True))
            return Range(lo, hi, frac)
        case Pool():
            x = known[op.source]
            x = _wide(x) if x.peak * int(np.prod(op.size)) >= _SAFE else x
            lo, hi = (pool(end[None], op.kind.value, op.size, op.strides, op.pads)[0] for end in (x.lo, x.hi))
            return Range(lo, hi, x.frac_bits)
        case Reshape() | Transpose() | Slice() | Pad() | Upsample():
            x = known[op.source]
            return Range(moved(op, x.lo[None])[0], moved(op, x.hi[None])[0], x.frac_bits)
        case Scan():
            return scan_ranges(op, program, known[op.source])[1]
        case ArgMax():
            x = known[op.source]
            lo = np.zeros((*x.lo.shape[:-1], 1), dtype=np.int64)
            return Range(lo, lo + (x.lo.shape[-1] - 1), 0)
        case TopK():
            x = known[op.source]
            lo = np.zeros((*x.lo.shape[:-1], op.k), dtype=np.int64)
            return Range(lo, lo + (x.lo.shape[-1] - 1), 0)
        case Thresholds():
            x = known[op.source]
            at = cuts(program.constants[op.thresholds], x.frac_bits)
            ends = [op.start + op.step * (end[..., None] >= at).sum(axis=-1).astype(object) for end in (x.lo, x.hi)]
            return Range(np.minimum(*ends), np.maximum(*ends), op.frac_bits)
        case Trees():
            x = known[op.source]
            forest = Forest.of(op, program.constants, x.frac_bits)
            return Range(*forest.ends(x.lo, x.hi), forest.frac_bits)
        case Lookup():
            return _lookup_range(op, program, known[op.source])
        case Softmax():
            return _softmax_range(op, program, known[op.source])
        case _:
            assert_never(op)


def _linear(op: Dense | Conv, program: Program, x: Range) -> Range:
    weight, bias = program.constants[op.weight], program.constants[op.bias]
    frac = result_frac(x.frac_bits, weight, bias)
    kind = carrier(op, x.magnitude[None], weight.q)
    plus, minus = (side.astype(kind) for side in (np.maximum(weight.q, 0), np.minimum(weight.q, 0)))
    lo, hi = (end[None].astype(kind) for end in (x.lo, x.hi))
    exact = object if kind is object else np.int64
    low = (product(op, lo, plus) + product(op, hi, minus))[0].astype(exact)
    high = (product(op, hi, plus) + product(op, lo, minus))[0].astype(exact)
    sums = at_frac(Range(low, high, x.frac_bits + weight.frac_bits), frac)
    offset = at_frac(Range(bias.q, bias.q, bias.frac_bits), frac)
    return _added(sums, offset)


def _added(a: Range, b: Range) -> Range:
    """Return the range of a + b, both at one frac_bits."""
    if a.peak + b.peak >= _SAFE:
        a, b = _wide(a), _wide(b)
    return Range(a.lo + b.lo, a.hi + b.hi, a.frac_bits)


def _binary(op: Binary, left: Range, right: Range) -> Range:
    if isinstance(op, Mul):
        return _product(op, left, right)
    frac = max(left.frac_bits, right.frac_bits)
    a, b = at_frac(left, frac), at_frac(right, frac)
    match op:
        case Add():
            return _added(a, b)
        case Sub():
            return _added(a, Range(-b.hi, -b.lo, frac))
        case Max():
            return Range(np.maximum(a.lo, b.lo), np.maximum(a.hi, b.hi), frac)
        case Min():
            return Range(np.minimum(a.lo, b.lo), np.minimum(a.hi, b.hi), frac)
        case _:
            assert_never(op)


def _product(op: Mul, left: Range, right: Range) -> Range:
    if left.peak * right.peak >= _SAFE:
        left, right = _wide(left), _wide(right)
    corners = [a * b for a in (left.lo, left.hi) for b in (right.lo, right.hi)]
    lo, hi = np.minimum.reduce(corners), np.maximum.reduce(corners)
    if op.left == op.right:  # a square is never negative, and 0 where its operand may be
        lo = np.where((left.lo <= 0) & (left.hi >= 0), 0, np.minimum(left.lo * left.lo, left.hi * left.hi))
    return Range(lo, hi, left.frac_bits + right.frac_bits)


def _matmul(left: Range, right: Range) -> Range:
    """Return the sum of the intervals of the products: both values are taken as independent."""
    if left.peak * right.peak * left.lo.shape[-1] >= _SAFE:
        left, right = _wide(left), _wide(right)
    corners = [np.expand_dims(a, -1) * np.expand_dims(b, -3) for a in (left.lo, left.hi) for b in (right.lo, right.hi)]
    lo, hi = np.minimum.reduce(corners).sum(axis=-2), np.maximum.reduce(corners).sum(axis=-2)
    return Range(lo, hi, left.frac_bits + right.frac_bits)


def _requant(op: Requant, x: Range) -> Range:
    shape = x.lo.shape
    keep = per_element(op.keep_frac_bits, shape)
    drop = x.frac_bits - keep
    most = max(int(np.max(drop)), 0), max(int(np.max(-drop)), 0)
    if x.peak << most[1] >= _SAFE or most[0] > 60:
        x, drop = _wide(x), np.broadcast_to(drop, shape).astype(object)
    lo, hi = rounded(x.lo, drop, op.rounding), rounded(x.hi, drop, op.rounding)
    bottom, top = format_ends(op, shape)
    if op.overflow is Overflow.WRAP:
        inside = (bottom <= lo) & (hi <= top)
        lo, hi = np.where(inside, lo, bottom), np.where(inside, hi, top)
    else:
        lo, hi = np.clip(lo, bottom, top), np.clip(hi, bottom, top)
    up = op.frac_bits - keep
    if max(op.width_bits) + int(np.max(up)) > 61:
        lo, hi, up = lo.astype(object), hi.astype(object), np.broadcast_to(up, shape).astype(object)
    return Range(lo << up, hi << up, op.frac_bits)


def _lookup_range(op: Lookup, program: Program, x: Range) -> Range:
    table = program.constants[op.table]
    entries = table.q.shape[1]
    low, high = int(x.lo.min()), int(x.hi.max())
    if low < op.first or high >= op.first + entries:
        raise ProgramError(
            f"program {program.name!r}, op {op.name!r}: the table holds entries for {op.first}.."
            f"{op.first + entries - 1}, but its source reaches {low}..{high}; extend the table or requantise before it"
        )
    row = np.arange(len(table.q)) if len(table.q) > 1 else np.zeros(1, dtype=np.int64)
    spans = (row * entries + (x.lo - op.first)) * entries + (x.hi - op.first)
    each, where = np.unique(spans, return_inverse=True)  # many elements share one span of one row
    parts = [table.q[k // entries // entries, k // entries % entries : k % entries + 1] for k in each.tolist()]
    lo, hi = (np.array(list(map(pick, parts)))[where.ravel()].reshape(x.lo.shape) for pick in (np.min, np.max))
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


def scan_ranges(op: Scan, program: Program, x: Range) -> tuple[dict[str, Range], Range]:
    """Return the ranges inside the body over all steps, and that of the result.

    The state is first taken to be anything the body's input format holds; what the body makes of that, joined with
    the initial state, is then an invariant, because a narrower state only narrows the body's result. Raises
    ProgramError where the invariant leaves that format.
    """
    fixed, initial = op.body.input.format, program.constants[op.initial]
    frac, states = fixed.frac_bits, initial.q.size
    for what, own in (("step input", x.frac_bits), ("initial state", initial.frac_bits)):
        if own > frac:
            raise ProgramError(f"op {op.name!r}: the body's input {fixed} must have the {what}'s {own} frac_bits")
    step = at_frac(Range(x.lo.min(axis=0), x.hi.max(axis=0), x.frac_bits), frac)
    start = at_frac(Range(initial.q, initial.q, initial.frac_bits), frac)
    state = Range(np.full(states, fixed.lo), np.full(states, fixed.hi), frac)
    inside: dict[str, Range] = {}
    for _ in range(3):  # the second and third round narrow the invariant; any number of rounds is sound
        inside = ranges(op.body, _settled(_joined(step, state)))
        after = inside[op.body.output]
        if after.frac_bits > frac:
            raise ProgramError(f"op {op.name!r}: the body returns {after.frac_bits} frac_bits, its input has {frac}")
        made = at_frac(Range(after.lo[:states], after.hi[:states], after.frac_bits), frac)
        state = Range(np.minimum(made.lo, start.lo), np.maximum(made.hi, start.hi), frac)
        for what, part in (("state", state), ("step input", step)):
            if int(part.lo.min()) < fixed.lo or int(part.hi.max()) > fixed.hi:
                raise ProgramError(
                    f"op {op.name!r}: the {what} may reach {int(part.lo.min())}..{int(part.hi.max())}, outside the "
                    f"body's input format {fixed}; widen it, or end the body's state in a Requant"
                )
    result = inside[op.body.output]
    first, end = op.emit
    lo, hi = result.lo[first:end], result.hi[first:end]
    if op.sequences:
        lo, hi = (np.broadcast_to(side, (len(x.lo), end - first)) for side in (lo, hi))
    return inside, Range(lo, hi, result.frac_bits)


def _joined(a: Range, b: Range) -> Range:
    return Range(np.concatenate([a.lo, b.lo]), np.concatenate([a.hi, b.hi]), a.frac_bits)


def at_frac(x: Range, frac_bits: int) -> Range:
    """Return the range shifted up to frac_bits (>= its own)."""
    up = frac_bits - x.frac_bits
    if up == 0:
        return x
    x = _wide(x) if x.peak << up >= _SAFE else x
    return Range(x.lo << up, x.hi << up, frac_bits)


def _wide(x: Range) -> Range:
    return Range(x.lo.astype(object), x.hi.astype(object), x.frac_bits)


def _settled(x: Range) -> Range:
    """Return the range as int64 where it fits."""
    if x.peak < _SAFE and (x.lo.dtype != np.int64 or x.hi.dtype != np.int64):
        x = Range(x.lo.astype(np.int64, copy=False), x.hi.astype(np.int64, copy=False), x.frac_bits)
    return x
