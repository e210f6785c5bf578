"""Integers, an op and its tables in, integers out: the meaning of Thresholds, Lookup and Softmax. NumPy only, exact."""

from __future__ import annotations

import numpy as np

from gatewright.fixedpoint import MAX_BITS, Ints
from gatewright.ir.op_tables import Lookup, Softmax, SoftmaxVariant, Thresholds
from gatewright.ir.program import Constant

FEW = 16  # thresholds up to which comparing with each is faster than bisection


def cuts(thresholds: Constant, frac_bits: int) -> Ints:
    """Return the integers c with x >= c exactly where x * 2**-frac_bits reaches the threshold. Shape (rows, count).

    Cuts beyond every possible value are brought to +-2**62.
    """
    up = frac_bits - thresholds.frac_bits
    scaled = [(int(t) << up) if up >= 0 else -(-int(t) >> -up) for t in thresholds.q.flat]
    inside = [min(max(c, -(1 << MAX_BITS)), 1 << MAX_BITS) for c in scaled]
    return np.array(inside, dtype=np.int64).reshape(thresholds.q.shape)


def threshold(q: Ints, at: Ints, op: Thresholds) -> Ints:
    """Apply Thresholds. q: (n, ..., channels); at: the cuts, (1 or channels, count); same shape as q out."""
    rows, count = at.shape
    if count <= FEW:
        reached = np.zeros(q.shape, dtype=np.int64)
        for cut in at.T:
            reached += q >= cut
    elif rows == 1:
        reached = np.searchsorted(at[0], q, side="right")
    else:
        reached = np.empty(q.shape, dtype=np.int64)
        for channel, row in enumerate(at):
            reached[..., channel] = np.searchsorted(row, q[..., channel], side="right")
    return op.start + op.step * reached


def look_up(q: Ints, table: Ints, op: Lookup) -> Ints:
    """Apply Lookup. q: (n, ..., channels); table: (1 or channels, entries); same shape as q out."""
    if len(table) == 1:
        return table[0].take(q - op.first)
    return table[np.arange(table.shape[0]), q - op.first]


def softmax(q: Ints, exp_table: Ints, reciprocal_table: Ints, op: Softmax) -> Ints:
    """Apply Softmax. q: (n, ..., classes), same shape out, 0 .. 2**width_bits - 1."""
    e = exp_table[exp_index(q, len(exp_table), op)]
    total = e.sum(axis=-1, keepdims=True)
    product = e * reciprocal_table[(total >> op.sum_drop) - op.sum_first]
    return np.minimum((product + ((1 << op.shift) >> 1)) >> op.shift, (1 << op.width_bits) - 1)


def exp_index(q: Ints, entries: int, op: Softmax) -> Ints:
    """Return where each element reads the table of exponentials."""
    match op.variant:
        case SoftmaxVariant.STABLE:
            return np.minimum((q.max(axis=-1, keepdims=True) - q) >> op.drop, entries - 1)
        case SoftmaxVariant.LATENCY:
            return np.clip((q >> op.drop) - op.first, 0, entries - 1)
