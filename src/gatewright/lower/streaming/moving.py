"""Moving: what units have in common that only move beats about: no products, counters instead of arithmetic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gatewright.fixedpoint import Fixed, Ints
from gatewright.lower.cost.cells import Cost
from gatewright.lower.cost.delays import delays
from gatewright.lower.stream import Lane, Port, Rigid
from gatewright.lower.streaming.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Moving(ABC):
    """takes, gives: the values that enter and leave, each with its stream. All lanes are read."""

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]

    @abstractmethod
    def steps(self) -> Rule:
        """Return when it takes and gives."""

    @abstractmethod
    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""

    @abstractmethod
    def cost(self, family: str) -> Cost:
        """Return the estimated cells."""

    @cached_property
    def rule(self) -> Rule:
        """When it takes and gives."""
        return self.steps()

    @property
    def timing(self) -> Rigid:
        """Cycles from a step to its result, and of a whole frame."""
        return Rigid(latency_cycles=self.rule.latency_cycles, initiation_interval=self.rule.interval)

    @property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that are read."""
        return tuple(tuple(range(len(port.lanes))) for port in self.takes)

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

    @property
    def counter_bits(self) -> int:
        """Bits that count the steps of a frame."""
        return max(len(self.rule.emits) - 1, 1).bit_length()

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model: a counter, and a choice by it."""
        model = delays(family)
        carry = model.carry_base_ns + model.carry_per_bit_ns * self.counter_bits
        return round(model.register_ns + 2 * model.logic_ns + carry, 4)


def lane_bits(lanes: Sequence[Lane]) -> int:
    """Return the bits of lanes that vary."""
    return sum(Fixed.holding(lane.lo, lane.hi, 0).width_bits for lane in lanes if lane.lo < lane.hi)


def common_lane(lanes: Sequence[Lane]) -> Lane:
    """Return what carries the values of any of some lanes."""
    shift = min(lane.shift for lane in lanes)
    low = min(lane.lo << (lane.shift - shift) for lane in lanes)
    return Lane(low, max(lane.hi << (lane.shift - shift) for lane in lanes), shift)
