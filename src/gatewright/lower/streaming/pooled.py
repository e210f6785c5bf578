"""Pooled: a unit that reduces windows that do not overlap, and holds one partial result for each of a row's windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir.ops import PoolKind
from gatewright.ir.windows import pool
from gatewright.lower.cost.cells import Cost
from gatewright.lower.cost.delays import delays
from gatewright.lower.stream import Port, Rigid
from gatewright.lower.streaming.memory import memory_cost
from gatewright.lower.streaming.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """takes, gives: one port each, a pixel a beat. grid: rows and columns of a frame; size: of a window, in pixels."""

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    kind: PoolKind
    grid: tuple[int, int]
    size: tuple[int, int]

    @property
    def counts(self) -> tuple[int, int]:
        """Windows along rows and columns; pixels beyond the last belong to none."""
        return self.grid[0] // self.size[0], self.grid[1] // self.size[1]

    @property
    def rule(self) -> Rule:
        """The step with a window's last pixel starts a result."""
        ends = np.zeros(self.grid, dtype=bool)
        (rows, columns), (down, right) = self.counts, self.size
        ends[down - 1 : rows * down : down, right - 1 : columns * right : right] = True
        return Rule(steps=ends.size, emits=tuple(ends.ravel().tolist()), latency_cycles=1 + (self.size[0] > 1))

    @property
    def timing(self) -> Rigid:
        """Cycles from a window's last pixel to its result, and of a whole frame."""
        return Rigid(latency_cycles=self.rule.latency_cycles, initiation_interval=self.rule.interval)

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        (rows, columns), (down, right) = self.counts, self.size
        pixels = given.reshape(len(given), *self.grid, -1)[:, : rows * down, : columns * right]
        found = pool(pixels, self.kind.value, self.size, self.size, ((0, 0), (0, 0)))
        return (found.reshape(len(given), rows * columns, -1),)

    @property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that are read."""
        return (tuple(range(len(self.takes[0].lanes))),)

    @property
    def multipliers(self) -> int:
        """Multipliers that products share in time: none."""
        return 0

    @property
    def dsp(self) -> bool:
        """Whether products belong into DSP blocks: there are none."""
        return False

    @property
    def start_cost(self) -> Cost:
        """The registers that a start passes beside the values; they are part of the cost."""
        return Cost()

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: a reduction along rows and one along columns, the memory between, counters."""
        bits = sum(Fixed.holding(lane.lo, lane.hi, 0).width_bits for lane in self.gives[0].lanes if lane.lo < lane.hi)
        stages = [extent > 1 for extent in self.size]
        each = 2 if self.kind is PoolKind.MAX else 1  # a comparison and a choice, or a sum
        counters = sum(max(extent - 1, 1).bit_length() for extent in (*self.counts, *self.size))
        total = Cost(lut=each * bits * sum(stages) + 2 * counters + 4, ff=bits * (1 + stages[0]) + counters + 6)
        if stages[0] and self.counts[1] > 1:
            total += memory_cost(max(self.counts[1], 2), bits, family)
        elif stages[0]:
            total += Cost(ff=bits)
        return total

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model: a comparison and a choice."""
        model = delays(family)
        widest = max(Fixed.holding(lane.lo, lane.hi, 0).width_bits for lane in self.gives[0].lanes)
        carry = model.carry_base_ns + model.carry_per_bit_ns * widest
        return round(model.register_ns + 2 * model.logic_ns + carry, 4)
