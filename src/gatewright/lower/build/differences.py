"""A matrix in, trees of its columns out, in which a column is another one plus a difference of few digits.

Columns that are alike are cheaper as differences: of [1 4 7], [2 5 8] and [3 6 9] the first and two times
[1 1 1] are left to add. A tree is a minimum spanning tree over the columns and the column 0 (Prim 1957), by the
digits of differences; a column hangs from another only where it still ends within the limit of depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatewright.fixedpoint import Ints, digit_count

WORTH = 0.9  # share of a matrix' digits that differences may have to be tried: above it they hardly ever win


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """How a column is made: sign * column `parent` plus its difference; parent -1 is the column 0."""

    column: int
    parent: int
    sign: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """A tree of columns. edges: parents before their children.

    matrix: (n_in, n_out), what is left to add of each column; limits: the levels of adders that each of these may take.
    """

    edges: tuple[Edge, ...]
    matrix: Ints
    limits: tuple[int, ...]


def differences(matrix: Ints, depths: Sequence[int], limit: int) -> Iterator[Differences]:
    """Yield the trees within `limit` levels of adders that are worth a try.

    matrix: (n_in, n_out); depths: of its inputs. In one tree a parent saves a column at least the adder that joins
    them, in the other two.
    """
    own = _costs(matrix, depths)
    apart = {
        sign: _costs((matrix[:, :, np.newaxis] - sign * matrix[:, np.newaxis, :]), depths) for sign in (1, -1)
    }  # [child, parent]
    seen: list[list[Edge]] = []
    for gain in (1, 0):
        edges = _tree(own, apart, limit, gain)
        if edges in seen:
            continue
        seen.append(edges)
        left = sum(int(apart[e.sign][0][e.column, e.parent] if e.sign else own[0][e.column]) for e in edges)
        if left <= WORTH * own[0].sum():
            yield _spread(matrix, edges, limit)


def _tree(own: tuple[Ints, Ints], apart: dict[int, tuple[Ints, Ints]], limit: int, gain: int) -> list[Edge]:
    weight, end = (costs.copy() for costs in own)
    count = len(weight)
    best = [Edge(column=column, parent=-1, sign=0) for column in range(count)]
    left, edges = np.ones(count, dtype=bool), list[Edge]()
    for _ in range(count):
        chosen = int(np.where(left, weight, np.iinfo(np.int64).max).argmin())
        left[chosen] = False
        edges.append(best[chosen])
        for sign, (digits, levels) in apart.items():
            digits, levels = digits[:, chosen], levels[:, chosen]
            until = np.where(digits > 0, 1 + np.maximum(levels, end[chosen]), end[chosen])
            for column in np.flatnonzero(left & (digits + gain < weight) & (until <= limit)).tolist():
                weight[column], end[column] = digits[column], until[column]
                best[column] = Edge(column=column, parent=chosen, sign=sign)
    return edges


def _costs(matrix: Ints, depths: Sequence[int]) -> tuple[Ints, Ints]:
    """Return for each column, along axis 0, its digits and the levels of adders that they take at least."""
    digits = digit_count(matrix)
    kraft = np.tensordot(np.left_shift(1, np.array(depths, dtype=np.int64)), digits, axes=1)
    levels = [max(k - 1, 0).bit_length() for k in kraft.ravel().tolist()]
    return digits.sum(axis=0), np.array(levels, dtype=np.int64).reshape(kraft.shape)


def _spread(matrix: Ints, edges: Sequence[Edge], limit: int) -> Differences:
    """Return the tree with the levels that each difference may take so that all its descendants end in time."""
    rest = matrix.copy()
    for edge in edges:
        if edge.parent >= 0:
            rest[:, edge.column] -= edge.sign * matrix[:, edge.parent]
    ends, limits = [limit] * matrix.shape[1], [limit] * matrix.shape[1]
    for edge in reversed(edges):
        own = limits[edge.column] = ends[edge.column]
        if edge.parent >= 0:
            limits[edge.column] = own - 1
            ends[edge.parent] = min(ends[edge.parent], own - int(rest[:, edge.column].any()))
    return Differences(edges=tuple(edges), matrix=rest, limits=tuple(limits))
