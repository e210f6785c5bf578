"""A recurrent cell and the cycles that a frame may take in; a unit of few multipliers for it, or None, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.program import Scan
from gatewright.lower.build.facts import Facts
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import Schedule, schedule
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.streaming.sweep import Sides, Sweep
from gatewright.lower.streaming.window import Window
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.beats import refused
from gatewright.lower.tensor.bodies import body_circuit, lanes_of, some_beats
from gatewright.lower.tensor.cell_parts import CellParts, cell_parts
from gatewright.lower.tensor.engines import PAIRING, at_once, rough, sums_tree
from gatewright.lower.tensor.recurrent import Loop, recurrent

_CHECKED, _FRAMES = 64, 16  # steps on which circuits are compared, and of how many frames they are
_LEAST = 12  # cycles of a step up to which nothing is saved
_FIRST_GUESS = 6  # cycles of the adder tree and the marks, before one is built
_TRIES = 4  # designs that are built until one keeps the interval


def cell(
    op: Scan,
    name: str,
    taken: Port,
    facts: Facts,
    trace: Mapping[str, Ints],
    target: Target,
    choices: Choices,
    interval: int,
) -> tuple[FoldedCell | Recurrent, int]:
    """Return the unit of a cell, folded where that is cheaper or asked for, and how many integers were compared.

    taken: a step a beat. Raises LowerError as `folded_cell` and `recurrent` do.
    """
    folded = folded_cell(op, name, taken, facts, trace, target, choices, interval)
    return folded or recurrent(op, name, taken, facts, trace, target, choices)


def folded_cell(
    op: Scan,
    name: str,
    taken: Port,
    facts: Facts,
    trace: Mapping[str, Ints],
    target: Target,
    choices: Choices,
    interval: int,
) -> tuple[FoldedCell, int] | None:
    """Return the unit of a cell whose step shares multipliers, and how many integers were compared.

    taken: a step a beat. None: one circuit for the whole body is cheaper, or the cell has no such unit, or none that
    keeps the interval. With engine "folded" there is one in any case, with choices.interval 0 the fastest; raises
    LowerError naming the layer, and the reason or the least interval, where there is none.
    """
    engine = choices.engine_of(op.layer)
    steps = taken.stream.beats
    if engine == "parallel" or (engine == "auto" and interval // steps <= _LEAST):
        return None
    loop = Loop.of(op, taken, facts, trace, frames=_FRAMES)
    units, states = op.emit[1] - op.emit[0], len(loop.start)
    found: CellParts | str = "its result is no part of its state"
    if states % units == 0 and op.emit[0] % units == 0:
        loop = loop.alike(units)
        found = cell_parts(loop.ops(op), loop.body, loop.wires, len(taken.lanes), units)
    if isinstance(found, str):
        if engine == "auto":
            return None
        raise refused(op, f'that is folded, for {found}; hardware.engine = "auto" takes all units at once:')
    making = _Making(op=op, name=name, taken=taken, loop=loop, parts=found, facts=facts, target=target, choices=choices)
    allowed = interval // steps if choices.interval or engine == "auto" else 0
    return making.unit(allowed, forced=engine == "folded")


@dataclass(slots=True, kw_only=True)
class _Making:
    """blocks: circuits of so many units and their pipelines, as they were needed."""

    op: Scan
    name: str
    taken: Port
    loop: Loop
    parts: CellParts
    facts: Facts
    target: Target
    choices: Choices
    blocks: dict[int, tuple[Circuit, Schedule, int]] = field(default_factory=dict[int, tuple[Circuit, Schedule, int]])

    def unit(self, allowed: int, *, forced: bool) -> tuple[FoldedCell, int] | None:
        """Return the cheapest unit whose step takes no more than the cycles allowed, the fastest one for 0."""
        behind = self._block(1)[1].latency_cycles + _FIRST_GUESS
        least = 0
        for _ in range(_TRIES):
            ways = [way for way in self._ways() if not allowed or self._cycles(way) + behind <= allowed]
            chosen = min(ways, key=self._rough if allowed else self._cycles, default=None)
            if chosen is None or (not forced and self._rough(chosen) >= self._whole()):
                break
            found = self._made(chosen)
            if found is None:
                break
            least = found[0].rule.rest
            if not allowed or least <= allowed:
                return found
            behind = max(least - self._cycles(chosen), behind + 1)
        if not forced:
            return None
        fastest = self._made(min(self._ways(), key=self._cycles))
        steps = self.taken.stream.beats
        took = f"takes {fastest[0].rule.interval} cycles a frame at the least" if fastest else "has sums of no weight"
        raise LowerError(
            f'layer {self.op.layer!r} {took} with hardware.engine "folded", hardware.interval allows '
            f'{allowed * steps}; raise it, or set hardware.engine = "auto"'
        )

    def _ways(self) -> Iterator[Sides]:
        """Yield how the cell can be cut: units at a time, and words of the operands."""
        count, results = len(self.parts.operands), len(self.parts.bias)
        for each in (n for n in range(1, self.parts.units + 1) if self.parts.units % n == 0):
            outputs = results * each // self.parts.units
            for word in sorted({-(-count // depth) for depth in range(1, count + 1)}):
                lanes = -(-count // word) * word
                yield Sides(lanes=lanes, results=results, groups=1, word=word, outputs=outputs)

    def _cycles(self, sides: Sides) -> int:
        return sides.words * sides.blocks

    def _each(self, sides: Sides) -> int:
        return self.parts.units // sides.blocks

    def _sweep(self, sides: Sides) -> Sweep:
        one, none = (1, 1), ((0, 0), (0, 0))
        return Sweep(window=Window(grid=one, size=one, strides=one, dilation=one, pads=none), sides=sides)

    def _lanes(self, sides: Sides) -> list[Lane]:
        """Return the operands' lanes, and zeros that fill up the last word."""
        lanes = [self.loop.wires[i] for i in self.parts.operands]
        return lanes + [Lane(0, 0, 0)] * (sides.lanes - len(lanes))

    def _matrix(self, sides: Sides) -> Ints:
        matrix = self.parts.matrix[:, self.parts.order(self._each(sides))]
        return np.pad(matrix, ((0, sides.lanes - len(matrix)), (0, 0)))[None, None]

    @property
    def _dsp(self) -> bool:
        return self.choices.multiplier != "lut"

    def _rough(self, sides: Sides) -> float:
        """Return what a unit takes, in LUTs, about."""
        products = rough(
            self._sweep(sides), matrix=self._matrix(sides), lanes=self._lanes(sides), target=self.target, dsp=self._dsp
        )
        return products + self._each(sides) * self._behind()

    def _behind(self) -> int:
        """Return the LUTs of what follows one unit's sums."""
        circuit, stages, _ = self._block(1)
        return circuit_cost(circuit, stages, self.target.family).lut

    def _whole(self) -> float:
        """Return what one circuit for all units takes, in LUTs, about."""
        sides = next(self._ways())
        lanes = self._lanes(sides)
        return at_once(self.parts.matrix, self._sweep(sides).window, lanes) + self.parts.units * self._behind()

    def _block(self, each: int) -> tuple[Circuit, Schedule, int]:
        """Return the circuit of so many units, its pipeline, and how many integers were compared."""
        if each not in self.blocks:
            loop, parts = self.loop, self.parts
            ops, tables = parts.of_block(each)
            given, want = loop.given, loop.want
            rows = some_beats(len(given), most=_CHECKED)
            made = loop.body.interpreter.trace(given[rows])
            takes: dict[str, list[Lane]] = {}
            numbers: list[Ints] = []
            ends = self._ends()
            for own in parts.sums:
                takes[own.name] = [lane for lane in ends[own.name] for _ in range(each)]
                numbers.append(self._cut(made[own.name] >> own.up, each))
            state = slice(parts.features, None)
            takes[loop.body.program.input.name] = [
                wire for wire in loop.wires[state][:: parts.units] for _ in range(each)
            ]
            down = np.array([wire.shift for wire in loop.wires[state]])
            numbers.append(self._cut(given[rows][:, state] >> down, each))
            wanted = self._cut(want[rows][:, : loop.end(self.op)], each)
            data = np.concatenate(numbers, axis=1), wanted
            title = f"{self.facts.program.name}_{self.name}"
            circuit, checked = body_circuit(title, takes, ops, loop.body, tables, data, self.target, self.choices)
            stages = schedule(circuit, family=self.target.family, clock_mhz=self.target.clock_mhz)
            self.blocks[each] = circuit, stages, checked
        return self.blocks[each]

    def _ends(self) -> dict[str, list[Lane]]:
        """Return for each Dense the lane that carries any unit's sums of each gate."""
        sides = next(self._ways())
        lanes = self._lanes(sides)[: len(self.parts.operands)]
        lows, highs = (np.array(ends) for ends in zip(*((lane.lo, lane.hi) for lane in lanes), strict=True))
        ups, downs = np.maximum(self.parts.matrix, 0), np.minimum(self.parts.matrix, 0)
        lo = lows @ ups + highs @ downs + self.parts.bias
        hi = highs @ ups + lows @ downs + self.parts.bias
        found: dict[str, list[Lane]] = {}
        for own in self.parts.sums:
            runs = range(own.first, own.first + own.count, self.parts.units)
            ends = [slice(first, first + self.parts.units) for first in runs]
            found[own.name] = [Lane(int(lo[run].min()), int(hi[run].max()), own.up) for run in ends]
        return found

    def _cut(self, values: Ints, each: int) -> Ints:
        """Return values of all units, (n, runs * units), block by block, (n * blocks, runs * each)."""
        blocks = self.parts.units // each
        return values.reshape(len(values), -1, blocks, each).transpose(0, 2, 1, 3).reshape(len(values) * blocks, -1)

    def _made(self, sides: Sides) -> tuple[FoldedCell, int] | None:
        """Return the unit; None where some sum has no weight in any block."""
        op, parts, loop, each = self.op, self.parts, self.loop, self._each(sides)
        lanes, pairs = self._lanes(sides), self.target.family in PAIRING
        bias = parts.bias[parts.order(each)]
        ends = tuple((lane.lo, lane.hi) for lane in lanes)
        plan = self._sweep(sides).plan(op.layer, self._matrix(sides), bias, ends, dsp=self._dsp, pairs=pairs)
        if plan is None:
            return None
        down = np.array([loop.wires[i].shift for i in parts.operands])
        some = loop.given[:, list(parts.operands)][:_CHECKED] >> down
        some = np.pad(some, ((0, 0), (0, sides.lanes - some.shape[1])))
        tree = sums_tree(plan, f"{self.facts.program.name}_{self.name}_tree", some, self.target.family)
        circuit, stages, checked = self._block(each)
        shape, first = self.facts.shapes[op.name], op.emit[0] // parts.units
        leaving = lanes_of(circuit)[first * each : (first + 1) * each]
        states = loop.wires[parts.features :: parts.units]
        return FoldedCell(
            name=self.name,
            takes=(self.taken,),
            gives=(Port.full(op.name, Stream.in_order(shape, shape[-1]), leaving * sides.blocks),),
            plan=plan,
            tree=tree,
            schedule=tree and schedule(tree, family=self.target.family, clock_mhz=self.target.clock_mhz),
            sides=sides,
            operands=(*parts.operands, *(-1 for _ in range(sides.lanes - len(parts.operands)))),
            circuit=circuit,
            stages=stages,
            states=tuple(states),
            initial=tuple(
                int(v) >> wire.shift for v, wire in zip(loop.start, loop.wires[parts.features :], strict=True)
            ),
            up=loop.up,
            emit=first,
        ), checked
