"""An integer result, elementwise float functions and a quantizer in; a table (Lookup) or Thresholds out.

The quantizer's level is computed just as `evaluate` does, in float32 or float64 and step by step, on every integer
that the result can be, or on those that bisection needs to find where each level is reached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ExportError
from gatewright.export.builder import Code, ProgramBuilder
from gatewright.export.pending import Chain, Step, Terminal, row_node, spread
from gatewright.fixedpoint import Ints, Overflow
from gatewright.graph.exact import Lattice, is_power_of_two
from gatewright.graph.functions import INCREASING, activate, affine, count_thresholds, quantize_integers
from gatewright.graph.nodes import Activation, Affine, Quantize, Thresholds
from gatewright.graph.shapes import Shape
from gatewright.ir import Add, Lookup
from gatewright.ir import Thresholds as ThresholdsOp

ENUMERATED = 1 << 22  # integers on which a function is computed one by one
ENTRIES = 1 << 14  # the largest table per channel
LEVELS = 1 << 12  # the most thresholds per channel


def tabulate(builder: ProgramBuilder, node: Terminal, chain: Chain, lattice: Lattice, rows: int, single: bool) -> str:
    """Emit quantizer `node` behind `chain`, whose rows are channels, and return the op's name.

    single: whether functions are computed in float32. ExportError where neither a table nor thresholds fit.
    """
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
        if wraps or not all(_increases(s) for s in chain.steps):
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


def _function(builder: ProgramBuilder, chain: Chain, node: Terminal, rows: int, single: bool) -> Callable[[Ints], Ints]:
    """Return the quantizer's level as a function of integers (count, rows), computed as `evaluate` does."""
    base, dtype = chain.base, np.float32 if single else np.float64
    lsb = 2.0 ** -builder.frac(base.op)
    scale = spread(base.scale, base.shape, rows)
    steps = [row_node(s, base.shape, rows) for s in chain.steps]
    last = row_node(node, base.shape, rows)
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


def _affine_of_level(node: Terminal, lattice: Lattice, shape: Shape, rows: int) -> tuple[Ints, Ints]:
    """Return integers (start, step), each (1 or rows,): the result is (start + step * level) * 2**-frac * scale."""
    one, zero = np.ones(1), np.zeros(1)
    match node:
        case Quantize():  # a pruned element's scale need not lie on the lattice
            live = ~((node.lo == 0) & (node.hi == 0))
            start, step = zero, np.where(live, node.scale, 0.0) if lattice.plain else one
        case Thresholds():
            start, step = (node.start, node.step) if lattice.plain else (node.start / node.step, one)
    rowed = [np.ldexp(spread(np.asarray(v), shape, rows), lattice.frac_bits) for v in (start, step)]
    return rowed[0].astype(np.int64), rowed[1].astype(np.int64)


def _increases(step: Step) -> bool:
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
    builder: ProgramBuilder,
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
