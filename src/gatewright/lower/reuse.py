"""Program and reuse factors in, a chain of scheduled pieces out: unrolled circuits and time-multiplexed dense layers.

The program is cut at every dense layer whose factor is above 1. What lies between the cuts goes through the compiler of
the parallel architecture; a cut layer gets a plan (lower/folded.py) and a scheduled adder tree for its products.
Everything runs at fixed offsets from the cycle in which a vector enters, so latency is fixed; a new vector may enter
every `initiation_interval` cycles: the cycles of the slowest folded layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np

from gatewright.errors import LowerError
from gatewright.ir.formats import Fixed, Ints
from gatewright.ir.interp import Interpreter
from gatewright.ir.ops import Dense, Input, Op, constants_of, sources
from gatewright.ir.program import Program
from gatewright.ir.ranges import ranges
from gatewright.ir.verify import verify
from gatewright.lower.build import build, live_elements
from gatewright.lower.builder import Builder, Wire
from gatewright.lower.circuit import Circuit, Const, Ref, Source, simulate
from gatewright.lower.compile import Lowered, lower, optimise, run_passes
from gatewright.lower.folded import FoldedLayer, plan
from gatewright.lower.folded import simulate as simulate_plan
from gatewright.lower.narrow import drop_dead
from gatewright.lower.schedule import Schedule, schedule
from gatewright.lower.support import check_supported
from gatewright.lower.timing import delays

_REPLAYED = 32  # vectors on which an adder tree is replayed in each cycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Unrolled part. Element i of its input is element i of the vector before it."""

    circuit: Circuit
    schedule: Schedule

    @property
    def latency_cycles(self) -> int:
        """Cycles from its input to its outputs."""
        return self.schedule.latency_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Time-multiplexed dense layer. reads: which elements of the vector before it are its inputs.

    tree, schedule: the adders over each unit's products, one output per unit; None where no unit has two products.
    A result of the program is an output << up. ends_layer: whether the dense result is its layer's result.
    """

    plan: FoldedLayer
    reads: tuple[int, ...]
    up: int
    ends_layer: bool
    tree: Circuit | None
    schedule: Schedule | None

    @property
    def tree_cycles(self) -> int:
        """Register stages of the adder tree."""
        return self.schedule.latency_cycles if self.schedule else 0

    @property
    def latency_cycles(self) -> int:
        """Cycles from its input to its outputs: input and product registers, tree, one cycle per step."""
        return 2 + self.plan.gather + self.tree_cycles + self.plan.cycles


Piece = Segment | Folded
Multiplier = Literal["auto", "dsp", "lut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredFolded:
    """program: after the program passes; pieces in order; checked: integers compared with the golden program."""

    program: Program
    pieces: tuple[Piece, ...]
    outputs: int
    output_format: Fixed
    family: str
    clock_mhz: float
    checked: int

    @property
    def latency_cycles(self) -> int:
        """Cycles from a vector in to its result out."""
        return sum(piece.latency_cycles for piece in self.pieces)

    @property
    def initiation_interval(self) -> int:
        """Cycles from one vector to the next."""
        return max(piece.plan.cycles for piece in self.pieces if isinstance(piece, Folded))

    @property
    def multipliers(self) -> int:
        """Multipliers of all folded layers."""
        return sum(len(piece.plan.lanes) for piece in self.pieces if isinstance(piece, Folded))

    @property
    def dsp(self) -> bool:
        """Whether multipliers are DSP blocks."""
        return any(piece.plan.dsp for piece in self.pieces if isinstance(piece, Folded))

    @property
    def offsets(self) -> tuple[int, ...]:
        """The cycle in which each piece gets its input, counted from the vector's."""
        return tuple(sum(piece.latency_cycles for piece in self.pieces[:k]) for k in range(len(self.pieces)))

    @property
    def adders(self) -> int:
        """Additions in hardware: those of the circuits, and one per accumulator."""
        total = 0
        for piece in self.pieces:
            circuit = piece.circuit if isinstance(piece, Segment) else piece.tree
            total += (circuit.adders if circuit else 0) + (len(piece.plan.units) if isinstance(piece, Folded) else 0)
        return total


def lower_reuse(
    program: Program,
    x: Ints,
    *,
    family: str,
    clock_mhz: float,
    reuse: int | Sequence[int],
    multiplier: Multiplier = "lut",
    dsp_blocks: int = 0,
    max_latency_cycles: int = 0,
    max_latency_ns: float = 0.0,
    truth_tables: bool = True,
) -> Lowered | LoweredFolded:
    """Compile with a reuse factor for all dense layers, or one each, replaying x: (n, elements).

    A factor may be 1 (unrolled) to the layer's number of weights. Without any above 1 this is `lower`.
    truth_tables: see lower. multiplier: DSP blocks, logic, or blocks where dsp_blocks are enough for all multipliers.
    Raises LowerError for factors out of range, naming the nearest legal one, and where max_latency_cycles is missed.
    """
    if multiplier == "auto":
        compile_with = partial(
            lower_reuse,
            program,
            x,
            family=family,
            clock_mhz=clock_mhz,
            reuse=reuse,
            max_latency_cycles=max_latency_cycles,
            max_latency_ns=max_latency_ns,
            truth_tables=truth_tables,
        )
        found = compile_with(multiplier="dsp")
        if isinstance(found, Lowered) or found.multipliers <= dsp_blocks:
            return found
        return compile_with(multiplier="lut")
    verify(program)
    check_supported(program)
    factors = _factors(program, reuse)
    unrolled = partial(
        lower,
        program,
        x,
        family=family,
        clock_mhz=clock_mhz,
        max_latency_cycles=max_latency_cycles,
        max_latency_ns=max_latency_ns,
        truth_tables=truth_tables,
    )
    if all(factor == 1 for factor in factors.values()):
        return unrolled()
    if not clock_mhz:
        raise LowerError("folded layers need a clock: hardware.clock_mhz must be above 0 with hardware.reuse_factor")
    golden, checked = run_passes(program, x)
    live = live_elements(golden)
    cuts = [op for op in golden.ops if isinstance(op, Dense) and factors[op.layer] > 1]
    _require_chain(golden, cuts)
    chain = _Chain(golden, Interpreter(golden).trace(x), live, family, clock_mhz, truth_tables)
    for dense in cuts:
        chain.segment(dense.source)
        chain.fold(dense, factors[dense.layer], dsp=multiplier == "dsp")
    chain.segment(golden.output)
    if all(piece.plan.cycles == 1 for piece in chain.pieces if isinstance(piece, Folded)):
        return unrolled()
    lowered = LoweredFolded(
        program=golden,
        pieces=tuple(chain.pieces),
        outputs=len(chain.wires),
        output_format=_holding(chain.wires, golden, golden.output),
        family=family,
        clock_mhz=clock_mhz,
        checked=checked + chain.checked,
    )
    if max_latency_cycles and lowered.latency_cycles > max_latency_cycles:
        raise LowerError(
            f"{program.name!r} needs {lowered.latency_cycles} cycles with these reuse factors at {clock_mhz:g} MHz on "
            f"{family}, allowed are {max_latency_cycles}; lower hardware.reuse_factor or hardware.clock_mhz"
        )
    latency_ns = lowered.latency_cycles * 1000.0 / clock_mhz
    if max_latency_ns and latency_ns > max_latency_ns:
        raise LowerError(
            f"{program.name!r} needs {latency_ns:g} ns with these reuse factors at {clock_mhz:g} MHz on {family}, "
            f"allowed are {max_latency_ns:g}; lower hardware.reuse_factor"
        )
    return lowered


def _factors(program: Program, reuse: int | Sequence[int]) -> dict[str, int]:
    """Return each dense layer's factor."""
    layers = [op for op in program.ops if isinstance(op, Dense)]
    given = [reuse] * len(layers) if isinstance(reuse, int) else list(reuse)
    if len(given) != len(layers):
        raise LowerError(
            f"hardware.reuse_factor must be one number or {len(layers)} numbers (one per dense layer: "
            f"{', '.join(op.layer for op in layers)}), not {len(given)}"
        )
    for op, factor in zip(layers, given, strict=True):
        most = program.constants[op.weight].q.size
        n_in, n_out = program.constants[op.weight].q.shape
        if factor < 1 or (factor > most and not isinstance(reuse, int)):
            raise LowerError(
                f"hardware.reuse_factor of layer {op.layer!r} must be 1..{most} ({n_in} inputs x {n_out} outputs), "
                f"not {factor}; the nearest legal one is {min(max(factor, 1), most)}"
            )
    most = max(program.constants[op.weight].q.size for op in layers) if layers else 1
    if isinstance(reuse, int) and reuse > most:
        raise LowerError(
            f"hardware.reuse_factor must be 1..{most} (the weights of the largest layer), not {reuse}; "
            f"the nearest legal one is {most}"
        )
    sizes = [program.constants[op.weight].q.size for op in layers]
    return {op.layer: min(factor, size) for op, factor, size in zip(layers, given, sizes, strict=True)}


def _require_chain(program: Program, cuts: Sequence[Dense]) -> None:
    """Raise LowerError where a value passes by a folded layer: the pieces form one chain."""
    order = {op.name: index for index, op in enumerate(program.ops)}
    for dense in cuts:
        for op in program.ops[order[dense.name] + 1 :]:
            early = [name for name in sources(op) if order[name] < order[dense.name]]
            if early:
                raise LowerError(
                    f"layer {dense.layer!r} cannot be folded: {op.name!r} reads {early[0]!r}, which passes by it; "
                    "give this layer a reuse factor of 1"
                )


@dataclass(slots=True)
class _Chain:
    """The pieces so far and the vector that the last of them gives; each piece is checked against the trace."""

    program: Program
    trace: dict[str, Ints]
    live: dict[str, list[bool]]
    family: str
    clock_mhz: float
    truth_tables: bool
    pieces: list[Piece] = field(default_factory=list[Piece])
    checked: int = 0
    at: str = field(init=False)
    wires: tuple[Wire, ...] = field(init=False)

    def __post_init__(self) -> None:
        given = self.program.input
        self.at = given.name
        self.wires = (Wire(given.format.lo, given.format.hi, 0),) * given.shape[-1]

    def segment(self, goal: str) -> None:
        """Add the circuit that computes the vector `goal` from the last one, if they differ."""
        if goal == self.at:
            return
        sub = _between(self.program, self.at, goal, self.wires)
        model = delays(self.family)
        built = build(sub, ternary=model.ternary, luts=model.luts, inputs=self.wires)
        zero = Const(layer=sub.ops[-1].layer, lo=0, hi=0)
        outputs = tuple(
            ref if alive else Ref(len(built.nodes)) for ref, alive in zip(built.outputs, self.live[goal], strict=True)
        )
        last = self._last()
        values = tuple(
            (layer, tuple(ref if alive else None for ref, alive in zip(refs, self.live[last[layer]], strict=True)))
            for layer, refs in built.layer_values
            if last[layer] in {op.name for op in sub.ops}
        )
        circuit = drop_dead(
            dataclasses.replace(built, nodes=(*built.nodes, zero), outputs=outputs, layer_values=values)
        )
        given = self._codes()
        circuit, checked = optimise(
            circuit, family=self.family, check=partial(self._check, goal, given), truth_tables=self.truth_tables
        )
        after = tuple(Wire(circuit.nodes[r.node].lo, circuit.nodes[r.node].hi, r.shift) for r in circuit.outputs)
        circuit = dataclasses.replace(
            circuit,
            input_format=Fixed.holding(min(w.lo for w in self.wires), max(w.hi for w in self.wires), 0),
            output_format=_holding(after, self.program, goal),
        )
        pipeline = schedule(circuit, family=self.family, clock_mhz=self.clock_mhz)
        self._add(Segment(circuit=circuit, schedule=pipeline), goal, after, checked)

    def fold(self, dense: Dense, reuse: int, *, dsp: bool) -> None:
        """Add a time-multiplexed dense layer that reads the last vector."""
        weight, bias = (self.program.constants[key] for key in (dense.weight, dense.bias))
        frac = ranges(self.program)[dense.name].frac_bits
        scale = frac - ranges(self.program)[dense.source].frac_bits - weight.frac_bits
        alive = np.array(self.live[dense.name])
        matrix = np.where(alive, weight.q, 0) << np.array([[wire.shift + scale] for wire in self.wires])
        offsets = np.where(alive, bias.q, 0) << (frac - bias.frac_bits)
        fixed = np.array([wire.lo == wire.hi for wire in self.wires])
        offsets = offsets + np.array([wire.lo for wire in self.wires])[fixed] @ matrix[fixed]
        reads = np.flatnonzero(~fixed & matrix.any(axis=1))
        if not reads.size:  # nothing that changes is read: constants, not multipliers
            self.segment(dense.name)
            return
        common = int(np.bitwise_or.reduce(np.concatenate([matrix[reads].ravel(), offsets])))
        up = (common & -common).bit_length() - 1
        folded = plan(
            dense.layer,
            matrix[reads] >> up,
            offsets >> up,
            tuple((self.wires[i].lo, self.wires[i].hi) for i in reads),
            reuse=reuse,
            dsp=dsp,
        )
        given = self._codes()[:, reads]
        got = simulate_plan(folded, given) << up
        want = self.trace[dense.name]
        if not np.array_equal(got[:, alive], want[:, alive]):
            raise LowerError(f"the plan of layer {dense.layer!r} differs from the program; this is a bug, report it")
        tree = product_sums(folded, f"{self.program.name}_{dense.layer}_tree")
        if tree is not None:
            check = partial(_check_tree, folded, given[:_REPLAYED])
            tree, _ = optimise(tree, family=self.family, check=check, truth_tables=False)
        piece = Folded(
            plan=folded,
            reads=tuple(int(i) for i in reads),
            up=up,
            ends_layer=self._last()[dense.layer] == dense.name,
            tree=tree,
            schedule=schedule(tree, family=self.family, clock_mhz=self.clock_mhz) if tree else None,
        )
        self._add(piece, dense.name, tuple(Wire(lo, hi, up) for lo, hi in folded.results), got[:, alive].size)

    def _add(self, piece: Piece, goal: str, wires: tuple[Wire, ...], checked: int) -> None:
        self.pieces.append(piece)
        self.at, self.wires, self.checked = goal, wires, self.checked + checked

    def _last(self) -> dict[str, str]:
        """Return the op that gives each layer's result."""
        return {op.layer: op.name for op in self.program.ops if not isinstance(op, Input)}

    def _codes(self) -> Ints:
        """Return what the last vector's wires carry: (n, elements)."""
        return self.trace[self.at] >> np.array([wire.shift for wire in self.wires])

    def _check(self, goal: str, given: Ints, circuit: Circuit) -> int:
        got, last = simulate(circuit, given), self._last()
        compared = 0
        alive = [(layer, last[layer], [ref is not None for ref in refs]) for layer, refs in circuit.layer_values]
        for layer, name, kept in (*alive, ("output", goal, self.live[goal])):
            wrong = np.argwhere((got[layer] != self.trace[name]) & np.array(kept))
            if len(wrong):
                sample, element = (int(v) for v in wrong[0])
                raise LowerError(
                    f"lowered program != program: layer {layer!r}, element {element}, sample {sample}: expected "
                    f"{self.trace[name][sample, element]}, got {got[layer][sample, element]}; this is a bug, report it"
                )
            compared += sum(kept) * len(given)
        return compared


def _check_tree(folded: FoldedLayer, given: Ints, tree: Circuit) -> int:
    """Compare a tree's outputs with the sums of products in every cycle."""
    for t in range(folded.cycles):
        terms: list[Ints] = []
        sums: list[Ints] = []
        for unit in folded.units:
            sums.append(np.zeros(len(given), dtype=np.int64))
            for lane in unit.lanes:
                value = given[:, lane.reads[t]] if lane.reads[t] >= 0 else sums[-1] * 0
                terms += [value * digit.of(lane.weights[t]) for digit in lane.digits]
                sums[-1] = sums[-1] + value * lane.weights[t]
        if not np.array_equal(simulate(tree, np.stack(terms, axis=1))["output"], np.stack(sums, axis=1)):
            raise LowerError(f"the adders of layer {folded.layer!r} differ in cycle {t}; this is a bug, report it")
    return folded.cycles * len(folded.units) * len(given)


def _between(program: Program, source: str, goal: str, wires: Sequence[Wire]) -> Program:
    """Return the ops after the vector `source` up to `goal` as a program of their own."""
    names = [op.name for op in program.ops]
    ops = program.ops[names.index(source) + 1 : names.index(goal) + 1]
    first = program.op(source)
    given = Input(name=source, layer=first.layer, shape=(len(wires),), format=_holding(wires, program, source))
    used = {key for op in ops for key in constants_of(op)}
    constants = {key: value for key, value in program.constants.items() if key in used}
    return Program(name=f"{program.name}_{_part_name(first)}", ops=(given, *ops), output=goal, constants=constants)


def _part_name(first: Op) -> str:
    return "before" if isinstance(first, Input) else f"after_{first.name}"


def _holding(wires: Sequence[Wire], program: Program, name: str) -> Fixed:
    """Return the narrowest format that holds every element of a vector, shifts applied."""
    lo, hi = min(w.lo << w.shift for w in wires), max(w.hi << w.shift for w in wires)
    return Fixed.holding(lo, hi, ranges(program)[name].frac_bits)


def product_sums(folded: FoldedLayer, name: str) -> Circuit | None:
    """Return the circuit that adds each unit's products: one input per digit of each lane, one output per unit.

    None where every unit has a single product. Intervals are those that occur in some cycle, so sums are no wider than
    the timetable needs.
    """
    if all(sum(len(lane.digits) for lane in unit.lanes) == 1 for unit in folded.units):
        return None
    b = Builder(layer=folded.layer)
    outputs: list[Ref] = []
    element = 0
    for unit in folded.units:
        terms: list[tuple[int, int, Ref, Ints, Ints]] = []  # depth, number, value, its lo and hi in each cycle
        for lane in unit.lanes:
            for digit in lane.digits:
                lo, hi = folded.products(lane, digit)
                node = Source(layer=folded.layer, lo=int(lo.min()), hi=int(hi.max()), element=element)
                terms.append((0, element, Ref(b.put(node), digit.low), lo << digit.low, hi << digit.low))
                element += 1
        while len(terms) > 1:
            (depth, _, low, lo, hi), (other, number, high, lo2, hi2), *rest = sorted(terms, key=lambda t: t[:2])
            total = b.add(low, high, False, (int((lo + lo2).min()), int((hi + hi2).max())))
            terms = [*rest, (max(depth, other) + 1, number, total, lo + lo2, hi + hi2)]
        outputs.append(terms[0][2])
    sources = [node for node in b.nodes if isinstance(node, Source)]
    spans = [b.span(ref) for ref in outputs]
    return Circuit(
        name=name,
        nodes=tuple(b.nodes),
        input_format=Fixed.holding(min(n.lo for n in sources), max(n.hi for n in sources), 0),
        input_elements=element,
        layer_values=((folded.layer, tuple(outputs)),),
        outputs=tuple(outputs),
        output_format=Fixed.holding(min(lo for lo, _ in spans), max(hi for _, hi in spans), 0),
    )
