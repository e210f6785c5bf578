"""Plain: what units have in common that have no products; Moving: those that only move beats about, by counters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.fixedpoint import Ints
from gatewright.lower.cost.cells import Cost
from gatewright.lower.cost.delays import delays
from gatewright.lower.stream import Lane, Port
from gatewright.lower.streaming.rule import Counted
from gatewright.lower.without_multipliers import WithoutMultipliers


@dataclass(frozen=True, kw_only=True)
class Plain(WithoutMultipliers, Counted):
    """takes, gives: the values that enter and leave, each with its stream. All lanes are read."""

    name: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]

    @abstractmethod
    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""

    @abstractmethod
    def cost(self, family: str) -> Cost:
        """Return the estimated cells."""

    @property
    def wanted(self) -> tuple[tuple[int, ...], ...]:
        """For each of `takes` the lanes that are read."""
        return tuple(tuple(range(len(port.lanes))) for port in self.takes)

    @property
    def start_cost(self) -> Cost:
        """The registers that a start passes beside the values; they are part of the cost."""
        return Cost()


@dataclass(frozen=True, kw_only=True)
class Moving(Plain):
    """A unit that only moves beats about."""

    @property
    def counter_bits(self) -> int:
        """Bits that count the steps of a frame."""
        return max(len(self.rule.emits) - 1, 1).bit_length()

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model: a counter, and a choice by it."""
        model = delays(family)
        carry = model.carry_base_ns + model.carry_per_bit_ns * self.counter_bits
        return round(model.register_ns + 2 * model.logic_ns + carry, 4)


def common_lane(lanes: Sequence[Lane]) -> Lane:
    """Return what carries the values of any of some lanes."""
    shift = min(lane.shift for lane in lanes)
    low = min(lane.lo << (lane.shift - shift) for lane in lanes)
    return Lane(low, max(lane.hi << (lane.shift - shift) for lane in lanes), shift)
