"""An unrolled unit in, its modules out: a pipelined core and, below it, one module per layer.

A node becomes a wire in its layer's module; a value that is read in a later stage passes registers in the module
that made it, so a layer exports exactly the versions its readers need (`y3_s2`: element 3 as of stage 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from gatewright.lower.circuit.nodes import (
    Add,
    Add3,
    Circuit,
    Const,
    Source,
    Table,
    operands,
    width,
)
from gatewright.lower.cost.delays import delays
from gatewright.lower.pipeline.schedule import Schedule, last_use
from gatewright.lower.rewrites.neurons import supports
from gatewright.lower.unrolled import Unrolled
from gatewright.rtl.names import Names
from gatewright.rtl.netlist import (
    Assign,
    Binary,
    Concat,
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
from gatewright.rtl.nodes import bits, node_items, widened
from gatewright.rtl.signals import CUT, EXTENDED
from gatewright.version import __version__

# Input bits up to which a sum is not kept apart. Where yosys 0.70 proves bits of kept sums equal, it may leave the
# output of an ECP5 carry cell on a constant x, which then is an error ("is connected to constants").
NARROW = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrolledModules:
    """name: what they start with; modules: a layer's each, the core last; watch: stages from its input."""

    name: str
    modules: tuple[Module, ...]
    watch: tuple[LayerSignal, ...]

    @property
    def core(self) -> Module:
        """The module that holds the others."""
        return self.modules[-1]


def compile_circuit(circuit: Circuit, schedule: Schedule, *, names: Names, program_hash: str) -> UnrolledModules:
    """Return the core `<name>_core`: ports clk, x (all input elements), y (all output elements)."""
    return _Compiler(circuit, schedule, names, program_hash).compiled()


def compile_unrolled(unit: Unrolled, *, names: Names, program_hash: str) -> UnrolledModules:
    """Return the core of a unit: x holds the elements of all `takes`, y those of all `gives`."""
    return compile_circuit(unit.circuit, unit.schedule, names=names, program_hash=program_hash)


@dataclass(slots=True)
class _Compiler:
    circuit: Circuit
    schedule: Schedule
    names: Names
    program_hash: str
    name: str = field(init=False)
    owner: list[str] = field(init=False)
    base: list[str] = field(init=False)
    kept: list[int] = field(init=False)
    exports: set[tuple[int, int]] = field(init=False)
    narrow: set[int] = field(init=False)

    def __post_init__(self) -> None:
        circuit, stages = self.circuit, self.schedule.stages
        self.name = self.names.circuit(circuit.name)
        self.kept = last_use(circuit, list(stages), self.schedule.latency_cycles)
        needed = enumerate(supports(circuit))
        self.narrow = {i for i, bits in needed if bits and sum(map(int.bit_count, bits.values())) <= NARROW}
        self.owner = self._owners()
        self.base = self._names()
        self.exports = {
            (ref.node, self.schedule.latency_cycles) for ref in circuit.outputs if not self._const(ref.node)
        }
        for index, node in enumerate(circuit.nodes):
            for operand in operands(node):
                if self.owner[operand] != self.owner[index] and not self._const(operand):
                    self.exports.add((operand, stages[index]))

    def compiled(self) -> UnrolledModules:
        layers = list(dict.fromkeys(owner for i, owner in enumerate(self.owner) if not self._const(i)))
        modules = {layer: self._layer(layer) for layer in layers}
        return UnrolledModules(
            name=self.name,
            modules=(*modules.values(), self._core(modules)),
            watch=tuple(self._watch()),
        )

    def _const(self, index: int) -> bool:
        return isinstance(self.circuit.nodes[index], Const)

    def _owners(self) -> list[str]:
        """A node belongs to its layer; an input element to the layer that reads it first."""
        layers = [name for name, _ in self.circuit.layer_values]
        owner = [node.layer for node in self.circuit.nodes]
        first: dict[int, str] = {}
        for node in self.circuit.nodes:
            for operand in operands(node):
                first.setdefault(operand, node.layer)
        for index, node in enumerate(self.circuit.nodes):
            if isinstance(node, Source):
                owner[index] = first.get(index, layers[-1])
        return owner

    def _names(self) -> list[str]:
        """x<i> for input elements, y<i> for a layer's results, t<i> for what is between."""
        names = [f"t{i}" for i in range(len(self.circuit.nodes))]
        for layer, refs in self.circuit.layer_values:
            for element, ref in reversed(list(enumerate(refs))):
                if ref is not None and self.circuit.nodes[ref.node].layer == layer:
                    names[ref.node] = f"y{element}"
        counts: dict[str, int] = {}
        for index, node in enumerate(self.circuit.nodes):
            if isinstance(node, Source):
                names[index] = f"x{node.element}"
            elif names[index].startswith("t") and not self._const(index):
                counts[node.layer] = counts.get(node.layer, -1) + 1
                names[index] = f"t{counts[node.layer]}"
        return names

    def _signal(self, index: int, stage: int) -> Name:
        """The name of a node's value as of a stage, inside its own module."""
        node = self.circuit.nodes[index]
        late = "" if stage == self.schedule.stages[index] else f"_s{stage}"
        return Name(f"{self.base[index]}{late}", width(node), node.lo < 0)

    def _net(self, index: int, stage: int) -> Name:
        """The name of an exported value in the core and in the modules that import it."""
        own = self._signal(index, stage)
        if isinstance(self.circuit.nodes[index], Source) and stage == 0:
            return own
        return Name(f"{self.names.layer(self.owner[index])}_{own.name}", own.width, own.signed)

    def _read(self, index: int, stage: int, layer: str) -> Name | Literal:
        node = self.circuit.nodes[index]
        if isinstance(node, Const):
            return Literal(node.lo, width(node), node.lo < 0)
        return self._signal(index, stage) if self.owner[index] == layer else self._net(index, stage)

    def _layer(self, layer: str) -> Module:
        stages = self.schedule.stages
        mine = [i for i, owner in enumerate(self.owner) if owner == layer and not self._const(i)]
        imports = sorted(
            {(o, stages[i]) for i in mine for o in operands(self.circuit.nodes[i]) if self.owner[o] != layer}
        )
        imports = [(o, s) for o, s in imports if not self._const(o)]
        sources = [i for i in mine if isinstance(self.circuit.nodes[i], Source)]
        ports = [Port(self._signal(i, 0), False, "stage 0") for i in sources]
        ports += [Port(self._net(o, s), False, f"stage {s}") for o, s in imports]
        exports = sorted((i, s) for i, s in self.exports if self.owner[i] == layer)
        exports = [(i, s) for i, s in exports if not (isinstance(self.circuit.nodes[i], Source) and s == 0)]
        ports += [Port(self._export(i, s), True, f"stage {s}, {self._span(i)}") for i, s in exports]
        first = min([stages[i] for i in mine])
        last = max(max(stages[i], self.kept[i]) for i in mine)
        items: list[Item] = []
        for stage in range(first, last + 1):
            items += self._stage(layer, mine, stage)
        nodes = [self.circuit.nodes[i] for i in mine]
        adders = sum(isinstance(n, Add) + 2 * isinstance(n, Add3) for n in nodes)
        tables = sum(isinstance(n, Table) for n in nodes)
        made = f"{adders} adders, {tables} tables" if tables else f"{adders} adders"
        return Module(
            name=f"{self.name}_{self.names.layer(layer)}",
            header=(
                *self._origin(),
                f"Layer {layer}: {made}, stages {first}..{last}. Suffix _sN: the value as of stage N.",
                "Sums are exact: every wire has just the bits that its range (in the comment) needs, and narrower",
                "operands extend by the context rule of IEEE 1364-2005 clause 5.4; hence the first two lint waivers.",
                "The third: truncation reads only the high bits of a sum, whose low bits still make the carry.",
                *CUT,
            ),
            ports=tuple(ports),
            items=tuple(items),
            drives=tuple((self._export(i, s), self._signal(i, s)) for i, s in exports),
            clocked=any(isinstance(item, Register) for item in items),
        )

    def _export(self, index: int, stage: int) -> Name:
        own = self._signal(index, stage)
        return Name(f"o_{own.name}", own.width, own.signed)

    def _span(self, index: int) -> str:
        node = self.circuit.nodes[index]
        return f"{node.lo}..{node.hi}"

    def _origin(self) -> tuple[str, ...]:
        return (f"{self.circuit.name}: generated by gatewright {__version__} from program {self.program_hash[:16]}",)

    def _stage(self, layer: str, mine: list[int], stage: int) -> list[Item]:
        items: list[Item] = []
        for i in mine:
            if self.schedule.stages[i] == stage and not isinstance(self.circuit.nodes[i], Source):
                read = partial(self._read, stage=stage, layer=layer)
                target, cells = self._signal(i, stage), delays(self.schedule.family).ternary
                made = node_items(self.circuit, self.circuit.nodes[i], target, read, cells=cells)
                items += [self._kept(item, i) for item in made]
        registers: list[Item] = [
            Register(self._signal(i, stage + 1), self._signal(i, stage))
            for i in mine
            if self.schedule.stages[i] <= stage < self.kept[i]
        ]
        return [Heading(f"stage {stage}"), *items, *registers] if items or registers else []

    def _kept(self, item: Item, index: int) -> Item:
        """Mark a sum where the family wants each adder to stay a carry chain of its own; see NARROW."""
        if not (isinstance(item, Assign) and isinstance(item.value, Binary)):
            return item
        return replace(item, keep=delays(self.schedule.family).keep_sums and index not in self.narrow)

    def _core(self, layers: dict[str, Module]) -> Module:
        circuit = self.circuit
        per_input, per_output = circuit.input_format.width_bits, circuit.output_format.width_bits
        x = Name("x", circuit.input_elements * per_input, False)
        y = Name("y", len(circuit.outputs) * per_output, False)
        items: list[Item] = [Heading("input elements")]
        for i, node in enumerate(circuit.nodes):
            if isinstance(node, Source):
                low = node.element * per_input
                items.append(Assign(self._signal(i, 0), bits(x, low + width(node) - 1, low, node.lo < 0)))
        produced = sorted(self.exports)
        for layer, module in layers.items():
            nets = [(i, s) for i, s in produced if self.owner[i] == layer]
            items.append(Heading(f"layer {layer}"))
            items += [Wire(self._net(i, s)) for i, s in nets if not (isinstance(circuit.nodes[i], Source) and s == 0)]
            outer = {self._export(i, s).name: self._net(i, s) for i, s in nets}
            connections = [(p.signal.name, outer.get(p.signal.name, p.signal)) for p in module.ports]
            clock = [("clk", Name("clk", 1, False))] if module.clocked else []
            items.append(Instance(module.name, f"u_{self.names.layer(layer)}", (*clock, *connections)))
        items.append(Heading("results"))
        results: list[Name] = []
        for element, ref in enumerate(circuit.outputs):
            result = Name(f"result{element}", per_output, circuit.output_format.signed)
            node = circuit.nodes[ref.node]
            value: Expr
            if isinstance(node, Const):
                value = Literal(node.lo << ref.shift, per_output, circuit.output_format.signed)
            else:
                value = widened(self._net(ref.node, self.schedule.latency_cycles), ref.shift)
            items.append(Assign(result, value))
            results.append(result)
        return Module(
            name=f"{self.name}_core",
            header=(
                *self._origin(),
                f"Core: x holds {circuit.input_elements} elements of {circuit.input_format}, element 0 lowest;",
                f"y holds {len(circuit.outputs)} of {circuit.output_format}.",
                f"y belongs to the x of {self.schedule.latency_cycles} cycles ago; a new x may come every cycle.",
                "Narrower results extend by context; unused bits of x belong to inputs that no weight reads.",
                *EXTENDED,
            ),
            ports=(Port(x, False), Port(y, True)),
            items=tuple(items),
            drives=((y, Concat(tuple(reversed(results)))),),
            clocked=True,
        )

    def _watch(self) -> list[LayerSignal]:
        watch: list[LayerSignal] = []
        for layer, refs in self.circuit.layer_values:
            for element, ref in enumerate(refs):
                if ref is None or self._const(ref.node):
                    continue
                stage = self.schedule.stages[ref.node]
                owner = self.names.layer(self.owner[ref.node])
                module, signal = f"{self.name}_{owner}", self._signal(ref.node, stage)
                watch.append(LayerSignal(layer, element, module, f"u_{owner}", signal, stage, ref.shift))
        return watch
