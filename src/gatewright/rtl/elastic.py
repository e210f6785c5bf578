"""An elastic dataflow in, Design out: a core of rigid units, each behind a promise of room, joined by FIFOs.

A unit starts in a cycle in which a word waits in each channel that it reads, each channel that it feeds has a place
to promise (gw_channel), and, if it takes several cycles a vector, it has rested (gw_pace). The start takes the words,
and travels beside the unit (gw_axis_delay) to write the results when they are there. A value with several readers is
written to a channel of each: nothing is copied twice or dropped, for the start waited for a place in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

from gatewright.lower.dataflow import MARKS, Channel, Dataflow, Unit
from gatewright.rtl.channels import Channels, Link
from gatewright.rtl.names import Names, with_names
from gatewright.rtl.netlist import (
    Design,
    Expr,
    Heading,
    Instance,
    Item,
    LayerSignal,
    Module,
    Name,
    Port,
    Wire,
)
from gatewright.rtl.signals import CLK, EXTENDED, RST_N
from gatewright.rtl.streaming.counting import all_of
from gatewright.rtl.units import input_elements, origin, output_elements, place

X_VALID, X_LAST, X_READY = Name("x_valid", 1, False), Name("x_last", MARKS, False), Name("x_ready", 1, False)
Y_VALID, Y_LAST, Y_READY = Name("y_valid", 1, False), Name("y_last", MARKS, False), Name("y_ready", 1, False)

_NOTES = (
    "x_valid only with x_ready. y waits from y_valid to y_ready. A vector's marks travel with it: last of its packet,",
    "and torn.",
    "Narrower values extend by context; unused bits of x belong to inputs that no weight reads, folded layers' done",
    "has no reader, and a join reads the last bit of one of its channels.",
    *EXTENDED,
)


def compile_elastic(dataflow: Dataflow, *, program_hash: str, prefix: str = "") -> Design:
    """Return the core `<name>_core`: ports clk, rst_n, x, x_valid, x_last, x_ready, y, y_valid, y_last, y_ready.

    prefix: in front of every module.
    """
    return with_names(dataflow, prefix, lambda names: _Core(dataflow, names, program_hash).design())


@dataclass(slots=True)
class _Core:
    """drives: of the units' starts."""

    dataflow: Dataflow
    names: Names
    program_hash: str
    items: list[Item] = field(default_factory=list[Item])
    modules: list[Module] = field(default_factory=list[Module])
    watch: list[LayerSignal] = field(default_factory=list[LayerSignal])
    drives: list[tuple[Name, Expr]] = field(default_factory=list[tuple[Name, Expr]])
    channels: Channels = field(init=False)

    def __post_init__(self) -> None:
        self.channels = Channels(dataflow=self.dataflow, names=self.names, takes=self._takes, items=self.items)

    def design(self) -> Design:
        dataflow = self.dataflow
        program, claims = dataflow.program, dataflow.claims
        given, size = program.input.format, prod(program.input.shape)
        x = Name("x", size * given.width_bits, False)
        inputs, items = input_elements(x, size, given.width_bits, given.signed)
        self.items += [*items, Heading("starts, decided below")]
        self.items += [Wire(self._start(unit.name)) for unit in dataflow.units if not self._first(unit.name)]
        self.channels.feed(None, [inputs], X_VALID, X_VALID, X_LAST)
        for unit in dataflow.units:
            self._unit(unit)
        result, (link,) = dataflow.result_format, self.channels.into(None)
        y, made, results = output_elements(link.values, dataflow.result.lanes, result)
        self.items += made
        header = (
            *origin(program.name, self.program_hash),
            f"Core: x holds {size} elements of {given}, element 0 lowest; y holds {len(link.values)} of {result}.",
            f"FIFOs join its {len(dataflow.units)} units; x_valid every {claims.initiation_interval} cycles or later.",
            *_NOTES,
        )
        first = [unit.name for unit in dataflow.units if self._first(unit.name)]
        rooms = [room for name in (None, *first) for room in self.channels.rooms(name)]
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
                (X_READY, all_of(rooms)),
                (y, results),
                (Y_VALID, link.valid),
                (Y_LAST, _marks(link)),
            ),
        )
        return Design(
            name=self.names.top,
            modules=(*self.modules, core),
            claims=claims,
            watch=tuple(self.watch),
            channels=self.channels.watched(),
        )

    def _first(self, name: str) -> bool:
        """Tell whether a unit reads the input alone, by wires: it starts with it."""
        return not any(channel.depth for channel in self.dataflow.channels if channel.consumer == name)

    def _takes(self, channel: Channel) -> Name:
        """Return the signal with which what a channel holds is taken."""
        return self._start(channel.consumer)

    def _start(self, name: str | None) -> Name:
        """Return the signal with which a unit, or the world behind the results, takes its words."""
        if name is None:
            return Y_READY
        return X_VALID if self._first(name) else Name(f"{self.names.unit(name)}_start", 1, False)

    def _unit(self, unit: Unit) -> None:
        """Add a unit between the channels that it reads, which are there, and those that it feeds."""
        name, timing, start = self.names.unit(unit.name), unit.timing, self._start(unit.name)
        taken = self.channels.taken(unit)
        values = [link.values for link in taken]
        placed = place(unit, values, start, names=self.names, program_hash=self.program_hash)
        self.modules += placed.modules
        self.items += placed.items
        waiting = not self._first(unit.name)
        self.watch += [replace(signal, start=start.name if waiting else "") for signal in placed.watch]
        made, last = Name(f"{name}_made", 1, False), Name(f"{name}_made_last", MARKS, False)
        ports = [("clk", CLK), ("rst_n", RST_N), ("in_valid", start), ("in_last", _marks(taken[0]))]
        ports += [("out_valid", made), ("out_last", last)]
        cycles = (("CYCLES", timing.latency_cycles), ("MARKS", MARKS))
        self.items += [Wire(made), Wire(last)]
        self.items.append(Instance("gw_axis_delay", f"u_{name}_delay", tuple(ports), cycles, leaf=True))
        self.channels.feed(unit, placed.gives, start, made, last)
        if waiting:
            rested = self._rested(name, start, timing.initiation_interval)
            self.drives.append(
                (start, all_of([*(link.valid for link in taken), *self.channels.rooms(unit.name), *rested]))
            )

    def _rested(self, name: str, start: Name, interval: int) -> list[Name]:
        """Add the cell that keeps the starts of a unit apart, where it takes several cycles a vector."""
        if interval == 1:
            return []
        rested = Name(f"{name}_rested", 1, False)
        ports = (("clk", CLK), ("rst_n", RST_N), ("go", start), ("ready", rested))
        cycles = (("CYCLES", interval - 1),)
        self.items += [Wire(rested), Instance("gw_pace", f"u_{name}_pace", ports, cycles, leaf=True)]
        return [rested]


def _marks(link: Link) -> Name:
    """Return the marks that travel with a channel's vectors."""
    assert link.marks is not None, "every channel of an elastic core has marks"
    return link.marks
