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
from gatewright.lower.stream import lane_bits
from gatewright.lower.streaming.memory import memory_cost
from gatewright.lower.streaming.moving import Plain
from gatewright.lower.streaming.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Pooled(Plain):
    """takes, gives: one port each, a pixel a beat. grid: rows and columns of a frame; size: of a window, in pixels."""

    kind: PoolKind
    grid: tuple[int, int]
    size: tuple[int, int]

    @property
    def counts(self) -> tuple[int, int]:
        """Windows along rows and columns; pixels beyond the last belong to none."""
        return self.grid[0] // self.size[0], self.grid[1] // self.size[1]

    def counted(self) -> Rule:
        """Return the rule. The step with a window's last pixel starts a result."""
        ends = np.zeros(self.grid, dtype=bool)
        (rows, columns), (down, right) = self.counts, self.size
        ends[down - 1 : rows * down : down, right - 1 : columns * right : right] = True
        return Rule(steps=ends.size, emits=tuple(ends.ravel().tolist()), latency_cycles=1 + (self.size[0] > 1))

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        (rows, columns), (down, right) = self.counts, self.size
        pixels = given.reshape(len(given), *self.grid, -1)[:, : rows * down, : columns * right]
        found = pool(pixels, self.kind.value, self.size, self.size, ((0, 0), (0, 0)))
        return (found.reshape(len(given), rows * columns, -1),)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: a reduction along rows and one along columns, the memory between, counters."""
        bits = lane_bits(self.gives[0].lanes)
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
