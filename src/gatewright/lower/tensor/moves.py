"""An op that moves rows, columns or whole frames, and the ports that it reads, in; the unit that does it out."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod

import numpy as np

from gatewright.ir.moves import moved
from gatewright.ir.op_moves import Concat, Fill, Pad, Slice, Transpose, Upsample
from gatewright.lower.build.facts import Facts
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.streaming.joined import Joined
from gatewright.lower.streaming.moving import common_lane
from gatewright.lower.streaming.reordered import Reordered
from gatewright.lower.streaming.resampled import Axis, Kind, Resampled
from gatewright.lower.tensor.beats import refused

Resampling = Pad | Slice | Upsample


def resampled(op: Resampling, name: str, facts: Facts, taken: Port) -> Resampled:
    """Return the unit of an op along rows and columns. taken: a pixel a beat."""
    shape, made = facts.shapes[op.source], facts.shapes[op.name]
    lanes, fill, up = list(taken.lanes), [0] * shape[-1], [0] * shape[-1]
    kind: Kind
    match op:
        case Pad():
            kind = "pad"
            axes = [Axis(size=n, before=a, after=b) for n, (a, b) in zip(shape[:-1], op.pads[:-1], strict=True)]
            lanes, fill, up = _filled(taken.lanes, op.value)
        case Slice():
            kind = "crop"
            parts = zip(shape[:-1], op.starts, op.stops, op.steps, strict=False)
            axes = [Axis(size=n, before=a, after=max(n - b, 0), every=s) for n, a, b, s in parts]
        case Upsample():
            kind = "repeat" if op.fill is Fill.REPEAT else "zeros"
            axes = [Axis(size=n, every=factor) for n, factor in zip(shape[:-1], op.factors[:-1], strict=True)]
            if kind == "zeros":
                lanes = [Lane(min(lane.lo, 0), max(lane.hi, 0), lane.shift) for lane in taken.lanes]
    return Resampled(
        name=name,
        takes=(taken,),
        gives=(_port(op.name, made, lanes),),
        kind=kind,
        rows=axes[0] if len(axes) > 1 else Axis(size=1),
        columns=axes[-1],
        fill=tuple(fill),
        up=tuple(up),
    )


def joined(op: Concat, name: str, facts: Facts, takes: Sequence[Port]) -> Joined:
    """Return the unit that joins values along rows or columns, or flat ones end to end: all with as many lanes."""
    shape, fracs = facts.shapes[op.name], [facts.ranges[source].frac_bits for source in op.sources]
    width = takes[0].stream.per_beat
    if len({port.key for port in takes}) < len(takes):
        raise refused(op, "of a value with itself")
    if {port.stream.per_beat for port in takes} != {width}:
        raise refused(op, f"on beats of {' and '.join(str(port.stream.per_beat) for port in takes)} elements")
    frac = facts.ranges[op.name].frac_bits
    given = [
        [Lane(lane.lo, lane.hi, lane.shift + frac - own) for lane in port.lanes]
        for port, own in zip(takes, fracs, strict=True)
    ]
    lanes = [common_lane(column) for column in zip(*given, strict=True)]
    runs = [prod(facts.shapes[source][op.axis :]) for source in op.sources]
    if any(run % width for run in runs):
        raise refused(op, f"along axis {op.axis} on beats of {width} elements")
    return Joined(
        name=name,
        takes=tuple(takes),
        gives=(_port(op.name, shape, lanes),),
        runs=tuple(run // width for run in runs),
        ups=tuple(tuple(own.shift - lane.shift for own, lane in zip(column, lanes, strict=True)) for column in given),
    )


def order_of(op: Transpose | Slice, facts: Facts) -> tuple[int, tuple[int, ...]]:
    """Return the elements that stay together in an op that reorders a value, and the order of these blocks."""
    shape = facts.shapes[op.source]
    source = moved(op, np.arange(prod(shape)).reshape(1, *shape)).ravel()
    breaks = np.flatnonzero(np.diff(source) != 1) + 1
    begins = (*breaks.tolist(), *source[breaks].tolist(), int(source[0]))
    block = gcd(*begins, len(source), prod(shape))
    return block, tuple(int(at) for at in source[::block] // block)


def reordered(op: Transpose | Slice, name: str, facts: Facts, taken: Port, order: tuple[int, ...]) -> Reordered:
    """Return the unit that gives the beats of a port in another order."""
    shape = facts.shapes[op.name]
    return Reordered(name=name, takes=(taken,), gives=(_port(op.name, shape, taken.lanes),), order=order)


def keeps_order(op: Transpose, shape: tuple[int, ...]) -> bool:
    """Tell whether a transposition leaves all elements in their order: axes of one element move alone."""
    axes = [axis for axis in op.axes if shape[axis] > 1]
    return axes == sorted(axes)


def finer(block: int, order: tuple[int, ...], size: int) -> tuple[int, tuple[int, ...]]:
    """Return the order of blocks as that of their parts, of `size` elements each."""
    parts = block // size
    return size, tuple(at * parts + part for at in order for part in range(parts))


def _filled(lanes: Sequence[Lane], value: int) -> tuple[list[Lane], list[int], list[int]]:
    """Return lanes that also hold a value, its number on each, and by how much their own numbers are shifted up."""
    zeros = (value & -value).bit_length() - 1 if value else max(lane.shift for lane in lanes)
    shifts = [min(lane.shift, zeros) for lane in lanes]
    found = [
        Lane(lane.lo << lane.shift - shift, lane.hi << lane.shift - shift, shift)
        for lane, shift in zip(lanes, shifts, strict=True)
    ]
    fill = [value >> lane.shift for lane in found]
    up = [own.shift - lane.shift for own, lane in zip(lanes, found, strict=True)]
    return [Lane(min(lane.lo, v), max(lane.hi, v), lane.shift) for lane, v in zip(found, fill, strict=True)], fill, up


def _port(value: str, shape: tuple[int, ...], lanes: Sequence[Lane]) -> Port:
    return Port.full(value, Stream.in_order(shape, len(lanes)), lanes)
