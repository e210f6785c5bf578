"""FoldedCell: a unit that takes a frame step by step, some of the units of its cell at a time on few multipliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.circuit.nodes import Circuit, Source
from gatewright.lower.circuit.nodes import simulate as simulate_circuit
from gatewright.lower.cost.cells import Cost
from gatewright.lower.cost.delays import delays
from gatewright.lower.folded.plan import BLOCK_DEPTH, Interval, simulate
from gatewright.lower.folded.planned import (
    Planned,
    accumulate_ns,
    bits_of,
    multiply_ns,
    products_cost,
    weights_cost,
)
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import Schedule, period_ns
from gatewright.lower.stream import Lane, Port
from gatewright.lower.streaming.rule import Counted, Rule
from gatewright.lower.streaming.sweep import Sides


@dataclass(frozen=True, kw_only=True)
class FoldedCell(Planned, Counted):
    """takes: a step a beat; gives: a beat for each step, or one of the last.

    operands: what the plan's inputs are: a lane of `takes`, then those of the state, -1 for zeros that fill up a word;
    they rotate, a word a cycle, past the multipliers. A block's sums, and the state of its units, enter the circuit,
    whose outputs are as many of each part of the body's result, the state first, `up` bits of zeros below each left
    out. states: by what each part of the state is carried, of any unit; initial: its numbers before a frame's first
    step. The registers of the results are the last ones of the circuit.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    sides: Sides
    operands: tuple[int, ...]
    circuit: Circuit
    stages: Schedule
    states: tuple[Lane, ...]
    initial: tuple[int, ...]
    up: int
    emit: int

    @property
    def units(self) -> int:
        """Units of the cell: elements of each part of its state and of its result."""
        return len(self.gives[0].lanes)

    @property
    def each(self) -> int:
        """Units that are computed at a time."""
        return self.units // self.sides.blocks

    @cached_property
    def before_results(self) -> Schedule:
        """The circuit's pipeline without the registers at its end."""
        return replace(self.stages, latency_cycles=self.stages.latency_cycles - 1)

    @property
    def in_block_ram(self) -> bool:
        """Whether the weights are in block RAM, with a register behind it."""
        return self.plan.cycles >= BLOCK_DEPTH

    @property
    def sums_late(self) -> int:
        """Cycles from a block's last word to its sums."""
        return 3 + self.in_block_ram + self.tree_cycles

    def counted(self) -> Rule:
        """Return the rule. A step starts its result, and the next one waits for its state."""
        steps = self.takes[0].stream.beats
        rest = self.plan.cycles + self.sums_late + self.stages.latency_cycles
        emits = (True,) * steps if self.every_step else (False,) * (steps - 1) + (True,)
        return Rule(steps=steps, emits=emits, latency_cycles=rest, rest=rest)

    @property
    def every_step(self) -> bool:
        """Whether each step's result leaves, not the last one's alone."""
        return self.gives[0].stream.beats == self.takes[0].stream.beats

    def shift_of(self, part: int, place: int) -> int:
        """Return by how much the number of a circuit's output is shifted up to be that of the state."""
        return self.circuit.outputs[part * self.each + place].shift + self.up - self.states[part].shift

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        n, parts, blocks, each = len(given), len(self.states), self.sides.blocks, self.each
        down = np.repeat([lane.shift for lane in self.states], self.units)
        shifts = np.array([ref.shift for ref in self.circuit.outputs[self.emit * each : (self.emit + 1) * each]])
        zero = np.zeros((n, 1), dtype=np.int64)
        state = np.broadcast_to(np.array(self.initial, dtype=np.int64), (n, len(self.initial)))
        results: list[Ints] = []
        for step in range(given.shape[1]):
            read = np.concatenate([given[:, step], state, zero], axis=1)[:, list(self.operands)]
            sums = simulate(self.plan, read).reshape(n * blocks, -1)
            own = state.reshape(n, parts, blocks, each).transpose(0, 2, 1, 3).reshape(n * blocks, -1)
            made = simulate_circuit(self.circuit, np.concatenate([sums, own], axis=1))["output"]
            after = made.reshape(n, blocks, -1, each).transpose(0, 2, 1, 3).reshape(n, -1)
            state = after[:, : parts * self.units] << self.up >> down
            leaves = after[:, self.emit * self.units : (self.emit + 1) * self.units]
            results.append((leaves.reshape(n, blocks, each) >> shifts).reshape(n, -1))
        return (np.stack(results if self.every_step else results[-1:], axis=1),)

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The places of a word that a multiplier reads."""
        return tuple(sorted({multiplier.slot for multiplier in self.plan.multipliers}))

    def column(self, place: int) -> tuple[int, ...]:
        """Return the operands that pass one place, in the order of the words."""
        return self.operands[place :: self.sides.word]

    @cached_property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that pass a multiplier."""
        lanes = len(self.takes[0].lanes)
        return (tuple(sorted({i for place in self.columns for i in self.column(place) if 0 <= i < lanes})),)

    @cached_property
    def owned(self) -> tuple[int, ...]:
        """The parts of the state that the circuit reads of its own units."""
        read = {node.element - self.sides.outputs for node in self.circuit.nodes if isinstance(node, Source)}
        parts = {element // self.each for element in read if element >= 0}
        return tuple(part for part in sorted(parts) if self.states[part].lo < self.states[part].hi)

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """The parts of the result that are needed when all units are done: those that are read again, or leave."""
        lanes = len(self.takes[0].lanes)
        rotating = {(i - lanes) // self.units for place in self.columns for i in self.column(place) if i >= lanes}
        return tuple(sorted({*rotating, *self.owned, self.emit}))

    def span(self, place: int) -> Interval:
        """Return the interval that holds whatever passes one place of a word."""
        lanes = self.takes[0].lanes
        ends = [(0, 0)]
        for i in self.column(place):
            lane = lanes[max(i, 0)] if i < len(lanes) else self.states[(i - len(lanes)) // self.units]
            ends.append((lane.lo, lane.hi) if i >= 0 else (0, 0))
        return min(lo for lo, _ in ends), max(hi for _, hi in ends)

    @property
    def sums(self) -> tuple[Interval, ...]:
        """For each accumulator the interval that holds its sums, of any block."""
        results, outputs = self.plan.results, self.sides.outputs
        ends = [results[output::outputs] for output in range(outputs)]
        return tuple((min(lo for lo, _ in each), max(hi for _, hi in each)) for each in ends)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: rotating operands, weights, products, accumulators, the circuit, its results."""
        plan, small, blocks = self.plan, not delays(family).ternary, self.sides.blocks
        marks = 1 + (blocks - 1).bit_length()
        total = weights_cost(plan, marks, family) + products_cost(plan, family) + self.tree_cost(family)
        if self.in_block_ram:
            total += Cost(ff=sum(multiplier.weight_bits for multiplier in plan.multipliers) + marks)
        total += circuit_cost(self.circuit, self.before_results, family)
        rotating = sum(bits_of(self.span(place)) for place in self.columns) * self.sides.words
        own = sum(bits_of((self.states[part].lo, self.states[part].hi)) for part in self.owned) * self.units
        outputs = [self.circuit.nodes[self.circuit.outputs[part * self.each].node] for part in self.kept]
        kept = sum(bits_of((node.lo, node.hi)) for node in outputs) * self.units
        total += Cost(ff=rotating + own + kept, lut=(rotating if self.sides.words > 1 else 0) + own * (blocks > 1))
        widths = sum(bits_of((min(lo, -1), hi)) for lo, hi in plan.totals)
        total += Cost(lut=widths * (2 if small else 1), ff=widths)
        if blocks > 1:
            rows = sum(bits_of((min(a.biases), max(a.biases))) for a in plan.accumulators)
            total += Cost(ff=rows, lut=rows)
        counters = 2 * plan.cycles.bit_length() + (self.rule.steps - 1).bit_length()
        late = 2 * (self.sums_late + self.stages.latency_cycles)
        return total + Cost(lut=2 * counters + 12, ff=counters + late + 8, adders=len(plan.accumulators))

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        model = delays(family)
        longest = max(accumulate_ns(self.plan, family), multiply_ns(self.plan, family))
        behind = period_ns(self.circuit, list(self.stages.stages), family)
        return max(round(model.register_ns + longest, 4), self.tree_ns(family), behind)
