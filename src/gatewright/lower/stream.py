"""What crosses a unit's edge: the shape and order of a stream, the exact range of its lanes, and when it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.lower.build.builder import Wire as Lane

__all__ = ["Elastic", "Lane", "Port", "Rigid", "Stream", "Timing", "lane_bits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How a value travels: `per_beat` elements at a time.

    shape: of the value, without the sample axis. order: its axes as they arrive, the slowest first.
    Raises LowerError where the beats do not divide the value.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    per_beat: int

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.shape))):
            raise LowerError(f"a stream's order must name each axis of {self.shape} once, not {self.order}")
        if self.per_beat < 1 or self.elements % self.per_beat:
            raise LowerError(
                f"a stream of {self.elements} elements must have a number of elements per beat that divides them, "
                f"not {self.per_beat}"
            )

    @staticmethod
    def whole(shape: tuple[int, ...]) -> Stream:
        """Return the stream whose one beat is the whole value."""
        return Stream.in_order(shape, prod(shape))

    @staticmethod
    def in_order(shape: tuple[int, ...], per_beat: int) -> Stream:
        """Return the stream of a value whose elements come as they lie, the last axis fastest."""
        return Stream(shape=shape, order=tuple(range(len(shape))), per_beat=per_beat)

    @property
    def elements(self) -> int:
        """Elements of the value."""
        return prod(self.shape)

    @property
    def beats(self) -> int:
        """Beats of one value."""
        return self.elements // self.per_beat

    def cut(self, values: Ints) -> Ints:
        """Return values (n, *shape), or as vectors, as beats (n, beats, per_beat)."""
        moved = values.reshape(len(values), *self.shape).transpose(0, *(1 + axis for axis in self.order))
        return moved.reshape(len(values), self.beats, self.per_beat)

    def join(self, beats: Ints) -> Ints:
        """Return beats (n, beats, per_beat) as values (n, *shape): the inverse of cut."""
        moved = beats.reshape(len(beats), *(self.shape[axis] for axis in self.order))
        return moved.transpose(0, *(1 + self.order.index(axis) for axis in range(len(self.shape))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One program value at a unit's edge.

    value: the program's op whose result the beats are. lanes: one for each element of a beat; an element is its
    lane's number << shift. live: which lanes can reach the program's output; the others carry 0, whatever the program
    computes.
    """

    value: str
    stream: Stream
    lanes: tuple[Lane, ...]
    live: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not len(self.lanes) == len(self.live) == self.stream.per_beat:
            raise LowerError(
                f"the port of {self.value!r} must have {self.stream.per_beat} lanes, one per element of a beat, "
                f"not {len(self.lanes)} ({len(self.live)} of them marked live or not); this is a bug, report it"
            )

    @staticmethod
    def full(value: str, stream: Stream, lanes: Sequence[Lane]) -> Port:
        """Return the port of a value all of whose lanes may reach the output."""
        return Port(value=value, stream=stream, lanes=tuple(lanes), live=(True,) * len(lanes))

    @property
    def key(self) -> tuple[str, Stream]:
        """What a channel carries: a value may travel in several streams, of beats of different sizes."""
        return self.value, self.stream

    def codes(self, trace: Mapping[str, Ints]) -> Ints:
        """Return the numbers on the lanes, (n, beats, per_beat), of the interpreter's trace."""
        beats = self.stream.cut(trace[self.value]) >> self._shifts
        return np.where(np.array(self.live), beats, 0)

    def values(self, codes: Ints) -> Ints:
        """Return the values, (n, *shape), of the numbers on the lanes; dead elements are 0."""
        return self.stream.join(codes << self._shifts)

    @property
    def _shifts(self) -> Ints:
        return np.array([lane.shift for lane in self.lanes], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rigid:
    """A unit that never waits: results latency_cycles after its start, the next start initiation_interval later."""

    latency_cycles: int
    initiation_interval: int


@dataclass(frozen=True, slots=True)
class Elastic:
    """A unit that takes and gives by valid and ready, whenever both sides are."""


Timing = Rigid | Elastic


def lane_bits(lanes: Sequence[Lane]) -> int:
    """Return the bits of lanes that vary."""
    return sum(Fixed.holding(lane.lo, lane.hi, 0).width_bits for lane in lanes if lane.lo < lane.hi)
