"""Program in, the shape of every result out; ProgramError names op, rule and remedy where shapes do not fit."""

from __future__ import annotations

import math
from typing import assert_never

import numpy as np

from gatewright.errors import ProgramError
from gatewright.fixedpoint import MAX_BITS, Ints
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, SoftmaxVariant, Thresholds, TopK, Trees
from gatewright.ir.ops import (
    Add,
    Const,
    Conv,
    Dense,
    Elementwise,
    Input,
    MatMul,
    Max,
    Min,
    Mul,
    Pool,
    PoolKind,
    Requant,
    Sub,
)
from gatewright.ir.program import Constant, Op, Program, Scan, constants_of, sources
from gatewright.ir.trees import outputs_of_trees
from gatewright.ir.windows import pool_cells, window_counts

Shape = tuple[int, ...]
MAX_ELEMENTS = 1 << 26  # of one result: 512 MiB of int64 per sample


def shapes(program: Program) -> dict[str, Shape]:
    """Return every result's shape by name, without the sample axis."""
    known: dict[str, Shape] = {}
    for index, op in enumerate(program.ops):
        try:
            known[op.name] = _shape(op, index, known, program)
        except ProgramError as error:
            raise ProgramError(f"{where(program, index)}: {error}") from None
    return known


def matmul_shape(left: Shape, right: Shape) -> Shape | None:
    """Return the shape of the matrix product of two values, None where there is none."""
    if len(left) < 2 or len(right) < 2 or left[-1] != right[-2]:
        return None
    try:
        return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    except ValueError:
        return None


def where(program: Program, index: int) -> str:
    """Return how messages name an op."""
    op = program.ops[index]
    return f"program {program.name!r}, op {index} {op.name!r} ({type(op).__name__})"


def _shape(op: Op, index: int, known: dict[str, Shape], program: Program) -> Shape:
    for source in sources(op):
        if source not in known:
            raise ProgramError(f"reads {source!r}, which no earlier op defines; order the ops by their use")
    for key in constants_of(op):
        if key not in program.constants:
            raise ProgramError(f"constant {key!r} is not in the table {sorted(program.constants)}")
    shape = _result(op, index, [known[source] for source in sources(op)], program)
    if not shape or any(size < 1 for size in shape):
        raise ProgramError(f"shape must be one or more positive sizes, not {shape}")
    if math.prod(shape) > MAX_ELEMENTS:
        raise ProgramError(f"shape {shape} has more than {MAX_ELEMENTS} elements; split the value")
    return shape


def _result(op: Op, index: int, given: list[Shape], program: Program) -> Shape:
    match op:
        case Input():
            if index != 0:
                raise ProgramError("only the first op may be an Input")
            return op.shape
        case Const():
            return program.constants[op.value].q.shape
        case Dense():
            return _dense(given[0], program.constants[op.weight], program.constants[op.bias])
        case Conv():
            return _conv(op, given[0], program.constants[op.weight], program.constants[op.bias])
        case Pool():
            return _pool(op, given[0])
        case Elementwise():
            return given[0]
        case Requant():
            return _requant(op, given[0])
        case Add() | Sub() | Mul() | Max() | Min():
            try:
                return np.broadcast_shapes(*given)
            except ValueError:
                raise ProgramError(f"shapes {given[0]} and {given[1]} do not broadcast; reshape one of them") from None
        case MatMul():
            return _matmul(*given)
        case Concat():
            return _concat(op, given)
        case Reshape():
            if math.prod(op.shape) != math.prod(given[0]):
                raise ProgramError(f"{given[0]} has {math.prod(given[0])} elements, {op.shape} {math.prod(op.shape)}")
            return op.shape
        case Transpose():
            if sorted(op.axes) != list(range(len(given[0]))):
                raise ProgramError(f"axes must be an order of 0..{len(given[0]) - 1}, not {op.axes}")
            return tuple(given[0][axis] for axis in op.axes)
        case Slice():
            return _slice(op, given[0])
        case Pad():
            _per_axis(given[0], pads=op.pads)
            _not_negative(op.pads)
            return tuple(size + sum(pair) for size, pair in zip(given[0], op.pads, strict=True))
        case Upsample():
            _per_axis(given[0], factors=op.factors)
            return tuple(size * factor for size, factor in zip(given[0], op.factors, strict=True))
        case Scan():
            return _scan(op, given[0], program.constants[op.initial])
        case ArgMax():
            if op.name != program.output:
                raise ProgramError("ArgMax may only be the output; its result is a class number")
            return (*given[0][:-1], 1)
        case TopK():
            if op.name != program.output:
                raise ProgramError("TopK may only be the output; its results are class numbers")
            if not 1 <= op.k <= given[0][-1]:
                raise ProgramError(f"k must be 1..{given[0][-1]}, the number of elements, not {op.k}")
            return (*given[0][:-1], op.k)
        case Thresholds():
            at = program.constants[op.thresholds].q
            _rows(op.thresholds, at, given[0][-1])
            if (np.diff(at, axis=1) < 0).any():
                raise ProgramError(f"thresholds of a channel must ascend; sort each row of {op.thresholds!r}")
            return given[0]
        case Trees():
            return (outputs_of_trees(op, program.constants, given[0]),)
        case Lookup():
            _rows(op.table, program.constants[op.table].q, given[0][-1])
            return given[0]
        case Softmax():
            _softmax(op, program)
            return given[0]
        case _:
            assert_never(op)


def _dense(shape: Shape, weight: Constant, bias: Constant) -> Shape:
    if weight.q.ndim != 2 or weight.q.shape[0] != shape[-1] or bias.q.shape != weight.q.shape[1:]:
        raise ProgramError(
            f"weight must be ({shape[-1]}, n_out) and bias (n_out,), not {weight.q.shape} and {bias.q.shape}"
        )
    return (*shape[:-1], weight.q.shape[1])


def _matmul(left: Shape, right: Shape) -> Shape:
    shape = matmul_shape(left, right)
    if shape is None:
        raise ProgramError(
            f"needs (..., n, k) and (..., k, m), whose first axes broadcast, not {left} and {right}; transpose or "
            "reshape one of them"
        )
    return shape


def _conv(op: Conv, shape: Shape, weight: Constant, bias: Constant) -> Shape:
    space, channels = shape[:-1], shape[-1]
    if len(space) not in (1, 2):
        raise ProgramError(f"needs (steps, channels) or (height, width, channels), not {shape}; reshape before it")
    if op.groups < 1 or channels % op.groups:
        raise ProgramError(f"groups must divide the {channels} channels, not {op.groups}")
    *kernel, per_group, c_out = weight.q.shape if weight.q.ndim >= 2 else (0, 0)
    if len(kernel) != len(space) or per_group != channels // op.groups or bias.q.shape != (c_out,) or c_out % op.groups:
        wanted = f"(*kernel of {len(space)} axes, {channels // op.groups}, c_out)"
        raise ProgramError(
            f"weight must be {wanted} and bias (c_out,) with c_out a multiple of groups {op.groups}, "
            f"not {weight.q.shape} and {bias.q.shape}"
        )
    return (*_windows(space, tuple(kernel), op.strides, op.dilation, op.pads), c_out)


def _pool(op: Pool, shape: Shape) -> Shape:
    count = _windows(shape[:-1], op.size, op.strides, (1,) * len(op.size), op.pads)
    if op.kind is PoolKind.MAX and not pool_cells(shape[:-1], op.size, op.strides, op.pads).all():
        raise ProgramError(f"a window lies in the padding {op.pads} alone and has no greatest value; pad less")
    return (*count, shape[-1])


def _windows(space: Shape, kernel: Shape, strides: Shape, dilation: Shape, pads: tuple[tuple[int, int], ...]) -> Shape:
    _per_axis(space, kernel=kernel, strides=strides, dilation=dilation, pads=pads)
    _not_negative(pads)
    for name, values in (("kernel", kernel), ("strides", strides), ("dilation", dilation)):
        if any(value < 1 for value in values):
            raise ProgramError(f"{name} must be positive, not {values}")
    count = window_counts(space, kernel, strides, dilation, pads)
    if any(number < 1 for number in count):
        raise ProgramError(f"a window of {kernel} (dilation {dilation}) does not fit into {space} padded by {pads}")
    return count


def _requant(op: Requant, shape: Shape) -> Shape:
    size = math.prod(shape)
    for key, values in (("width_bits", op.width_bits), ("keep_frac_bits", op.keep_frac_bits), ("signed", op.signed)):
        if len(values) not in (1, shape[-1], size):
            counts = " or ".join(map(str, sorted({1, shape[-1], size})))
            raise ProgramError(f"{key} must have {counts} entries, not {len(values)}")
    if any(not 0 <= width <= MAX_BITS for width in op.width_bits):
        raise ProgramError(f"width_bits must be 0..{MAX_BITS}, not {op.width_bits}")
    if any(frac > op.frac_bits for frac in op.keep_frac_bits):
        raise ProgramError(f"keep_frac_bits {op.keep_frac_bits} must not exceed frac_bits {op.frac_bits}")
    return shape


def _concat(op: Concat, given: list[Shape]) -> Shape:
    if not given or not 0 <= op.axis < len(given[0]):
        raise ProgramError(f"axis must be 0..{len(given[0]) - 1 if given else 0} of one or more results, not {op.axis}")
    rest = {(*shape[: op.axis], *shape[op.axis + 1 :]) for shape in given}
    if len({len(shape) for shape in given}) > 1 or len(rest) > 1:
        raise ProgramError(f"shapes {given} must agree but for axis {op.axis}")
    return (*given[0][: op.axis], sum(shape[op.axis] for shape in given), *given[0][op.axis + 1 :])


def _slice(op: Slice, shape: Shape) -> Shape:
    _per_axis(shape, starts=op.starts, stops=op.stops, steps=op.steps)
    if 0 in op.steps:
        raise ProgramError(f"steps must not be 0: {op.steps}")
    parts = [range(*part) for part in zip(op.starts, op.stops, op.steps, strict=True)]
    for axis, (part, size) in enumerate(zip(parts, shape, strict=True)):
        if not part or min(part) < 0 or max(part) >= size:
            raise ProgramError(f"axis {axis}: {part} must be one or more of the indices 0..{size - 1}")
    return tuple(map(len, parts))


def _scan(op: Scan, shape: Shape, initial: Constant) -> Shape:
    if len(shape) != 2 or initial.q.ndim != 1 or not initial.q.size:
        raise ProgramError(f"needs (steps, features) and a state (states,), not {shape} and {initial.q.shape}")
    features, states = shape[1], initial.q.shape[0]
    if op.body.input.shape != (features + states,):
        raise ProgramError(
            f"the body must read ({features + states},), features {features} and states {states}, "
            f"not {op.body.input.shape}"
        )
    body = shapes(op.body)
    if op.body.output not in body:
        raise ProgramError(f"the body's output {op.body.output!r} is not the result of any op")
    result = body[op.body.output]
    if len(result) != 1 or result[0] < states:
        raise ProgramError(f"the body must return a vector of at least {states} elements, the state, not {result}")
    first, end = op.emit
    if not 0 <= first < end <= result[0]:
        raise ProgramError(f"emit must name elements of the body's result {result}, not {op.emit}")
    return (shape[0], end - first) if op.sequences else (end - first,)


def _rows(name: str, table: Ints, channels: int) -> None:
    if table.ndim != 2 or table.shape[0] not in (1, channels) or table.shape[1] < 1:
        raise ProgramError(
            f"{name!r} must have shape (1 or {channels}, at least 1), one row per channel, not {table.shape}"
        )


def _softmax(op: Softmax, program: Program) -> None:
    for key in (op.exp_table, op.reciprocal_table):
        table = program.constants[key].q
        if table.ndim != 1 or not table.size or table.min() < 0:
            raise ProgramError(f"{key!r} must be a vector of numbers >= 0, not of shape {table.shape}")
    for key, value in (("drop", op.drop), ("sum_drop", op.sum_drop), ("shift", op.shift)):
        if not 0 <= value <= MAX_BITS - 1:
            raise ProgramError(f"{key} must be 0..{MAX_BITS - 1}, not {value}")
    if not 1 <= op.width_bits <= MAX_BITS - 1:
        raise ProgramError(f"width_bits must be 1..{MAX_BITS - 1}, not {op.width_bits}")
    if op.variant is SoftmaxVariant.STABLE and op.first:
        raise ProgramError(f"first must be 0 in the stable variant, not {op.first}")


def _per_axis(shape: Shape, **given: tuple[object, ...]) -> None:
    for name, values in given.items():
        if len(values) != len(shape):
            raise ProgramError(f"{name} must have one entry for each axis of {shape}, not {values}")


def _not_negative(pads: tuple[tuple[int, int], ...]) -> None:
    if any(len(pair) != 2 or min(pair) < 0 for pair in pads):
        raise ProgramError(f"pads must be (before, after) >= 0 for each axis, not {pads}")
