"""A dataflow of units on streams in, Design out: a core whose units take and give beats as counters tell them.

A unit takes a beat when one waits in each channel that it reads and, where a result begins with it, each channel that
it feeds has a place to promise (gw_channel); the beat's result is written a fixed number of cycles later. Nothing in
the core knows of frames' ends but the units' own counters, so frames must come whole (gw_frame_in).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import assert_never

from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.cells import fifo_in_block
from gatewright.lower.dataflow import Channel, Dataflow, Unit
from gatewright.lower.elastic import channel_name
from gatewright.lower.folded.unit import Folded
from gatewright.lower.pipeline.schedule import Schedule
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.tensor.depths import rule_of
from gatewright.lower.unrolled import Unrolled
from gatewright.rtl.names import Names, with_names
from gatewright.rtl.netlist import (
    Assign,
    ChannelSignals,
    Concat,
    Design,
    Expr,
    Heading,
    Instance,
    Item,
    LaneSignal,
    Literal,
    Module,
    Name,
    Port,
    Wire,
)
from gatewright.rtl.nodes import bits, joined
from gatewright.rtl.products import signal
from gatewright.rtl.streaming.counting import CLK, RST_N, YES, both
from gatewright.rtl.streaming.pooled import compile_pooled
from gatewright.rtl.streaming.regroup import Lanes
from gatewright.rtl.streaming.summed import compile_summed
from gatewright.rtl.streaming.swept import compile_swept
from gatewright.rtl.streaming.windowed import compile_window, shown
from gatewright.rtl.units import Values, constant, input_elements, origin, pipeline, shifted

X_VALID, X_READY, Y_VALID, Y_READY = (
    Name(f"{which}", 1, False) for which in ("x_valid", "x_ready", "y_valid", "y_ready")
)

_NOTES = (
    "x_valid only with x_ready. y waits from y_valid to y_ready. Frames must be whole.",
    "Narrower values extend by context; unused bits of x belong to inputs that no weight reads.",
    "verilator lint_off WIDTHEXPAND",
    "verilator lint_off UNUSEDSIGNAL",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """A channel as its reader sees it: the lanes' signals, and whether a beat waits. room: None for wires."""

    channel: Channel
    values: Values
    valid: Name
    room: Name | None


def compile_streams(dataflow: Dataflow, *, program_hash: str, prefix: str = "") -> Design:
    """Return the core `<name>_core`: ports clk, rst_n, x, x_valid, x_ready, y, y_valid, y_ready, a beat each.

    prefix: in front of every module.
    """
    return with_names(dataflow, prefix, lambda names: _Core(dataflow, names, program_hash).design())


@dataclass(slots=True)
class _Core:
    """links, signals: of the channels by their number; drives: of wires that are read before what decides them."""

    dataflow: Dataflow
    names: Names
    program_hash: str
    items: list[Item] = field(default_factory=list[Item])
    modules: list[Module] = field(default_factory=list[Module])
    links: dict[int, _Link] = field(default_factory=dict[int, _Link])
    signals: dict[int, ChannelSignals] = field(default_factory=dict[int, ChannelSignals])
    drives: list[tuple[Name, Expr]] = field(default_factory=list[tuple[Name, Expr]])

    def design(self) -> Design:
        dataflow = self.dataflow
        program, claims = dataflow.program, dataflow.claims
        given, lanes = program.input.format, len(dataflow.source.lanes)
        x = Name("x", lanes * given.width_bits, False)
        inputs, items = input_elements(x, lanes, given.width_bits, given.signed)
        self.items += [*items, Heading("decided below: which units take the beats that wait, and start results")]
        for unit in dataflow.units:
            self.items += [Wire(self._ready(unit.name)), Wire(self._start(unit.name))]
        self._feed(None, [inputs], X_VALID, X_VALID)
        for unit in dataflow.units:
            self._unit(unit)
        result = dataflow.result_format
        (link,) = self._links(None)
        y = Name("y", len(link.values) * result.width_bits, False)
        self.items.append(Heading("results"))
        parts: list[Name] = []
        for element, (value, lane) in enumerate(zip(link.values, dataflow.result.lanes, strict=True)):
            own = Name(f"result{element}", result.width_bits, result.signed)
            self.items.append(Assign(own, shifted(value, lane.shift, result.width_bits)))
            parts.append(own)
        source, gives = dataflow.source.stream, dataflow.result.stream
        header = (
            *origin(program.name, self.program_hash),
            f"Core: a frame is {source.beats} beats of x, {lanes} elements of {given} each, element 0 lowest;",
            f"its result {gives.beats} beats of y, {len(link.values)} of {result}.",
            f"A frame takes {claims.initiation_interval} cycles.",
            *_NOTES,
        )
        ready = [self._ready(unit.name) for unit in dataflow.units if self._wired(unit.name)]
        rooms = [link.room for link in self.links.values() if link.channel.producer is None and link.room is not None]
        core = Module(
            name=self.names.core,
            header=header,
            ports=(
                *(Port(own, False) for own in (RST_N, x, X_VALID)),
                Port(X_READY, True),
                *(Port(own, True) for own in (y, Y_VALID)),
                Port(Y_READY, False),
            ),
            items=tuple(self.items),
            drives=(
                *self.drives,
                (X_READY, _all([*ready, *rooms])),
                (y, Concat(tuple(reversed(parts)))),
                (Y_VALID, link.valid),
            ),
        )
        return Design(
            name=self.names.top,
            modules=(*self.modules, core),
            claims=claims,
            watch=(),
            channels=tuple(self.signals[number] for number in sorted(self.signals)),
        )

    # ---- names

    def _wired(self, name: str) -> bool:
        """Tell whether the input reaches a unit by wires."""
        return any(channel.consumer == name and not channel.depth for channel in self.dataflow.channels)

    def _ready(self, name: str | None) -> Name:
        """Return the signal with which a unit, or the world behind the results, takes a beat."""
        return Y_READY if name is None else Name(f"{self.names.unit(name)}_ready", 1, False)

    def _start(self, name: str) -> Name:
        """Return the signal with which a unit starts a result."""
        return Name(f"{self.names.unit(name)}_start", 1, False)

    def _links(self, consumer: str | None) -> list[_Link]:
        return [link for link in self.links.values() if link.channel.consumer == consumer]

    # ---- units

    def _unit(self, unit: Unit) -> None:
        """Add a unit between the channels that it reads, which are there, and those that it feeds."""
        name = self.names.unit(unit.name)
        by_value = {link.channel.value: link for link in self._links(unit.name)}
        taken = [by_value[port.value] for port in unit.takes]
        rule, start = rule_of(unit), self._start(unit.name)
        made = Name(f"{name}_made", 1, False)
        self.items.append(Heading(f"{unit.name}: a result {rule.latency_cycles} cycles after its start"))
        rooms: list[Name] = []
        self.items.append(Wire(made))
        if not isinstance(unit, Swept):  # which tells itself
            ports: tuple[tuple[str, Expr], ...] = (("clk", CLK), ("rst_n", RST_N), ("in", start), ("out", made))
            cycles = (("CYCLES", rule.latency_cycles),)
            self.items.append(Instance("gw_start_delay", f"u_{name}_delay", ports, cycles, leaf=True))
        match unit:
            case Unrolled():
                gives = self._circuit(name, unit.circuit, unit.schedule, [v for link in taken for v in link.values])
                rooms = self._feed(unit, [gives], start, made)
                valid = _all([link.valid for link in taken])
                if self._wired(unit.name):
                    self.drives += [(self._ready(unit.name), _all(rooms)), (start, valid)]
                else:
                    self.drives += [(self._ready(unit.name), start), (start, _all([valid, *rooms]))]
            case Windowed():
                gives = self._window(unit, taken[0])
                self._feed(unit, [gives], start, made)
            case Pooled():
                gives = self._pool(unit, taken[0])
                self._feed(unit, [gives], start, made)
            case Summed():
                gives = self._sum(unit, taken[0])
                self._feed(unit, [gives], start, made)
            case Swept():
                gives = self._sweep(unit, taken[0], made)
                self._feed(unit, [gives], start, made)
            case Folded():
                raise AssertionError(f"unit {unit.name!r} is of the folded architecture, which has no streams")
            case _:
                assert_never(unit)

    def _control(self, unit: Unit, taken: _Link) -> list[tuple[str, Expr]]:
        """Return the ports with which a unit's module takes beats and starts results."""
        room = Name(f"{self.names.unit(unit.name)}_room", 1, False)
        self.items.append(Wire(room))
        return [
            ("clk", CLK),
            ("rst_n", RST_N),
            ("valid", taken.valid),
            ("room", room),
            ("ready", self._ready(unit.name)),
            ("start", self._start(unit.name)),
        ]

    def _lanes(self, unit: Unit, taken: _Link, ports: list[tuple[str, Expr]]) -> Lanes:
        """Return the signals inside a unit's module of the lanes that it reads, and connect them."""
        found: Lanes = {}
        for i in unit.wanted[0]:
            value = taken.values[i]
            if isinstance(value, Name):
                found[i] = own = Name(f"x{i}", value.width, value.signed)
                ports.append((own.name, value))
            else:
                found[i] = value
        return found

    def _window(self, unit: Windowed, taken: _Link) -> Values:
        name = self.names.unit(unit.name)
        ports = self._control(unit, taken)
        lanes = self._lanes(unit, taken, ports)
        module = compile_window(
            unit,
            name=self.names.window(unit.name),
            origin=origin(self.dataflow.program.name, self.program_hash),
            lanes=lanes,
            family=self.dataflow.target.family,
        )
        self.modules.append(module)
        elements: list[Name | Literal] = [Literal(0, 1, False)] * unit.circuit.input_elements
        for element, inner in shown(unit).items():
            own = Name(f"{name}_w{element}", inner.width, inner.signed)
            self.items.append(Wire(own))
            ports.append((f"o_{inner.name}", own))
            elements[element] = own
        self.items.append(Instance(module.name, f"u_{name}_window", tuple(ports)))
        return self._circuit(name, unit.circuit, unit.schedule, elements)

    def _pool(self, unit: Pooled, taken: _Link) -> Values:
        name = self.names.unit(unit.name)
        ports = self._control(unit, taken)
        lanes = self._lanes(unit, taken, ports)
        module = compile_pooled(
            unit,
            name=self.names.folded(unit.name),
            origin=origin(self.dataflow.program.name, self.program_hash),
            lanes=lanes,
            family=self.dataflow.target.family,
        )
        self.modules.append(module)
        found: Values = []
        for i, lane in enumerate(unit.gives[0].lanes):
            if lane.lo == lane.hi:
                found.append(constant(lane.lo))
                continue
            own = signal(f"{name}_y{i}", (lane.lo, lane.hi))
            self.items.append(Wire(own))
            ports.append((f"o_y{i}", own))
            found.append(own)
        self.items.append(Instance(module.name, f"u_{name}", tuple(ports)))
        return found

    def _sum(self, unit: Summed, taken: _Link) -> Values:
        name = self.names.unit(unit.name)
        ports = self._control(unit, taken)
        lanes = self._lanes(unit, taken, ports)
        made = compile_summed(
            unit,
            name=self.names.folded(unit.name),
            origin=origin(self.dataflow.program.name, self.program_hash),
            lanes=lanes,
            names=self.names,
            program_hash=self.program_hash,
        )
        self.modules += [*made.inner, made.module]
        found: Values = []
        for output, inner in enumerate(made.results):
            if inner is None:
                found.append(constant(unit.plan.constants[output]))
                continue
            own = Name(f"{name}_{inner.name}", inner.width, inner.signed)
            self.items.append(Wire(own))
            ports.append((f"o_{inner.name}", own))
            found.append(own)
        self.items.append(Instance(made.module.name, f"u_{name}", tuple(ports)))
        return found

    def _sweep(self, unit: Swept, taken: _Link, made: Name) -> Values:
        name = self.names.unit(unit.name)
        ports = [*self._control(unit, taken), ("made", made)]
        lanes = self._lanes(unit, taken, ports)
        built = compile_swept(
            unit,
            name=self.names.folded(unit.name),
            origin=origin(self.dataflow.program.name, self.program_hash),
            lanes=lanes,
            names=self.names,
            program_hash=self.program_hash,
            family=self.dataflow.target.family,
        )
        self.modules += [*built.inner, built.module]
        found: Values = []
        for inner in built.results:
            if isinstance(inner, Literal):
                found.append(inner)
                continue
            own = Name(f"{name}_{inner.name}", inner.width, inner.signed)
            self.items.append(Wire(own))
            ports.append((f"o_{inner.name}", own))
            found.append(own)
        self.items.append(Instance(built.module.name, f"u_{name}", tuple(ports)))
        return found

    def _circuit(self, name: str, circuit: Circuit, schedule: Schedule, elements: Sequence[Name | Literal]) -> Values:
        """Add a pipeline that reads elements, by their numbers; return its outputs."""
        made, items, found = pipeline(
            name, circuit, schedule, elements, names=self.names, program_hash=self.program_hash
        )
        self.modules += made.modules
        self.items += items
        return found

    # ---- channels

    def _feed(self, unit: Unit | None, gives: Sequence[Values], start: Name, made: Name) -> list[Name]:
        """Add the channels that a unit, or the input, feeds; return where each has room."""
        ports = (self.dataflow.source,) if unit is None else unit.gives
        values = {port.value: signals for port, signals in zip(ports, gives, strict=True)}
        rooms: list[Name] = []
        for number, channel in enumerate(self.dataflow.channels):
            if channel.producer != (unit.name if unit else None):
                continue
            given = values[channel.value]
            stored = self._stored(channel, given)
            if channel.depth:
                link = self._fifo(f"c{number}_{self.names.value(channel.value)}", channel, given, stored, start, made)
                assert link.room is not None, "a FIFO has rooms"
                rooms.append(link.room)
            else:
                link = _Link(channel=channel, values=given, valid=made, room=None)
            self.links[number] = link
            self.signals[number] = self._watched(link, stored, made)
        if unit is not None and not isinstance(unit, Unrolled):
            self.drives.append((Name(f"{self.names.unit(unit.name)}_room", 1, False), _all(rooms)))
        return rooms

    def _fifo(
        self, name: str, channel: Channel, given: Values, stored: Sequence[int], start: Name, made: Name
    ) -> _Link:
        lanes = [given[i] for i in stored]
        width = max(sum(lane.width for lane in lanes), 1)
        word, valid, room = (
            Name(f"{name}_word", width, False),
            *(Name(f"{name}_{w}", 1, False) for w in ("valid", "room")),
        )
        self.items.append(Heading(f"channel {channel_name(channel)}: {channel.depth} words"))
        self.items += [Wire(word), Wire(valid), Wire(room)]
        data: Expr = joined(lanes) if lanes else Literal(0, 1, False)
        ports: list[tuple[str, Expr]] = [("clk", CLK), ("rst_n", RST_N), ("reserve", start), ("room", room)]
        ports += [("in_data", data), ("in_valid", made)]
        ports += [("out_data", word), ("out_valid", valid), ("out_ready", self._ready(channel.consumer))]
        settings = [("WIDTH", width), ("DEPTH", channel.depth)]
        if fifo_in_block(self.dataflow.target.family, width, channel.depth):
            settings.append(("BLOCK", 1))
        self.items.append(Instance("gw_channel", f"u_{name}", tuple(ports), tuple(settings), leaf=True))
        values, low = list(given), 0
        for i, lane in zip(stored, lanes, strict=True):
            values[i] = own = Name(f"{name}_{i}", lane.width, lane.signed)
            self.items.append(Assign(own, bits(word, low + lane.width - 1, low, lane.signed)))
            low += lane.width
        return _Link(channel=channel, values=values, valid=valid, room=room)

    def _watched(self, link: _Link, stored: Sequence[int], made: Name) -> ChannelSignals:
        """Return where a channel's transfers show."""
        channel = link.channel
        ready = self._ready(channel.consumer)
        watched = [(i, link.values[i]) for i in stored]
        return ChannelSignals(
            channel=channel_name(channel),
            value=channel.value,
            stream=channel.stream,
            depth=channel.depth,
            written=made.name if channel.depth else "",
            valid=link.valid.name,
            ready=ready.name,
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


def _all(conditions: Sequence[Expr]) -> Expr:
    """Return 1 where all are."""
    return reduce(both, conditions, YES)
