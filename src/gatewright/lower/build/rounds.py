"""A search in, the same one with all pairs shared out, in rounds: for large matrices, in near linear time.

As in `greedy` the most frequent pairs come first, but all that are equally frequent are taken in one round, and what
NumPy can do for many pairs at once is done so: counting the pairs of inputs, as products of matrices; counting again
those whose turn comes; counting the pairs of the new terms, once a round. Where there are many inputs, only those of
one block are paired with each other, in blocks that are drawn anew whenever rarer pairs are looked for, and a new term
is paired with the youngest digits of its columns and a sample of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Ints
from gatewright.lower.build.patterns import age, counted, packed, split
from gatewright.lower.build.sharing import Fresh, Sharing

BLOCK = 256  # inputs that are paired with each other
BESIDE = 512  # digits of a column with which a new term is paired: half of them the youngest, half drawn
LISTED = 100_000  # pairs of inputs that are looked for at a time, the most frequent ones
ROUND = 4096  # pairs that are replaced in one round at most: new terms are then paired in bounded memory
_AT_ONCE = 1 << 14  # patterns that are counted again at a time: their words stay in the cache

Words = NDArray[np.uint64]


def share_in_rounds(search: Sharing) -> None:
    """Replace pairs everywhere by new terms until none that was looked at occurs twice."""
    work = _Rounds(search, len(search.width), np.random.default_rng(0))
    below = 1 << 30
    while below > 2:
        lowest = work.look(below)
        while (count := max(work.waiting, default=0)) >= lowest:
            work.round(count)
        below = lowest


@dataclass(slots=True)
class _Rounds:
    """waiting: patterns by how often each occurred when it was last counted. inputs: how many terms are no sums."""

    search: Sharing
    inputs: int
    rng: np.random.Generator
    waiting: dict[int, list[Ints]] = field(default_factory=lambda: defaultdict(list))

    def look(self, below: int) -> int:
        """Let the most frequent pairs of inputs wait, of those that occur less than `below` times.

        Returns the count down to which all were taken, in the blocks that were drawn.
        """
        blocks = np.array_split(self.rng.permutation(self.inputs), -(-self.inputs // BLOCK))
        found: list[tuple[Ints, Ints]] = []
        often, lowest = np.zeros(0, dtype=np.int64), 2  # how many pairs occur so often; counts below are too many
        for block in blocks:
            for patterns, counts in self._pairs(np.sort(block), below):
                times = np.bincount(counts, minlength=len(often))
                times[: len(often)] += often
                often = times
                lowest = max(lowest, int((np.cumsum(often[::-1])[::-1] > LISTED).sum()))
                found.append((patterns[counts >= lowest], counts[counts >= lowest]))
        lowest = min(lowest, max(len(often) - 1, 2))
        for patterns, counts in found:
            self._wait(patterns[counts >= lowest], counts[counts >= lowest])
        return lowest

    def round(self, count: int) -> None:
        """Replace the patterns that still occur `count` times, the youngest first."""
        patterns = np.concatenate(self.waiting.pop(count))
        counts = self._count_again(patterns)
        self._wait(patterns[counts < count], counts[counts < count])
        patterns = patterns[counts >= count]
        a, b, _, _ = split(patterns)
        patterns = patterns[np.lexsort((patterns, age(a, b)))]
        fresh: Fresh = defaultdict(list)
        left = np.zeros(len(patterns), dtype=np.int64)
        replaced = 0
        for place, pattern in enumerate(patterns.tolist()):
            if replaced == ROUND:
                left[place:] = count
                break
            left[place], new = self.search.replace(pattern, count)
            if new:
                left[place] = 0
                replaced += 1
                for column, digits in new.items():
                    fresh[column] += digits
        self._wait(patterns, left)
        beside = [self._beside(column, digits) for column, digits in fresh.items()]
        if beside:
            self._wait(*counted(np.concatenate(beside)))

    def _wait(self, patterns: Ints, counts: Ints) -> None:
        for count in np.flatnonzero(np.bincount(counts)[2:]).tolist():
            self.waiting[count + 2].append(patterns[counts == count + 2])

    def _words(self, terms: Ints) -> tuple[Words, Words]:
        """Return the digits of terms, (terms, words) each: the positive and the negative ones; see Sharing."""
        size = -(-len(self.search.columns) * self.search.lane // 64) * 8
        chosen: list[int] = terms.tolist()
        plus, minus = (
            np.frombuffer(b"".join([marks[term].to_bytes(size, "little") for term in chosen]), dtype=np.uint64)
            for marks in (self.search.plus, self.search.minus)
        )
        return plus.reshape(len(chosen), -1), minus.reshape(len(chosen), -1)

    def _count_again(self, patterns: Ints) -> Ints:
        """Return how often each pattern occurs, as Sharing counts places."""
        a, b, power, differ = split(patterns)
        row = np.zeros(len(self.search.width), dtype=np.int64)
        row[a] = row[b] = 1
        terms = np.flatnonzero(row)
        row[terms] = np.arange(len(terms))
        words = np.concatenate(self._words(terms))  # the positive digits of every term, then the negative ones
        plus, like, negative = row[a], row[b], len(terms)
        minus, unlike = plus + negative, like + negative
        like, unlike = np.where(differ, unlike, like), np.where(differ, like, unlike)
        right, left = np.maximum(power, 0).astype(np.uint64), np.maximum(-power, 0).astype(np.uint64)
        counts = np.empty(len(patterns), dtype=np.int64)
        for start in range(0, len(patterns), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            down, up = right[part, np.newaxis], left[part, np.newaxis]
            # the upper half of a lane is empty in what is not shifted: bits that cross into it meet nothing
            places = words[plus[part]] & (words[like[part]] >> down << up)
            places |= words[minus[part]] & (words[unlike[part]] >> down << up)
            counts[part] = np.bitwise_count(places).sum(axis=1, dtype=np.int64)
        return counts

    def _pairs(self, terms: Ints, below: int) -> Iterator[tuple[Ints, Ints]]:
        """Yield patterns of two of these terms that occur twice or more, less than `below` times, and how often."""
        plus, minus = (np.unpackbits(side.view(np.uint8), axis=1, bitorder="little") for side in self._words(terms))
        kept = (plus.sum(axis=1) + minus.sum(axis=1)) > 1  # one digit is no pair, twice
        terms, signs = terms[kept], plus[kept].astype(np.float32) - minus[kept].astype(np.float32)
        used = np.append(signs.any(axis=0), np.zeros(self.search.lane, dtype=np.bool_))
        for power in range(self.search.lane // 2):
            at = np.flatnonzero(used[: signs.shape[1]] & used[power : power + signs.shape[1]])
            if not len(at):
                continue
            first, second = signs[:, at], signs[:, at + power].T
            net, both = first @ second, np.abs(first) @ np.abs(second)  # exact: they are far below 2**24
            for differ, twice in ((0, both + net), (1, both - net)):
                twice = twice if power else np.triu(twice, 1)
                i, j = np.nonzero((twice >= 4) & (twice < 2 * below))
                a, b = np.minimum(terms[i], terms[j]), np.maximum(terms[i], terms[j])
                sign = np.where(terms[i] <= terms[j], power, -power)
                yield packed(a, b, sign, np.full(len(a), differ)), (twice[i, j] / 2).astype(np.int64)

    def _beside(self, c: int, digits: list[int]) -> Ints:
        """Return the patterns of new digits of a column with what stands beside them, often repeated."""
        column = self.search.columns[c]
        new = np.array([digit for digit in digits if digit in column], dtype=np.int64)
        others = np.fromiter(column, dtype=np.int64, count=len(column))
        if len(others) > BESIDE:
            others = np.partition(others, -BESIDE // 2)
            drawn = self.rng.choice(others[: -BESIDE // 2], BESIDE // 2, replace=False)
            others = np.unique(np.concatenate([new, others[-BESIDE // 2 :], drawn]))
        signs, new_signs = (
            np.fromiter((column[digit] for digit in of.tolist()), dtype=np.int64, count=len(of)) for of in (others, new)
        )
        at, beside = np.nonzero(new[:, np.newaxis] > others)
        a, b = others[beside], new[at]
        return packed(a >> 6, b >> 6, (b & 63) - (a & 63), signs[beside] != new_signs[at])
