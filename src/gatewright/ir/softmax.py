"""A source's range and an output format in, a Softmax op with its tables out; and the proven bound of its error.

This is the one place of `ir` with floats: they fill tables before the program exists, and they state the error of a
program that does. The program itself stays integers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ProgramError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir.op_tables import Softmax, SoftmaxVariant
from gatewright.ir.program import Constant
from gatewright.ir.ranges import Range, exp_sum_ends

Floats = NDArray[np.float64]

LATENCY_SPAN = 16.0  # the latency variant's table spans at most this much of x: exp(16) = 23 bits
_CELLS = 2048


def softmax_op(
    *,
    name: str,
    layer: str,
    source: str,
    values: Range,
    output: Fixed,
    variant: SoftmaxVariant = SoftmaxVariant.STABLE,
    max_entries: int = 1024,
    guard_bits: int = 1,
) -> tuple[Softmax, dict[str, Constant]]:
    """Return the op and its tables `name.exp` and `name.reciprocal` for a source whose range is `values`.

    output: unsigned format of the probabilities, e.g. ufixed<8,0>. max_entries: the most entries of each table, a
    power of two or not. guard_bits: bits beyond the output's that the exponentials carry; each one halves their share
    of the error. Raises ProgramError for a signed output or one with no fractional bits.
    """
    check_probability_format(output)
    if max_entries < 2:
        raise ProgramError(f"softmax {name!r}: tables need at least 2 entries, not {max_entries}")
    classes, lsb = values.lo.shape[-1], 2.0**-values.frac_bits
    low, high = int(values.lo.min()), int(values.hi.max())
    bits = output.frac_bits + (classes - 1).bit_length() + guard_bits
    stable = variant is SoftmaxVariant.STABLE
    if stable:  # d = max - x: beyond the clip exp(-d) rounds to 0
        start, end = 0, min(high - low, math.ceil((bits + 1) * math.log(2) / lsb))
    else:
        start, end = _latency_clip(low, high, lsb)
        bits += min(math.ceil((end - start) * lsb / math.log(2)), 8)
    drop = next(d for d in range(63) if (end >> d) - (start >> d) < max_entries)
    first = start >> drop
    scale = (1 << bits) - 1
    edges = (np.arange(first, (end >> drop) + 2, dtype=np.float64) * (1 << drop)).clip(start, None)
    tops = np.minimum(edges[1:] - 1, end)
    if stable:
        exact = (np.exp(-edges[:-1] * lsb) + np.exp(-tops * lsb)) / 2
        exact[0] = 1.0  # the greatest element reads entry 0 with d = 0: no error there
    else:
        exact = (np.exp((edges[:-1] - end) * lsb) + np.exp((tops - end) * lsb)) / 2
    exp_table = np.rint(scale * exact).astype(np.int64)
    if not stable:
        exp_table = np.maximum(exp_table, 1)  # so that no sum is 0
    op = Softmax(
        name=name,
        layer=layer,
        source=source,
        variant=variant,
        exp_table=f"{name}.exp",
        drop=drop,
        first=first,
        reciprocal_table=f"{name}.reciprocal",
        sum_drop=0,
        sum_first=0,
        shift=0,
        width_bits=output.width_bits,
        frac_bits=output.frac_bits,
    )
    op, reciprocal = _with_reciprocals(op, exp_table, classes, max_entries)
    return op, {op.exp_table: Constant(exp_table, bits), op.reciprocal_table: Constant(reciprocal, 0)}


def check_probability_format(output: Fixed) -> None:
    """Raise ProgramError where a format is not one of numbers from 0 to 1."""
    if output.signed or output.frac_bits < 1 or output.width_bits > output.frac_bits + 1:
        raise ProgramError(f"a softmax's output must be ufixed<W,0> or ufixed<W,1>, e.g. ufixed<8,0>, not {output}")


def _latency_clip(low: int, high: int, lsb: float) -> tuple[int, int]:
    """Return the integers between which exp is read: the whole source, or LATENCY_SPAN of it as near 0 as it gets."""
    half = max(int(LATENCY_SPAN / 2 / lsb), 1)
    if high - low <= 2 * half:
        return low, high
    centre = min(max(0, low + half), high - half)
    return centre - half, centre + half


def _with_reciprocals(op: Softmax, exp_table: Ints, classes: int, max_entries: int) -> tuple[Softmax, Ints]:
    lo, hi = exp_sum_ends(op, exp_table, classes)
    drop = next(d for d in range(63) if (hi >> d) - (lo >> d) < max_entries)
    bins = np.arange(lo >> drop, (hi >> drop) + 1)
    ends = np.maximum(bins << drop, lo) + np.minimum(((bins + 1) << drop) - 1, hi)
    power = hi.bit_length() + op.frac_bits + 1  # the least reciprocal then keeps frac_bits + 1 bits
    table = np.rint(2.0 ** (power + 1) / ends).astype(np.int64)
    return replace(op, sum_drop=drop, sum_first=lo >> drop, shift=power - op.frac_bits), table


def softmax_error_bound(op: Softmax, constants: Mapping[str, Constant], values: Range) -> float:
    """Return the greatest possible |result - softmax| over all inputs in `values`, in units of probability.

    softmax is that of the numbers the integers mean. Sum of three parts, each the exact worst case of one step by the
    tables' own entries: exponentials, reciprocal, rounding of the result; saturation at the top is included. The
    result's format must not reach past 1.
    """
    exp_table, reciprocal = constants[op.exp_table].q, constants[op.reciprocal_table].q
    classes = values.lo.shape[-1]
    least, most, got, scale = _bins(op, exp_table, values)
    stable = op.variant is SoftmaxVariant.STABLE
    if stable:  # either the element is the greatest, or the greatest is beside it
        error = _ratio_error(np.ones(1), np.ones(1), np.ones(1), 0.0, classes - 1, (least, most, got))
        if classes > 1:
            error = max(error, _ratio_error(least, most, got, 1.0, classes - 2, (least, most, got)))
    else:
        error = _ratio_error(least, most, got, 0.0, classes - 1, (least, most, got))
    lo, hi = exp_sum_ends(op, np.rint(got * scale).astype(np.int64), classes)
    unit = 2.0**-op.frac_bits
    sums = np.arange(lo >> op.sum_drop, (hi >> op.sum_drop) + 1)
    bottom = np.maximum(sums << op.sum_drop, lo)
    top = np.minimum(((sums + 1) << op.sum_drop) - 1, hi)
    factor = reciprocal[sums - op.sum_first] * 2.0**-op.shift * unit
    share = np.minimum(got.max() * scale / bottom, 1.0)
    inverse = np.maximum(abs(factor * bottom - 1), abs(factor * top - 1)) * share
    end = 1.0 - ((1 << op.width_bits) - 1) * unit
    return float(min(max(error + inverse.max() + unit / 2, end) + 1e-12, 1.0))


def _bins(op: Softmax, exp_table: Ints, values: Range) -> tuple[Floats, Floats, Floats, float]:
    """Return per reachable entry the least and greatest exact exponential and the table's, and the table's scale."""
    low, high, lsb = int(min(values.lo.flat)), int(max(values.hi.flat)), 2.0**-values.frac_bits
    entries = len(exp_table)
    if op.variant is SoftmaxVariant.STABLE:
        used = min((high - low) >> op.drop, entries - 1) + 1
        start = np.arange(used) << op.drop
        end = np.minimum(((np.arange(used) + 1) << op.drop) - 1, high - low)
        if used == entries:
            end[-1] = high - low
        got, scale = exp_table[:used], float(exp_table[0])
        return _exp(-end * lsb), _exp(-start * lsb), got / scale, scale
    index = np.arange(entries)
    start = (index + op.first) << op.drop
    end = start + (1 << op.drop) - 1
    start[0], end[-1] = min(start[0], low), max(end[-1], high)
    used = (end >= low) & (start <= high)
    start, end, got = np.maximum(start, low)[used], np.minimum(end, high)[used], exp_table[used]
    reference = min((entries + op.first) << op.drop, high) * lsb
    least, most = (_exp(side * lsb - reference) for side in (start, end))
    scale = float(np.exp(np.mean(np.log(got / np.sqrt(least * most))[got > 0])))
    return least, most, got / scale, scale


def _exp(x: NDArray[np.floating[Any]]) -> Floats:
    """exp without over- and underflow: what lies beyond exp(+-300) is certainly 0 or 1 of a sum."""
    return np.exp(np.minimum(np.maximum(x, -300), 300))


def _ratio_error(
    least: Floats, most: Floats, got: Floats, fixed: float, others: int, bins: tuple[Floats, Floats, Floats]
) -> float:
    """Return the greatest |e / (e + fixed + sum e_j) - E / (E + fixed + sum E_j)|, j over `others` free elements.

    E lies in least..most where the table says e = got; the free elements lie in any of `bins`. Their mean (E, e - E)
    lies in the convex hull of the bins' ends, so the sum of deviations is bounded between the hull's two sides at
    every mean of E; means are cut into cells that contain the hull's corners, and each cell is bounded by its ends.
    """
    edges, above, below = _sides(bins, others)
    total = edges * others + fixed
    b0, b1 = total[:-1], total[1:]
    over, under = np.maximum(above[:-1], above[1:]), np.minimum(below[:-1], below[1:])
    e, small, large = got[:, None], least[:, None], most[:, None]

    def share(part: Floats, rest: Floats) -> Floats:
        return part / np.maximum(part + np.maximum(rest, 0.0), 1e-300)

    high = share(e, b0 + under) - share(small, b1)
    low = share(large, b0) - share(e, b1 + over)
    return float(max(high.max(), low.max(), 0.0))


def _sides(bins: tuple[Floats, Floats, Floats], others: int) -> tuple[Floats, Floats, Floats]:
    """Return means of E in ascending order, and above and below each how far the sum of e_j - E_j can lie."""
    if others == 0:
        return np.zeros(2), np.zeros(2), np.zeros(2)
    least, most, got = bins
    means = np.concatenate([least, most])
    points = np.stack([means, np.tile(got, 2) - means], axis=1)
    upper, lower = _hull(points), _hull(points * (1, -1)) * (1, -1)
    low, high = float(means.min()), float(means.max())
    cells = low * (high / low) ** np.linspace(0.0, 1.0, _CELLS)
    cells[-1] = high
    edges = np.unique(np.concatenate([cells, upper[:, 0], lower[:, 0]]))
    edges = np.repeat(edges, 2) if len(edges) == 1 else edges
    above, below = (np.asarray(np.interp(edges, side[:, 0], side[:, 1])) * others for side in (upper, lower))
    return edges, above, below


def _hull(points: Floats) -> Floats:
    """Return the upper convex hull of points (n, 2), in ascending x (Andrew's monotone chain)."""
    hull: list[tuple[float, float]] = []
    for x, y in sorted((float(x), float(y)) for x, y in points):
        while len(hull) > 1:
            (ax, ay), (bx, by) = hull[-2:]
            if (bx - ax) * (y - ay) < (by - ay) * (x - ax):
                break
            hull.pop()
        if hull and hull[-1][0] == x:
            hull.pop()
        hull.append((x, y))
    return np.array(hull, dtype=np.float64)
