"""A program of images or signals in, units on streams and the channels between them out, each unit replayed on data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import gcd, prod

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.ops import Const, Conv, Dense, Input, Pool, PoolKind
from gatewright.ir.program import Constant, Op, Scan, sources
from gatewright.lower.build.facts import Facts
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.dataflow import Dataflow, Unit
from gatewright.lower.pipeline.schedule import schedule
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.lower.streaming.joined import Joined
from gatewright.lower.streaming.moving import Moving
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.streaming.reordered import Reordered
from gatewright.lower.streaming.resampled import Resampled
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.window import Window
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.beats import beat_op, pool_in_beat, refused, window_op
from gatewright.lower.tensor.bodies import body_circuit, lanes_of, some_beats
from gatewright.lower.tensor.ends import entering, joined_units
from gatewright.lower.tensor.folded_cell import cell
from gatewright.lower.tensor.fused import Fusing, reading
from gatewright.lower.tensor.geometry import pointwise, shown_lanes, two, window_of
from gatewright.lower.tensor.moves import finer, joined, keeps_order, order_of, reordered, resampled
from gatewright.lower.tensor.normal import along_space
from gatewright.lower.tensor.products import Products
from gatewright.lower.tensor.regrouping import Key, Regrouping
from gatewright.lower.unrolled import Unrolled

Pacing = Moving | Recurrent | FoldedCell  # units that take the time they need, whatever is allowed
_REPLAYED = 4  # frames on which a unit's sums are replayed
GATHERED = 2048  # elements that may come in one beat, where formats or constants differ among them
_APART = 64  # elements above which such a beat is cut again for what follows
_NARROWER = 8  # how many times narrower the beats of flat values may become where they are joined end to end


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
    """ports: by what each value at a unit's edge is carried; streams: of every value; inside: values of no edge.

    makers: the unit that gives each port. allowed: cycles that a frame may take, but for units that need more.
    """

    facts: Facts
    trace: Mapping[str, Ints]
    target: Target
    choices: Choices
    units: list[Unit] = field(default_factory=list[Unit])
    ports: dict[str, Port] = field(default_factory=dict[str, Port])
    streams: dict[str, Stream] = field(default_factory=dict[str, Stream])
    makers: dict[Key, str | None] = field(default_factory=dict[Key, "str | None"])
    inside: set[str] = field(default_factory=set[str])
    tables: dict[str, Constant] = field(default_factory=dict[str, Constant])
    regrouping: Regrouping = field(init=False)
    allowed: int = 0
    checked: int = 0

    def __post_init__(self) -> None:
        port = entering(self.facts, self.choices.pixels_per_beat)
        self.streams[port.value], self.ports[port.value], self.makers[port.key] = port.stream, port, None
        self.allowed = max(port.stream.beats, self.choices.interval)
        self.regrouping = Regrouping(ports=self.ports, units=self.units, makers=self.makers)

    @property
    def interval(self) -> int:
        """Cycles that a frame may take: those allowed, or that a unit in front takes."""
        return max(self.allowed, *(unit.rule.interval for unit in self.units if isinstance(unit, Pacing)), 0)

    def add(self, op: Op) -> None:
        """Add the unit that begins with an op, and what follows it and fits into it."""
        shape = self.facts.shapes[sources(op)[0]]
        if isinstance(op, Transpose) and not keeps_order(op, shape):
            self._reorder(op)
        elif isinstance(op, Reshape | Transpose):
            self._alias(op)
        elif isinstance(op, Pool):
            self._pool(op)
        elif isinstance(op, Conv | Dense) and self._sweep(op):
            pass
        elif isinstance(op, Conv) and not pointwise(op, self.facts):
            self._window(op)
        elif isinstance(op, Dense) and len(self.facts.shapes[op.source]) == 1 and self.streams[op.source].beats > 1:
            self._sum(op)
        elif isinstance(op, Scan):
            self._recur(op)
        elif isinstance(op, Slice) and along_space(op, shape) and min(op.steps[:-1]) < 0:
            self._reorder(op)
        elif isinstance(op, Pad | Slice | Upsample) and along_space(op, shape):
            self._resample(op)
        elif isinstance(op, Concat) and self._joins(op):
            self._join(op)
        else:
            self._beatwise(op)

    def _joins(self, op: Concat) -> bool:
        """Tell whether a join is one of beats behind each other, not of the lanes of each beat."""
        rank, ports = len(self.facts.shapes[op.name]), [self.ports.get(name) for name in op.sources]
        if any(port is None for port in ports):
            return False
        if rank > 1:
            return op.axis < rank - 1
        sizes = [port.stream.per_beat for port in ports if port is not None]
        streams = any(port.stream.beats > 1 for port in ports if port is not None)
        return streams and gcd(*sizes) * _NARROWER >= max(sizes)

    @property
    def _fusing(self) -> Fusing:
        return Fusing(facts=self.facts, streams=self.streams, tables=self.tables, inside=self.inside)

    @property
    def _products(self) -> Products:
        return Products(
            facts=self.facts,
            trace=self.trace,
            target=self.target,
            choices=self.choices,
            interval=self.interval,
            fusing=self._fusing,
            build=self._circuit,
        )

    def dataflow(self) -> Dataflow:
        """Return the units joined by channels."""
        return joined_units(self.facts, self.units, self.ports, self.makers, self.target, self.checked)

    # ---- kinds of units

    def _alias(self, op: Reshape | Transpose) -> None:
        """Give a value another shape whose elements come in the same order: no hardware."""
        shape, stream = self.facts.shapes[op.name], self.streams[op.source]
        if len(shape) > 1 and stream.per_beat % shape[-1] and stream.beats > 1:
            port = self.regrouping.port(op, op.source, shape[-1])  # so that a beat holds whole pixels
            self.ports[op.name], self.streams[op.name] = (
                port,
                Stream.in_order(shape, shape[-1]),
            )
            return
        self.streams[op.name] = Stream.in_order(shape, stream.per_beat)
        if op.source in self.ports:
            self.ports[op.name] = self.ports[op.source]
        else:
            self.inside.add(op.name)

    def _window(self, op: Conv | Pool) -> None:
        """Add a window with the ops on what it shows."""
        facts = self.facts
        taken, window, lanes = self._sliding(op)
        fill = tuple(lane.lo if isinstance(op, Pool) and op.kind is PoolKind.MAX else 0 for lane in taken.lanes[:lanes])
        shape = facts.shapes[op.name]
        per_beat = window.outputs * prod(shape) // prod(window.counts)
        self.streams[op.name] = Stream.in_order(shape, per_beat)
        ops, value = self._fusing.followed(window_op(op, facts, window, lanes, self.tables), op.name)
        wires = shown_lanes(window, taken.lanes, fill)
        frames = taken.codes(self.trace)[:_REPLAYED]
        pixels = frames.reshape(len(frames), window.grid[0], window.width, lanes)
        shown = window.gather(pixels, np.array(fill, dtype=np.int64)).reshape(-1, len(wires))
        name = self._unused(op.layer)
        circuit, checked = self._circuit(name, {op.source: wires}, ops, shown, value)
        unit = Windowed(
            name=name,
            takes=(taken,),
            gives=(Port.full(value, self.streams[value], lanes_of(circuit)),),
            window=window,
            fill=fill,
            circuit=circuit,
            schedule=schedule(circuit, family=self.target.family, clock_mhz=self.target.clock_mhz),
        )
        self._add(unit, checked)

    def _sweep(self, op: Conv | Dense) -> bool:
        """Add a sweep over single pixels, where that is how the products of a layer are computed."""
        taken, shape = self.ports[op.source], self.facts.shapes[op.source]
        if len(shape) < 2 or taken.stream.per_beat != shape[-1]:
            return False
        window, _ = window_of(op, self.facts, taken.stream, self.interval)
        found = self._products.swept(op, window, taken, self._unused(op.layer))
        if found is not None:
            self._add(*found)
            self._replayed(found[0], op)
        return found is not None

    def _sliding(self, op: Conv | Pool) -> tuple[Port, Window, int]:
        """Return the window of an op, the lanes of its pixels and the port that it reads: a pixel a beat where others

        do not suit and a frame leaves time for it.
        """
        port, shape = self.ports[op.source], self.facts.shapes[op.source]
        try:
            window, lanes = window_of(op, self.facts, port.stream, self.interval)
            beat = port.stream.per_beat
            if beat == window.per_beat * lanes or port.lanes == port.lanes[:lanes] * (beat // lanes):
                return port, window, lanes
            raise refused(op, "on beats of pixels that differ, of which a step takes some")
        except LowerError:
            if port.stream.per_beat <= shape[-1] or (port.stream.beats > 1 and prod(shape[:-1]) > self.interval):
                raise
        port = self.regrouping.port(op, op.source, shape[-1])
        return port, *window_of(op, self.facts, port.stream, self.interval)

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
        self.streams[op.name] = Stream.in_order(given, given[-1])
        unit = Pooled(
            name=self._unused(op.layer),
            takes=(taken,),
            gives=(Port.full(op.name, self.streams[op.name], lanes),),
            kind=op.kind,
            grid=grid,
            size=size,
        )
        self._add(unit, 0)
        self._replayed(unit, op)

    def _sum(self, op: Dense) -> None:
        """Add a dense layer whose inputs come in beats."""
        unit, checked = self._products.summed(op, self.ports[op.source], self._unused(op.layer))
        self._add(unit, checked)
        self._replayed(unit, op)

    def _recur(self, op: Scan) -> None:
        """Add a cell that takes a step a beat."""
        taken = self.regrouping.port(op, op.source, self.facts.shapes[op.source][-1])
        name = self._unused(op.layer)
        unit, checked = cell(op, name, taken, self.facts, self.trace, self.target, self.choices, self.interval)
        self._paced(unit, op, checked)

    def _resample(self, op: Pad | Slice | Upsample) -> None:
        """Add a unit that repeats, drops or adds rows or columns."""
        taken = self.regrouping.port(op, op.source, self.facts.shapes[op.source][-1])
        self._paced(resampled(op, self._unused(op.layer), self.facts, taken), op)

    def _join(self, op: Concat) -> None:
        """Add a unit that takes the beats of one value behind those of another."""
        sizes = {name: self.facts.shapes[name][-1] for name in op.sources}
        if len(self.facts.shapes[op.name]) == 1:
            size = gcd(*(self.ports[name].stream.per_beat for name in op.sources))
            sizes = dict.fromkeys(op.sources, size)
        takes = [self.regrouping.port(op, name, size) for name, size in sizes.items()]
        if len(takes) < len(op.sources):
            raise refused(op, "of a value with itself")
        self._paced(joined(op, self._unused(op.layer), self.facts, takes), op)

    def _reorder(self, op: Transpose | Slice) -> None:
        """Add a frame's memory, between units that cut beats into what stays together and gather it again."""
        block, order = order_of(op, self.facts)
        taken = self.regrouping.port(op, op.source, gcd(block, self.ports[op.source].stream.per_beat))
        if taken.stream.per_beat < block:
            block, order = finer(block, order, taken.stream.per_beat)
        unit = reordered(op, self._unused(op.layer), self.facts, taken, order)
        self._paced(unit, op)
        shape = self.facts.shapes[op.name]
        if len(shape) > 1:
            self._follow_in_beats(op, shape[-1])

    def _paced(self, unit: Resampled | Joined | Reordered | Recurrent | FoldedCell, op: Op, checked: int = 0) -> None:
        self.streams[op.name] = unit.gives[0].stream
        self._add(unit, checked)
        self._replayed(unit, op)

    def _follow_in_beats(self, op: Op, per_beat: int) -> None:
        """Give a result to all that read it in beats of so many elements."""
        self.ports[op.name] = self.regrouping.port(op, op.name, per_beat)
        self.streams[op.name] = self.ports[op.name].stream

    def _beatwise(self, op: Op) -> None:
        """Add one circuit for ops that make each beat of one beat of what they read: as it comes, a pixel, or a frame.

        A vector or an image whose elements differ in format or constant is gathered into one beat, and cut again.
        """
        read = [name for name in dict.fromkeys(sources(op)) if name in self.ports]
        if not read:
            raise refused(op, "of constants alone")
        shapes, given = self.facts.shapes, {name: self.ports[name].stream for name in read}
        pixels = {name: shapes[name][-1] for name in read if len(shapes[name]) > 1}
        ways = [{name: stream.per_beat for name, stream in given.items()}]
        if len(pixels) == len(read) and all(given[name].per_beat % size == 0 for name, size in pixels.items()):
            ways.append(pixels)
        whole = {name: stream.elements for name, stream in given.items()}
        if max(whole.values()) <= GATHERED:
            ways.append(whole)
        reason: LowerError | None = None
        for way in ways:
            same = way is whole and prod(shapes[op.name]) == max(whole.values()) > _APART
            try:
                self._on_beats(op, way, alone=same)
            except LowerError as error:
                reason = reason or error
                continue
            if same:
                self._follow_in_beats(op, max(given.values(), key=lambda stream: stream.beats).per_beat)
            return
        assert reason is not None, "there is a way"
        raise reason

    def _on_beats(self, op: Op, way: Mapping[str, int], *, alone: bool) -> None:
        """Add one circuit for an op and, but for one alone, those behind it. way: elements a beat of what it reads."""
        regrouping = {name: self.regrouping.planned(op, name, size) for name, size in way.items()}
        ports = {name: port for name, (_, port) in regrouping.items()}
        takes = tuple({port.key: port for port in ports.values()}.values())
        counts = {port.stream.beats for port in takes}
        if len(counts) > 1:
            raise refused(op, f"of values that come in {' and '.join(map(str, sorted(counts)))} beats")
        shape, beats = self.facts.shapes[op.name], counts.pop()
        if prod(shape) % beats:
            raise refused(op, f"to {shape}, which does not come in {beats} beats")
        order = tuple(range(len(shape)))
        known = {name: replace(self.streams[name], per_beat=port.stream.per_beat) for name, port in ports.items()}
        stream = Stream(shape=shape, order=order, per_beat=prod(shape) // beats)
        first = beat_op(op, self.facts, {**self.streams, **known, op.name: stream}, self.tables)
        self.streams[op.name] = stream
        ops, value = (first, op.name) if alone else self._fusing.followed(first, op.name)
        renamed = {name: port.value for name, port in ports.items()}
        ops = [reading(each, renamed) for each in ops]
        frames = [port.codes(self.trace) for port in takes]
        given = np.concatenate([beats.reshape(-1, beats.shape[2]) for beats in frames], axis=1)
        name = self._unused(op.layer)
        wires = {port.value: port.lanes for port in takes}
        circuit, checked = self._circuit(name, wires, ops, given, value)
        unit = Unrolled(
            name=name,
            takes=takes,
            gives=(Port.full(value, self.streams[value], lanes_of(circuit)),),
            circuit=circuit,
            schedule=schedule(circuit, family=self.target.family, clock_mhz=self.target.clock_mhz),
        )
        for units, _ in regrouping.values():
            self.regrouping.place(units)
        self._add(unit, checked)

    # ---- what they have in common

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

    def _replayed(self, unit: Pooled | Summed | Swept | Pacing, op: Op) -> None:
        """Compare a unit with the program on some frames."""
        (given,) = unit.gives
        (got,) = unit.replay([taken.codes(self.trace)[:_REPLAYED] for taken in unit.takes])
        if not np.array_equal(got, given.codes(self.trace)[:_REPLAYED]):
            raise LowerError(f"the unit of layer {op.layer!r} differs from the program; this is a bug, report it")
        self.checked += got.size

    def _add(self, unit: Unit, checked: int) -> None:
        self.units.append(unit)
        self.ports |= {port.value: port for port in unit.gives}
        self.makers |= {port.key: unit.name for port in unit.gives}
        self.checked += checked

    def _unused(self, layer: str) -> str:
        used = sum(unit.name == layer or unit.name.startswith(f"{layer}_part") for unit in self.units)
        return f"{layer}_part{used + 1}" if used else layer
