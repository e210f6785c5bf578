"""Swept: a unit that slides a window over a stream of pixels, and computes its products over several cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.circuit.nodes import Circuit
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
    rom_cost,
    weights_cost,
)
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import Schedule, period_ns
from gatewright.lower.stream import Port
from gatewright.lower.streaming.memory import memory_cost
from gatewright.lower.streaming.rule import Counted, Rule
from gatewright.lower.streaming.sweep import Sweep

_READ_CYCLES = 4  # from a start to the first pixel behind its memory's register


@dataclass(frozen=True, kw_only=True)
class Swept(Planned, Counted):
    """takes, gives: one port each, a pixel a beat. sweep: what the plan's cycles read.

    A block's sums enter the circuit, where there is one, in the order of the accumulators; its outputs are as many
    lanes of `gives`, block by block. A result of the convolution is a sum << up.
    """

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    sweep: Sweep
    up: int
    circuit: Circuit | None
    stages: Schedule | None

    @property
    def circuit_cycles(self) -> int:
        """Register stages of the circuit behind the accumulators."""
        return self.stages.latency_cycles if self.stages else 0

    def counted(self) -> Rule:
        """Return the rule. A step takes a pixel and writes its words; one that completes a window waits for sums."""
        window, words = self.sweep.window, self.sweep.sides.words
        return Rule(
            steps=window.beats,
            emits=window.fires,
            latency_cycles=self.sums_cycles + self.circuit_cycles,
            rest=words,
            busy=max(self.sweep.cycles, words),
        )

    @property
    def sums_cycles(self) -> int:
        """Cycles from a start to the last block's sums."""
        return _READ_CYCLES + 1 + self.tree_cycles + self.sweep.cycles

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        window, sides = self.sweep.window, self.sweep.sides
        pixels = given.reshape(len(given), *window.grid, sides.lanes)
        shown = window.gather(pixels, np.zeros(sides.lanes, dtype=np.int64))
        found = simulate(self.plan, shown.reshape(-1, len(self.plan.inputs)))
        if self.circuit is not None:
            each = simulate_circuit(self.circuit, found.reshape(-1, sides.outputs))["output"]
            found = each >> np.array([ref.shift for ref in self.circuit.outputs])
        return (found.reshape(*shown.shape[:2], -1),)

    @cached_property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that a weight reads."""
        lanes = self.sweep.sides.lanes
        read = {
            i % lanes
            for multiplier in self.plan.multipliers
            for i, weight in zip(multiplier.reads, multiplier.weights, strict=True)
            if weight
        }
        return (tuple(sorted(read)),)

    @cached_property
    def spans(self) -> dict[int, Interval]:
        """For each lane of a word that a multiplier reads, the interval that holds what it has in any word."""
        word, lanes = self.sweep.sides.word, [(lane.lo, lane.hi) for lane in self.takes[0].lanes]
        used = {multiplier.slot for multiplier in self.plan.multipliers}
        found: dict[int, Interval] = {}
        for place in sorted(used):
            ends = [lanes[i] for i in self.wanted[0] if i % word == place]
            found[place] = min(0, *(lo for lo, _ in ends)), max(0, *(hi for _, hi in ends))
        return found

    @property
    def word_bits(self) -> int:
        """Bits of a word of the memory."""
        return sum(bits_of(ends) for ends in self.spans.values())

    @property
    def sums(self) -> tuple[Interval, ...]:
        """For each accumulator the interval that holds its block's sums."""
        results, outputs = self.plan.results, self.sweep.sides.outputs
        ends = [results[output::outputs] for output in range(outputs)]
        return tuple((min(lo for lo, _ in each), max(hi for _, hi in each)) for each in ends)

    @property
    def kept_bits(self) -> int:
        """Bits of a block's results, which wait for those of the others."""
        blocks = self.sweep.sides.blocks
        return sum(bits_of((lane.lo, lane.hi)) for lane in self.gives[0].lanes[: len(self.gives[0].lanes) // blocks])

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: memory, walk, weights, products, trees, accumulators, and the circuit behind."""
        plan, sweep, small = self.plan, self.sweep, not delays(family).ternary
        sides, window = sweep.sides, sweep.window
        marks = 1 + (sides.blocks - 1).bit_length()
        total = weights_cost(plan, marks, family) + products_cost(plan, family) + self.tree_cost(family)
        if plan.cycles >= BLOCK_DEPTH:
            total += Cost(ff=sum(multiplier.weight_bits for multiplier in plan.multipliers) + marks)
        if self.circuit and self.stages:
            total += circuit_cost(self.circuit, self.stages, family)
        address = (sweep.depth - 1).bit_length()
        masks = sum(size for size, pads in zip(window.size, window.pads, strict=True) if any(pads))
        total += memory_cost(sweep.depth, self.word_bits, family) + rom_cost(sweep.again, address + masks, family)
        total += Cost(ff=2 * self.word_bits + 2 * address, lut=2 * address + 2 * masks)
        if sides.words > 1:
            total += Cost(ff=sides.words * self.word_bits, lut=(sides.words - 1) * self.word_bits)
        widths = sum(bits_of((min(lo, -1), hi)) for lo, hi in plan.totals)
        total += Cost(lut=widths * (2 if small else 1), ff=widths)
        if sides.blocks > 1:
            rows = sum(bits_of((min(a.biases), max(a.biases))) for a in plan.accumulators)
            total += Cost(ff=(sides.blocks - 1) * self.kept_bits + rows, lut=rows)
        counters = 2 * plan.cycles.bit_length() + (window.beats - 1).bit_length() + max(window.counts).bit_length()
        late = self.tree_cycles + self.circuit_cycles
        total += Cost(lut=2 * counters + 12, ff=counters + 2 * late + 16)
        return total + Cost(adders=len(plan.accumulators))

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        model = delays(family)
        address = model.logic_ns + model.carry_base_ns + model.carry_per_bit_ns * (self.sweep.depth - 1).bit_length()
        read = model.block_ns + model.logic_ns
        longest = max(accumulate_ns(self.plan, family), multiply_ns(self.plan, family), address, read)
        behind = period_ns(self.circuit, list(self.stages.stages), family) if self.circuit and self.stages else 0.0
        return max(round(model.register_ns + longest, 4), self.tree_ns(family), behind)
