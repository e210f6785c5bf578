"""An op on images or signals in, the same op on the elements of one beat out: a vector's, which circuits are made of.

What differs from position to position (formats per element, constants as large as the image) has no such form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.moves import aligned
from gatewright.ir.op_moves import Concat, Pad, Slice, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK
from gatewright.ir.ops import Add, Const, Conv, Dense, Max, Min, Mul, Pool, PoolKind, Relu, Requant, Sub
from gatewright.ir.program import Constant, Op, sources
from gatewright.ir.rounding import per_element
from gatewright.lower.build.facts import Facts
from gatewright.lower.stream import Stream
from gatewright.lower.streaming.window import Window

Tables = dict[str, Constant]


def refused(op: Op, why: str) -> LowerError:
    """Return the error that refuses an op in the streaming architecture."""
    return LowerError(
        f"layer {op.layer!r}: no streaming hardware for {type(op).__name__} {why} (op {op.name!r}) yet; use the "
        "interpreter (gatewright.ir.Interpreter) until then"
    )


def beat_op(op: Op, facts: Facts, streams: Mapping[str, Stream], tables: Tables) -> list[Op]:
    """Return the ops that make one beat of an op's result out of beats of what it reads; their tables join `tables`.

    streams: of every value that streams, the result included. Raises LowerError naming the layer.
    """
    shape, stream = facts.shapes[op.name], streams[op.name]
    if len(shape) == 1 and stream.beats == 1:
        return [*(facts.program.op(name) for name in sources(op) if _is_constant(facts, name)), op]
    match op:
        case Relu():
            return [op]
        case Requant():
            given = (op.width_bits, op.keep_frac_bits, op.signed)
            width, keep, signed = (_spread(op, values, shape, stream) for values in given)
            return [replace(op, width_bits=width, keep_frac_bits=keep, signed=tuple(map(bool, signed)))]
        case Lookup() | Thresholds():
            return [_rows_for_lanes(op, facts, stream, tables)]
        case Dense():
            weight, bias = (facts.program.constants[key] for key in (op.weight, op.bias))
            return [_per_pixel(op, weight, bias, stream.per_beat // shape[-1], tables)]
        case Conv():
            weight, bias = (facts.program.constants[key] for key in (op.weight, op.bias))
            matrix = Constant(ungrouped(weight.q, op.groups).reshape(-1, weight.q.shape[-1]), weight.frac_bits)
            return [_per_pixel(op, matrix, bias, stream.per_beat // shape[-1], tables)]
        case Add() | Sub() | Mul() | Max() | Min():
            constants = _broadcast(op, facts, stream, tables)
            varying = [name for name in (op.left, op.right) if not _is_constant(facts, name)]
            if any(facts.shapes[name] != shape for name in varying):
                raise refused(op, f"of shapes {' and '.join(str(facts.shapes[name]) for name in varying)}")
            return [*constants, op]
        case Concat():
            _whole_pixels(op, facts, streams, *op.sources)
            if op.axis != len(shape) - 1:
                raise refused(op, f"along axis {op.axis}")
            return [*_broadcast(op, facts, stream, tables), replace(op, axis=0)]
        case Slice():
            _whole_pixels(op, facts, streams, op.source)
            rest = zip(op.starts[:-1], op.stops[:-1], op.steps[:-1], facts.shapes[op.source], strict=False)
            if any((start, stop, step) != (0, size, 1) for start, stop, step, size in rest):
                raise refused(op, "of rows or columns")
            return [replace(op, starts=op.starts[-1:], stops=op.stops[-1:], steps=op.steps[-1:])]
        case Pad():
            _whole_pixels(op, facts, streams, op.source)
            if any(map(any, op.pads[:-1])):
                raise refused(op, "of rows or columns")
            return [replace(op, pads=op.pads[-1:])]
        case Upsample():
            _whole_pixels(op, facts, streams, op.source)
            if any(factor != 1 for factor in op.factors[:-1]):
                raise refused(op, "of rows or columns")
            return [replace(op, factors=op.factors[-1:])]
        case Pool():
            return _pooled(op, facts, streams[op.source], tables)
        case ArgMax() | TopK() | Softmax():
            _whole_pixels(op, facts, streams, op.source)
            return [op]
        case _:
            raise refused(op, f"of shape {shape}")


def window_op(op: Conv | Pool, facts: Facts, window: Window, lanes: int, tables: Tables) -> list[Op]:
    """Return the ops that make of a step's window, as a vector, the beat of results that it completes.

    lanes: of a pixel of the window, which may be a whole row of the value's pixels, side by side.
    """
    if isinstance(op, Pool) and op.kind is PoolKind.MAX:
        taps = range(window.size[1])
        groups = [
            [row * window.columns + number * window.strides[1] + tap for row in range(window.size[0]) for tap in taps]
            for number in range(window.outputs)
        ]
        return _greatest(op, groups, lanes)
    taken = facts.shapes[op.source][-1]
    if isinstance(op, Conv):
        weight, bias = (facts.program.constants[key] for key in (op.weight, op.bias))
        full, frac, offset = ungrouped(weight.q, op.groups), weight.frac_bits, bias
        full = full.reshape(*window.size, *full.shape[-2:])
    else:
        taken, frac = lanes, 0
        full = np.broadcast_to(np.eye(lanes, dtype=np.int64), (*window.size, lanes, lanes))
        offset = Constant(np.zeros(lanes, dtype=np.int64), facts.ranges[op.name].frac_bits)
    beside = lanes // taken  # pixels of the value in one of the window
    each = full.shape[-1]
    matrix = np.zeros((*(window.size[0], window.columns), beside, taken, window.outputs, beside, each), dtype=np.int64)
    for number in range(window.outputs):
        for tap in range(window.size[1]):
            column = number * window.strides[1] + tap * window.dilation[1]
            for place in range(beside):
                matrix[:, column, place, :, number, place] = full[:, tap]
    tables[f"{op.name}.matrix"] = Constant(matrix.reshape(window.size[0] * window.columns * lanes, -1), frac)
    tables[f"{op.name}.offset"] = Constant(np.tile(offset.q, window.outputs * beside), offset.frac_bits)
    dense = Dense(name=op.name, layer=op.layer, source=op.source, weight=f"{op.name}.matrix", bias=f"{op.name}.offset")
    return [dense]


def pool_in_beat(op: Pool, shape: tuple[int, ...], stream: Stream) -> int:
    """Return how many windows of a pool a beat of its source holds, each whole; 0 where one is in several beats.

    shape, stream: of the source, whose beats hold pixels of one axis, or whole rows.
    """
    if op.size != op.strides or any(map(any, op.pads)) or prod(op.size[1:]) > 1:
        return 0
    lanes = prod(shape[1:])
    rows = stream.per_beat // lanes
    return rows // op.size[0] if stream.per_beat % lanes == 0 and rows % op.size[0] == 0 else 0


def _pooled(op: Pool, facts: Facts, stream: Stream, tables: Tables) -> list[Op]:
    """Return the ops that pool the windows of a beat."""
    shape = facts.shapes[op.source]
    count, lanes, size = pool_in_beat(op, shape, stream), prod(shape[1:]), op.size[0]
    if not count:
        raise refused(op, f"with windows of {op.size} on beats of {stream.per_beat} elements")
    if op.kind is PoolKind.MAX:
        return _greatest(op, [list(range(at * size, (at + 1) * size)) for at in range(count)], lanes)
    each = np.tile(np.eye(lanes, dtype=np.int64), (size, 1))
    tables[f"{op.name}.matrix"] = Constant(np.kron(np.eye(count, dtype=np.int64), each), 0)
    tables[f"{op.name}.offset"] = Constant(np.zeros(count * lanes, dtype=np.int64), facts.ranges[op.name].frac_bits)
    return [Dense(name=op.name, layer=op.layer, source=op.source, weight=f"{op.name}.matrix", bias=f"{op.name}.offset")]


def _greatest(op: Pool, groups: Sequence[Sequence[int]], lanes: int) -> list[Op]:
    """Return the ops that take the greatest of each group of pixels, lane by lane, as balanced trees."""
    made: list[Op] = []
    parts: list[str] = []
    for number, group in enumerate(groups):
        names: list[str] = []
        for pixel in group:
            name, ends = f"{op.name}.tap{number}_{pixel}", (pixel * lanes, (pixel + 1) * lanes)
            made.append(Slice(name=name, layer=op.layer, source=op.source, starts=ends[:1], stops=ends[1:], steps=(1,)))
            names.append(name)
        while len(names) > 1:
            pairs = list(zip(names[::2], names[1::2], strict=False))
            top = [
                Max(name=f"{op.name}.max{number}_{len(made) + i}", layer=op.layer, left=a, right=b)
                for i, (a, b) in enumerate(pairs)
            ]
            made += top
            names = [item.name for item in top] + names[2 * len(pairs) :]
        parts += names
    if len(parts) == 1:
        return [*made[:-1], replace(made[-1], name=op.name)]
    return [*made, Concat(name=op.name, layer=op.layer, sources=tuple(parts), axis=0)]


def ungrouped(weight: Ints, groups: int) -> Ints:
    """Return the weights of a grouped convolution, (*kernel, c_in / groups, c_out), as those of one group."""
    if groups == 1:
        return weight
    *kernel, depth, c_out = weight.shape
    each = c_out // groups
    full = np.zeros((*kernel, depth * groups, c_out), dtype=np.int64)
    for group in range(groups):
        mine = slice(group * each, (group + 1) * each)
        full[..., group * depth : (group + 1) * depth, mine] = weight[..., mine]
    return full


def _rows_for_lanes(op: Lookup | Thresholds, facts: Facts, stream: Stream, tables: Tables) -> Op:
    """Return a table with one row for all lanes, or for each."""
    key = op.table if isinstance(op, Lookup) else op.thresholds
    rows = facts.program.constants[key]
    if len(rows.q) in (1, stream.per_beat):
        return op
    if stream.per_beat % len(rows.q):
        raise refused(op, "with a table for each element")
    tables[f"{op.name}.rows"] = Constant(np.tile(rows.q, (stream.per_beat // len(rows.q), 1)), rows.frac_bits)
    if isinstance(op, Lookup):
        return replace(op, table=f"{op.name}.rows")
    return replace(op, thresholds=f"{op.name}.rows")


def _per_pixel(op: Dense | Conv, weight: Constant, bias: Constant, pixels: int, tables: Tables) -> Dense:
    """Return a product with a matrix for each of a beat's pixels."""
    tables[f"{op.name}.matrix"] = Constant(np.kron(np.eye(pixels, dtype=np.int64), weight.q), weight.frac_bits)
    tables[f"{op.name}.offset"] = Constant(np.tile(bias.q, pixels), bias.frac_bits)
    return Dense(name=op.name, layer=op.layer, source=op.source, weight=f"{op.name}.matrix", bias=f"{op.name}.offset")


def _spread(op: Op, values: tuple[int, ...], shape: tuple[int, ...], stream: Stream) -> tuple[int, ...]:
    """Return one value for all, or one for each lane."""
    if len(set(values)) == 1:
        return values[:1]
    return tuple(_same(op, np.broadcast_to(per_element(values, shape), shape), stream, "with formats"))


def _same(op: Op, array: Ints, stream: Stream, what: str) -> list[int]:
    """Return what every beat of an array holds; LowerError where beats differ."""
    beats = stream.cut(array[None])[0]
    if (beats != beats[0]).any():
        raise refused(op, f"{what} that differ from position to position")
    return beats[0].tolist()


def _is_constant(facts: Facts, name: str) -> bool:
    return isinstance(facts.program.op(name), Const)


def _broadcast(op: Op, facts: Facts, stream: Stream, tables: Tables) -> list[Op]:
    """Return the constants that an op reads, each as a beat of its lanes."""
    shape = facts.shapes[op.name]
    found: list[Op] = []
    for name in dict.fromkeys(sources(op)):
        constant = facts.program.op(name)
        if not isinstance(constant, Const):
            continue
        value = facts.program.constants[constant.value]
        if isinstance(op, Concat):
            raise refused(op, "with a constant")
        full = np.broadcast_to(aligned(value.q[None], len(shape))[0], shape)
        tables[f"{name}.beat"] = Constant(np.array(_same(op, full, stream, "with constants")), value.frac_bits)
        found.append(replace(constant, value=f"{name}.beat"))
    return found


def _whole_pixels(op: Op, facts: Facts, streams: Mapping[str, Stream], *names: str) -> None:
    """Raise LowerError where a beat of any of the values is not one pixel."""
    for name in names:
        if name in streams and streams[name].per_beat != facts.shapes[name][-1]:
            raise refused(op, f"on beats of {streams[name].per_beat} of {facts.shapes[name][-1]} elements")
