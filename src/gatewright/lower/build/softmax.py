"""Scores in, probabilities out: the circuit of the program's Softmax, pipelined like any other arithmetic."""

from __future__ import annotations

from gatewright.fixedpoint import Ints
from gatewright.ir.op_tables import Softmax, SoftmaxVariant
from gatewright.ir.ranges import exp_sum_ends
from gatewright.lower.build.builder import Builder, Interval
from gatewright.lower.build.choose import maximum
from gatewright.lower.circuit.nodes import Ref


def softmax(b: Builder, op: Softmax, x: list[Ref], exp_table: Ints, reciprocal_table: Ints) -> list[Ref]:
    """Return one probability per score."""
    last = len(exp_table) - 1
    if op.variant is SoftmaxVariant.STABLE:
        nodes = [b.whole(ref) for ref in x]
        rounds = nodes
        while len(rounds) > 1:
            pairs = [maximum(b, rounds[i], rounds[i + 1]) for i in range(0, len(rounds) - 1, 2)]
            rounds = pairs + rounds[len(pairs) * 2 :]
        greatest, top = Ref(rounds[0]), b.range(rounds[0])[1]
        bounds = [(0, top - b.range(node)[0]) for node in nodes]
        behind = [b.add(greatest, Ref(node), True, ends) for node, ends in zip(nodes, bounds, strict=True)]
        behind = [Ref(b.const(0)) if node == rounds[0] else d for node, d in zip(nodes, behind, strict=True)]
        first, indices = 0, [b.clamp(b.floor(ref, op.drop), 0, last) for ref in behind]
    else:
        first, indices = op.first, [b.clamp(b.floor(ref, op.drop), op.first, op.first + last) for ref in x]
    e = [b.table(index, lambda k: int(exp_table[k - first])) for index in indices]
    total = b.total(e, exp_sum_ends(op, exp_table, len(x)))
    reciprocal = b.table(b.floor(total, op.sum_drop), lambda s: int(reciprocal_table[s - op.sum_first]))
    half = Ref(b.const(1), op.shift - 1) if op.shift else Ref(b.const(0))
    results: list[Ref] = []
    for ref in e:
        rounded = b.floor(b.add(product(b, reciprocal, ref), half, False), op.shift)
        results.append(b.clamp(rounded, 0, (1 << op.width_bits) - 1))
    return results


def product(b: Builder, a: Ref, factor: Ref) -> Ref:
    """Return a * factor: a sum of multiples 0..3 of `a`, one for each two bits of the factor.

    The multiple 3a is shared by all products of `a`. The highest bit of a signed factor counts negatively.
    """
    shift = a.shift + factor.shift
    a, factor = Ref(a.node), Ref(factor.node)
    (al, ah), (lo, hi) = b.span(a), b.span(factor)
    corners = [al * lo, al * hi, ah * lo, ah * hi]
    bounds = min(corners), max(corners)
    size = max(hi.bit_length(), (-lo - 1).bit_length() if lo < 0 else 0)
    zero, one, two = b.const(0), a.node, b.whole(Ref(a.node, 1))
    three = b.whole(b.add(a, Ref(a.node, 1), False))

    def bit(at: int) -> Ref:
        return b.wrap(b.floor(factor, at), 1, False)

    def masked(condition: Ref, yes: int, no: int, bounds: Interval | None = None) -> int:
        ends = b.range(condition.node)
        return (yes if ends[0] else no) if ends[0] == ends[1] else b.select(condition.node, yes, no, bounds)

    terms: list[Ref] = []
    for at in range(0, size, 2):
        even = masked(bit(at), one, zero)
        if at + 1 < size:
            alone = bounds if size == 2 and lo >= 0 else None  # the one term is the product
            even = masked(bit(at + 1), masked(bit(at), three, two), even, alone)
        terms.append(Ref(even, at))
    terms = terms or [Ref(zero)]
    if lo < 0:
        total = b.add(b.total(terms), Ref(masked(bit(size), one, zero), size), True, bounds)
    else:
        total = b.total(terms, bounds)
    return Ref(total.node, total.shift + shift)
