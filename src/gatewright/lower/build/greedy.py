"""A search in, the same one with all pairs shared out, strictly the most frequent first: for small matrices.

The pair of terms that occurs most often across all columns becomes one new term, until no pair occurs twice
(Hartley 1996, "Subexpression sharing in filters using canonic signed digit multipliers"); among equals the pair of the
youngest terms. A heap holds how often a pattern occurred when it was last counted, an upper bound; a pattern is counted
again when it comes to the top.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.build.patterns import AGES, PATTERN_BITS, counted, packed, parts
from gatewright.lower.build.sharing import Fresh, Sharing

RANK_BITS = 71  # a pattern, and before it in 22 bits how old its terms are


def share_greedily(search: Sharing) -> None:
    """Replace the best pair everywhere by a new term until none occurs twice."""
    patterns, counts = counted(np.concatenate([_patterns(column) for column in search.columns]))
    heap = [_rank(*item) for item in zip(patterns.tolist(), counts.tolist(), strict=True)]
    heapq.heapify(heap)
    plus, minus, lowest = search.plus, search.minus, (1 << PATTERN_BITS) - 1
    while heap:
        rank = heap[0]
        pattern, claimed = rank & lowest, -(rank >> RANK_BITS)
        a, b, power = pattern >> 29, pattern >> 9 & 0xFFFFF, (pattern >> 1 & 0xFF) - 64
        like, unlike = (minus[b], plus[b]) if pattern & 1 else (plus[b], minus[b])
        if power >= 0:  # Sharing.places written out: most patterns at the top have become rarer since
            count = (plus[a] & like >> power | minus[a] & unlike >> power).bit_count()
        else:
            count = (plus[a] & like << -power | minus[a] & unlike << -power).bit_count()
        if count >= claimed:
            count, fresh = search.replace(pattern, claimed)
            if fresh:
                heapq.heappop(heap)
                for found, times in _beside(search, fresh).items():
                    if times >= 2:
                        heapq.heappush(heap, _rank(found, times))
                continue
        if count >= 2:
            heapq.heapreplace(heap, rank + (claimed - count << RANK_BITS))
        else:
            heapq.heappop(heap)


def _beside(search: Sharing, fresh: Fresh) -> dict[int, int]:
    """Count the patterns of a new term's digits with what stands beside them."""
    counts: dict[int, int] = defaultdict(int)
    for c, digits in fresh.items():
        column = search.columns[c]
        for digit in digits:
            sign, base = column[digit], (digit >> 6) << 8 | ((digit & 63) + 64)
            for other, other_sign in column.items():  # `packed` written out: this is the innermost loop
                if other < digit:
                    power = base - (other & 63)
                    counts[((other >> 6) << 28 | power) << 1 | (sign != other_sign)] += 1
    return counts


def _patterns(column: dict[int, int]) -> Ints:
    """Return the pattern of every two digits of a column, lower digit first."""
    digits = np.array(sorted(column), dtype=np.int64)
    signs = np.array([column[digit] for digit in digits.tolist()], dtype=np.int64)
    a, b = np.triu_indices(len(digits), 1)
    power = (digits[b] & 63) - (digits[a] & 63)
    return packed(digits[a] >> 6, digits[b] >> 6, power, signs[a] != signs[b])


def _rank(pattern: int, count: int) -> int:
    """Return the heap's key: the most frequent first, among equals the one of the youngest terms."""
    a, b, _, _ = parts(pattern)
    return -count << RANK_BITS | ((1 << 21) - a - b) // AGES << PATTERN_BITS | pattern
