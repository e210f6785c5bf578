"""A latency budget in, the fastest clock whose pipeline keeps it out; and a given clock's limit of cycles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from gatewright.errors import LowerError

STEPS_PER_MHZ = 10  # resolution of a chosen clock
HIGHEST_MHZ = 1000.0
_ROUNDING_NS = 1e-3


def reachable_mhz(clock_mhz: float, period_ns: float) -> float:
    """Return a clock, or the highest that a longest path of period_ns allows where that is lower."""
    return clock_mhz if period_ns <= 1e3 / clock_mhz + _ROUNDING_NS else round(1e3 / period_ns, 3)


def limit_cycles(max_latency_cycles: int, max_latency_ns: float, clock_mhz: float) -> int:
    """Return the limit of cycles at a clock, 0 for none. Raises LowerError where the nanoseconds hold no cycle."""
    if not max_latency_ns:
        return max_latency_cycles
    cycles = math.floor(max_latency_ns * clock_mhz / 1e3 + 1e-9)
    if not cycles:
        raise LowerError(
            f"max_latency_ns {max_latency_ns:g} is shorter than one cycle at {clock_mhz:g} MHz; allow "
            f"{1e3 / clock_mhz:g} ns, or set clock_mhz 0 to have the clock chosen"
        )
    return min(cycles, max_latency_cycles or cycles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is asked of a pipeline: a clock, a latency, or both; 0 leaves a figure open.

    Without a clock it is the fastest that keeps the latency; with one, the latency is a limit. Nanoseconds count at the
    clock asked for or, where no pipeline reaches that, at the highest that one does.
    """

    clock_mhz: float = 0.0
    max_latency_cycles: int = 0
    max_latency_ns: float = 0.0

    def __post_init__(self) -> None:
        if min(self.clock_mhz, self.max_latency_cycles, self.max_latency_ns) < 0:
            raise LowerError(
                f"clock_mhz, max_latency_cycles and max_latency_ns must not be negative, not {self.clock_mhz!r}, "
                f"{self.max_latency_cycles!r} and {self.max_latency_ns!r}; 0 leaves one open"
            )
        if not (self.clock_mhz or self.max_latency_cycles or self.max_latency_ns):
            raise LowerError("give a clock_mhz, or with clock_mhz 0 a max_latency_cycles or max_latency_ns to meet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Which latency a circuit reaches at which clock.

    cycles_at(MHz): least latency in cycles at a clock; highest_mhz: its slowest node's clock; name: as errors call it.
    """

    name: str
    cycles_at: Callable[[float], int]
    highest_mhz: float

    def fastest(self, cycles: int) -> float:
        """Return the highest clock in MHz, a multiple of 0.1, at which the latency is at most `cycles`."""
        low, high = 0, math.floor(min(self.highest_mhz, HIGHEST_MHZ) * STEPS_PER_MHZ) + 1
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.cycles_at(middle / STEPS_PER_MHZ) <= cycles
            low, high = (middle, high) if fits else (low, middle)
        if not low:
            raise LowerError(f"{self.name} needs more than {cycles} cycles at any clock; make the network shallower")
        return low / STEPS_PER_MHZ

    def choose(self, goal: Goal) -> tuple[float, int]:
        """Return the clock in MHz and the limit of cycles, 0 for none, that a goal comes to.

        Raises LowerError where no clock meets the goal, naming the best latency that there is.
        """
        if goal.clock_mhz:
            return goal.clock_mhz, self._limit(goal)
        if not goal.max_latency_ns:
            clock_mhz = self.fastest(goal.max_latency_cycles)
            return clock_mhz, self.cycles_at(clock_mhz)
        most = self.cycles_at(min(self.highest_mhz, HIGHEST_MHZ))
        most = min(most, goal.max_latency_cycles or most, max(1, int(goal.max_latency_ns * self.highest_mhz / 1e3)))
        reached: list[tuple[float, int, float]] = []
        for cycles in range(most, 0, -1):  # more cycles, faster clock
            clock_mhz = self.fastest(cycles)
            used = self.cycles_at(clock_mhz)
            reached.append((1e3 * used / clock_mhz, used, clock_mhz))
            if reached[-1][0] <= goal.max_latency_ns:
                return clock_mhz, used
        ns, used, clock_mhz = min(reached)
        raise LowerError(
            f"{self.name} cannot meet max_latency_ns {goal.max_latency_ns:g}: the least is {ns:.2f} ns "
            f"({used} cycles at {clock_mhz:g} MHz); make the network shallower or narrower"
        )

    def _limit(self, goal: Goal) -> int:
        clock_mhz = reachable_mhz(goal.clock_mhz, 1e3 / self.highest_mhz)
        return limit_cycles(goal.max_latency_cycles, goal.max_latency_ns, clock_mhz)

    def too_slow(self, goal: Goal, needed: int, allowed: int, family: str) -> LowerError:
        """Return the error for a latency above the limit at a given clock, which names a clock that keeps it."""
        missed = f"{self.name} needs {needed} cycles at {goal.clock_mhz:g} MHz on {family}, allowed are {allowed}; "
        if not goal.max_latency_ns:
            return LowerError(
                f"{missed}lower hardware.clock_mhz ({allowed} cycles are enough at {self.fastest(allowed):g} MHz), "
                "or make the network shallower or narrower"
            )
        try:
            clock_mhz, cycles = self.choose(replace(goal, clock_mhz=0.0))
        except LowerError as error:
            return LowerError(f"{missed}it {str(error).removeprefix(f'{self.name} ')}")
        return LowerError(
            f"{missed}hardware.clock_mhz = {clock_mhz:g} keeps the limit ({cycles} cycles in "
            f"{1e3 * cycles / clock_mhz:.1f} ns), or make the network shallower or narrower"
        )
