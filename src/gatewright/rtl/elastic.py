"""An elastic dataflow in, Design out: a core of rigid units, each behind a promise of room, joined by FIFOs.

A unit starts in a cycle in which a word waits in each channel that it reads, each channel that it feeds has a place
to promise (gw_channel), and, if it takes several cycles a vector, it has rested (gw_pace). The start takes the words,
and travels beside the unit (gw_axis_delay) to write the results when they are there. A value with several readers is
written to a channel of each: nothing is copied twice or dropped, for the start waited for a place in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from gatewright.lower.cost.cells import fifo_in_block
from gatewright.lower.dataflow import MARKS, Channel, Dataflow, Unit
from gatewright.lower.elastic import channel_name
from gatewright.rtl.folded import CLK, RST_N
from gatewright.rtl.names import Names, with_names
from gatewright.rtl.netlist import (
    Assign,
    Binary,
    ChannelSignals,
    Concat,
    Design,
    Expr,
    Heading,
    Instance,
    Item,
    LaneSignal,
    LayerSignal,
    Literal,
    Module,
    Name,
    Port,
    Slice,
    Wire,
)
from gatewright.rtl.nodes import bits
from gatewright.rtl.units import Values, input_elements, origin, place, shifted

X_VALID, X_LAST, X_READY = Name("x_valid", 1, False), Name("x_last", MARKS, False), Name("x_ready", 1, False)
Y_VALID, Y_LAST, Y_READY = Name("y_valid", 1, False), Name("y_last", MARKS, False), Name("y_ready", 1, False)

_NOTES = (
    "x_valid only with x_ready. y waits from y_valid to y_ready. A vector's marks travel with it: last of its packet,",
    "and torn.",
    "Narrower values extend by context; unused bits of x belong to inputs that no weight reads, folded layers' done",
    "has no reader, and a join reads the last bit of one of its channels.",
    "verilator lint_off WIDTHEXPAND",
    "verilator lint_off UNUSEDSIGNAL",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """A channel in the core, as its reader sees it: the signals of the lanes, whether they are good, and the last bit.

    room: a place can be promised; of wires, none: there the reader's own rooms count.
    """

    channel: Channel
    values: Values
    valid: Name
    last: Name
    room: Name | None


def compile_elastic(dataflow: Dataflow, *, program_hash: str, prefix: str = "") -> Design:
    """Return the core `<name>_core`: ports clk, rst_n, x, x_valid, x_last, x_ready, y, y_valid, y_last, y_ready.

    prefix: in front of every module.
    """
    return with_names(dataflow, prefix, lambda names: _Core(dataflow, names, program_hash).design())


@dataclass(slots=True)
class _Core:
    """links, signals: of the channels in the order of the dataflow; drives: of the units' starts."""

    dataflow: Dataflow
    names: Names
    program_hash: str
    items: list[Item] = field(default_factory=list[Item])
    modules: list[Module] = field(default_factory=list[Module])
    watch: list[LayerSignal] = field(default_factory=list[LayerSignal])
    links: dict[int, _Link] = field(default_factory=dict[int, _Link])
    signals: dict[int, ChannelSignals] = field(default_factory=dict[int, ChannelSignals])
    drives: list[tuple[Name, Expr]] = field(default_factory=list[tuple[Name, Expr]])

    def design(self) -> Design:
        dataflow = self.dataflow
        program, claims = dataflow.program, dataflow.claims
        given, size = program.input.format, program.input.shape[-1]
        x = Name("x", size * given.width_bits, False)
        inputs, items = input_elements(x, size, given.width_bits, given.signed)
        self.items += [*items, Heading("starts, decided below")]
        self.items += [Wire(self._start(unit.name)) for unit in dataflow.units if not self._first(unit.name)]
        self._feed(None, [inputs], X_VALID, X_VALID, X_LAST)
        for unit in dataflow.units:
            self._unit(unit)
        result, (link,) = dataflow.result_format, self._links(consumer=None)
        y = Name("y", len(link.values) * result.width_bits, False)
        self.items.append(Heading("results"))
        parts: list[Name] = []
        for element, (value, lane) in enumerate(zip(link.values, dataflow.result.lanes, strict=True)):
            own = Name(f"result{element}", result.width_bits, result.signed)
            self.items.append(Assign(own, shifted(value, lane.shift, result.width_bits)))
            parts.append(own)
        header = (
            *origin(program.name, self.program_hash),
            f"Core: x holds {size} elements of {given}, element 0 lowest; y holds {len(link.values)} of {result}.",
            f"FIFOs join its {len(dataflow.units)} units; x_valid every {claims.initiation_interval} cycles or later.",
            *_NOTES,
        )
        first = [unit.name for unit in dataflow.units if self._first(unit.name)]
        rooms = [room for name in (None, *first) for room in self._rooms(name)]
        core = Module(
            name=self.names.core,
            header=header,
            ports=(
                *(Port(signal, False) for signal in (RST_N, x, X_VALID, X_LAST)),
                Port(X_READY, True),
                *(Port(signal, True) for signal in (y, Y_VALID, Y_LAST)),
                Port(Y_READY, False),
            ),
            items=tuple(self.items),
            drives=(
                *self.drives,
                (X_READY, _all(rooms)),
                (y, Concat(tuple(reversed(parts)))),
                (Y_VALID, link.valid),
                (Y_LAST, link.last),
            ),
        )
        return Design(
            name=self.names.top,
            modules=(*self.modules, core),
            claims=claims,
            watch=tuple(self.watch),
            channels=tuple(self.signals[number] for number in sorted(self.signals)),
        )

    def _first(self, name: str) -> bool:
        """Tell whether a unit reads the input alone, by wires: it starts with it."""
        return not any(channel.depth for channel in self.dataflow.channels if channel.consumer == name)

    def _start(self, name: str | None) -> Name:
        """Return the signal with which a unit, or the world behind the results, takes its words."""
        if name is None:
            return Y_READY
        return X_VALID if self._first(name) else Name(f"{self.names.unit(name)}_start", 1, False)

    def _links(self, consumer: str | None) -> list[_Link]:
        return [link for link in self.links.values() if link.channel.consumer == consumer]

    def _rooms(self, producer: str | None) -> list[Name]:
        links = [link for link in self.links.values() if link.channel.producer == producer]
        return [link.room for link in links if link.room is not None]

    def _unit(self, unit: Unit) -> None:
        """Add a unit between the channels that it reads, which are there, and those that it feeds."""
        name, timing, start = self.names.unit(unit.name), unit.timing, self._start(unit.name)
        by_value = {link.channel.value: link for link in self._links(unit.name)}
        taken = [by_value[port.value] for port in unit.takes]
        values = [link.values for link in taken]
        placed = place(unit, values, start, names=self.names, program_hash=self.program_hash)
        self.modules += placed.modules
        self.items += placed.items
        waiting = not self._first(unit.name)
        self.watch += [replace(signal, start=start.name if waiting else "") for signal in placed.watch]
        made, last = Name(f"{name}_made", 1, False), Name(f"{name}_made_last", MARKS, False)
        ports = [("clk", CLK), ("rst_n", RST_N), ("in_valid", start), ("in_last", taken[0].last)]
        ports += [("out_valid", made), ("out_last", last)]
        cycles = (("CYCLES", timing.latency_cycles), ("MARKS", MARKS))
        self.items += [Wire(made), Wire(last)]
        self.items.append(Instance("gw_axis_delay", f"u_{name}_delay", tuple(ports), cycles, leaf=True))
        self._feed(unit, placed.gives, start, made, last)
        if waiting:
            rested = self._rested(name, start, timing.initiation_interval)
            self.drives.append((start, _all([*(link.valid for link in taken), *self._rooms(unit.name), *rested])))

    def _rested(self, name: str, start: Name, interval: int) -> list[Name]:
        """Add the cell that keeps the starts of a unit apart, where it takes several cycles a vector."""
        if interval == 1:
            return []
        rested = Name(f"{name}_rested", 1, False)
        ports = (("clk", CLK), ("rst_n", RST_N), ("go", start), ("ready", rested))
        cycles = (("CYCLES", interval - 1),)
        self.items += [Wire(rested), Instance("gw_pace", f"u_{name}_pace", ports, cycles, leaf=True)]
        return [rested]

    def _feed(self, unit: Unit | None, gives: Sequence[Values], start: Name, made: Name, last: Name) -> None:
        """Add the channels that a unit, or the input, feeds: places promised with start, words written with made."""
        ports = (self.dataflow.source,) if unit is None else unit.gives
        values = {port.value: signals for port, signals in zip(ports, gives, strict=True)}
        for number, channel in enumerate(self.dataflow.channels):
            if channel.producer != (unit.name if unit else None):
                continue
            given = values[channel.value]
            stored = self._stored(channel, given)
            if channel.depth:
                name = f"c{number}_{self.names.value(channel.value)}"
                link = self._fifo(name, channel, given, stored, start, made, last)
            else:
                link = _Link(channel=channel, values=given, valid=made, last=last, room=None)
            self.links[number] = link
            self.signals[number] = self._signals(link, stored, made)

    def _fifo(
        self, name: str, channel: Channel, given: Values, stored: Sequence[int], start: Name, made: Name, last: Name
    ) -> _Link:
        lanes = [given[i] for i in stored]
        width = sum(lane.width for lane in lanes) + MARKS
        word, (valid, room) = Name(f"{name}_word", width, False), (Name(f"{name}_{w}", 1, False) for w in _CONTROL)
        self.items.append(Heading(f"channel {channel_name(channel)}: {channel.depth} words"))
        self.items += [Wire(word), Wire(valid), Wire(room)]
        ports: list[tuple[str, Expr]] = [("clk", CLK), ("rst_n", RST_N), ("reserve", start), ("room", room)]
        ports += [("in_data", Concat((last, *reversed(lanes)))), ("in_valid", made)]
        ports += [("out_data", word), ("out_valid", valid), ("out_ready", self._start(channel.consumer))]
        settings = [("WIDTH", width), ("DEPTH", channel.depth)]
        if fifo_in_block(self.dataflow.target.family, width, channel.depth):
            settings.append(("BLOCK", 1))
        self.items.append(Instance("gw_channel", f"u_{name}", tuple(ports), tuple(settings), leaf=True))
        values, low = list(given), 0
        for i, lane in zip(stored, lanes, strict=True):
            values[i] = own = Name(f"{name}_{i}", lane.width, lane.signed)
            self.items.append(Assign(own, bits(word, low + lane.width - 1, low, lane.signed)))
            low += lane.width
        out_last = Name(f"{name}_last", MARKS, False)
        self.items.append(Assign(out_last, Slice(word, width - 1, width - MARKS)))
        return _Link(channel=channel, values=values, valid=valid, last=out_last, room=room)

    def _signals(self, link: _Link, stored: Sequence[int], made: Name) -> ChannelSignals:
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
            ready=self._start(channel.consumer).name,
            lanes=tuple(
                LaneSignal(i, value, channel.lanes[i].shift) for i, value in watched if isinstance(value, Name)
            ),
        )

    def _stored(self, channel: Channel, values: Values) -> list[int]:
        """Return the lanes that a channel's reader reads and that are no constants."""
        reader = next((unit for unit in self.dataflow.units if unit.name == channel.consumer), None)
        wanted: Sequence[int] = range(len(values))
        if reader is not None:
            wanted = reader.wanted[[port.value for port in reader.takes].index(channel.value)]
        return [i for i in wanted if isinstance(values[i], Name)]


_CONTROL = ("valid", "room")


def _all(conditions: Sequence[Name]) -> Expr:
    """Return 1 where all are."""
    if not conditions:
        return Literal(1, 1, False)
    return reduce(lambda a, b: Binary("&", a, b), conditions[1:], conditions[0])
