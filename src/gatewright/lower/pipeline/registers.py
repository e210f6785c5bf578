"""A feasible pipeline in, one of the fewest register bits at the same latency out.

Stages are potentials of a linear program: every constraint says that one node lies at least so many stages behind
another, and the register bits are a weighted sum of stages, because a value's bits live until their last reader
(Leiserson and Saxe 1991; as scheduling: Cong and Zhang 2006). Such a program is the dual of a minimum-cost flow, so
its optimum is integral, and from the earliest stages it is reached by steepest ascent: move the set of nodes that
gains most one stage later, until none gains (Murota 2003). That set is a minimum cut in the graph of tight
constraints, and there are never more rounds than stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.circuit.nodes import Circuit, Const, Source, width
from gatewright.lower.circuit.values import OUTPUT, Values
from gatewright.lower.closure import best_closure


@dataclass(slots=True)
class _Potentials:
    """A linear program: minimize sum weight * at.

    at[b] >= at[a] + least holds for every (a, b, least), and fixed entries stay.
    """

    at: list[int] = field(default_factory=list[int])
    weight: list[int] = field(default_factory=list[int])
    fixed: list[bool] = field(default_factory=list[bool])
    behind: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    apart: Ints = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))  # more of them, with least = 1

    def new(self, at: int, *, fixed: bool = False) -> int:
        self.at.append(at)
        self.weight.append(0)
        self.fixed.append(fixed)
        return len(self.at) - 1

    def cost(self, later: int, earlier: int, weight: int) -> None:
        """Add weight * (later - earlier) to the objective."""
        self.weight[later] += weight
        self.weight[earlier] -= weight


def fewest_registers(
    circuit: Circuit, known: Values, stages: Sequence[int], latency: int, apart: Ints, relus: Sequence[int] = ()
) -> list[int]:
    """Return the stage of every node in a pipeline of the fewest register bits.

    stages: the earliest possible stages. apart: pairs (a, b) of nodes that may not share a stage, b behind a, shape
    (n, 2). relus: nodes that cost a LUT per bit in a stage that a reader shares, weighed like a register bit.
    """
    problem = _Potentials()
    place = [-1] * len(stages)
    for index, node in enumerate(circuit.nodes):
        if known.root[index] == index and not isinstance(node, Const):
            place[index] = problem.new(stages[index], fixed=isinstance(node, Source))
    place.append(problem.new(latency, fixed=True))  # place[OUTPUT]
    for index, reads in enumerate(known.reads):
        for reader in {read.reader for read in reads}:
            problem.behind.append((place[index], place[reader], int(reader == OUTPUT)))
        for bits, readers in known.segments(index):
            problem.cost(_last(problem, [place[reader] for reader in readers]), place[index], bits)
    problem.apart = np.array(place)[apart]
    for index in relus:
        _prefer_register(problem, place[index], [place[r.reader] for r in known.reads[index]], circuit, index)
    best = _minimum(problem)
    return [best[place[root]] if place[root] >= 0 else 0 for root in known.root]


def _last(problem: _Potentials, readers: list[int]) -> int:
    """Return the potential of the latest reader."""
    if len(readers) == 1:
        return readers[0]
    last = problem.new(max(problem.at[reader] for reader in readers))
    problem.behind += [(reader, last, 0) for reader in readers]
    return last


def _prefer_register(problem: _Potentials, own: int, readers: list[int], circuit: Circuit, index: int) -> None:
    """Charge the node's bits unless its first reader is in a later stage."""
    first = problem.new(problem.at[own])
    after = problem.new(problem.at[own] + 1)
    problem.behind += [(first, reader, 0) for reader in set(readers)]
    problem.behind += [(own, after, 1), (first, after, 0)]
    problem.cost(after, first, width(circuit.nodes[index]))


def _minimum(problem: _Potentials) -> list[int]:
    at, weight = np.array(problem.at), np.array(problem.weight)
    listed = np.array(problem.behind, dtype=np.int64).reshape(-1, 3)
    pairs = np.concatenate([listed[:, :2], problem.apart])
    least = np.concatenate([listed[:, 2], np.ones(len(problem.apart), dtype=np.int64)])
    gain = np.where(np.array(problem.fixed), -1 - np.abs(weight).sum(), -weight)
    while True:
        tight = at[pairs[:, 1]] - at[pairs[:, 0]] == least
        moved = best_closure(gain, pairs[tight])
        if not len(moved):
            return at.tolist()
        at[moved] += 1
