"""A constant integer matrix in, a shared graph of two-input adders that computes x @ W out.

Weights are written in canonical signed digits (Reitwiesner 1960: no two neighbours non-zero, fewest digits), of which
`sharing` makes adders. Where the matrix is small, differences of its columns and other spellings of its numbers are
tried as well; one of them is taken where it has fewer adders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatewright.fixedpoint import Ints, digit_count
from gatewright.lower.build.differences import Differences, differences
from gatewright.lower.build.digits import canonical, spellings
from gatewright.lower.build.graph import AdderGraph, Output, prove
from gatewright.lower.build.greedy import share_greedily
from gatewright.lower.build.price import price
from gatewright.lower.build.rounds import share_in_rounds
from gatewright.lower.build.sharing import Sharing

SMALL = 1 << 14  # numbers in all differences of columns up to which these are tried: more cost time and gain little

LARGE = (
    1_000_000  # pairs of digits in all columns above which pairs are shared in rounds: strictly in order took a second
)


def adder_graph(
    matrix: Ints,
    *,
    widths: Sequence[int] | None = None,
    depths: Sequence[int] | None = None,
    extra_depth: int = 0,
    ternary: bool = False,
) -> AdderGraph:
    """Return a graph that computes every column of x @ matrix.

    matrix: (n_in, n_out). widths: bits of each input, depths: adders already before each input (default 0);
    extra_depth: adder levels allowed beyond the least possible depth of the deepest column. ternary: sum what sharing
    leaves of a column by adders of three operands, which must then exist.
    """
    wide: Sequence[int] = widths or [8] * matrix.shape[0]
    deep: Sequence[int] = depths or [0] * matrix.shape[0]
    kraft = [sum(n << d for n, d in zip(column, deep, strict=True)) for column in digit_count(matrix).T.tolist()]
    limit = max([(k - 1).bit_length() for k in kraft if k] or [0]) + extra_depth
    search = Sharing.start(canonical(matrix), wide, deep, [limit] * matrix.shape[1])
    if sum(len(column) ** 2 for column in search.columns) // 2 > LARGE:
        share_in_rounds(search)
    else:
        share_greedily(search)
    best, least = search.graph(search.outputs(ternary)), None
    for search, outputs in _others(matrix, wide, deep, limit, ternary):
        least = least or price(best, wide, ternary=ternary)
        graph = search.graph(outputs)
        takes = price(graph, wide, ternary=ternary)
        if takes.below(least):
            best, least = graph, takes
    prove(best, matrix)
    return best


def _others(
    matrix: Ints, widths: Sequence[int], depths: Sequence[int], limit: int, ternary: bool
) -> Iterator[tuple[Sharing, list[Output]]]:
    """Yield what else a small matrix may become: the finished search and its outputs."""
    if matrix.size * matrix.shape[1] > SMALL:
        return
    for columns in spellings(matrix):
        search = Sharing.start(columns, widths, depths, [limit] * matrix.shape[1])
        share_greedily(search)
        yield search, search.outputs(ternary)
    for tree in differences(matrix, depths, limit):
        search = Sharing.start(canonical(tree.matrix), widths, depths, tree.limits)
        share_greedily(search)
        yield search, _joined(tree, search, ternary)


def _joined(tree: Differences, search: Sharing, ternary: bool) -> list[Output]:
    """Return the outputs of the columns from those of their differences."""
    rest = search.outputs(ternary)
    made = list(rest)
    for edge in tree.edges:
        if edge.parent >= 0:
            parent = made[edge.parent]
            turned = Output(parent.term, parent.shift, parent.sign * edge.sign)
            made[edge.column] = search.joined(turned, rest[edge.column])
    return made
