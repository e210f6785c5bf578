"""When a unit takes beats and gives results: a schedule of counters, never of data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

from gatewright.lower.stream import Rigid


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A unit's steps. steps: of a frame; takes[t]: whether step t takes a beat, all where it is empty.

    emits[t]: whether step t starts a result, which is there `latency_cycles` later. Entries beyond `steps` are steps
    after the frame: they come with the next frame's, or, where none of its beats waits, without any (a flush, which
    then runs to its end). rest: cycles from a step to the next one at the earliest; busy: from one that starts a
    result, where more. waits[t]: whether step t needs a beat to be there, taken or not; those that take one, where it
    is empty. reads[t]: the one of several channels that step t waits for and takes from; all, where it is empty.
    """

    steps: int
    emits: tuple[bool, ...]
    latency_cycles: int
    rest: int = 1
    busy: int = 0
    takes: tuple[bool, ...] = ()
    waits: tuple[bool, ...] = ()
    reads: tuple[int, ...] = ()

    @property
    def beats(self) -> int:
        """Beats of a frame that it takes."""
        return sum(self.takes) if self.takes else self.steps

    @property
    def results(self) -> int:
        """Results of a frame."""
        return sum(self.emits)

    @property
    def interval(self) -> int:
        """Cycles that a frame takes at the least."""
        return self.steps * self.rest + self.results * max(self.busy - self.rest, 0)

    def pause(self, *, starts: bool) -> int:
        """Return the cycles from a step to the next one. starts: whether it starts a result."""
        return max(self.rest, self.busy) if starts else self.rest


class Counted(ABC):
    """A unit whose steps a rule counts."""

    @abstractmethod
    def counted(self) -> Rule:
        """Return when it takes and gives."""

    @cached_property
    def rule(self) -> Rule:
        """When it takes and gives."""
        return self.counted()

    @property
    def timing(self) -> Rigid:
        """Cycles from the step that starts a result to the result, and of a whole frame."""
        return Rigid(latency_cycles=self.rule.latency_cycles, initiation_interval=self.rule.interval)
