"""Delays of nodes in; their earliest stages out, and which pairs of nodes may not share a stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Ints
from gatewright.lower.circuit.values import Values

MOST_CELLS = 100_000_000  # of all rows of `apart` together: some seconds


def earliest(known: Values, cost: Sequence[float], budget: float, alone: frozenset[int]) -> list[int]:
    """Return the earliest stage of every node, where a stage's longest chain takes at most `budget` ns.

    cost: delay of every node in ns, at most `budget`. alone: nodes whose readers are all in later stages. No node can
    be earlier in any legal pipeline. Wires lie in the stage of their value.
    """
    stages = [0] * len(cost)
    arrival = [0.0] * len(cost)
    for index, before in enumerate(known.before):
        stage, start = 0, 0.0
        for value in before:
            free = stages[value] + 1 if value in alone else stages[value]
            at = 0.0 if value in alone else arrival[value]
            if free > stage:
                stage, start = free, at
            elif free == stage and at > start:
                start = at
        if start + cost[index] > budget:
            stage, start = stage + 1, 0.0
        root = known.root[index]
        stages[index] = stage if root == index else stages[root]
        arrival[index] = start + cost[index]
    return stages


def apart(known: Values, cost: Sequence[float], budget: float, stages: Sequence[int]) -> Ints:
    """Return pairs (a, b), b behind a, shape (n, 2), such that a pipeline is legal where no pair shares a stage.

    stages: a legal pipeline. The pairs are the necessary ones, the ends of the shortest chains longer than `budget`.
    Where finding them would take too long, those of `stages` are kept: every two neighbours that it separates.
    """
    pairs: list[Ints] = [np.zeros((0, 2), dtype=np.int64)]
    # value -> first node, and the nodes from there on with a chain to the value, with the longest of each
    rows: dict[int, tuple[int, NDArray[np.int32], NDArray[np.float64]]] = {}
    unread = [len({read.reader for read in reads}) for reads in known.reads]
    cells = 0
    for index, before in enumerate(known.before):
        if known.root[index] != index:
            continue
        first = min([rows[value][0] for value in before], default=index)
        cells += index - first
        if cells > MOST_CELLS:
            edges = [(a, b) for b, reads in enumerate(known.before) for a in reads if stages[a] < stages[b]]
            return np.array(edges, dtype=np.int64).reshape(-1, 2)
        row = np.full(index + 1 - first, -np.inf)
        for value in before:
            _, begins, chain = rows[value]
            at = begins - first
            row[at] = np.maximum(row[at], chain)
            unread[value] -= 1
            if not unread[value]:
                del rows[value]
        row += cost[index]
        row[-1] = cost[index]
        over = np.flatnonzero(row > budget)
        if len(over):
            pairs.append(np.stack([first + over, np.full(len(over), index)], axis=1))
            row[over] = -np.inf
            begin = int(np.argmax(row > -np.inf))
            first, row = first + begin, row[begin:]
        at = np.flatnonzero(row > -np.inf)
        rows[index] = (first, (first + at).astype(np.int32), row[at])
    return np.concatenate(pairs)
