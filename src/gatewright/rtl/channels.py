"""Channels of a dataflow in, wires or promise-keeping FIFOs and the signals behind them out: in every core that waits.

A producer's start promises a place in each channel that it feeds (gw_channel), its results are written when they are
there. Marks, where a core has them, travel in the same words above the lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gatewright.lower.cost.cells import fifo_in_block
from gatewright.lower.dataflow import MARKS, Channel, Dataflow, Unit
from gatewright.lower.elastic import channel_name
from gatewright.rtl.names import Names
from gatewright.rtl.netlist import (
    Assign,
    ChannelSignals,
    Concat,
    Expr,
    Heading,
    Instance,
    Item,
    LaneSignal,
    Literal,
    Name,
    Slice,
    Wire,
)
from gatewright.rtl.nodes import bits, joined
from gatewright.rtl.signals import CLK, RST_N, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A channel as its reader sees it: the lanes' signals, whether they are good, and the marks where there are any.

    room: a place can be promised; of wires, none: there the reader's own rooms count.
    """

    channel: Channel
    values: Values
    valid: Name
    room: Name | None
    marks: Name | None = None


@dataclass(slots=True, kw_only=True)
class Channels:
    """takes: the signal with which what a channel holds is taken, by a unit or by the world behind the results.

    items: of the core, which grow; links, signals: of the channels by their number.
    """

    dataflow: Dataflow
    names: Names
    takes: Callable[[Channel], Name]
    items: list[Item]
    links: dict[int, Link] = field(default_factory=dict[int, Link])
    signals: dict[int, ChannelSignals] = field(default_factory=dict[int, ChannelSignals])

    def into(self, consumer: str | None) -> list[Link]:
        """Return the channels that a unit reads, or the world behind the results."""
        return [link for link in self.links.values() if link.channel.consumer == consumer]

    def taken(self, unit: Unit) -> list[Link]:
        """Return the channel of each value that a unit takes."""
        by_key = {link.channel.port.key: link for link in self.into(unit.name)}
        return [by_key[port.key] for port in unit.takes]

    def rooms(self, producer: str | None) -> list[Name]:
        """Return where each FIFO that a unit feeds, or the input (None), has a place to promise."""
        links = [link for link in self.links.values() if link.channel.producer == producer]
        return [link.room for link in links if link.room is not None]

    def watched(self) -> tuple[ChannelSignals, ...]:
        """Return where the channels' transfers show, in the order of the dataflow."""
        return tuple(self.signals[number] for number in sorted(self.signals))

    def feed(
        self, unit: Unit | None, gives: Sequence[Values], start: Name, made: Name, marks: Name | None = None
    ) -> None:
        """Add the channels that a unit, or the input, feeds: places promised with start, words written with made."""
        ports = (self.dataflow.source,) if unit is None else unit.gives
        values = {port.key: signals for port, signals in zip(ports, gives, strict=True)}
        for number, channel in enumerate(self.dataflow.channels):
            if channel.producer != (unit.name if unit else None):
                continue
            given = values[channel.port.key]
            stored = self._stored(channel, given)
            if channel.depth:
                name = f"c{number}_{self.names.value(channel.value)}"
                link = self._fifo(name, channel, given, stored, start, made, marks)
            else:
                link = Link(channel=channel, values=given, valid=made, room=None, marks=marks)
            self.links[number] = link
            self.signals[number] = self._signals(link, stored, made)

    def _fifo(
        self,
        name: str,
        channel: Channel,
        given: Values,
        stored: Sequence[int],
        start: Name,
        made: Name,
        marks: Name | None,
    ) -> Link:
        lanes: list[Expr] = [given[i] for i in stored]
        size = sum(given[i].width for i in stored)
        width = max(size + (0 if marks is None else MARKS), 1)
        data: Expr = Literal(0, 1, False)
        if marks is not None:
            data = Concat((marks, *reversed(lanes)))
        elif lanes:
            data = joined(lanes)
        word, valid, room = Name(f"{name}_word", width, False), *(Name(f"{name}_{w}", 1, False) for w in _CONTROL)
        self.items.append(Heading(f"channel {channel_name(channel)}: {channel.depth} words"))
        self.items += [Wire(word), Wire(valid), Wire(room)]
        ports: list[tuple[str, Expr]] = [("clk", CLK), ("rst_n", RST_N), ("reserve", start), ("room", room)]
        ports += [("in_data", data), ("in_valid", made)]
        ports += [("out_data", word), ("out_valid", valid), ("out_ready", self.takes(channel))]
        settings = [("WIDTH", width), ("DEPTH", channel.depth)]
        if fifo_in_block(self.dataflow.target.family, width, channel.depth):
            settings.append(("BLOCK", 1))
        self.items.append(Instance("gw_channel", f"u_{name}", tuple(ports), tuple(settings), leaf=True))
        values, low = list(given), 0
        for i in stored:
            lane = given[i]
            values[i] = own = Name(f"{name}_{i}", lane.width, lane.signed)
            self.items.append(Assign(own, bits(word, low + lane.width - 1, low, lane.signed)))
            low += lane.width
        late = None
        if marks is not None:
            late = Name(f"{name}_last", MARKS, False)
            self.items.append(Assign(late, Slice(word, width - 1, width - MARKS)))
        return Link(channel=channel, values=values, valid=valid, room=room, marks=late)

    def _signals(self, link: Link, stored: Sequence[int], made: Name) -> ChannelSignals:
        """Return where a channel's transfers show."""
        channel = link.channel
        watched = [(i, link.values[i]) for i in stored]
        return ChannelSignals(
            channel=channel_name(channel),
            value=channel.value,
            stream=channel.stream,
            depth=channel.depth,
            written=made.name if channel.depth else "",
            valid=link.valid.name,
            ready=self.takes(channel).name,
            lanes=tuple(
                LaneSignal(i, value, channel.lanes[i].shift) for i, value in watched if isinstance(value, Name)
            ),
        )

    def _stored(self, channel: Channel, values: Values) -> list[int]:
        """Return the lanes that a channel's reader reads and that are no constants."""
        reader = next((unit for unit in self.dataflow.units if unit.name == channel.consumer), None)
        wanted: Sequence[int] = range(len(values))
        if reader is not None:
            wanted = reader.wanted[[port.key for port in reader.takes].index(channel.port.key)]
        return [i for i in wanted if isinstance(values[i], Name)]


_CONTROL = ("valid", "room")
