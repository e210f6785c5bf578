"""A unit that computes its ops in one pipelined circuit: a new beat may enter every cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.circuit.nodes import Circuit, Source, simulate
from gatewright.lower.cost.cells import Cost
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import Schedule, period_ns
from gatewright.lower.stream import Port, Rigid
from gatewright.lower.without_multipliers import WithoutMultipliers


@dataclass(frozen=True, kw_only=True)
class Unrolled(WithoutMultipliers):
    """takes, gives: the values that enter and leave, all with the same number of beats; each beat is one evaluation.

    The circuit's input elements are the lanes of all `takes`, one port after the other; its outputs those of `gives`.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    circuit: Circuit
    schedule: Schedule

    @property
    def timing(self) -> Rigid:
        """One beat a cycle."""
        return Rigid(latency_cycles=self.schedule.latency_cycles, initiation_interval=1)

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by each of `gives` for what enters by each of `takes`: (n, beats, lanes) each."""
        given = np.concatenate(list(beats), axis=2)
        shifted = simulate(self.circuit, given.reshape(-1, given.shape[2]))["output"]
        found = shifted >> np.array([ref.shift for ref in self.circuit.outputs], dtype=np.int64)
        ends = np.cumsum([len(port.lanes) for port in self.gives])[:-1]
        return tuple(np.split(found.reshape(*given.shape[:2], -1), ends, axis=2))

    @property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that the circuit reads."""
        read = {node.element for node in self.circuit.nodes if isinstance(node, Source)}
        firsts = np.cumsum([0, *(len(port.lanes) for port in self.takes)])
        return tuple(
            tuple(i for i in range(len(port.lanes)) if first + i in read)
            for port, first in zip(self.takes, firsts, strict=False)
        )

    @property
    def start_cost(self) -> Cost:
        """The registers that a start pulse passes beside the values, where a new beat cannot enter every cycle."""
        return Cost(ff=self.schedule.latency_cycles)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells."""
        return circuit_cost(self.circuit, self.schedule, family)

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        return period_ns(self.circuit, list(self.schedule.stages), family)
