"""A program of images or signals in, units on streams and the channels between them out, each unit replayed on data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.op_moves import Concat, Reshape, Transpose
from gatewright.ir.ops import Add, Const, Conv, Dense, Input, Max, Min, Mul, Pool, PoolKind, Sub
from gatewright.ir.program import Constant, Op, Scan, sources
from gatewright.lower.build.facts import Facts
from gatewright.lower.build.part import format_of
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.dataflow import Channel, Dataflow, Unit
from gatewright.lower.pipeline.schedule import Schedule, schedule
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.summed import Summed, steps_of, summed_plan
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.window import Window
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.beats import beat_op, pool_in_beat, refused, window_op
from gatewright.lower.tensor.bodies import body_circuit, lanes_of, some_beats
from gatewright.lower.tensor.engines import aligned, sums_tree, sweep_of
from gatewright.lower.tensor.geometry import pointwise, shown_lanes, two, window_of
from gatewright.lower.unrolled import Unrolled

_REPLAYED = 4  # frames on which a unit's sums are replayed


def streaming_units(facts: Facts, trace: Mapping[str, Ints], target: Target, choices: Choices) -> Dataflow:
    """Return a program as units that work on streams; its channels have no depths yet. trace: the interpreter's.

    Raises LowerError naming the first layer that has no such hardware.
    """
    work = _Work(facts, trace, target, choices)
    for op in facts.program.ops:
        if not isinstance(op, Input | Const) and op.name not in work.ports and op.name not in work.inside:
            work.add(op)
    return work.dataflow()


@dataclass(slots=True)
class _Work:
    """ports: by what each value at a unit's edge is carried; streams: of every value; inside: values of no edge."""

    facts: Facts
    trace: Mapping[str, Ints]
    target: Target
    choices: Choices
    units: list[Unit] = field(default_factory=list[Unit])
    ports: dict[str, Port] = field(default_factory=dict[str, Port])
    streams: dict[str, Stream] = field(default_factory=dict[str, Stream])
    makers: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    inside: set[str] = field(default_factory=set[str])
    tables: dict[str, Constant] = field(default_factory=dict[str, Constant])
    interval: int = 0
    checked: int = 0

    def __post_init__(self) -> None:
        given = self.facts.program.input
        if len(given.shape) > 3:
            raise refused(given, f"of shape {given.shape}")
        shape, pixels = given.shape, self.choices.pixels_per_beat
        image = self._image(given)
        if len(image) == 1:
            stream = Stream.whole(shape)
        else:
            if prod(image[:-1]) % pixels:
                raise LowerError(
                    f"hardware.pixels_per_beat must divide the {prod(image[:-1])} positions of the input {image}, not "
                    f"be {pixels}"
                )
            stream = Stream(shape=shape, order=tuple(range(len(shape))), per_beat=pixels * image[-1])
        lane = Lane(given.format.lo, given.format.hi, 0)
        self.streams[given.name] = stream
        self.ports[given.name] = self._port(given.name, stream, [lane] * stream.per_beat)
        self.makers[given.name] = None
        self.interval = max(stream.beats, self.choices.interval)

    def _image(self, given: Input) -> tuple[int, ...]:
        """Return the shape as which the input is read: a vector's may be that of what it is reshaped to at once."""
        readers = [self.facts.program.op(name) for name in self.facts.readers[given.name]]
        if len(given.shape) == 1 and len(readers) == 1 and isinstance(readers[0], Reshape):
            return readers[0].shape
        return given.shape

    def add(self, op: Op) -> None:
        """Add the unit that begins with an op, and what follows it and fits into it."""
        if isinstance(op, Reshape | Transpose):
            self._alias(op)
        elif isinstance(op, Pool):
            self._pool(op)
        elif isinstance(op, Conv) or (isinstance(op, Dense) and len(self.facts.shapes[op.source]) > 1):
            self._products(op)
        elif isinstance(op, Dense) and len(self.facts.shapes[op.source]) == 1 and self.streams[op.source].beats > 1:
            self._sum(op)
        elif isinstance(op, Scan):
            raise refused(op, "of a recurrent cell")
        else:
            self._beatwise(op)

    def dataflow(self) -> Dataflow:
        """Return the units joined by channels."""
        program = self.facts.program
        channels = [
            Channel(name=port.value, producer=self.makers[port.value], consumer=unit.name, port=port, depth=1)
            for unit in self.units
            for port in unit.takes
        ]
        result = self.ports[program.output]
        leaving = Channel(name=result.value, producer=self.makers[result.value], consumer=None, port=result, depth=1)
        return Dataflow(
            program=program,
            units=tuple(self.units),
            channels=(*channels, leaving),
            source=self.ports[program.input.name],
            result=result,
            result_format=format_of(result.lanes, self.facts.ranges[program.output].frac_bits),
            target=self.target,
            checked=self.checked,
        )

    # ---- kinds of units

    def _alias(self, op: Reshape | Transpose) -> None:
        """Give a value another shape whose elements come in the same order: no hardware."""
        shape, order = self.facts.shapes[op.name], np.arange(prod(self.facts.shapes[op.name]))
        given = order.reshape(self.facts.shapes[op.source])
        if isinstance(op, Transpose) and not np.array_equal(given.transpose(op.axes).ravel(), order):
            raise refused(op, f"of axes {op.axes}")
        stream = self.streams[op.source]
        if len(shape) > 1 and stream.per_beat % shape[-1] and stream.beats > 1:
            raise refused(op, f"to {shape}, of which a beat of {stream.per_beat} elements holds no whole pixels")
        self.streams[op.name] = Stream(shape=shape, order=tuple(range(len(shape))), per_beat=stream.per_beat)
        if op.source in self.ports:
            self.ports[op.name] = self.ports[op.source]
        else:
            self.inside.add(op.name)

    def _window(self, op: Conv | Pool) -> None:
        """Add a window with the ops on what it shows."""
        facts, taken = self.facts, self.ports[op.source]
        window, lanes = window_of(op, self.facts, self.ports[op.source].stream, self.interval)
        fill = tuple(lane.lo if isinstance(op, Pool) and op.kind is PoolKind.MAX else 0 for lane in taken.lanes[:lanes])
        shape = facts.shapes[op.name]
        per_beat = window.outputs * prod(shape) // prod(window.counts)
        self.streams[op.name] = Stream(shape=shape, order=tuple(range(len(shape))), per_beat=per_beat)
        ops, value = self._followed(window_op(op, facts, window, lanes, self.tables), op.name)
        wires = shown_lanes(window, taken.lanes, fill)
        frames = taken.codes(self.trace)[:_REPLAYED]
        pixels = frames.reshape(len(frames), window.grid[0], window.width, lanes)
        shown = window.gather(pixels, np.array(fill, dtype=np.int64)).reshape(-1, len(wires))
        name = self._unused(op.layer)
        circuit, checked = self._circuit(name, {op.source: wires}, ops, shown, value)
        unit = Windowed(
            name=name,
            takes=(taken,),
            gives=(self._port(value, self.streams[value], lanes_of(circuit)),),
            window=window,
            fill=fill,
            circuit=circuit,
            schedule=schedule(circuit, family=self.target.family, clock_mhz=self.target.clock_mhz),
        )
        self._add(unit, checked)

    def _products(self, op: Conv | Dense) -> None:
        """Add a convolution, or a dense layer of each pixel: a sweep of its windows, or one circuit for a window."""
        stream = self.ports[op.source].stream
        if stream.per_beat == self.facts.shapes[op.source][-1]:
            window, _ = window_of(op, self.facts, stream, self.interval)
            if self._swept(op, window):
                return
        if isinstance(op, Dense) or pointwise(op, self.facts):
            self._beatwise(op)
        else:
            self._window(op)

    def _swept(self, op: Conv | Dense, window: Window) -> bool:
        """Add a sweep of windows with the ops on its sums, where that is how the products are computed."""
        facts, taken, shape = self.facts, self.ports[op.source], self.facts.shapes[op.name]
        matrix, offsets, up = aligned(op, facts, taken.lanes)
        matrix = matrix.reshape(*window.size, *matrix.shape[-2:])
        sweep = sweep_of(op, matrix, window, taken.lanes, self.interval, self.target, self.choices)
        if sweep is None:
            return False
        shown = shown_lanes(window, taken.lanes, (0,) * len(taken.lanes))
        dsp = self.choices.multiplier != "lut"
        plan = sweep.plan(op.layer, matrix, offsets, tuple((lane.lo, lane.hi) for lane in shown), dsp=dsp)
        if plan is None:
            return False
        name = self._unused(op.layer)
        frames = taken.codes(self.trace)[:_REPLAYED]
        pixels = frames.reshape(len(frames), *window.grid, -1)
        given = window.gather(pixels, np.zeros(pixels.shape[-1], dtype=np.int64)).reshape(-1, len(shown))
        some = given[some_beats(len(given), most=64)]
        tree = sums_tree(plan, f"{facts.program.name}_{name}_tree", some, self.target.family)
        sides = sweep.sides
        self.streams[op.name] = Stream(shape=shape, order=tuple(range(len(shape))), per_beat=sides.outputs)
        ops, value = self._followed([], op.name, forgiving=True)
        lanes, circuit, checked = [Lane(lo, hi, up) for lo, hi in plan.results], None, 0
        if ops:
            wires = [
                Lane(min(lo for lo, _ in ends), max(hi for _, hi in ends), up)
                for ends in (plan.results[output :: sides.outputs] for output in range(sides.outputs))
            ]
            sums = self.streams[op.name].cut(self.trace[op.name]).reshape(-1, sides.outputs) >> up
            circuit, checked = self._circuit(name, {op.name: wires}, ops, sums, value)
            lanes = lanes_of(circuit) * sides.blocks
        out = self.streams[value]
        self.streams[value] = Stream(shape=out.shape, order=out.order, per_beat=out.per_beat * sides.blocks)
        unit = Swept(
            name=name,
            takes=(taken,),
            gives=(self._port(value, self.streams[value], lanes),),
            plan=plan,
            sweep=sweep,
            up=up,
            tree=tree,
            schedule=self._schedule(tree),
            circuit=circuit,
            stages=self._schedule(circuit),
        )
        self._add(unit, checked)
        self._replayed(unit, op)
        return True

    def _schedule(self, circuit: Circuit | None) -> Schedule | None:
        target = self.target
        return schedule(circuit, family=target.family, clock_mhz=target.clock_mhz) if circuit else None

    def _pool(self, op: Pool) -> None:
        """Add a pool that holds partial results where its windows do not overlap, a window of all pixels else."""
        taken, shape = self.ports[op.source], self.facts.shapes[op.source]
        plain = op.size == op.strides and not any(map(any, op.pads)) and taken.stream.per_beat == shape[-1]
        if not plain:
            within = pool_in_beat(op, shape, taken.stream)
            (self._beatwise if within else self._window)(op)
            return
        grid, size = two(shape[:-1]), two(op.size)
        cells = 1 if op.kind is PoolKind.MAX else prod(op.size)
        lanes = [Lane(lane.lo * cells, lane.hi * cells, lane.shift) for lane in taken.lanes]
        given = self.facts.shapes[op.name]
        self.streams[op.name] = Stream(shape=given, order=tuple(range(len(given))), per_beat=given[-1])
        unit = Pooled(
            name=self._unused(op.layer),
            takes=(taken,),
            gives=(self._port(op.name, self.streams[op.name], lanes),),
            kind=op.kind,
            grid=grid,
            size=size,
        )
        self._add(unit, 0)
        self._replayed(unit, op)

    def _sum(self, op: Dense) -> None:
        """Add a dense layer whose inputs come in beats."""
        facts, taken = self.facts, self.ports[op.source]
        stream = taken.stream
        lanes = [taken.lanes[i % stream.per_beat] for i in range(stream.elements)]
        matrix, offsets, up = aligned(op, facts, lanes)
        fixed = np.array([lane.lo == lane.hi for lane in lanes])
        offsets = offsets + np.array([lane.lo for lane in lanes])[fixed] @ matrix[fixed]
        matrix = np.where(fixed[:, None], 0, matrix)
        steps = steps_of(stream.per_beat, self.interval // stream.beats)
        plan = summed_plan(
            op.layer,
            matrix,
            offsets,
            tuple((lane.lo, lane.hi) for lane in lanes),
            lanes=stream.per_beat,
            steps=steps,
            dsp=self.choices.multiplier != "lut",
        )
        name = self._unused(op.layer)
        some = taken.codes(self.trace)[:_REPLAYED].reshape(-1, stream.elements)
        tree = sums_tree(plan, f"{facts.program.name}_{name}_tree", some, self.target.family)
        shape = facts.shapes[op.name]
        self.streams[op.name] = Stream.whole(shape)
        unit = Summed(
            name=name,
            takes=(taken,),
            gives=(self._port(op.name, self.streams[op.name], [Lane(lo, hi, up) for lo, hi in plan.results]),),
            plan=plan,
            steps=steps,
            up=up,
            tree=tree,
            schedule=self._schedule(tree),
        )
        self._add(unit, 0)
        self._replayed(unit, op)

    def _beatwise(self, op: Op) -> None:
        """Add one circuit for ops that make each beat of one beat of what they read."""
        read = [name for name in dict.fromkeys(sources(op)) if name in self.ports]
        takes = tuple({self.ports[name].value: self.ports[name] for name in read}.values())
        if not takes:
            raise refused(op, "of constants alone")
        counts = {port.stream.beats for port in takes}
        if len(counts) > 1:
            raise refused(op, f"of values that come in {' and '.join(map(str, sorted(counts)))} beats")
        shape, beats = self.facts.shapes[op.name], counts.pop()
        if prod(shape) % beats:
            raise refused(op, f"to {shape}, which does not come in {beats} beats")
        order = tuple(range(len(shape)))
        self.streams[op.name] = Stream(shape=shape, order=order, per_beat=prod(shape) // beats)
        first = beat_op(op, self.facts, self.streams, self.tables)
        ops, value = self._followed(first, op.name)
        renamed = {name: self.ports[name].value for name in read}
        ops = [_reading(each, renamed) for each in ops]
        frames = [port.codes(self.trace) for port in takes]
        given = np.concatenate([beats.reshape(-1, beats.shape[2]) for beats in frames], axis=1)
        name = self._unused(op.layer)
        wires = {port.value: port.lanes for port in takes}
        circuit, checked = self._circuit(name, wires, ops, given, value)
        unit = Unrolled(
            name=name,
            takes=takes,
            gives=(self._port(value, self.streams[value], lanes_of(circuit)),),
            circuit=circuit,
            schedule=schedule(circuit, family=self.target.family, clock_mhz=self.target.clock_mhz),
        )
        self._add(unit, checked)

    # ---- what they have in common

    def _followed(self, ops: Sequence[Op], value: str, *, forgiving: bool = False) -> tuple[list[Op], str]:
        """Return ops and those behind them that one circuit can hold too, and the value that leaves.

        forgiving: what such beats do not suit is left for a unit of its own.
        """
        facts, made, last = self.facts, list(ops), value
        while (found := self._reader(last)) is not None:
            after, shaped = found
            stream = self.streams[last]
            for name in shaped:
                shape = facts.shapes[name]
                self.streams[name] = Stream(shape=shape, order=tuple(range(len(shape))), per_beat=stream.per_beat)
            if not self._fits(after, shaped[-1] if shaped else last):
                break
            shape = facts.shapes[after.name]
            per_beat = prod(shape) // stream.beats
            self.streams[after.name] = Stream(shape=shape, order=tuple(range(len(shape))), per_beat=per_beat)
            renamed = dict.fromkeys(shaped, last)
            try:
                made += [_reading(op, renamed) for op in beat_op(after, facts, self.streams, self.tables)]
            except LowerError:
                if not forgiving:
                    raise
                break
            self.inside |= {last, *shaped}
            last = after.name
        return made, last

    def _reader(self, value: str) -> tuple[Op, list[str]] | None:
        """Return the one op that reads a value, and the names that the value gets by reshapes on the way to it."""
        facts, shaped = self.facts, list[str]()
        while value != facts.program.output and len(facts.readers[value]) == 1:
            after = facts.program.op(facts.readers[value][0])
            if not isinstance(after, Reshape):
                return after, shaped
            shaped.append(value := after.name)
        return None

    def _fits(self, op: Op, value: str) -> bool:
        """Tell whether an op makes each beat of one beat of the value, so that it fits into the value's circuit."""
        facts, stream = self.facts, self.streams[value]
        varying = [name for name in sources(op) if not isinstance(facts.program.op(name), Const)]
        if len(varying) != 1 or isinstance(op, Conv | Scan | Concat | Transpose):
            return False
        if isinstance(op, Pool):
            return bool(pool_in_beat(op, facts.shapes[value], stream))
        if isinstance(op, Dense) and (stream.beats > 1 or len(facts.shapes[value]) > 1):
            return False
        return prod(facts.shapes[op.name]) % stream.beats == 0

    def _circuit(
        self, name: str, wires: Mapping[str, Sequence[Lane]], ops: Sequence[Op], given: Ints, value: str
    ) -> tuple[Circuit, int]:
        """Return the circuit of a unit's ops, compared on some of the rows that it is given."""
        stream = self.streams[value]
        count = len(given) // stream.beats
        want = stream.cut(self.trace[value][:count]).reshape(-1, stream.per_beat)
        rows = some_beats(len(want))
        title = f"{self.facts.program.name}_{name}"
        return body_circuit(
            title, wires, ops, self.facts, self.tables, (given[rows], want[rows]), self.target, self.choices
        )

    def _replayed(self, unit: Pooled | Summed | Swept, op: Op) -> None:
        """Compare a unit with the program on some frames."""
        (taken,), (given,) = unit.takes, unit.gives
        frames = taken.codes(self.trace)[:_REPLAYED]
        (got,) = unit.replay([frames])
        if not np.array_equal(got, given.codes(self.trace)[:_REPLAYED]):
            raise LowerError(f"the unit of layer {op.layer!r} differs from the program; this is a bug, report it")
        self.checked += got.size

    def _port(self, value: str, stream: Stream, lanes: Sequence[Lane]) -> Port:
        return Port(value=value, stream=stream, lanes=tuple(lanes), live=(True,) * len(lanes))

    def _add(self, unit: Unit, checked: int) -> None:
        self.units.append(unit)
        self.ports |= {port.value: port for port in unit.gives}
        self.makers |= {port.value: unit.name for port in unit.gives}
        self.checked += checked

    def _unused(self, layer: str) -> str:
        used = sum(unit.name == layer or unit.name.startswith(f"{layer}_part") for unit in self.units)
        return f"{layer}_part{used + 1}" if used else layer


def _reading(op: Op, renamed: Mapping[str, str]) -> Op:
    """Return an op that reads values by the names of the ports that carry them."""
    if isinstance(op, Add | Sub | Mul | Max | Min):
        return replace(op, left=renamed.get(op.left, op.left), right=renamed.get(op.right, op.right))
    if isinstance(op, Concat):
        return replace(op, sources=tuple(renamed.get(name, name) for name in op.sources))
    if isinstance(op, Const | Input):
        return op
    return replace(op, source=renamed.get(op.source, op.source))
