"""Facts of a program and its reuse factors in, units and channels out, each unit replayed on the data.

Dense layers with a factor above 1 become folded units; what lies between them is cut by *level*, the number of folded
layers on the longest way to an op, and each level is one unrolled unit. A unit starts when the last of its values is
there, so everything runs at fixed offsets from the cycle in which a vector enters; a value that passes by a folded
layer waits in its channel. A new vector may enter every `initiation_interval` cycles: those of the slowest unit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from math import prod

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir.ops import Const as Constant
from gatewright.ir.ops import Dense, Input
from gatewright.ir.program import Op, sources
from gatewright.lower.build.elements import build, compare, flat
from gatewright.lower.build.facts import Facts
from gatewright.lower.build.part import format_of, number_format, part_of
from gatewright.lower.circuit.nodes import Circuit, Const, Ref
from gatewright.lower.cost.delays import delays
from gatewright.lower.dataflow import Channel, Dataflow, Unit
from gatewright.lower.folded.timetable import plan
from gatewright.lower.folded.tree import check_tree, product_sums
from gatewright.lower.folded.unit import Folded, needs_rom_register
from gatewright.lower.pipeline.schedule import schedule
from gatewright.lower.rewrites.table import run_rewrites
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.target import Choices, Target
from gatewright.lower.unrolled import Unrolled

_REPLAYED = 32  # vectors on which an adder tree is replayed in each cycle


def unrolled_whole(facts: Facts, trace: Mapping[str, Ints], target: Target, choices: Choices) -> Dataflow:
    """Return the program as one unrolled unit, within the target's limits of latency. trace: the interpreter's."""
    work = _Partition(facts, trace, target, choices)
    return work.dataflow(work.whole())


def folded_group(
    facts: Facts, trace: Mapping[str, Ints], factors: Mapping[str, int], target: Target, choices: Choices
) -> Dataflow | None:
    """Return the program with every dense op of a factor above 1 folded; None where no plan takes more than a cycle."""
    work = _Partition(facts, trace, target, choices)
    for ops, folds in _levels(facts, factors):
        work.level(ops)
        for dense in folds:
            work.fold(dense, factors[dense.name])
    made = work.dataflow()
    return made if made.initiation_interval > 1 else None


def units_by_layer(
    facts: Facts, trace: Mapping[str, Ints], factors: Mapping[str, int], target: Target, choices: Choices
) -> Dataflow:
    """Return the program with a unit for each layer, cut again before and behind each folded dense op."""
    work = _Partition(facts, trace, target, choices)
    computed = [op for op in facts.program.ops if not isinstance(op, Input | Constant)]
    for _, layer in groupby(computed, key=lambda op: op.layer):
        ops: list[Op] = []
        for op in layer:
            if isinstance(op, Dense) and factors[op.name] > 1:
                work.level(ops)
                work.fold(op, factors[op.name])
                ops = []
            else:
                ops.append(op)
        work.level(ops)
    return work.dataflow()


def _levels(facts: Facts, factors: Mapping[str, int]) -> list[tuple[list[Op], list[Dense]]]:
    """Return for each level its unrolled ops and then the folded ones that read them."""
    level: dict[str, int] = {}
    found: list[tuple[list[Op], list[Dense]]] = [([], [])]
    for op in facts.program.ops:
        here = max((level[name] for name in sources(op)), default=0)
        folds = isinstance(op, Dense) and factors[op.name] > 1
        level[op.name] = here + folds
        while len(found) <= level[op.name]:
            found.append(([], []))
        if isinstance(op, Dense) and folds:
            found[here][1].append(op)
        elif not isinstance(op, Input | Constant):
            found[here][0].append(op)
    return found


@dataclass(slots=True)
class _Partition:
    """The units so far, and by what each value that they give is carried."""

    facts: Facts
    trace: Mapping[str, Ints]
    target: Target
    choices: Choices
    units: list[Unit] = field(default_factory=list[Unit])
    ports: dict[str, Port] = field(init=False)
    makers: dict[str, str | None] = field(init=False)
    checked: int = 0

    def __post_init__(self) -> None:
        given = self.facts.program.input
        lane = Lane(given.format.lo, given.format.hi, 0)
        self.ports = {given.name: self._port(given.name, [lane] * prod(given.shape))}
        self.makers = {given.name: None}

    def whole(self) -> Fixed:
        """Add one unit for all ops, whose pipeline chooses the clock and keeps the limits; return the format of y."""
        program = self.facts.program
        takes, gives = (self.ports[program.input.name],), (program.output,)
        circuit = self._circuit(program.name, [op for op in program.ops if not isinstance(op, Input)], takes, gives)
        pipeline = schedule(
            circuit,
            family=self.target.family,
            clock_mhz=self.target.pipeline_mhz or self.target.clock_mhz,
            max_latency_cycles=self.target.max_latency_cycles,
            max_latency_ns=self.target.max_latency_ns,
        )
        if not self.target.pipeline_mhz:
            self.target = dataclasses.replace(self.target, clock_mhz=pipeline.clock_mhz)
        ports = self._given(circuit, gives)
        self._add(Unrolled(name=program.name, takes=takes, gives=ports, circuit=circuit, schedule=pipeline))
        return circuit.output_format

    def level(self, ops: Sequence[Op]) -> None:
        """Add a unit for ops that no folded layer parts, unless nothing reads them."""
        program, made = self.facts.program, {op.name for op in ops}
        gives = tuple(
            op.name
            for op in ops
            if op.name == program.output or any(reader not in made for reader in self.facts.readers[op.name])
        )
        if not gives:
            return
        read = {name for op in ops for name in sources(op)} - made
        takes = tuple(port for name, port in self.ports.items() if name in read)
        takes = takes or (self.ports[program.input.name],)  # constants alone: it starts with the input
        constants = [op for op in program.ops if isinstance(op, Constant) and op.name in read]
        circuit = self._circuit(self._name(takes[-1].value), [*constants, *ops], takes, gives)
        ports = self._given(circuit, gives)
        circuit = dataclasses.replace(
            circuit,
            input_format=number_format(lane for port in takes for lane in port.lanes),
            output_format=format_of([lane for port in ports for lane in port.lanes], circuit.output_format.frac_bits),
        )
        pipeline = schedule(circuit, family=self.target.family, clock_mhz=self.target.clock_mhz)
        self._add(Unrolled(name=circuit.name, takes=takes, gives=ports, circuit=circuit, schedule=pipeline))

    def fold(self, dense: Dense, reuse: int) -> None:
        """Add a time-multiplexed dense layer, or constants where nothing that changes is read."""
        program, taken = self.facts.program, self.ports[dense.source]
        weight, bias = (program.constants[key] for key in (dense.weight, dense.bias))
        frac = self.facts.ranges[dense.name].frac_bits
        scale = frac - self.facts.ranges[dense.source].frac_bits - weight.frac_bits
        alive = np.array(self.facts.live[dense.name])
        matrix = np.where(alive, weight.q, 0) << np.array([[lane.shift + scale] for lane in taken.lanes])
        offsets = np.where(alive, bias.q, 0) << (frac - bias.frac_bits)
        fixed = np.array([lane.lo == lane.hi for lane in taken.lanes])
        offsets = offsets + np.array([lane.lo for lane in taken.lanes])[fixed] @ matrix[fixed]
        reads = np.flatnonzero(~fixed & matrix.any(axis=1))
        if not reads.size:
            self.level([dense])
            return
        common = int(np.bitwise_or.reduce(np.concatenate([matrix[reads].ravel(), offsets])))
        up = (common & -common).bit_length() - 1
        folded = plan(
            dense.layer,
            matrix[reads] >> up,
            offsets >> up,
            tuple((taken.lanes[i].lo, taken.lanes[i].hi) for i in reads),
            reuse=reuse,
            dsp=self.choices.multiplier != "lut",
        )
        name = self._unused(dense.layer)
        tree = product_sums(folded, f"{program.name}_{name}_tree")
        if tree is not None:
            some = taken.codes(self.trace)[:_REPLAYED, 0, reads]
            check = partial(check_tree, folded, some)
            tree, _ = run_rewrites(tree, family=self.target.family, check=check, truth_tables=False)
        unit = Folded(
            name=name,
            takes=(taken,),
            gives=(self._port(dense.name, [Lane(lo, hi, up) for lo, hi in folded.results]),),
            plan=folded,
            reads=tuple(int(i) for i in reads),
            up=up,
            ends_layer=self.facts.results[dense.layer] == dense.name,
            tree=tree,
            schedule=schedule(tree, family=self.target.family, clock_mhz=self.target.clock_mhz) if tree else None,
            rom_register=needs_rom_register(folded, self.target.family, self.target.clock_mhz),
        )
        self._add(unit)
        (given,), (got,) = unit.gives, unit.replay([taken.codes(self.trace)])
        if not np.array_equal(np.where(alive, got, 0), given.codes(self.trace)):
            raise LowerError(f"the plan of layer {dense.layer!r} differs from the program; this is a bug, report it")
        self.checked += got[..., alive].size

    def dataflow(self, result_format: Fixed | None = None) -> Dataflow:
        """Return the units joined by channels. result_format: what holds the result's elements; the least otherwise."""
        program = self.facts.program
        channels = [
            Channel(name=port.value, producer=self.makers[port.value], consumer=unit.name, port=port, depth=0)
            for unit in self.units
            for port in unit.takes
        ]
        result = self.ports[program.output]
        leaving = Channel(
            name=program.output, producer=self.makers[program.output], consumer=None, port=result, depth=0
        )
        return Dataflow(
            program=program,
            units=tuple(self.units),
            channels=(*channels, leaving),
            source=self.ports[program.input.name],
            result=result,
            result_format=result_format or format_of(result.lanes, self.facts.ranges[program.output].frac_bits),
            target=self.target,
            checked=self.checked,
        )

    def _add(self, unit: Unit) -> None:
        self.units.append(unit)
        self.ports |= {port.value: port for port in unit.gives}
        self.makers |= {port.value: unit.name for port in unit.gives}

    def _name(self, newest: str) -> str:
        """Return the name of an unrolled unit, by the newest value that it takes."""
        first = newest == self.facts.program.input.name
        return self._unused(f"{self.facts.program.name}_{'before' if first else f'after_{newest}'}")

    def _unused(self, name: str) -> str:
        used = {unit.name for unit in self.units}
        number, free = 1, name
        while free in used:
            number += 1
            free = f"{name}_part{number}"
        return free

    def _port(self, value: str, lanes: Sequence[Lane]) -> Port:
        shape = self.facts.shapes[value]
        given = value == self.facts.program.input.name
        live = (True,) * len(lanes) if given else tuple(self.facts.live[value])
        return Port(value=value, stream=Stream.whole(shape), lanes=tuple(lanes), live=live)

    def _given(self, circuit: Circuit, gives: Sequence[str]) -> tuple[Port, ...]:
        """Return what carries each value that leaves a circuit."""
        lanes = [Lane(circuit.nodes[r.node].lo, circuit.nodes[r.node].hi, r.shift) for r in circuit.outputs]
        ports: list[Port] = []
        for name in gives:
            size = len(self.facts.live[name])
            ports.append(self._port(name, lanes[:size]))
            lanes = lanes[size:]
        return tuple(ports)

    def _circuit(self, name: str, ops: Sequence[Op], takes: Sequence[Port], gives: Sequence[str]) -> Circuit:
        """Return the optimised circuit of some ops, replayed; elements that cannot reach the output are 0."""
        facts, model = self.facts, delays(self.target.family)
        part = part_of(facts, name, ops, {port.value: port.lanes for port in takes}, gives)
        built = build(facts.program, part, ternary=model.ternary, luts=model.luts)
        live = [alive for value in gives for alive in facts.live[value]]
        zero = Const(layer=ops[-1].layer, lo=0, hi=0)
        outputs = [ref if alive else Ref(len(built.nodes)) for ref, alive in zip(built.outputs, live, strict=True)]
        mine = {op.name for op in ops}
        values = [
            (layer, [ref if alive else None for ref, alive in zip(refs, facts.live[facts.results[layer]], strict=True)])
            for layer, refs in built.layer_values
            if facts.results[layer] in mine
        ]
        circuit = dataclasses.replace(
            built,
            nodes=(*built.nodes, zero),
            outputs=tuple(outputs),
            layer_values=tuple((layer, tuple(refs)) for layer, refs in values),
        )
        given = np.concatenate([port.codes(self.trace)[:, 0] for port in takes], axis=1)
        want = {layer: flat(self.trace[facts.results[layer]]) for layer, _ in values}
        want["output"] = np.concatenate([flat(self.trace[value]) for value in gives], axis=1)
        circuit, checked = run_rewrites(
            circuit,
            family=self.target.family,
            check=partial(compare, given, want, live),
            truth_tables=self.choices.truth_tables,
        )
        self.checked += checked
        return circuit
