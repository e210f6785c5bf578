"""A rigid dataflow in, Design out: the core that starts each unit when its values are there, and holds early ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

from gatewright.lower.dataflow import Channel, Dataflow, Unit
from gatewright.lower.unrolled import Unrolled
from gatewright.rtl.names import Names, with_names
from gatewright.rtl.netlist import (
    Choose,
    Design,
    Heading,
    Instance,
    Item,
    LayerSignal,
    Module,
    Name,
    Port,
    Register,
    Wire,
)
from gatewright.rtl.signals import CLK, EXTENDED, RST_N, START, Values
from gatewright.rtl.units import input_elements, origin, output_elements, place
from gatewright.rtl.unrolled import compile_unrolled

_NOTES = (
    "Narrower values extend by context; unused bits of x belong to inputs that no weight reads, and the last",
    "piece's done has no reader.",
    *EXTENDED,
)


def compile_dataflow(dataflow: Dataflow, *, program_hash: str, prefix: str = "") -> Design:
    """Return the core `<name>_core`: ports clk, x (all input elements), y (all output elements).

    With an initiation interval above 1 it has rst_n and start (x is a vector) too. prefix: in front of every module.
    """
    return with_names(dataflow, prefix, lambda names: _design(dataflow, names, program_hash))


def _design(dataflow: Dataflow, names: Names, program_hash: str) -> Design:
    alone = dataflow.units[0]
    if isinstance(alone, Unrolled) and len(dataflow.units) == 1:
        made = compile_unrolled(alone, names=names, program_hash=program_hash)
        return Design(name=names.top, modules=made.modules, claims=dataflow.claims, watch=made.watch)
    return _Group(dataflow, names, program_hash).design()


@dataclass(slots=True)
class _Group:
    """values: for each program value the signals of its elements; pulses: for each unit that of its results."""

    dataflow: Dataflow
    names: Names
    program_hash: str
    items: list[Item] = field(default_factory=list[Item])
    modules: list[Module] = field(default_factory=list[Module])
    watch: list[LayerSignal] = field(default_factory=list[LayerSignal])
    values: dict[str, Values] = field(default_factory=dict[str, Values])
    pulses: dict[str | None, Name] = field(default_factory=lambda: {None: START})
    held: dict[tuple[str, int], Name] = field(default_factory=dict[tuple[str, int], Name])
    starts: dict[str, int] = field(init=False)
    asked: set[str | None] = field(init=False)

    def __post_init__(self) -> None:
        self.starts = self.dataflow.starts
        self.asked = {self._starter(unit.name) for unit in self.dataflow.units}
        self.asked |= {channel.producer for channel in self.dataflow.channels if self.dataflow.slots(channel)}

    def design(self) -> Design:
        dataflow = self.dataflow
        program, claims = dataflow.program, dataflow.claims
        latency, interval = claims.latency_cycles, claims.initiation_interval
        given, size = program.input.format, prod(program.input.shape)
        x = Name("x", size * given.width_bits, False)
        inputs, items = input_elements(x, size, given.width_bits, given.signed)
        self.items += items
        self.values[dataflow.source.value] = inputs
        for unit in dataflow.units:
            self._unit(unit)
        values, given_out = self.values[dataflow.result.value], dataflow.result_format
        y, made, result = output_elements(values, dataflow.result.lanes, given_out)
        self.items += made
        core = Module(
            name=self.names.core,
            header=(
                *origin(program.name, self.program_hash),
                f"Core: x holds {size} elements of {given}, element 0 lowest; y holds {len(values)} of {given_out}.",
                f"y belongs to the x of {latency} cycles ago; a start at least every {interval} cycles.",
                *_NOTES,
            ),
            ports=(Port(RST_N, False), Port(START, False), Port(x, False), Port(y, True)),
            items=tuple(self.items),
            drives=((y, result),),
        )
        return Design(name=self.names.top, modules=(*self.modules, core), claims=claims, watch=tuple(self.watch))

    def _unit(self, unit: Unit) -> None:
        taken, start = self._taken(unit), self.pulses[self._starter(unit.name)]
        placed = place(unit, taken, start, names=self.names, program_hash=self.program_hash)
        self.modules += placed.modules
        self.items += placed.items
        offset, latency = self.starts[unit.name], unit.timing.latency_cycles
        self.watch += [replace(signal, stage=offset + signal.stage) for signal in placed.watch]
        self.values |= {port.value: values for port, values in zip(unit.gives, placed.gives, strict=True)}
        if placed.done is not None:
            self.pulses[unit.name] = placed.done
        elif unit.name in self.asked:
            self.pulses[unit.name] = self._later(start, latency, f"{placed.name}_done")

    def _starter(self, name: str) -> str | None:
        """Return the unit whose results start a unit: the last one that it waits for."""
        (unit,) = (unit for unit in self.dataflow.units if unit.name == name)
        waited = [channel.producer for channel in self.dataflow.into(unit) if not self.dataflow.slots(channel)]
        return waited[-1]

    def _taken(self, unit: Unit) -> list[Values]:
        """Return the signals that a unit reads in the cycle of its start, held where they were there earlier."""
        channels = zip(self.dataflow.into(unit), unit.wanted, strict=True)
        return [self._waiting(channel, wanted) for channel, wanted in channels]

    def _waiting(self, channel: Channel, wanted: Sequence[int]) -> Values:
        values, slots = list(self.values[channel.value]), self.dataflow.slots(channel)
        if not slots:
            return values
        self.items.append(Heading(f"{channel.value}, held for {channel.consumer}"))
        for slot in range(slots):
            pulse = self._pulse(channel.producer, slot)
            for i in wanted:
                value = values[i]
                if isinstance(value, Name):
                    values[i] = self._register(value, channel.value, i, slot, pulse)
        return values

    def _register(self, value: Name, of: str, element: int, slot: int, pulse: Name) -> Name:
        """Return a register that takes a value with a pulse; readers share it."""
        own = Name(f"{self.names.value(of)}_held{element}_{slot}", value.width, value.signed)
        if (own.name, slot) not in self.held:
            self.held[own.name, slot] = own
            self.items.append(Register(own, Choose(pulse, value, own)))
        return own

    def _pulse(self, producer: str | None, slot: int) -> Name:
        """Return the pulse with which a value enters its slot: `slot` intervals after it was there."""
        pulse = self.pulses[producer]
        for number in range(slot):
            name = f"{pulse.name}_{number + 1}"
            late = Name(name, 1, False)
            if (name, 0) not in self.held:
                self.held[name, 0] = late
                self._later(pulse, self.dataflow.initiation_interval, name)
            pulse = late
        return pulse

    def _later(self, start: Name, cycles: int, name: str) -> Name:
        """Return the start pulse as of `cycles` later."""
        late = Name(name, 1, False)
        self.items.append(Wire(late))
        ports = (("clk", CLK), ("rst_n", RST_N), ("in", start), ("out", late))
        self.items.append(Instance("gw_start_delay", f"u_{name}", ports, (("CYCLES", cycles),), leaf=True))
        return late
