"""A program and its ranges in, the same results as its interpreter's out, in floating point wherever that is exact.

IEEE 754-2019 binary32 holds every integer up to 2**24, and these times any power of two. So a value whose range, and
whose sums on the way, stay below that is carried as float32 from op to op, in half the memory of an int64 and at
several times the speed; below 2**53 float64 serves. A layer, its ReLU and its requantization are one step: the shift
is in the weights, half a step of rounding in the bias, and what is left is to round down and to clip. Every other op
is computed by the interpreter itself, on int64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Ints, Overflow, Rounding
from gatewright.ir.linear import narrowest, product
from gatewright.ir.lookups import FEW, cuts
from gatewright.ir.moves import aligned, moved
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Thresholds
from gatewright.ir.ops import Add, Binary, Conv, Dense, Input, Max, Min, Mul, Pool, PoolKind, Relu, Requant, Sub
from gatewright.ir.program import Op, Program, sources
from gatewright.ir.ranges import Range
from gatewright.ir.rounding import ends, per_element
from gatewright.ir.windows import pool

Array = NDArray[Any]
Unary = Callable[[Array], Array]
Compute = Callable[[Sequence[Array]], Array]
MOST_SHIFT = 60  # bits that a number may be scaled by, far from where float32 has no exponents left
_ROUND: dict[Rounding, tuple[Callable[..., Array], int]] = {
    Rounding.TRUNCATE: (np.floor, 0),
    Rounding.HALF_UP: (np.floor, 1),
    Rounding.HALF_DOWN: (np.ceil, -1),
    Rounding.HALF_EVEN: (np.rint, 0),
    Rounding.CEIL: (np.ceil, 0),
    Rounding.ZERO: (np.trunc, 0),
}
"""How to round a number to which so many halves of a step have been added; the other modes ask for its sign."""
_BINARY: dict[type[Binary], Callable[..., Array]] = {
    Add: np.add,
    Sub: np.subtract,
    Mul: np.multiply,
    Max: np.maximum,
    Min: np.minimum,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One or several ops at once. compute: the values of `reads` in, that of `name` out; done: not read again.

    op: computed by the interpreter, on int64, instead.
    """

    name: str
    reads: tuple[str, ...]
    compute: Compute | None = None
    op: Op | None = None
    done: tuple[str, ...] = ()


def steps(program: Program, known: Mapping[str, Range]) -> tuple[Step, ...]:
    """Return the program as steps, in order."""
    readers: dict[str, list[Op]] = {op.name: [] for op in program.ops}
    for op in program.ops:
        for name in sources(op):
            readers[name].append(op)
    made: list[Step] = []
    fused: set[str] = set()
    for op in program.ops:
        if op.name in fused:
            continue
        tried = ((chain, _linear(chain, program, known)) for chain in _chains(op, program, readers))
        chain, one = next((pair for pair in tried if pair[1] is not None), ([op], None))
        compute = _compute(op, program, known) if one is None else _of_one(one)
        fused |= {one.name for one in chain}
        made.append(Step(chain[-1].name, tuple(sources(op)), compute, None if compute else op))
    computed = {name for step in made if step.compute is not None for name in step.reads}
    last = {name: step.name for step in made for name in step.reads}
    made = [Step(s.name, (), None, program.input) if s.name == program.input.name not in computed else s for s in made]
    return tuple(Step(step.name, step.reads, step.compute, step.op, _done(step, last, program.output)) for step in made)


def _done(step: Step, last: Mapping[str, str], output: str) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(step.reads) if last[name] == step.name and name != output)


def _chains(op: Op, program: Program, readers: Mapping[str, Sequence[Op]]) -> list[list[Op]]:
    """Return a layer with the ReLU, the requantization and the maximum over windows that alone read one another.

    The longest chain first, none that ends in a ReLU; no chain of another op than a layer.
    """
    found: list[list[Op]] = []
    if not isinstance(op, Dense | Conv):
        return found
    chain: list[Op] = [op]
    for kind in (Relu, Requant, Pool):
        name = chain[-1].name
        after = readers[name][0] if len(readers[name]) == 1 and name != program.output else None
        if isinstance(after, kind) and (kind is not Pool or isinstance(chain[-1], Requant)):
            chain = [*chain, after]
        if kind is not Relu and chain not in found and len(chain) > 1 and not isinstance(chain[-1], Relu):
            found.append(chain)
    return found[::-1]


def _of_one(compute: Unary) -> Compute:
    return lambda values: compute(values[0])


def _compute(op: Op, program: Program, known: Mapping[str, Range]) -> Compute | None:
    """Return what computes one op in floating point, None where the interpreter must."""
    kind = narrowest(known[op.name].peak)
    if kind is None:
        return None
    if isinstance(op, Concat):
        return _joined(op, known, kind)
    if isinstance(op, Add | Sub | Mul | Max | Min):
        return _binary(op, known)
    found = _unary(op, program, known, kind)
    return None if found is None else _of_one(found)


def _unary(op: Op, program: Program, known: Mapping[str, Range], kind: type[Any]) -> Unary | None:
    """Return what computes an op of one value; of the input, from its codes. kind: what holds the result."""
    match op:
        case Input():
            return lambda x: x.astype(kind)
        case Dense() | Conv():
            return _linear([op], program, known)
        case Relu():
            return lambda x: np.maximum(x, 0)
        case Requant():
            return _requant(op, known)
        case Pool(kind=PoolKind.MAX):
            return lambda x: pool(x, "max", op.size, op.strides, op.pads)
        case Pool():
            sums = narrowest(known[op.source].peak * prod(op.size))
            if sums is None:
                return None
            return lambda x: pool(x.astype(sums, copy=False), "sum", op.size, op.strides, op.pads)
        case Reshape() | Transpose() | Slice() | Pad() | Upsample():
            return lambda x: moved(op, x.astype(kind, copy=False))
        case ArgMax():
            return lambda x: x.argmax(axis=-1, keepdims=True).astype(kind)
        case Thresholds():
            return _thresholds(op, program, known, kind)
        case Lookup():
            return _look_up(op, program, kind)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Rounded:
    """How numbers at some frac_bits become a format: scaled and shifted, rounded, kept in bounds, scaled again.

    scale, offset: what a number is multiplied by, and what is added to it then; half: the offset before scaling.
    """

    scale: Array
    offset: Array
    half: int
    whole: Callable[..., Array] | None
    low: Array
    high: Array
    wraps: bool
    up: Array | None
    kind: type[Any]

    @staticmethod
    def of(op: Requant, frac_bits: int, known: Mapping[str, Range]) -> _Rounded | None:
        """Return the op for numbers at frac_bits, None where only integers do it."""
        kind = narrowest(known[op.name].peak)
        shape = known[op.name].lo.shape
        keep, (low, high) = per_element(op.keep_frac_bits, shape), ends(op, shape)
        drop = np.asarray(frac_bits - keep)
        if kind is None or op.rounding not in _ROUND or np.abs(drop).max() > MOST_SHIFT:
            return None
        whole, halves = _ROUND[op.rounding]
        scale = 2.0**-drop
        up = np.asarray(op.frac_bits - keep)
        return _Rounded(
            scale=scale,
            offset=np.where(drop > 0, halves / 2, 0.0),
            half=abs(halves) << int(drop.max() - 1) if drop.max() > 0 else 0,
            whole=whole if (drop > 0).any() else None,
            low=np.asarray(low),
            high=np.asarray(high),
            wraps=op.overflow is Overflow.WRAP,
            up=2.0**up if up.any() else None,
            kind=kind,
        )

    def ready(self, kind: type[Any], relu: bool) -> Unary:
        """Return what finishes numbers, in place, that are scaled and shifted, of this type."""
        low, high, whole = (np.maximum(self.low, 0) if relu and not self.wraps else self.low), self.high, self.whole
        span = (high - self.low + 1).astype(kind)  # powers of two, so quotients are exact
        low, high, part = low.astype(kind), high.astype(kind), 1 / span
        up = None if self.up is None else self.up.astype(kind)
        narrow, wraps, signed = self.kind, self.wraps, bool(self.low.any())

        def finish(v: Array) -> Array:
            if whole is not None:
                whole(v, out=v)
            if not wraps:
                np.clip(v, low, high, out=v)
            else:
                if relu:
                    np.maximum(v, 0, out=v)
                if signed:
                    v -= low
                times = v * part
                np.floor(times, out=times)
                times *= span
                v -= times
                if signed:
                    v += low
            if up is not None:
                v *= up
            return v.astype(narrow, copy=False)

        return finish

    @property
    def by_channel(self) -> bool:
        """Whether a channel's numbers all become the same format."""
        arrays = (self.scale, self.offset, self.low, self.high, *([] if self.up is None else [self.up]))
        return max(np.ndim(array) for array in arrays) <= 1

    def exact(self, size: float) -> type[Any] | None:
        """Return the type in which numbers of at most this size, before they are scaled, are rounded exactly.

        Ends that no number reaches may be rounded themselves: they stay out of reach.
        """
        scaled = size * float(np.max(self.scale))
        end = float(max(np.abs(self.low).max(), np.abs(self.high).max()))
        return narrowest(max(size + self.half, scaled + 1 + end if self.wraps else min(scaled, end)))


def _requant(op: Requant, known: Mapping[str, Range]) -> Unary | None:
    x = known[op.source]
    rounded = _Rounded.of(op, x.frac_bits, known)
    kind = rounded.exact(x.peak) if rounded else None
    if rounded is None or kind is None:
        return None
    scale, offset, finish = rounded.scale.astype(kind), rounded.offset.astype(kind), rounded.ready(kind, relu=False)
    some = bool(offset.any())

    def compute(x: Array) -> Array:
        v = x.astype(kind, copy=False) * scale
        if some:
            v += offset
        return finish(v)

    return compute


def _linear(chain: Sequence[Op], program: Program, known: Mapping[str, Range]) -> Unary | None:
    """Return what computes a layer, and what stands behind it in its chain, see `_chains`.

    Rounding and clipping do not change the order of numbers, so the greatest of a window is found before them.
    """
    op, last = chain[0], chain[-1]
    assert isinstance(op, Dense | Conv)
    if isinstance(last, Pool) and last.kind is not PoolKind.MAX:
        return None
    pooled = last if isinstance(last, Pool) else None
    to = next((one for one in chain if isinstance(one, Requant)), None)
    x, frac = known[op.source], known[op.name].frac_bits
    weight, bias = program.constants[op.weight], program.constants[op.bias]
    up = frac - x.frac_bits - weight.frac_bits
    shifted = np.ldexp(bias.q.astype(np.float64), frac - bias.frac_bits)
    rounded = None
    if to is not None:
        rounded = _Rounded.of(to, frac, known)
        if rounded is None or not rounded.by_channel or (pooled is not None and rounded.wraps):
            return None
    sums = product(op, x.magnitude[None].astype(np.float64), np.abs(weight.q.astype(np.float64)))
    # float64 sums of non-negative terms err by less than a part in 2**20 for fewer than 2**32 terms
    size = float(sums.max(initial=0)) * (1 + 2**-20) * 2.0**up + float(np.abs(shifted).max(initial=0))
    kind = narrowest(size) if rounded is None else rounded.exact(size)
    if kind is None or abs(up) > MOST_SHIFT:
        return None
    scale = 2.0**up if rounded is None else rounded.scale * 2.0**up
    w = (weight.q * scale).astype(kind)
    b = (shifted if rounded is None else shifted * rounded.scale + rounded.offset).astype(kind)
    finish = None if rounded is None else rounded.ready(kind, relu=isinstance(chain[1], Relu))

    def compute(x: Array) -> Array:
        v = product(op, x.astype(kind, copy=False), w)
        if pooled is not None:
            v = pool(v, "max", pooled.size, pooled.strides, pooled.pads)
        v += b
        return v if finish is None else finish(v)

    return compute


def _joined(op: Concat, known: Mapping[str, Range], kind: type[Any]) -> Compute:
    scales = [kind(2.0 ** (known[op.name].frac_bits - known[name].frac_bits)) for name in op.sources]
    return lambda xs: np.concatenate([_scaled(x, s, kind) for x, s in zip(xs, scales, strict=True)], axis=op.axis + 1)


def _binary(op: Binary, known: Mapping[str, Range]) -> Compute | None:
    a, b, y = known[op.left], known[op.right], known[op.name]
    of, rank = _BINARY[type(op)], y.lo.ndim
    up = (0, 0) if isinstance(op, Mul) else (y.frac_bits - a.frac_bits, y.frac_bits - b.frac_bits)
    kind = narrowest(a.peak * b.peak if isinstance(op, Mul) else (a.peak << up[0]) + (b.peak << up[1]))
    if kind is None:
        return None
    left, right = (kind(2.0**shift) for shift in up)
    return lambda xs: of(aligned(_scaled(xs[0], left, kind), rank), aligned(_scaled(xs[1], right, kind), rank))


def _scaled(x: Array, scale: Any, kind: type[Any]) -> Array:
    x = x.astype(kind, copy=False)
    return x if scale == 1 else x * scale


def _thresholds(op: Thresholds, program: Program, known: Mapping[str, Range], kind: type[Any]) -> Unary | None:
    x = known[op.source]
    low, high = x.ends
    at: Ints = np.clip(cuts(program.constants[op.thresholds], x.frac_bits), low, high + 1)
    rows, count = len(at), int(at.shape[1])
    if narrowest(x.peak + 1) is None or (high - low + 2) * rows >= 1 << 62:
        return None
    if count <= FEW:
        return lambda x: _stairs(_compared(x, at), op, kind)
    channel = np.arange(rows, dtype=np.int64)
    apart = channel * (high - low + 2) - low  # each channel's numbers lie above those of the channel before
    keys: Ints = (at + apart[:, None]).reshape(-1)

    def compute(x: Array) -> Array:
        reached = keys.searchsorted(x.astype(np.int64) + apart, side="right")
        return _stairs(reached - channel * count, op, kind)

    return compute


def _compared(x: Array, at: Ints) -> Array:
    reached = np.zeros(x.shape, dtype=np.int64)
    for cut in at.T:
        reached += x >= cut
    return reached


def _stairs(reached: Array, op: Thresholds, kind: type[Any]) -> Array:
    return (op.start + op.step * reached).astype(kind)


def _look_up(op: Lookup, program: Program, kind: type[Any]) -> Unary:
    table = program.constants[op.table].q.astype(kind)
    if len(table) == 1:
        return lambda x: table[0].take(x.astype(np.int64) - op.first)
    channel = np.arange(len(table))
    return lambda x: table[channel, x.astype(np.int64) - op.first]
