"""A unit that computes one dense layer on few multipliers: a beat takes as many cycles as its plan has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.fixedpoint import Ints
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.cells import Cost
from gatewright.lower.folded.plan import FoldedLayer, simulate
from gatewright.lower.pipeline.schedule import Schedule
from gatewright.lower.stream import Port, Rigid


@dataclass(frozen=True, kw_only=True)
class Folded:
    """reads: which lanes of the one port in `takes` are the plan's inputs.

    tree, schedule: the adders over each accumulator's products, one output per accumulator; None where no accumulator
    has two products. A result of the program is an output of the plan << up. ends_layer: whether the dense result is
    its layer's result.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    plan: FoldedLayer
    reads: tuple[int, ...]
    up: int
    ends_layer: bool
    tree: Circuit | None
    schedule: Schedule | None

    @property
    def tree_cycles(self) -> int:
        """Register stages of the adder tree."""
        return self.schedule.latency_cycles if self.schedule else 0

    @property
    def timing(self) -> Rigid:
        """Input and product registers, tree, one cycle per step."""
        latency = 2 + self.plan.gather + self.tree_cycles + self.plan.cycles
        return Rigid(latency_cycles=latency, initiation_interval=self.plan.cycles)

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        found = simulate(self.plan, given[:, :, list(self.reads)].reshape(-1, len(self.reads)))
        return (found.reshape(*given.shape[:2], -1),)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: multipliers, weights, input and result registers, adder tree."""
        raise NotImplementedError

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        raise NotImplementedError
