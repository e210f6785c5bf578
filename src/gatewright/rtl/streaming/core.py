"""A dataflow of units on streams in, Design out: a core whose units take and give beats as counters tell them.

A unit takes a beat when one waits in each channel that it reads and, where a result begins with it, each channel that
it feeds has a place to promise (gw_channel); the beat's result is written a fixed number of cycles later. Nothing in
the core knows of frames' ends but the units' own counters, so frames must come whole (gw_frame_in).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.dataflow import Channel, Dataflow, Unit
from gatewright.lower.folded.unit import Folded
from gatewright.lower.pipeline.schedule import Schedule
from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.lower.streaming.joined import Joined
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.streaming.regrouped import Regrouped
from gatewright.lower.streaming.reordered import Reordered
from gatewright.lower.streaming.resampled import Resampled
from gatewright.lower.streaming.rule import Counted
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.tensor.depths import rule_of
from gatewright.lower.unrolled import Unrolled
from gatewright.rtl.channels import Channels, Link
from gatewright.rtl.names import Names, with_names
from gatewright.rtl.netlist import (
    Design,
    Expr,
    Heading,
    Instance,
    Item,
    Literal,
    Module,
    Name,
    Port,
    Wire,
)
from gatewright.rtl.signals import CLK, EXTENDED, RST_N, UnitModules, Values
from gatewright.rtl.streaming.counting import all_of
from gatewright.rtl.streaming.folded_cell import compile_folded_cell
from gatewright.rtl.streaming.moved import compile_joined, compile_regrouped, compile_reordered
from gatewright.rtl.streaming.pooled import compile_pooled
from gatewright.rtl.streaming.recurrent import compile_recurrent
from gatewright.rtl.streaming.regroup import Lanes
from gatewright.rtl.streaming.resampled import compile_resampled
from gatewright.rtl.streaming.summed import compile_summed
from gatewright.rtl.streaming.swept import MADE, compile_swept
from gatewright.rtl.streaming.windowed import compile_window
from gatewright.rtl.units import connected, input_elements, origin, output_elements, pipeline

X_VALID, X_READY, Y_VALID, Y_READY = (
    Name(f"{which}", 1, False) for which in ("x_valid", "x_ready", "y_valid", "y_ready")
)

Counting = Windowed | Pooled | Summed | Swept | Resampled | Regrouped | Joined | Reordered | Recurrent | FoldedCell

_NOTES = (
    "x_valid only with x_ready. y waits from y_valid to y_ready. Frames must be whole.",
    "Narrower values extend by context; unused bits of x belong to inputs that no weight reads.",
    *EXTENDED,
)


def compile_streams(dataflow: Dataflow, *, program_hash: str, prefix: str = "") -> Design:
    """Return the core `<name>_core`: ports clk, rst_n, x, x_valid, x_ready, y, y_valid, y_ready, a beat each.

    prefix: in front of every module.
    """
    return with_names(dataflow, prefix, lambda names: _Core(dataflow, names, program_hash).design())


@dataclass(slots=True)
class _Core:
    """drives: of wires that are read before what decides them."""

    dataflow: Dataflow
    names: Names
    program_hash: str
    items: list[Item] = field(default_factory=list[Item])
    modules: list[Module] = field(default_factory=list[Module])
    drives: list[tuple[Name, Expr]] = field(default_factory=list[tuple[Name, Expr]])
    channels: Channels = field(init=False)

    def __post_init__(self) -> None:
        self.channels = Channels(dataflow=self.dataflow, names=self.names, takes=self._takes, items=self.items)

    def design(self) -> Design:
        dataflow = self.dataflow
        program, claims = dataflow.program, dataflow.claims
        given, lanes = program.input.format, len(dataflow.source.lanes)
        x = Name("x", lanes * given.width_bits, False)
        inputs, items = input_elements(x, lanes, given.width_bits, given.signed)
        self.items += [*items, Heading("decided below: which units take the beats that wait, and start results")]
        for unit in dataflow.units:
            readies = dict.fromkeys(self._takes(channel) for channel in dataflow.into(unit))
            self.items += [*map(Wire, readies), Wire(self._start(unit.name))]
        self.channels.feed(None, [inputs], X_VALID, X_VALID)
        for unit in dataflow.units:
            self._unit(unit)
        result = dataflow.result_format
        (link,) = self.channels.into(None)
        y, made, results = output_elements(link.values, dataflow.result.lanes, result)
        self.items += made
        source, gives = dataflow.source.stream, dataflow.result.stream
        header = (
            *origin(program.name, self.program_hash),
            f"Core: a frame is {source.beats} beats of x, {lanes} elements of {given} each, element 0 lowest;",
            f"its result {gives.beats} beats of y, {len(link.values)} of {result}.",
            f"A frame takes {claims.initiation_interval} cycles.",
            *_NOTES,
        )
        ready = [self._ready(unit.name) for unit in dataflow.units if self._wired(unit.name)]
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
                (X_READY, all_of([*ready, *self.channels.rooms(None)])),
                (y, results),
                (Y_VALID, link.valid),
            ),
        )
        return Design(
            name=self.names.top,
            modules=(*self.modules, core),
            claims=claims,
            watch=(),
            channels=self.channels.watched(),
        )

    # ---- names

    def _wired(self, name: str) -> bool:
        """Tell whether the input reaches a unit by wires."""
        return any(channel.consumer == name and not channel.depth for channel in self.dataflow.channels)

    def _ready(self, name: str | None) -> Name:
        """Return the signal with which a unit, or the world behind the results, takes a beat."""
        return Y_READY if name is None else Name(f"{self.names.unit(name)}_ready", 1, False)

    def _takes(self, channel: Channel) -> Name:
        """Return the signal with which what a channel holds is taken."""
        name = channel.consumer
        unit = next((unit for unit in self.dataflow.units if unit.name == name), None)
        if name is None or not isinstance(unit, Joined):
            return self._ready(name)
        port = [port.key for port in unit.takes].index(channel.port.key)
        return Name(f"{self.names.unit(name)}_ready{port}", 1, False)

    def _start(self, name: str) -> Name:
        """Return the signal with which a unit starts a result."""
        return Name(f"{self.names.unit(name)}_start", 1, False)

    def _room(self, name: str) -> Name:
        """Return the signal that says that each channel that a unit feeds has a place."""
        return Name(f"{self.names.unit(name)}_room", 1, False)

    # ---- units

    def _unit(self, unit: Unit) -> None:
        """Add a unit between the channels that it reads, which are there, and those that it feeds."""
        name = self.names.unit(unit.name)
        taken = self.channels.taken(unit)
        rule, start = rule_of(unit), self._start(unit.name)
        made = Name(f"{name}_made", 1, False)
        self.items.append(Heading(f"{unit.name}: a result {rule.latency_cycles} cycles after its start"))
        self.items.append(Wire(made))
        if not isinstance(unit, Swept | FoldedCell):  # which tell themselves
            ports: tuple[tuple[str, Expr], ...] = (("clk", CLK), ("rst_n", RST_N), ("in", start), ("out", made))
            cycles = (("CYCLES", rule.latency_cycles),)
            self.items.append(Instance("gw_start_delay", f"u_{name}_delay", ports, cycles, leaf=True))
        match unit:
            case Unrolled():
                gives = self._circuit(name, unit.circuit, unit.schedule, [v for link in taken for v in link.values])
                self.channels.feed(unit, [gives], start, made)
                rooms = self.channels.rooms(unit.name)
                valid = all_of([link.valid for link in taken])
                if self._wired(unit.name):
                    self.drives += [(self._ready(unit.name), all_of(rooms)), (start, valid)]
                else:
                    self.drives += [(self._ready(unit.name), start), (start, all_of([valid, *rooms]))]
            case Counted():
                gives = self._counting(unit, taken)
                self.channels.feed(unit, [gives], start, made)
                self.drives.append((self._room(unit.name), all_of(self.channels.rooms(unit.name))))
            case Folded():
                raise AssertionError(f"unit {unit.name!r} is of the folded architecture, which has no streams")
            case _:
                assert_never(unit)

    def _counting(self, unit: Counting, taken: Sequence[Link]) -> Values:
        """Add a unit that counts its beats, and the circuit behind a window; return its results."""
        name, room = self.names.unit(unit.name), self._room(unit.name)
        self.items.append(Wire(room))
        several = isinstance(unit, Joined)
        ports: list[tuple[str, Expr]] = [("clk", CLK), ("rst_n", RST_N)]
        ports += [(f"valid{port}" if several else "valid", link.valid) for port, link in enumerate(taken)]
        ports.append(("room", room))
        ports += [
            (f"ready{port}" if several else "ready", self._takes(link.channel)) for port, link in enumerate(taken)
        ]
        ports.append(("start", self._start(unit.name)))
        lanes = [
            self._lanes(unit.wanted[port], link, f"x{port}_" if several else "x", ports)
            for port, link in enumerate(taken)
        ]
        if isinstance(unit, Swept | FoldedCell):
            ports.append((MADE.name, Name(f"{name}_made", 1, False)))
        made = self._module(unit, lanes)
        self.modules += [*made.inner, made.module]
        instance = f"u_{name}_window" if isinstance(unit, Windowed) else f"u_{name}"
        items, found = connected(name, instance, made, ports)
        self.items += items
        return self._circuit(name, unit.circuit, unit.schedule, found) if isinstance(unit, Windowed) else found

    def _module(self, unit: Counting, given: Sequence[Lanes]) -> UnitModules:
        """Return the module of a unit that counts its beats. given: the lanes of each value that it takes."""
        first, family = origin(self.dataflow.program.name, self.program_hash), self.dataflow.target.family
        name, lanes = self.names.folded(unit.name), given[0]
        match unit:
            case Windowed():
                return compile_window(unit, name=self.names.window(unit.name), origin=first, lanes=lanes, family=family)
            case Pooled():
                return compile_pooled(unit, name=name, origin=first, lanes=lanes, family=family)
            case Resampled():
                return compile_resampled(unit, name=name, origin=first, lanes=lanes, family=family)
            case Regrouped():
                return compile_regrouped(unit, name=name, origin=first, lanes=lanes)
            case Joined():
                return compile_joined(unit, name=name, origin=first, lanes=given)
            case Reordered():
                return compile_reordered(unit, name=name, origin=first, lanes=lanes, family=family)
            case Recurrent():
                return compile_recurrent(
                    unit,
                    name=name,
                    origin=first,
                    lanes=lanes,
                    names=self.names,
                    program_hash=self.program_hash,
                )
            case FoldedCell():
                return compile_folded_cell(
                    unit,
                    name=name,
                    origin=first,
                    lanes=lanes,
                    names=self.names,
                    program_hash=self.program_hash,
                )
            case Summed():
                return compile_summed(
                    unit,
                    name=name,
                    origin=first,
                    lanes=lanes,
                    names=self.names,
                    program_hash=self.program_hash,
                )
            case Swept():
                return compile_swept(
                    unit,
                    name=name,
                    origin=first,
                    lanes=lanes,
                    names=self.names,
                    program_hash=self.program_hash,
                    family=family,
                )
            case _:
                assert_never(unit)

    def _lanes(self, wanted: Sequence[int], taken: Link, stem: str, ports: list[tuple[str, Expr]]) -> Lanes:
        """Return the signals inside a unit's module of the lanes that it reads, and connect them."""
        found: Lanes = {}
        for i in wanted:
            value = taken.values[i]
            if isinstance(value, Name):
                found[i] = own = Name(f"{stem}{i}", value.width, value.signed)
                ports.append((own.name, value))
            else:
                found[i] = value
        return found

    def _circuit(self, name: str, circuit: Circuit, schedule: Schedule, elements: Sequence[Name | Literal]) -> Values:
        """Add a pipeline that reads elements, by their numbers; return its outputs."""
        made, items, found = pipeline(
            name, circuit, schedule, elements, names=self.names, program_hash=self.program_hash
        )
        self.modules += made.modules
        self.items += items
        return found
