"""When a unit takes beats and gives results: a schedule of counters, never of data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A unit's steps. beats: of a frame that it takes, one in each step.

    emits[t]: whether the step with beat t starts a result, which is there `latency_cycles` later. Entries beyond
    `beats` are steps after the frame: they come with the next frame's beats, or, where none waits, without any (a
    flush, which then runs to its end). rest: cycles from a step to the next one at the earliest.
    """

    beats: int
    emits: tuple[bool, ...]
    latency_cycles: int
    rest: int = 1

    @property
    def results(self) -> int:
        """Results of a frame."""
        return sum(self.emits)

    @property
    def interval(self) -> int:
        """Cycles that a frame takes at the least."""
        return self.beats * self.rest
