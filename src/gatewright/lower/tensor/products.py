"""A convolution or a dense layer in, the unit that shares multipliers over several cycles out, or None."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.ir.ops import Conv, Dense
from gatewright.ir.program import Op
from gatewright.lower.build.facts import Facts
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.folded.plan import FoldedLayer
from gatewright.lower.pipeline.schedule import Schedule, schedule
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.streaming.summed import Summed, steps_of, summed_plan
from gatewright.lower.streaming.sweep import Sweep
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.window import Window
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.bodies import lanes_of, some_beats
from gatewright.lower.tensor.engines import PAIRING, Aligned, aligned, frame_sweep, sums_tree, sweep_of
from gatewright.lower.tensor.fused import Fusing
from gatewright.lower.tensor.geometry import shown_lanes

_CHECKED_WINDOWS, _SUMMED_FRAMES = 64, 4  # on which adder trees are compared
Build = Callable[[str, Mapping[str, Sequence[Lane]], Sequence[Op], Ints, str], tuple[Circuit, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """facts, trace: of the program; interval: cycles that a frame may take.

    build: of a unit's name, its wires, ops, the numbers on the wires and the value that leaves, the circuit and how
    many integers were compared.
    """

    facts: Facts
    trace: Mapping[str, Ints]
    target: Target
    choices: Choices
    interval: int
    fusing: Fusing
    build: Build

    def swept(self, op: Conv | Dense, window: Window, taken: Port, name: str) -> tuple[Swept, int] | None:
        """Return a sweep of a layer, and how many integers were compared; None: all products at once are cheaper.

        window: over single pixels; taken: the port that it reads, a pixel a beat.
        """
        facts = self.facts
        matrix, offsets, up = aligned(op, facts, taken.lanes)
        matrix = matrix.reshape(*window.size, *matrix.shape[-2:])
        sweep = sweep_of(op, matrix, window, taken.lanes, self.interval, self.target, self.choices)
        return sweep and self._sweep(op, sweep, (matrix, offsets, up), taken, name)

    def summed(self, op: Dense, taken: Port, name: str) -> tuple[Swept | Summed, int]:
        """Return the unit of a dense layer whose inputs come in beats, and how many integers were compared.

        It adds up as they come, or sweeps over all of them once they are there, whichever is cheaper.
        """
        facts, stream = self.facts, taken.stream
        lanes = [taken.lanes[i % stream.per_beat] for i in range(stream.elements)]
        matrix, offsets, up = aligned(op, facts, lanes)
        whole = matrix.reshape(1, stream.beats, stream.per_beat, -1)
        sweep = frame_sweep(op, whole, taken.lanes, self.interval, self.target, self.choices)
        found = sweep and self._sweep(op, sweep, (whole, offsets, up), taken, name)
        if found:
            return found
        fixed = np.array([lane.lo == lane.hi for lane in lanes])
        offsets = offsets + np.array([lane.lo for lane in lanes])[fixed] @ matrix[fixed]
        steps = steps_of(stream.per_beat, self.interval // stream.beats)
        plan = summed_plan(
            op.layer,
            np.where(fixed[:, None], 0, matrix),
            offsets,
            tuple((lane.lo, lane.hi) for lane in lanes),
            lanes=stream.per_beat,
            steps=steps,
            dsp=self.choices.multiplier != "lut",
        )
        some = taken.codes(self.trace)[:_SUMMED_FRAMES].reshape(-1, stream.elements)
        tree = sums_tree(plan, f"{facts.program.name}_{name}_tree", some, self.target.family)
        self.fusing.streams[op.name] = Stream.whole(facts.shapes[op.name])
        unit = Summed(
            name=name,
            takes=(taken,),
            gives=(Port.full(op.name, self.fusing.streams[op.name], [Lane(lo, hi, up) for lo, hi in plan.results]),),
            plan=plan,
            steps=steps,
            up=up,
            tree=tree,
            schedule=self._schedule(tree),
        )
        return unit, 0

    def _sweep(
        self, op: Conv | Dense, sweep: Sweep, numbers: Aligned, taken: Port, name: str
    ) -> tuple[Swept, int] | None:
        """Return a sweep with the ops behind it; None where some output has no weight at all."""
        facts, shape, window, (matrix, offsets, up) = self.facts, self.facts.shapes[op.name], sweep.window, numbers
        shown = shown_lanes(window, taken.lanes, (0,) * len(taken.lanes))
        dsp, pairs = self.choices.multiplier != "lut", self.target.family in PAIRING
        plan = sweep.plan(op.layer, matrix, offsets, tuple((lane.lo, lane.hi) for lane in shown), dsp=dsp, pairs=pairs)
        if plan is None:
            return None
        frames = taken.codes(self.trace)
        pixels = frames.reshape(len(frames), *window.grid, -1)
        given = window.gather(pixels, np.zeros(pixels.shape[-1], dtype=np.int64)).reshape(-1, len(shown))
        some = given[some_beats(len(given), most=_CHECKED_WINDOWS)]
        tree = sums_tree(plan, f"{facts.program.name}_{name}_tree", some, self.target.family)
        streams, blocks = self.fusing.streams, sweep.sides.blocks
        streams[op.name] = Stream.in_order(shape, sweep.sides.outputs)
        ops, value = self.fusing.followed([], op.name)
        lanes, circuit, checked = [Lane(lo, hi, up) for lo, hi in plan.results], None, 0
        if ops:
            sums = streams[op.name].cut(self.trace[op.name]).reshape(-1, sweep.sides.outputs) >> up
            circuit, checked = self.build(name, {op.name: _wires(plan, sweep, up)}, ops, sums, value)
            lanes = lanes_of(circuit) * blocks
        streams[value] = replace(streams[value], per_beat=streams[value].per_beat * blocks)
        unit = Swept(
            name=name,
            takes=(taken,),
            gives=(Port.full(value, streams[value], lanes),),
            plan=plan,
            sweep=sweep,
            up=up,
            tree=tree,
            schedule=self._schedule(tree),
            circuit=circuit,
            stages=self._schedule(circuit),
        )
        return unit, checked

    def _schedule(self, circuit: Circuit | None) -> Schedule | None:
        return schedule(circuit, family=self.target.family, clock_mhz=self.target.clock_mhz) if circuit else None


def _wires(plan: FoldedLayer, sweep: Sweep, up: int) -> list[Lane]:
    """Return what carries the sums of a block, of any."""
    outputs = sweep.sides.outputs
    each = [plan.results[output::outputs] for output in range(outputs)]
    return [Lane(min(lo for lo, _ in ends), max(hi for _, hi in ends), up) for ends in each]
