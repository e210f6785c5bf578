"""Recurrent: a unit that takes a frame step by step through one circuit, whose state it holds between the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.circuit.nodes import Circuit, Source, simulate
from gatewright.lower.cost.cells import Cost
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import Schedule, period_ns
from gatewright.lower.stream import Lane, Port, lane_bits
from gatewright.lower.streaming.rule import Counted, Rule
from gatewright.lower.without_multipliers import WithoutMultipliers


@dataclass(frozen=True, kw_only=True)
class Recurrent(WithoutMultipliers, Counted):
    """takes: a step a beat; gives: a beat for each step, or one of the last. emit: which outputs leave.

    The circuit's input elements are the lanes of `takes`, then those of the state; its first outputs are the next
    state, `up` bits of zeros below each left out. states: by what the state is carried; initial: its numbers before a
    frame's first step. A step begins when the one before has left the pipeline, whose last registers hold the state.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    circuit: Circuit
    schedule: Schedule
    states: tuple[Lane, ...]
    initial: tuple[int, ...]
    up: int
    emit: tuple[int, int]

    def counted(self) -> Rule:
        """Return the rule. A step starts its result, and the next one waits for its state."""
        steps, cycles = self.takes[0].stream.beats, self.schedule.latency_cycles
        emits = (True,) * steps if self.every_step else (False,) * (steps - 1) + (True,)
        return Rule(steps=steps, emits=emits, latency_cycles=cycles, rest=cycles)

    @property
    def every_step(self) -> bool:
        """Whether each step's result leaves, not the last one's alone."""
        return self.gives[0].stream.beats == self.takes[0].stream.beats

    @cached_property
    def before_state(self) -> Schedule:
        """The pipeline without the registers at its end: those of the state and of the results are the unit's."""
        return replace(self.schedule, latency_cycles=self.schedule.latency_cycles - 1)

    def shift_of(self, state: int) -> int:
        """Return by how much the number of the circuit's output is shifted up to be that of the state."""
        return self.circuit.outputs[state].shift + self.up - self.states[state].shift

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        first, end = self.emit
        shifts = np.array([ref.shift for ref in self.circuit.outputs[first:end]], dtype=np.int64)
        down = np.array([lane.shift for lane in self.states], dtype=np.int64)
        state = np.broadcast_to(np.array(self.initial, dtype=np.int64), (len(given), len(self.initial)))
        results: list[Ints] = []
        for step in range(given.shape[1]):
            after = simulate(self.circuit, np.concatenate([given[:, step], state], axis=1))["output"]
            state = after[:, : len(self.states)] << self.up >> down
            results.append(after[:, first:end] >> shifts)
        return (np.stack(results if self.every_step else results[-1:], axis=1),)

    @cached_property
    def reads(self) -> frozenset[int]:
        """The circuit's input elements that it reads."""
        return frozenset(node.element for node in self.circuit.nodes if isinstance(node, Source))

    @property
    def held(self) -> tuple[int, ...]:
        """The states that the circuit reads and that vary, by their numbers."""
        lanes, first = enumerate(self.states), len(self.takes[0].lanes)
        return tuple(i for i, lane in lanes if first + i in self.reads and lane.lo < lane.hi)

    @property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that the circuit reads."""
        return (tuple(sorted(i for i in self.reads if i < len(self.takes[0].lanes))),)

    @property
    def start_cost(self) -> Cost:
        """The registers that a start passes beside the values."""
        return Cost(ff=self.rule.latency_cycles)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: the circuit, the registers of the state and of the results, counters."""
        own = lane_bits([self.states[i] for i in self.held]) + lane_bits(self.gives[0].lanes)
        counters = sum(max(size - 1, 1).bit_length() for size in (self.rule.steps, self.rule.rest))
        total = circuit_cost(self.circuit, self.before_state, family)
        return total + Cost(lut=2 * counters + 4, ff=own + counters)

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        return period_ns(self.circuit, list(self.schedule.stages), family)
