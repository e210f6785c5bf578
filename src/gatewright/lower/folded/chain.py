"""Program ops in, piece after piece out: each compiled, scheduled, and replayed on the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir.ops import Dense, Input
from gatewright.ir.program import Op, Program, constants_of
from gatewright.ir.ranges import ranges
from gatewright.lower.build.builder import Wire
from gatewright.lower.build.elements import build
from gatewright.lower.circuit.nodes import Circuit, Const, Ref, simulate
from gatewright.lower.cost.delays import delays
from gatewright.lower.folded.pieces import Folded, Piece, Segment
from gatewright.lower.folded.plan import plan
from gatewright.lower.folded.plan import simulate as simulate_plan
from gatewright.lower.folded.tree import check_tree, product_sums
from gatewright.lower.pipeline.schedule import schedule
from gatewright.lower.rewrites.narrow import drop_dead
from gatewright.lower.rewrites.table import run_rewrites

_REPLAYED = 32  # vectors on which an adder tree is replayed in each cycle


@dataclass(slots=True)
class Chain:
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
        circuit, checked = run_rewrites(
            circuit, family=self.family, check=partial(self._check, goal, given), truth_tables=self.truth_tables
        )
        after = tuple(Wire(circuit.nodes[r.node].lo, circuit.nodes[r.node].hi, r.shift) for r in circuit.outputs)
        circuit = dataclasses.replace(
            circuit,
            input_format=Fixed.holding(min(w.lo for w in self.wires), max(w.hi for w in self.wires), 0),
            output_format=holding(after, self.program, goal),
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
            check = partial(check_tree, folded, given[:_REPLAYED])
            tree, _ = run_rewrites(tree, family=self.family, check=check, truth_tables=False)
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


def _between(program: Program, source: str, goal: str, wires: Sequence[Wire]) -> Program:
    """Return the ops after the vector `source` up to `goal` as a program of their own."""
    names = [op.name for op in program.ops]
    ops = program.ops[names.index(source) + 1 : names.index(goal) + 1]
    first = program.op(source)
    given = Input(name=source, layer=first.layer, shape=(len(wires),), format=holding(wires, program, source))
    used = {key for op in ops for key in constants_of(op)}
    constants = {key: value for key, value in program.constants.items() if key in used}
    return Program(name=f"{program.name}_{_part_name(first)}", ops=(given, *ops), output=goal, constants=constants)


def _part_name(first: Op) -> str:
    return "before" if isinstance(first, Input) else f"after_{first.name}"


def holding(wires: Sequence[Wire], program: Program, name: str) -> Fixed:
    """Return the narrowest format that holds every element of a vector, shifts applied."""
    lo, hi = min(w.lo << w.shift for w in wires), max(w.hi << w.shift for w in wires)
    return Fixed.holding(lo, hi, ranges(program)[name].frac_bits)
