"""The signed digits of a matrix, what has been made of them, and how a pair of digits becomes a term of its own.

Which pair comes first is the business of `greedy` and `rounds`. What remains of each column is summed by a tree
that adds the earliest and narrowest terms first. A column may not grow deeper than its limit: with term depths d_i a
binary tree of depth D exists exactly when sum 2**d_i <= 2**D (Kraft).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from gatewright.lower.build.digits import Columns
from gatewright.lower.build.graph import AdderGraph, Output, Sum
from gatewright.lower.build.patterns import parts

TERNARY_DEPTH = 1.5  # levels that a ternary adder counts: one look-up table more before the same carry chain


Fresh = dict[int, list[int]]
"""New digits, by column."""


@dataclass(slots=True)
class Sharing:
    """What is left to add, and the pairs that may be shared.

    columns[c]: sign of every digit, by digit = term << 6 | power. plus, minus: a term's digits in all columns.

    plus and minus hold bit c * lane + power for a digit of column c, so that one shift and one AND find a pair in every
    column; the upper half of a lane is empty, so that no column reaches into its neighbour, and its bits are a power of
    two. Digits only vanish: how often a pattern of known terms occurs never grows.
    """

    columns: Columns
    lane: int
    plus: list[int]
    minus: list[int]
    width: list[int]
    depth: list[int]
    limits: list[int]
    kraft: list[int]
    sums: list[Sum] = field(default_factory=list[Sum])
    made: dict[tuple[tuple[int, int, int], ...], int] = field(
        default_factory=dict[tuple[tuple[int, int, int], ...], int]
    )

    @staticmethod
    def start(columns: Columns, widths: Sequence[int], depths: Sequence[int], limits: Sequence[int]) -> Sharing:
        """Return the search of columns of which column c may have at most limits[c] levels of adders."""
        kraft = [sum(1 << depths[digit >> 6] for digit in column) for column in columns]
        bits = max([(digit & 63) + 1 for column in columns for digit in column], default=1)
        marks = [0] * len(widths), [0] * len(widths)
        search = Sharing(
            columns, 1 << (2 * bits - 1).bit_length(), *marks, list(widths), list(depths), list(limits), kraft
        )
        for c, column in enumerate(columns):
            for digit, sign in column.items():
                search._mark(c, digit, sign)
        return search

    def _mark(self, c: int, digit: int, sign: int) -> None:
        """Set the bit of a digit that is new, clear that of one that goes."""
        side = self.plus if sign > 0 else self.minus
        side[digit >> 6] ^= 1 << (c * self.lane + (digit & 63))

    def replace(self, pattern: int, least: int) -> tuple[int, Fresh]:
        """Replace a pattern everywhere by a new term, if that can be done in at least so many places.

        Returns in how many it can be done, and by column the digits that are new, none where nothing was replaced.
        """
        places = self.places(pattern)
        count = places.bit_count()
        if count < least:
            return count, {}
        hits = self._replaceable(pattern, places)
        return len(hits), self._substitute(pattern, hits) if len(hits) >= least else {}

    def places(self, pattern: int) -> int:
        """Return the bits of all first digits of a pattern."""
        a, b, power, differ = parts(pattern)
        like, unlike = (self.minus[b], self.plus[b]) if differ else (self.plus[b], self.minus[b])
        if power >= 0:
            return self.plus[a] & like >> power | self.minus[a] & unlike >> power
        return self.plus[a] & like << -power | self.minus[a] & unlike << -power

    def _replaceable(self, pattern: int, places: int) -> list[tuple[int, int, int]]:
        """Return (column, first digit, second digit) of the places that can be replaced together within the depth."""
        a, b, power, _ = parts(pattern)
        growth = (1 << (max(self.depth[a], self.depth[b]) + 1)) - (1 << self.depth[a]) - (1 << self.depth[b])
        hits: list[tuple[int, int, int]] = []
        column, room = -1, 0
        while places:
            lowest = places & -places
            places ^= lowest
            c, p = divmod(lowest.bit_length() - 1, self.lane)
            if c != column:
                column, room = c, (1 << self.limits[c]) - self.kraft[c]
            room -= growth
            if room < 0:
                continue
            if a == b:  # the second digit cannot be the first of another place
                places &= ~(lowest << power)
            hits.append((c, a << 6 | p, b << 6 | p + power))
        return hits

    def _substitute(self, pattern: int, hits: list[tuple[int, int, int]]) -> Fresh:
        a, b, power, differ = parts(pattern)
        # a difference may be made either way round: the way that leaves fewer columns negative
        flip = bool(differ) and sum(self.columns[c][digit] for c, digit, _ in hits) < 0
        sign = -1 if differ else 1
        new = self._new_term(b, a, -power, sign) if flip else self._new_term(a, b, power, sign)
        growth = (1 << self.depth[new]) - (1 << self.depth[a]) - (1 << self.depth[b])
        fresh: Fresh = {}
        for c, first, second in hits:
            column = self.columns[c]
            digit, new_sign = new << 6 | min(first & 63, second & 63), -column[first] if flip else column[first]
            for gone in (first, second):
                self._mark(c, gone, column.pop(gone))
            self._mark(c, digit, new_sign)
            column[digit] = new_sign
            self.kraft[c] += growth
            fresh.setdefault(c, []).append(digit)
        return fresh

    def _new_term(self, a: int, b: int, power: int, sign: int) -> int:
        """Return the number of the term a + sign * (b << power), both shifted so that none is negative."""
        number, _, _ = self._sum([(a, max(0, -power), 1), (b, max(0, power), sign)])
        return number

    def outputs(self, ternary: bool) -> list[Output]:
        """Sum what is left of every column; return what each comes to."""
        return [self._finish_column(column, ternary) for column in range(len(self.columns))]

    def graph(self, outputs: Sequence[Output]) -> AdderGraph:
        """Return the graph of the adders so far."""
        return AdderGraph(len(self.width) - len(self.sums), tuple(self.sums), tuple(outputs))

    def joined(self, a: Output, b: Output) -> Output:
        """Return a + b; a positive one leads a difference."""
        if min(a.term, b.term) < 0:
            return a if b.term < 0 else b
        terms = sorted(((o.term, o.shift, o.sign) for o in (a, b)), key=_leading)
        return Output(*self._sum(terms))

    def _finish_column(self, c: int, ternary: bool) -> Output:
        """Sum what is left of a column, earliest and narrowest terms first; a positive term leads a difference."""
        queue = [
            (float(self.depth[d >> 6]), self.width[d >> 6] + (d & 63), d >> 6, d & 63, sign)
            for d, sign in self.columns[c].items()
        ]
        heapq.heapify(queue)
        if not queue:
            return Output(-1, 0, 1)
        while len(queue) > 1:
            # with an odd number left, threes end in one; an even number gives up two first
            count = 3 if ternary and len(queue) % 2 else 2
            taken = [heapq.heappop(queue) for _ in range(count)]
            terms = sorted(((n, p, s) for _, _, n, p, s in taken), key=_leading)
            number, power, sign = self._sum(terms)
            when = max(item[0] for item in taken) + (1.0 if count == 2 else TERNARY_DEPTH)
            heapq.heappush(queue, (when, self.width[number] + power, number, power, sign))
        _, _, number, power, sign = queue[0]
        return Output(number, power, sign)

    def _sum(self, terms: list[tuple[int, int, int]]) -> tuple[int, int, int]:
        """Return (number, power, sign) of the sum of such terms, positive ones first; equal sums are made once."""
        base, lead = min(power for _, power, _ in terms), terms[0][2]
        key = tuple((number, power - base, sign * lead) for number, power, sign in terms)
        known = self.made.get(key)
        if known is None:
            (a, pa, _), (b, pb, sb), *rest = key
            third = ((rest[0][0], rest[0][1], rest[0][2] < 0)) if rest else (-1, 0, False)
            self.sums.append(Sum(a, b, pa, pb, sb < 0, *third))
            self.width.append(max(self.width[number] + power for number, power, _ in key) + len(rest) + 1)
            self.plus.append(0)
            self.minus.append(0)
            self.depth.append(max(self.depth[number] for number, _, _ in key) + 1)
            known = self.made[key] = len(self.width) - 1
        return known, base, lead


def _leading(term: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the key by which (number, power, sign) are sorted: positive terms first, then the least shifted."""
    return -term[2], term[1], term[0]
