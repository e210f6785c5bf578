"""A rigid dataflow in, Design out: the core that starts each unit when its values are there, and holds early ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from gatewright.lower.circuit.nodes import Const, Source
from gatewright.lower.dataflow import Channel, Dataflow
from gatewright.lower.folded.unit import Folded
from gatewright.lower.unrolled import Unrolled
from gatewright.rtl.folded import CLK, RST_N, START, compile_folded, module_name, signal
from gatewright.rtl.netlist import (
    Assign,
    Choose,
    Concat,
    Design,
    Expr,
    Heading,
    Instance,
    Item,
    LayerSignal,
    Literal,
    Module,
    Name,
    Port,
    Register,
    Wire,
)
from gatewright.rtl.nodes import bits, widened
from gatewright.rtl.unrolled import compile_unrolled
from gatewright.rtl.verilog import identifier
from gatewright.version import __version__

Values = list[Name | Literal]

_NOTES = (
    "Narrower values extend by context; unused bits of x belong to inputs that no weight reads, and the last",
    "piece's done has no reader.",
    "verilator lint_off WIDTHEXPAND",
    "verilator lint_off UNUSEDSIGNAL",
)


def compile_dataflow(dataflow: Dataflow, *, program_hash: str) -> Design:
    """Return the core `<name>_core`: ports clk, x (all input elements), y (all output elements).

    With an initiation interval above 1 it has rst_n and start (x is a vector) too.
    """
    alone = dataflow.units[0]
    if isinstance(alone, Unrolled) and len(dataflow.units) == 1:
        made = compile_unrolled(alone, program_hash=program_hash)
        return Design(name=made.name, modules=made.modules, claims=dataflow.claims, watch=made.watch)
    return _Group(dataflow, program_hash).design()


@dataclass(slots=True)
class _Group:
    """values: for each program value the signals of its elements; pulses: for each unit that of its results."""

    dataflow: Dataflow
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
        program, claims, name = dataflow.program, dataflow.claims, identifier(dataflow.program.name)
        latency, interval = claims.latency_cycles, claims.initiation_interval
        given, size = program.input.format, program.input.shape[-1]
        x = Name("x", size * given.width_bits, False)
        self.items.append(Heading("input elements"))
        inputs: Values = []
        for i in range(size):
            low = i * given.width_bits
            own = Name(f"x{i}", given.width_bits, given.signed)
            inputs.append(own)
            self.items.append(Assign(own, bits(x, low + given.width_bits - 1, low, given.signed)))
        self.values[dataflow.source.value] = inputs
        for unit in dataflow.units:
            match unit:
                case Unrolled():
                    self._unrolled(unit)
                case Folded():
                    self._folded(unit)
                case _:
                    assert_never(unit)
        result, values = dataflow.result_format, self.values[dataflow.result.value]
        y = Name("y", len(values) * result.width_bits, False)
        self.items.append(Heading("results"))
        parts: list[Name] = []
        for element, (value, lane) in enumerate(zip(values, dataflow.result.lanes, strict=True)):
            own = Name(f"result{element}", result.width_bits, result.signed)
            self.items.append(Assign(own, _shifted(value, lane.shift, result.width_bits)))
            parts.append(own)
        core = Module(
            name=f"{name}_core",
            header=(
                *self._origin(),
                f"Core: x holds {size} elements of {given}, element 0 lowest; y holds {len(values)} of {result}.",
                f"y belongs to the x of {latency} cycles ago; a start at least every {interval} cycles.",
                *_NOTES,
            ),
            ports=(Port(RST_N, False), Port(START, False), Port(x, False), Port(y, True)),
            items=tuple(self.items),
            drives=((y, Concat(tuple(reversed(parts)))),),
        )
        return Design(name=name, modules=(*self.modules, core), claims=claims, watch=tuple(self.watch))

    def _origin(self) -> tuple[str, ...]:
        name = self.dataflow.program.name
        return (f"{name}: generated by gatewright {__version__} from program {self.program_hash[:16]}",)

    def _unrolled(self, unit: Unrolled) -> None:
        circuit, taken = unit.circuit, self._taken(unit)
        made = compile_unrolled(unit, program_hash=self.program_hash)
        self.modules += made.modules
        name, given, result = made.name, circuit.input_format, circuit.output_format
        self.items.append(Heading(f"{circuit.name}: {unit.timing.latency_cycles} stages"))
        read = {node.element for node in circuit.nodes if isinstance(node, Source)}
        lanes: list[Expr] = []
        for i, value in enumerate(value for values in taken for value in values):
            if i not in read or isinstance(value, Literal):
                lanes.append(Literal(0, given.width_bits, False))
                continue
            wide = Name(f"{name}_x{i}", given.width_bits, value.signed)
            self.items.append(Assign(wide, value))
            lanes.append(wide)
        y = Name(f"{name}_y", len(circuit.outputs) * result.width_bits, False)
        self.items.append(Wire(y))
        ports = (("clk", CLK), ("x", Concat(tuple(reversed(lanes)))), ("y", y))
        self.items.append(Instance(made.core.name, f"u_{name}", ports))
        found: Values = []
        for i, ref in enumerate(circuit.outputs):
            node = circuit.nodes[ref.node]
            if isinstance(node, Const):
                found.append(_constant(node.lo))
                continue
            own = signal(f"{name}_y{i}", (node.lo, node.hi))
            low = i * result.width_bits + ref.shift
            self.items.append(Assign(own, bits(y, low + own.width - 1, low, own.signed)))
            found.append(own)
        for port in unit.gives:
            self.values[port.value], found = found[: len(port.lanes)], found[len(port.lanes) :]
        offset = self.starts[unit.name]
        self.watch += [
            replace(signal, instance=f"u_{name}.{signal.instance}", stage=offset + signal.stage)
            for signal in made.watch
        ]
        if unit.name in self.asked:
            start = self.pulses[self._starter(unit.name)]
            self.pulses[unit.name] = self._later(start, unit.timing.latency_cycles, f"{name}_done")

    def _folded(self, unit: Folded) -> None:
        layer, plan = identifier(unit.name), unit.plan
        (values,) = self._taken(unit)
        name = module_name(self.dataflow.program.name, layer)
        built = compile_folded(unit, name=name, origin=self._origin(), program_hash=self.program_hash)
        self.modules += [*built.inner, built.module]
        self.items.append(Heading(f"layer {plan.layer}: {unit.timing.latency_cycles} cycles"))
        done = Name(f"{layer}_done", 1, False)
        start = self.pulses[self._starter(unit.name)]
        ports: list[tuple[str, Expr]] = [("clk", CLK), ("rst_n", RST_N), ("start", start)]
        ports += [(f"x{i}", values[i]) for i in unit.reads]
        found: Values = []
        for output, y in enumerate(built.results):
            if y is None:
                found.append(_constant(plan.constants[output]))
                continue
            own = Name(f"{layer}_{y.name}", y.width, y.signed)
            self.items.append(Wire(own))
            ports.append((f"o_{y.name}", own))
            found.append(own)
            if unit.ends_layer:
                stage = self.starts[unit.name] + unit.timing.latency_cycles
                self.watch.append(LayerSignal(plan.layer, output, built.module.name, f"u_{layer}", y, stage, unit.up))
        self.items.append(Wire(done))
        ports.append(("done", done))
        self.items.append(Instance(built.module.name, f"u_{layer}", tuple(ports)))
        self.values[unit.gives[0].value] = found
        self.pulses[unit.name] = done

    def _starter(self, name: str) -> str | None:
        """Return the unit whose results start a unit: the last one that it waits for."""
        (unit,) = (unit for unit in self.dataflow.units if unit.name == name)
        waited = [channel.producer for channel in self.dataflow.into(unit) if not self.dataflow.slots(channel)]
        return waited[-1]

    def _taken(self, unit: Unrolled | Folded) -> list[Values]:
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
        own = Name(f"{identifier(of)}_held{element}_{slot}", value.width, value.signed)
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


def _constant(value: int) -> Literal:
    return Literal(value, max(value.bit_length(), 1) + (value < 0), value < 0)


def _shifted(value: Name | Literal, shift: int, width: int) -> Expr:
    if isinstance(value, Literal):
        return Literal(value.value << shift, width, value.signed)
    return widened(value, shift)
