"""Dataflow: a lowered program as units joined by typed channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir.program import Program
from gatewright.ir.shapes import shapes
from gatewright.lower.claims import Claims
from gatewright.lower.cost.cells import Cost, fifo_cost
from gatewright.lower.cost.delays import delays
from gatewright.lower.folded.unit import Folded
from gatewright.lower.pipeline.clock import reachable_mhz
from gatewright.lower.stream import Lane, Port, Stream, lane_bits
from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.lower.streaming.joined import Joined
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.streaming.regrouped import Regrouped
from gatewright.lower.streaming.reordered import Reordered
from gatewright.lower.streaming.resampled import Resampled
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.tokens import Paced
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.target import Target
from gatewright.lower.unrolled import Unrolled

Unit = (
    Unrolled
    | Folded
    | Windowed
    | Pooled
    | Summed
    | Swept
    | Resampled
    | Regrouped
    | Joined
    | Reordered
    | Recurrent
    | FoldedCell
)

Less = Literal["", "slower", "stops"]
"""What a FIFO of one word less does: frames take longer, or nothing moves any more."""

MARKS = 2
"""Bits that travel with every vector through an elastic design: the last of its packet, and torn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One value from the unit that makes it to one that takes it.

    producer, consumer: names of units; None is the world outside, which gives the input and takes the result.
    depth: beats that wait between the two; 0 joins both by wires (and, in a rigid group, by what holds an early value
    until its reader starts), any other is a FIFO between elastic ends. less: what a run of tokens with one beat less
    showed, "" where none was made.
    """

    name: str
    producer: str | None
    consumer: str | None
    port: Port
    depth: int
    less: Less = ""

    @property
    def value(self) -> str:
        """The program's op whose trace the beats are."""
        return self.port.value

    @property
    def stream(self) -> Stream:
        """Shape, order and size of the beats."""
        return self.port.stream

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The exact range of each element of a beat."""
        return self.port.lanes


@dataclass(frozen=True, kw_only=True)
class Dataflow:
    """A lowered program.

    program: after the program passes. units: in an order in which each comes after those it takes from. source,
    result: what enters and leaves; result_format: what holds every element of the result. target: with the clock that
    was chosen. checked: integers compared with the golden program on the way. paced: of units on streams of several
    beats, what a run of tokens shows.
    """

    program: Program
    units: tuple[Unit, ...]
    channels: tuple[Channel, ...]
    source: Port
    result: Port
    result_format: Fixed
    target: Target
    checked: int
    paced: Paced | None = None

    def into(self, unit: Unit) -> tuple[Channel, ...]:
        """Return the channels that a unit reads, in the order of its `takes`."""
        mine = {channel.port.key: channel for channel in self.channels if channel.consumer == unit.name}
        return tuple(mine[port.key] for port in unit.takes)

    def replay(self, x: Ints) -> Ints:
        """Return the program's output for input codes x, (n, *input shape), computed unit by unit on beats."""
        beats = {self.source.key: self.source.stream.cut(x)}
        for unit in self.units:
            found = unit.replay([beats[port.key] for port in unit.takes])
            beats |= {port.key: codes for port, codes in zip(unit.gives, found, strict=True)}
        return self.result.values(beats[self.result.key]).reshape(len(x), *shapes(self.program)[self.program.output])

    @property
    def elastic(self) -> bool:
        """Whether units wait for each other, by FIFOs between them; else all run at fixed offsets from the input."""
        return any(channel.depth for channel in self.channels)

    @cached_property
    def starts(self) -> dict[str, int]:
        """For each unit the cycle in which its beats enter, counted from the input's.

        Of an elastic dataflow: those of one vector in the empty design.
        """
        found: dict[str, int] = {}
        for unit in self.units:
            found[unit.name] = max(self._ready(channel, found) for channel in self.into(unit))
        return found

    @cached_property
    def latency_cycles(self) -> int:
        """Cycles from a vector in to its result out; of frames from the first beat in."""
        if self.paced is not None:
            return self.paced.latency_cycles
        (leaving,) = (channel for channel in self.channels if channel.consumer is None)
        return self._ready(leaving, self.starts)

    @property
    def initiation_interval(self) -> int:
        """Cycles from one vector to the next."""
        if self.paced is not None:
            return self.paced.interval_cycles
        return max((unit.timing.initiation_interval for unit in self.units), default=1)

    @property
    def dsp(self) -> bool:
        """Whether products belong into DSP blocks."""
        return any(unit.dsp for unit in self.units)

    @property
    def multipliers(self) -> int:
        """Multipliers that products share in time."""
        return sum(unit.multipliers for unit in self.units)

    @property
    def adders(self) -> int:
        """Additions in hardware."""
        return self.cost.adders

    @cached_property
    def cost(self) -> Cost:
        """Estimated cells on the target's family: the units', and those that start them and hold early values."""
        total = Cost()
        for unit in self.units:
            total += unit.cost(self.target.family)
            if self.initiation_interval > 1 and self.paced is None:
                total += unit.start_cost
        for channel in self.channels:
            total += self.channel_cost(channel)
        return total

    def channel_cost(self, channel: Channel) -> Cost:
        """Return the estimated cells that a channel's values wait in: its FIFO's, or registers of a rigid group."""
        return self._fifo_cost(channel) + Cost(ff=self.slots(channel) * self.word_bits(channel))

    def period_ns(self, family: str) -> float:
        """Return the longest register-to-register delay by the family's delay model."""
        return max(unit.period_ns(family) for unit in self.units)

    @property
    def reachable_mhz(self) -> float:
        """The clock of the target, or the highest by the family's delay model where that is lower.

        A pipeline that was placed reaches what it reached.
        """
        if self.target.placed_mhz:
            return min(self.target.clock_mhz, round(self.target.placed_mhz, 3))
        return reachable_mhz(self.target.clock_mhz, self.period_ns(self.target.family))

    @property
    def claims(self) -> Claims:
        """What simulation and synthesis must find again."""
        model, placed = delays(self.target.family), int(self.target.placed_mhz)
        return Claims(
            latency_cycles=self.latency_cycles,
            initiation_interval=self.initiation_interval,
            adders=self.adders,
            dsp=self.dsp,
            family=self.target.family,
            clock_mhz=self.target.clock_mhz,
            reachable_mhz=self.reachable_mhz,
            clock_range_mhz=(placed, placed) if placed else model.clock_range_mhz(self.period_ns(self.target.family)),
            clock_basis="placed and routed" if placed else model.basis,
        )

    def slots(self, channel: Channel) -> int:
        """Return how many vectors wait in a channel of a rigid group, until its reader's other values are there.

        A vector follows the last after initiation_interval cycles or more: the k-th register takes over from the one
        before it k intervals after the value came, so it needs no counter.
        """
        if channel.consumer is None or channel.depth or self.paced is not None:
            return 0
        starts = self.starts
        return -(-(starts[channel.consumer] - self._ready(channel, starts)) // self.initiation_interval)

    @cached_property
    def _named(self) -> dict[str, Unit]:
        return {unit.name: unit for unit in self.units}

    def _ready(self, channel: Channel, starts: dict[str, int]) -> int:
        """Return the cycle in which a channel's value is there; a FIFO gives it a cycle after it was written.

        The results' FIFO is the shell's in a rigid design, and counts for neither.
        """
        fifo = int(channel.depth > 0 and channel.consumer is not None)
        if channel.producer is None:
            return fifo
        return starts[channel.producer] + self._named[channel.producer].timing.latency_cycles + fifo

    def word_bits(self, channel: Channel) -> int:
        """Return the bits of the lanes that a channel's reader reads; constants take none."""
        wanted: Sequence[int] = range(len(channel.lanes))
        if channel.consumer is not None:
            reader = self._named[channel.consumer]
            wanted = reader.wanted[reader.takes.index(channel.port)]
        return lane_bits([channel.lanes[i] for i in wanted])

    def _fifo_cost(self, channel: Channel) -> Cost:
        """Return the estimated cells of a channel's FIFO and credits, and of the line beside the unit in front."""
        if not channel.depth:
            return Cost()
        unit = None if channel.producer is None else self._named[channel.producer]
        latency = 0
        if unit is not None and not isinstance(unit, Swept | FoldedCell):  # which mark their results themselves
            latency = unit.timing.latency_cycles
        return fifo_cost(channel.depth, self.word_bits(channel) + MARKS, self.target.family) + Cost(ff=latency)
