"""Scores in, decisions out: the greatest by a tournament, several of them by a pruned sorting network, thresholds."""

from __future__ import annotations

from gatewright.chips.luts import Luts
from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.circuit.nodes import Ref, width
from gatewright.lower.cost.luts import raw_values, table_luts

MAX_COMPARED_BITS = 10  # wider numbers are always compared: their table would take seconds to cost


def common_scale(b: CircuitBuilder, x: list[Ref]) -> list[int]:
    """Return nodes that carry the values, all shifted by the least of the shifts: what compares like the values."""
    common = min(ref.shift for ref in x)
    return [b.whole(Ref(ref.node, ref.shift - common)) for ref in x]


def argmax(b: CircuitBuilder, x: list[Ref]) -> Ref:
    """Tournament: the left one wins ties, so the lowest index among equals remains."""
    rounds = [(node, b.const(i)) for i, node in enumerate(common_scale(b, x))]
    while len(rounds) > 1:
        pairs = [_duel(b, rounds[i], rounds[i + 1]) for i in range(0, len(rounds) - 1, 2)]
        rounds = pairs + rounds[len(pairs) * 2 :]
    return Ref(rounds[0][1])


def _duel(b: CircuitBuilder, left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    (ll, lh), (rl, rh) = b.range(left[0]), b.range(right[0])
    if ll >= rh:
        return left
    if lh < rl:
        return right
    wins = b.at_least(left[0], right[0]).node
    return maximum(b, left[0], right[0]), b.select(wins, left[1], right[1])


def maximum(b: CircuitBuilder, left: int, right: int) -> int:
    """Return the greater of two nodes, whose range is proven by theirs."""
    return _sorted(b, left, right)[0]


def minimum(b: CircuitBuilder, left: int, right: int) -> int:
    """Return the lesser of two nodes, whose range is proven by theirs."""
    return _sorted(b, left, right)[1]


def _sorted(b: CircuitBuilder, left: int, right: int) -> tuple[int, int]:
    """Return the greater and the lesser of two nodes."""
    (ll, lh), (rl, rh) = b.range(left), b.range(right)
    wins = b.at_least(left, right).node
    if b.range(wins) == (0, 0):
        return right, left
    if b.range(wins) == (1, 1):
        return left, right
    greater = b.select(wins, left, right, (max(ll, rl), max(lh, rh)))
    return greater, b.select(wins, right, left, (min(ll, rl), min(lh, rh)))


def top_k(b: CircuitBuilder, x: list[Ref], k: int) -> list[Ref]:
    """Merge sort of keys by Batcher's odd-even merges, each cut to its k greatest (Knuth, TAOCP vol. 3, 5.3.4).

    A key is the score with the complement of its index below it: keys differ, and equal scores sort by index.
    """
    if k == 1:
        return [argmax(b, x)]
    size, index_bits = len(x), (len(x) - 1).bit_length()
    last = (1 << index_bits) - 1
    keys = [
        b.whole(b.add(Ref(node, index_bits), Ref(b.const(last - i)), False))
        for i, node in enumerate(common_scale(b, x))
    ]
    order = [min(last - code, size - 1) for code in range(last + 1)]
    return [b.table(b.wrap(Ref(key), index_bits, False), order.__getitem__) for key in _greatest(b, keys, k)]


def _greatest(b: CircuitBuilder, keys: list[int], k: int) -> list[int]:
    half = len(keys) // 2
    return _merge(b, _greatest(b, keys[:half], k), _greatest(b, keys[half:], k))[:k] if half else keys


def _merge(b: CircuitBuilder, left: list[int], right: list[int]) -> list[int]:
    """Merge two descending lists: merge their even and odd elements alone, then compare neighbours."""
    if not left or not right:
        return left + right
    if len(left) == len(right) == 1:
        return [*_sorted(b, left[0], right[0])]
    even, odd = _merge(b, left[::2], right[::2]), _merge(b, left[1::2], right[1::2])
    pairs = [key for low, high in zip(odd, even[1:], strict=False) for key in _sorted(b, low, high)]
    rest = even[len(odd) + 1 :] + odd[len(even) - 1 :]
    return [even[0], *pairs, *rest]


def thresholds(b: CircuitBuilder, x: Ref, at: list[int], start: int, step: int, *, luts: Luts) -> Ref:
    """Return start + step * (cuts that x reaches): comparators and a count, or one table where that is fewer LUTs.

    Cuts that x always or never reaches cost nothing.
    """
    low, high = b.span(x)
    always, judged = sum(cut <= low for cut in at), [cut for cut in at if low < cut <= high]

    def result(value: int) -> int:
        return start + step * (always + sum(value >= cut for cut in judged))

    node = b.nodes[x.node]
    if width(node) <= MAX_COMPARED_BITS and judged:
        lut = table_luts([result(v << x.shift) for v in raw_values(node)], luts)
        if lut <= len(judged) * width(node) + len(judged) - 1:
            return b.table(x, result)
    whole = b.whole(x)
    reached = b.total([b.at_least(whole, b.const(cut)) for cut in judged] or [Ref(b.const(0))])
    return b.table(reached, lambda count: start + step * (always + count))
