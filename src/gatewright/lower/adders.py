"""A constant integer matrix in, a shared graph of two-input adders that computes x @ W out.

Weights are written in canonical signed digits (Reitwiesner 1960: no two neighbours non-zero, fewest digits); then the
pair of terms that occurs most often across all columns becomes one new term, until no pair occurs twice
(Hartley 1996, "Subexpression sharing in filters using canonic signed digit multipliers"). What remains of each column
is summed by a tree that adds the earliest and narrowest terms first. A column may not grow deeper than the depth
limit: with term depths d_i a binary tree of depth D exists exactly when sum 2**d_i <= 2**D (Kraft).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass, field

from gatewright.errors import LowerError
from gatewright.ir.formats import Ints

Pattern = tuple[int, int, int, int]  # term a, term b, power of b minus power of a, product of signs
Term = tuple[int, int]  # term number, power of two
TERNARY_DEPTH = 1.5  # levels that a ternary adder counts: one look-up table more before the same carry chain


@dataclass(frozen=True, slots=True)
class Sum:
    """Term number a << shift_a plus or minus term number b << shift_b, and a third one where c >= 0."""

    a: int
    b: int
    shift_a: int
    shift_b: int
    minus: bool
    c: int = -1
    shift_c: int = 0
    minus_c: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A column: sign * (term << shift); term -1 is the constant 0."""

    term: int
    shift: int
    sign: int


@dataclass(frozen=True, slots=True)
class AdderGraph:
    """Terms 0 .. inputs-1 are the inputs; term inputs+i is sums[i]; outputs has one entry per column."""

    inputs: int
    sums: tuple[Sum, ...]
    outputs: tuple[Output, ...]


def csd(value: int) -> list[tuple[int, int]]:
    """Return the canonical signed digits of an integer as (power, sign), lowest power first."""
    digits: list[tuple[int, int]] = []
    power = 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)
            digits.append((power, digit))
            value -= digit
        value >>= 1
        power += 1
    return digits


def adder_graph(
    matrix: Ints,
    *,
    widths: list[int] | None = None,
    depths: list[int] | None = None,
    extra_depth: int = 0,
    ternary: bool = False,
) -> AdderGraph:
    """Return a graph that computes every column of x @ matrix.

    matrix: (n_in, n_out). widths: bits of each input, depths: adders already before each input (default 0);
    extra_depth: adder levels allowed beyond the least possible depth of the deepest column. ternary: sum what sharing
    leaves of a column by adders of three operands, which must then exist.
    """
    search = _Search.start(matrix, widths or [8] * matrix.shape[0], depths or [0] * matrix.shape[0], extra_depth)
    while search.share_best_pair():
        pass
    outputs = tuple(search.finish_column(column, ternary) for column in range(matrix.shape[1]))
    graph = AdderGraph(matrix.shape[0], tuple(search.sums), outputs)
    _prove(graph, matrix)
    return graph


@dataclass(slots=True)
class _Search:
    columns: list[dict[Term, int]]
    width: list[int]
    depth: list[int]
    limit: int
    kraft: list[int]
    sums: list[Sum] = field(default_factory=list[Sum])
    made: dict[tuple[tuple[int, int, int], ...], int] = field(
        default_factory=dict[tuple[tuple[int, int, int], ...], int]
    )
    counts: dict[Pattern, int] = field(default_factory=lambda: defaultdict(int))
    heap: list[tuple[int, int, Pattern]] = field(default_factory=list[tuple[int, int, Pattern]])
    where: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    @staticmethod
    def start(matrix: Ints, widths: list[int], depths: list[int], extra_depth: int) -> _Search:
        rows, width = matrix.tolist(), matrix.shape[1]
        columns: list[dict[Term, int]] = [
            {(i, p): s for i, row in enumerate(rows) for p, s in csd(row[j])} for j in range(width)
        ]
        kraft = [sum(1 << depths[i] for i, _ in column) for column in columns]
        limit = max([(k - 1).bit_length() for k in kraft if k] or [0]) + extra_depth
        search = _Search(columns, list(widths), list(depths), limit, kraft)
        for c, column in enumerate(columns):
            terms = list(column.items())
            for k, (term, sign) in enumerate(terms):
                search.where[term[0]].add(c)
                for other, other_sign in terms[:k]:
                    search.counts[_pattern(term, other, sign * other_sign)] += 1
        for pattern, count in search.counts.items():
            search._push(pattern, count)
        return search

    def _push(self, pattern: Pattern, count: int) -> None:
        """Queue a pattern: the most frequent first, among equals the one whose operands overlap in the most bits."""
        if count >= 2:
            a, b, power, _ = pattern
            shift_a, shift_b = max(0, -power), max(0, power)
            overlap = min(self.width[a] + shift_a, self.width[b] + shift_b) - max(shift_a, shift_b)
            heapq.heappush(self.heap, (-count, -overlap, pattern))

    def share_best_pair(self) -> bool:
        """Replace the best pair everywhere by a new term; False when none occurs twice."""
        while self.heap:
            negated, _, pattern = heapq.heappop(self.heap)
            if self.counts.get(pattern) != -negated:
                continue
            hits = self._occurrences(pattern)
            if len(hits) >= 2:
                self._substitute(pattern, hits)
                return True
            self.counts.pop(pattern)
        return False

    def _occurrences(self, pattern: Pattern) -> list[tuple[int, Term, Term]]:
        a, b, power, sign = pattern
        grown = 1 << (max(self.depth[a], self.depth[b]) + 1)
        growth = grown - (1 << self.depth[a]) - (1 << self.depth[b])
        hits: list[tuple[int, Term, Term]] = []
        for c in sorted(self.where[a] & self.where[b]):
            column, kraft = self.columns[c], self.kraft[c]
            used: set[Term] = set()
            for term in sorted(t for t in column if t[0] == a):
                other = (b, term[1] + power)
                if term in used or other in used or column.get(other) != sign * column[term]:
                    continue
                if kraft + growth > 1 << self.limit:
                    break
                kraft += growth
                used |= {term, other}
                hits.append((c, term, other))
        return hits

    def _substitute(self, pattern: Pattern, hits: list[tuple[int, Term, Term]]) -> None:
        a, b, power, sign = pattern
        # a difference may be made either way round: the way that leaves fewer columns negative
        flip = sign < 0 and sum(self.columns[c][term] for c, term, _ in hits) < 0
        new = self._new_term(b, a, -power, sign) if flip else self._new_term(a, b, power, sign)
        touched: set[Pattern] = set()
        for c, term, other in hits:
            column = self.columns[c]
            new_sign = -column[term] if flip else column[term]
            for gone in (term, other):
                self._count(c, gone, column.pop(gone), -1, touched)
            fresh = (new, min(term[1], other[1]))
            self._count(c, fresh, new_sign, 1, touched)
            column[fresh] = new_sign
            self.where[new].add(c)
            self.kraft[c] += (1 << self.depth[new]) - (1 << self.depth[a]) - (1 << self.depth[b])
            for number in (a, b):
                if not any(t[0] == number for t in column):
                    self.where[number].discard(c)
        for changed in touched:
            count = self.counts[changed]
            if count <= 0:
                del self.counts[changed]
            else:
                self._push(changed, count)

    def _count(self, c: int, term: Term, sign: int, step: int, touched: set[Pattern]) -> None:
        counts, (number, power) = self.counts, term
        for other, other_sign in self.columns[c].items():  # _pattern written out: this is the innermost loop
            if term > other:
                pattern = (other[0], number, power - other[1], sign * other_sign)
            else:
                pattern = (number, other[0], other[1] - power, sign * other_sign)
            counts[pattern] += step
            touched.add(pattern)

    def _new_term(self, a: int, b: int, power: int, sign: int) -> int:
        """Return the number of the term a + sign * (b << power), both shifted so that none is negative."""
        number, _, _ = self._sum([(a, max(0, -power), 1), (b, max(0, power), sign)])
        return number

    def finish_column(self, c: int, ternary: bool) -> Output:
        """Sum what is left of a column, earliest and narrowest terms first; a positive term leads a difference."""
        queue = [(float(self.depth[n]), self.width[n] + p, n, p, s) for (n, p), s in self.columns[c].items()]
        heapq.heapify(queue)
        if not queue:
            return Output(-1, 0, 1)
        while len(queue) > 1:
            # with an odd number left, threes end in one; an even number gives up two first
            count = 3 if ternary and len(queue) % 2 else 2
            taken = [heapq.heappop(queue) for _ in range(count)]
            terms = sorted(((n, p, s) for _, _, n, p, s in taken), key=lambda term: (-term[2], term[1], term[0]))
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
            self.depth.append(max(self.depth[number] for number, _, _ in key) + 1)
            known = self.made[key] = len(self.width) - 1
        return known, base, lead


def _pattern(x: Term, y: Term, sign: int) -> Pattern:
    if (x[0], x[1]) > (y[0], y[1]):
        x, y = y, x
    return (x[0], y[0], y[1] - x[1], sign)


def _prove(graph: AdderGraph, matrix: Ints) -> None:
    """Check exactly that the graph computes x @ matrix: the graph is linear, so its coefficients decide."""
    forms: list[dict[int, int]] = [{i: 1} for i in range(graph.inputs)]
    for item in graph.sums:
        form = {i: v << item.shift_a for i, v in forms[item.a].items()}
        for i, v in forms[item.b].items():
            form[i] = form.get(i, 0) + (-v << item.shift_b if item.minus else v << item.shift_b)
        for i, v in forms[item.c].items() if item.c >= 0 else ():
            form[i] = form.get(i, 0) + (-v << item.shift_c if item.minus_c else v << item.shift_c)
        forms.append(form)
    for column, output in enumerate(graph.outputs):
        form = forms[output.term] if output.term >= 0 else {}
        got = [output.sign * (form.get(i, 0) << output.shift) for i in range(graph.inputs)]
        if got != matrix[:, column].tolist():
            raise LowerError(f"adder graph column {column} computes {got}, not {matrix[:, column].tolist()}")
