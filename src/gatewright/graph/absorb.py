"""An integer result, elementwise float functions and a quantizer in; exact integer ops out.

`y = quantizer(f(x))` of an integer x is itself an integer function. It is computed just as `evaluate` does, in float32
or float64 and step by step, on every integer that x can be (a Lookup), or on those that bisection needs to find where
each level is reached (Thresholds). A quantizer alone, on fixed point, is a Requant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ExportError
from gatewright.graph.builder import Builder, Code, arrays_of
from gatewright.graph.exact import Lattice, is_power_of_two
from gatewright.graph.functions import activate, affine, count_thresholds, quantize_integers
from gatewright.graph.nodes import Activation, Affine, AnyNode, Floats, Quantize, Thresholds
from gatewright.graph.shapes import Shape
from gatewright.ir import Add, Ints, Lookup, Max, Min, Overflow, Requant, Reshape
from gatewright.ir import Thresholds as ThresholdsOp

Step = Affine | Activation
Terminal = Quantize | Thresholds
ENUMERATED = 1 << 22  # integers on which a function is computed one by one
ENTRIES = 1 << 14  # the largest table per channel
LEVELS = 1 << 12  # the most thresholds per channel
INCREASING = {"relu", "leaky_relu", "elu", "selu", "celu", "sigmoid", "tanh", "hard_sigmoid", "hard_tanh"} | {
    "softplus",
    "softsign",
    "exp",
    "sqrt",
    "sign",
}  # rise wherever they are defined, given slopes of 0 or more


@dataclass(frozen=True, slots=True)
class Chain:
    """Elementwise functions waiting for a quantizer. Their arrays broadcast over the shape, not only over channels.

    exact: how many of the first steps give fixed point without rounding.
    """

    base: Code
    steps: tuple[Step, ...] = ()
    exact: int = 0

    @property
    def shape(self) -> Shape:
        """The shape of the value."""
        return self.base.shape


def absorb(builder: Builder, node: Terminal, chain: Chain, lattice: Lattice, *, single: bool) -> Code:
    """Emit the ops of quantizer `node` behind `chain`; ExportError names the node where no exact form exists."""
    base = chain.base
    if isinstance(node, Quantize) and not chain.steps and base.plain and is_power_of_two(_live_scale(node)):
        done = _requant(builder, node, base, lattice)
        if done is not None:
            return done
    rows = _rows(chain, node)
    if rows not in (1, base.shape[-1]):  # one function per element: flatten, so that elements are channels
        flat = Reshape(name=builder.fresh("flat"), layer=builder.layer, source=base.op, shape=(rows,))
        spread = np.broadcast_to(base.scale, base.shape).reshape(-1)
        steps = tuple(_flat(s, base.shape) for s in chain.steps)
        inner = Chain(Code(builder.add(flat), spread, (rows,)), steps, chain.exact)
        done = _tables(builder, _flat(node, base.shape), inner, lattice, rows, single)
        back = Reshape(name=builder.fresh("shaped"), layer=builder.layer, source=done, shape=base.shape)
        return Code(builder.add(back), lattice.scale, base.shape)
    return Code(_tables(builder, node, chain, lattice, rows, single), lattice.scale, base.shape)


def _live_scale(node: Quantize) -> Floats:
    return np.where((node.lo == 0) & (node.hi == 0), 1.0, node.scale)


# ---- a quantizer alone, on fixed point


def _requant(builder: Builder, node: Quantize, base: Code, lattice: Lattice) -> Code | None:
    shape = base.shape
    scale, lo, hi, zero = _common(node, shape)
    live = ~((lo == 0) & (hi == 0))
    overflow = node.overflow
    if overflow is Overflow.SATURATE_SYMMETRIC:
        overflow, lo = Overflow.SATURATE, np.maximum(lo, -hi)
    lo, hi = np.where(live, lo - zero, 0), np.where(live, hi - zero, 0)
    frac = -(np.frexp(np.where(live, scale, 1.0))[1] - 1)
    signed = lo < 0
    width = np.array([int(h).bit_length() for h in hi.flat]).reshape(hi.shape) + signed
    top, bottom = (1 << np.maximum(width - signed, 0)) - 1, -(signed.astype(np.int64) << np.maximum(width - 1, 0))
    whole = bool((hi == top).all() and (lo == bottom).all())
    symmetric = bool((hi == top).all() and (lo == np.where(signed, -top, 0)).all())
    if overflow is Overflow.SATURATE and not whole and symmetric:
        overflow = Overflow.SATURATE_SYMMETRIC
    elif overflow is Overflow.SATURATE and not whole:
        return _clipped(builder, node, base, (frac, lo, hi), lattice)
    elif not whole or ((node.zero_point != 0).any() and overflow is Overflow.WRAP):
        return None
    op = Requant(
        name=builder.fresh(),
        layer=builder.layer,
        source=base.op,
        frac_bits=lattice.frac_bits,
        width_bits=_tuple(width),
        keep_frac_bits=_tuple(np.where(live, frac, lattice.frac_bits)),
        signed=tuple(map(bool, _tuple(signed))),
        rounding=node.rounding,
        overflow=overflow,
    )
    return Code(builder.add(op), lattice.scale, shape)


def _clipped(
    builder: Builder, node: Quantize, base: Code, parts: tuple[Ints, Ints, Ints], lattice: Lattice
) -> Code | None:
    """Round without overflow, then clip to ends that are no format's."""
    frac, lo, hi = parts
    known = builder.known[base.op]
    wide = known.width_bits + max(int(frac.max()) - known.frac_bits, 0) + 2
    op = Requant(
        name=builder.fresh("rounded"),
        layer=builder.layer,
        source=base.op,
        frac_bits=lattice.frac_bits,
        width_bits=(wide,),
        keep_frac_bits=_tuple(frac),
        signed=(True,),
        rounding=node.rounding,
        overflow=Overflow.SATURATE,
    )
    rounded = builder.add(op)
    ends = [_narrowed(end << (lattice.frac_bits - frac), base.shape) for end in (lo, hi)]
    left = builder.const("lo", ends[0], lattice.frac_bits)
    above = builder.add(Max(name=builder.fresh("above"), layer=builder.layer, left=rounded, right=left))
    right = builder.const("hi", ends[1], lattice.frac_bits)
    return Code(
        builder.add(Min(name=builder.fresh(), layer=builder.layer, left=above, right=right)), lattice.scale, base.shape
    )


def _narrowed(values: Ints, shape: Shape) -> Ints:
    return np.atleast_1d(values) if values.size in (1, shape[-1]) else values.reshape(shape)


def _common(node: Quantize, shape: Shape) -> tuple[Floats, Ints, Ints, Ints]:
    """Return scale, lo, hi, zero point with one entry, one per channel or one per element, whichever suffices."""
    rows = _size((node.scale, node.lo, node.hi, node.zero_point), shape)
    parts = [_spread(v, shape, rows) for v in (node.scale, node.lo, node.hi, node.zero_point)]
    return parts[0], parts[1], parts[2], parts[3]


def _tuple(values: NDArray[Any]) -> tuple[int, ...]:
    flat = [int(v) for v in values.flat]
    return (flat[0],) if len(set(flat)) == 1 else tuple(flat)


# ---- rows: how many different functions there are


def _rows(chain: Chain, node: Terminal) -> int:
    arrays = [chain.base.scale]
    for step in (*chain.steps, node):
        arrays += _arrays(step)
    return _size(arrays, chain.shape)


def _arrays(node: AnyNode) -> list[NDArray[Any]]:
    match node:
        case Thresholds():
            return [np.arange(node.thresholds.shape[0]), node.start, node.step]
        case Activation():
            return [np.array(node.parameters)] if node.kind == "prelu" else []
        case _:
            return list(arrays_of(node).values())


def _size(arrays: Any, shape: Shape) -> int:
    """Return 1, the channels or the elements: over how many positions the arrays differ."""
    rows = 1
    for array in arrays:
        if array.size <= 1 or (array == array.flat[0]).all():
            continue
        channels = array.shape[-1] if array.ndim else 1
        rows = max(rows, int(np.prod(shape)) if array.size > channels or channels != shape[-1] else shape[-1])
    return rows


def _spread(array: NDArray[Any], shape: Shape, rows: int) -> NDArray[Any]:
    """Return an array that broadcasts over the shape as one entry, or one per row."""
    if rows == 1 or array.size == 1 or (array == array.flat[0]).all():
        return array.reshape(-1)[:1]
    return (array if array.size == rows else np.broadcast_to(array, shape)).reshape(-1)


def _flat(node: Any, shape: Shape) -> Any:
    """Return an elementwise node for the flattened value: parameters per element."""
    size = int(np.prod(shape))

    def full(v: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(v, shape).reshape(-1)

    match node:
        case Thresholds():
            table = np.broadcast_to(node.thresholds, (shape[-1], node.thresholds.shape[1]))
            return replace(
                node, thresholds=np.tile(table, (size // shape[-1], 1)), start=full(node.start), step=full(node.step)
            )
        case Activation():
            if node.kind != "prelu":
                return node
            return replace(node, parameters=tuple(full(np.array(node.parameters)).tolist()))
        case _:
            return replace(node, **{key: full(v) for key, v in arrays_of(node).items()})


# ---- any function: a table, or thresholds


def _tables(builder: Builder, node: Terminal, chain: Chain, lattice: Lattice, rows: int, single: bool) -> str:
    known = builder.known[chain.base.op]
    lo, hi = _ends(known.lo, rows), _ends(known.hi, rows, greatest=True)
    first, last = int(lo.min()), int(hi.max())
    count = last - first + 1
    level = _function(builder, chain, node, rows, single)
    start, step = _affine_of_level(node, lattice, chain.shape, rows)
    if count * rows <= ENUMERATED:
        q = np.arange(first, last + 1, dtype=np.int64)[:, None]
        table = level(np.clip(q, lo, hi))
        rising = _rising(table)
        levels = int(table.max() - table.min())
        width = max(count.bit_length(), 1)
        as_table = max(count / 64, 1) * max(levels.bit_length(), 1)
        if rising is None and count > ENTRIES:
            raise ExportError(_complaint(node, chain, f"{count} values, not monotone"))
        if rising is None or (count <= ENTRIES and as_table < levels * (width / 2 + 1)):
            name = builder.table("table", (start + step * table).T.copy(), lattice.frac_bits)
            op = Lookup(name=builder.fresh(), layer=builder.layer, source=chain.base.op, table=name, first=first)
            return builder.add(op)
        cuts, least = _enumerated_cuts(table, q[:, 0], rising), int(table.min())
    else:
        wraps = isinstance(node, Quantize) and node.overflow is Overflow.WRAP
        if wraps or not all(_increasing(s) for s in chain.steps):
            raise ExportError(_complaint(node, chain, f"{count} values, not known to be monotone"))
        rising, cuts, least = _bisected_cuts(level, lo, hi)
    if cuts.shape[1] > LEVELS:
        raise ExportError(_complaint(node, chain, f"{cuts.shape[1]} levels"))
    if not cuts.shape[1]:  # a constant: one threshold that nothing reaches
        cuts = np.full((rows, 1), max(abs(first), abs(last)) + 1)
    return _thresholds(builder, chain.base, cuts, rising, (least, start, step), lattice)


def _complaint(node: Terminal, chain: Chain, what: str) -> str:
    functions = " -> ".join(s.kind if isinstance(s, Activation) else "affine" for s in chain.steps) or "quantizer"
    return (
        f"node {node.name!r} ({node.origin or type(node).__name__}): {functions} of {chain.base.op!r} ({what}) fits "
        f"neither a table (at most {ENTRIES} entries) nor thresholds (monotone, at most {LEVELS}); put a quantizer of "
        "fewer bits before it"
    )


def _ends(bounds: NDArray[Any], rows: int, *, greatest: bool = False) -> Ints:
    """Return the least (greatest) integer of each row's elements. (rows,)."""
    reduce = np.max if greatest else np.min
    if rows == 1:
        return np.array([int(reduce(bounds))], dtype=np.int64)
    return reduce(bounds.reshape(-1, rows), axis=0).astype(np.int64)


def _function(builder: Builder, chain: Chain, node: Terminal, rows: int, single: bool) -> Callable[[Ints], Ints]:
    """Return the quantizer's level as a function of integers (count, rows), computed as `evaluate` does."""
    base, dtype = chain.base, np.float32 if single else np.float64
    lsb = 2.0 ** -builder.frac(base.op)
    scale = _spread(base.scale, base.shape, rows)
    steps = [_row_node(s, base.shape, rows) for s in chain.steps]
    last = _row_node(node, base.shape, rows)
    plain = base.plain
    exact = plain and chain.exact == len(steps) and (isinstance(node, Thresholds) or is_power_of_two(node.scale))

    def level(q: Ints) -> Ints:
        x = q * lsb
        x = x if plain else (x * scale).astype(dtype).astype(np.float64)
        for index, step in enumerate(steps):
            x = x if index < chain.exact else x.astype(dtype)
            x = (affine(step, x) if isinstance(step, Affine) else activate(step, x)).astype(np.float64)
        x = x if exact else x.astype(dtype)
        if isinstance(last, Thresholds):
            return count_thresholds(last, x)
        return quantize_integers(last, x).astype(np.int64)

    return level


def _row_node(node: Any, shape: Shape, rows: int) -> Any:
    if isinstance(node, Thresholds):
        return replace(node, thresholds=node.thresholds if rows > 1 else node.thresholds[:1])
    if isinstance(node, Activation):
        return node
    return replace(node, **{key: _spread(v, shape, rows) for key, v in arrays_of(node).items()})


def _affine_of_level(node: Terminal, lattice: Lattice, shape: Shape, rows: int) -> tuple[Ints, Ints]:
    """Return integers (start, step), each (1 or rows,): the result is (start + step * level) * 2**-frac * scale."""
    one, zero = np.ones(1), np.zeros(1)
    match node:
        case Quantize():  # a pruned element's scale need not lie on the lattice
            live = ~((node.lo == 0) & (node.hi == 0))
            start, step = zero, np.where(live, node.scale, 0.0) if lattice.plain else one
        case Thresholds():
            start, step = (node.start, node.step) if lattice.plain else (node.start / node.step, one)
    rowed = [np.ldexp(_spread(np.asarray(v), shape, rows), lattice.frac_bits) for v in (start, step)]
    return rowed[0].astype(np.int64), rowed[1].astype(np.int64)


def _increasing(step: Step) -> bool:
    match step:
        case Affine():
            return True  # per row rising or falling; both are seen from the ends
        case Activation():
            slopes = step.parameters[1:2] if step.kind == "relu" else step.parameters[:1]
            return step.kind in INCREASING and (step.kind == "hard_tanh" or all(s >= 0 for s in slopes))


def _rising(table: Ints) -> NDArray[np.bool_] | None:
    """Return per row whether levels rise (True) or fall (False); None where a row does neither."""
    moves = np.diff(table, axis=0)
    rising = np.atleast_1d((moves >= 0).all(axis=0))
    falling = np.atleast_1d((moves <= 0).all(axis=0))
    return rising if (rising | falling).all() else None


def _enumerated_cuts(table: Ints, q: Ints, rising: NDArray[np.bool_]) -> Ints:
    """Return per row the integers at which each further level is reached, (rows, levels); never: past the last."""
    least, most = int(table.min()), int(table.max())
    cuts = np.empty((table.shape[1], most - least), dtype=np.int64)
    for row, column in enumerate(table.T):
        up = column if rising[row] else column[::-1]
        at = np.searchsorted(up, np.arange(least + 1, most + 1), side="left")
        # rising: the first integer that reaches the level. Falling: of the negated value, the same.
        cuts[row] = q[0] + at if rising[row] else -q[-1] + at
    return cuts


def _bisected_cuts(level: Callable[[Ints], Ints], lo: Ints, hi: Ints) -> tuple[NDArray[np.bool_], Ints, int]:
    """Return (rising, cuts, least level) of a monotone function by bisection on each row's integers."""
    ends = np.stack([level(lo[None])[0], level(hi[None])[0]])
    rising = ends[1] >= ends[0]
    least, most = int(ends.min()), int(ends.max())
    wanted = np.arange(least + 1, most + 1)[:, None]
    sign = np.where(rising, 1, -1)
    low, high = np.where(rising, lo, -hi), np.where(rising, hi, -lo) + 1
    left, right = (
        np.broadcast_to(low, (len(wanted), len(lo))).copy(),
        np.broadcast_to(high, (len(wanted), len(lo))).copy(),
    )
    while (left < right).any():
        middle = (left + right) >> 1
        reached = level(sign * np.minimum(middle, high - 1)) >= wanted
        left, right = np.where(reached | (left >= right), left, middle + 1), np.where(reached, middle, right)
    _confirm(level, sign, left, (low, high), wanted)
    return rising, left.T.copy(), least


def _confirm(level: Callable[[Ints], Ints], sign: Ints, cuts: Ints, ends: tuple[Ints, Ints], wanted: Ints) -> None:
    """Check around every cut that the level is reached there and not before; float functions may waver by one ulp."""
    low, high = ends
    for offset in range(-4, 5):
        at = cuts + offset
        inside = (at >= low) & (at < high)
        got = level(sign * np.clip(at, low, high - 1)) >= wanted
        if not (got == (offset >= 0))[inside].all():
            raise ExportError("a float function wavers where a level is reached; quantize its input to fewer bits")


def _thresholds(
    builder: Builder,
    base: Code,
    cuts: Ints,
    rising: NDArray[np.bool_],
    level: tuple[int, Ints, Ints],
    lattice: Lattice,
) -> str:
    least, start, step = level
    source = base.op
    if not rising.all():
        sign = np.where(rising, 1, -1)
        source = builder.scaled(source, sign if not (~rising).all() else np.array([-1]), 0, "sign")
    uniform = start.size == 1 and step.size == 1 and int(step[0]) != 0
    begin, pace = (int(start[0] + step[0] * least), int(step[0])) if uniform else (least, 1)
    if len(cuts) > 1 and (cuts == cuts[0]).all():
        cuts = cuts[:1]
    op = ThresholdsOp(
        name=builder.fresh() if uniform else builder.fresh("level"),
        layer=builder.layer,
        source=source,
        thresholds=builder.table("thresholds", cuts, builder.frac(source)),
        start=begin,
        step=pace,
        frac_bits=lattice.frac_bits if uniform else 0,
    )
    result = builder.add(op)
    if uniform:
        return result
    result = builder.scaled(result, step, lattice.frac_bits, "step" if start.any() else "")
    if not start.any():
        return result
    offset = builder.const("start", start, lattice.frac_bits)
    return builder.add(Add(name=builder.fresh(), layer=builder.layer, left=result, right=offset))
