"""ONNX operators that move elements or tell shapes: nodes or views of tensors, folded on constants."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from gatewright.importers import shaping
from gatewright.importers.builder import Builder, Const, Tensor, Value
from gatewright.importers.onnx.arithmetic import Handler
from gatewright.importers.onnx.constants import broadcast, folded, rearranged
from gatewright.importers.onnx.op import Op
from gatewright.importers.onnx.reader import to_array, to_const


def _shape_of(value: Value) -> tuple[int, ...]:
    return value.shape if isinstance(value, Tensor) else value.value.shape


def _reshaped(b: Builder, value: Value, shape: Sequence[int]) -> Value:
    shape = tuple(shape)
    if isinstance(value, Tensor):
        return b.reshape(value, shape)
    return rearranged(b, value, lambda array: array.reshape(shape))


def _reshape(b: Builder, op: Op) -> list[Value]:
    value, target = op.value(0), op.int_list(1)
    allow_zero = op.flag("allowzero", False)
    if target is None:
        op.fail("operand 1, the shape, is missing")
    old = _shape_of(value)
    if not allow_zero:
        if any(size == 0 and axis >= len(old) for axis, size in enumerate(target)):
            op.fail(f"copies an axis that its input of the shape {old} does not have: {target}")
        target = tuple(old[axis] if size == 0 else size for axis, size in enumerate(target))
    if -1 in target:
        known = prod(size for size in target if size != -1)
        if target.count(-1) > 1 or known < 1 or prod(old) % known:
            op.fail(f"cannot reshape {old} to {target}")
        target = tuple(prod(old) // known if size == -1 else size for size in target)
    return [_reshaped(b, value, target)]


def _flatten(b: Builder, op: Op) -> list[Value]:
    value, axis = op.value(0), op.get("axis", 1)
    shape = _shape_of(value)
    if not -len(shape) <= axis <= len(shape):
        op.fail(f"attribute axis = {axis!r} is outside a value of the shape {shape}")
    axis = axis + len(shape) if axis < 0 else axis
    return [_reshaped(b, value, (prod(shape[:axis]), prod(shape[axis:])))]


def _squeeze(b: Builder, op: Op) -> list[Value]:
    value, axes = op.value(0), op.listed("axes", 1, since=13)
    shape = _shape_of(value)
    gone = {b.axis(a, len(shape)) for a in axes} if axes is not None else {a for a, s in enumerate(shape) if s == 1}
    if any(shape[a] != 1 for a in gone):
        op.fail(f"squeezes axes {sorted(gone)} of the shape {shape}; they must have size 1")
    if isinstance(value, Tensor) and value.sample_axis in gone:
        every = "every axis of size 1" if axes is None else f"axes {sorted(gone)}"
        op.fail(f"squeezes {every} of the shape {shape}, the samples' axis {value.sample_axis} among them; name others")
    return [_reshaped(b, value, [size for axis, size in enumerate(shape) if axis not in gone])]


def _unsqueeze(b: Builder, op: Op) -> list[Value]:
    value, axes = op.value(0), op.listed("axes", 1, since=13)
    if axes is None:
        op.fail("axes are missing")
    shape = _shape_of(value)
    rank = len(shape) + len(axes)
    new, old = {b.axis(a, rank) for a in axes}, iter(shape)
    if len(new) != len(axes):
        op.fail(f"names an axis twice: {axes}")
    return [_reshaped(b, value, [1 if axis in new else next(old) for axis in range(rank)])]


def _transpose(b: Builder, op: Op) -> list[Value]:
    value = op.value(0)
    rank = len(_shape_of(value))
    axes = op.ints("perm", tuple(reversed(range(rank)))) or ()
    if sorted(axes) != list(range(rank)):
        op.fail(f"attribute perm = {axes} is no order of {rank} axes")
    if isinstance(value, Tensor):
        return [b.transpose(value, axes)]
    return [rearranged(b, value, lambda array: array.transpose(axes))]


def _concat(b: Builder, op: Op) -> list[Value]:
    values = [op.value(i) for i in range(len(op.operands))]
    if not op.has("axis"):
        op.fail("attribute axis is missing")
    axis = op.get("axis", 0)
    constants = [value for value in values if isinstance(value, Const)]
    if len(constants) == len(values):
        return [folded(b, lambda: np.concatenate([c.value for c in constants], axis))]
    return [shaping.concat(b, values, axis)]


def _slice(b: Builder, op: Op) -> list[Value]:
    value = op.value(0)
    rank = len(_shape_of(value))
    if op.opset >= 10:
        starts, stops, axes, steps = (op.int_list(i) for i in range(1, 5))
    else:
        starts, stops, axes, steps = op.ints("starts"), op.ints("ends"), op.ints("axes"), None
    if starts is None or stops is None:
        op.fail("starts or ends are missing")
    axes = tuple(range(len(starts))) if axes is None else tuple(b.axis(a, rank) for a in axes)
    steps = steps or (1,) * len(starts)
    if not len(starts) == len(stops) == len(axes) == len(steps) or len(set(axes)) != len(axes) or 0 in steps:
        op.fail(f"starts {starts}, ends {stops}, axes {axes} and steps {steps} do not fit together")
    chosen = {a: slice(i, j, k) for a, i, j, k in zip(axes, starts, stops, steps, strict=True)}
    return [_sliced(b, value, chosen)]


def _sliced(b: Builder, value: Value, chosen: dict[int, slice]) -> Value:
    if isinstance(value, Tensor):
        return shaping.slices(b, value, chosen)
    index = tuple(chosen.get(axis, slice(None)) for axis in range(value.value.ndim))
    return rearranged(b, value, lambda array: array[index])


def _split(b: Builder, op: Op) -> list[Value]:
    value = op.value(0)
    shape = _shape_of(value)
    axis = b.axis(op.get("axis", 0), len(shape))
    sizes = op.listed("split", 1, since=13)
    parts = op.get("num_outputs", len(op.outputs)) if op.opset >= 18 else len(op.outputs)
    if sizes is None:
        each = -(-shape[axis] // parts)
        sizes = tuple(min(each, shape[axis] - each * i) for i in range(parts))
        if op.opset < 18 and len(set(sizes)) > 1:
            op.fail(f"splits {shape[axis]} elements into {parts} equal parts")
    if sum(sizes) != shape[axis] or len(sizes) != len(op.outputs) or min(sizes) < 1:
        op.fail(f"splits {shape[axis]} elements into {sizes}")
    ends = np.cumsum(sizes).tolist()
    return [_sliced(b, value, {axis: slice(end - size, end)}) for size, end in zip(sizes, ends, strict=True)]


def _gather(b: Builder, op: Op) -> list[Value]:
    value, indices = op.value(0), op.array(1)
    axis = b.axis(op.get("axis", 0), len(_shape_of(value)))
    if not np.issubdtype(indices.dtype, np.integer):
        op.fail(f"indices of type {indices.dtype}; integers are expected")
    if isinstance(value, Const):
        return [folded(b, lambda: np.take(value.value, indices, axis))]
    if indices.ndim > 1:
        op.fail(f"picks with indices of the shape {indices.shape}; one index or a list is supported")
    return [shaping.take(b, value, axis, [int(i) for i in indices.reshape(-1)], scalar=indices.ndim == 0)]


def _gather_nd(b: Builder, op: Op) -> list[Value]:
    """GatherND by constant indices, as torch writes adaptive pools whose windows differ: rows of the leading axes."""
    value, indices = op.value(0), op.array(1)
    op.only("batch_dims", 0)
    shape = _shape_of(value)
    depth = indices.shape[-1] if indices.ndim else 0
    lead, rest = shape[:depth], shape[depth:]
    if not np.issubdtype(indices.dtype, np.integer) or not 1 <= depth <= len(shape):
        op.fail(f"indices of type {indices.dtype}, shape {indices.shape}, do not fit a value of the shape {shape}")
    if ((indices < -np.array(lead)) | (indices >= np.array(lead))).any():
        op.fail(f"picks elements outside of the shape {shape}")
    flat = np.ravel_multi_index(tuple(np.moveaxis(indices % np.array(lead), -1, 0)), lead)
    if isinstance(value, Const):
        return [rearranged(b, value, lambda array: array.reshape(prod(lead), *rest)[flat])]
    if value.sample_axis < depth:
        op.fail(f"picks along the axis of the samples (axis {value.sample_axis}); the model must treat samples alike")
    sample = value.sample_axis  # in front meanwhile, where reshapes cannot take another axis of its size for it
    others = [axis for axis in range(depth, len(shape)) if axis != sample]
    kept = [shape[axis] for axis in others]
    rows = b.reshape(b.transpose(value, (sample, *range(depth), *others)), (shape[sample], prod(lead), *kept))
    picked = shaping.pick(b, rows, 1, [int(i) for i in flat.reshape(-1)])
    order = list(range(1, 1 + flat.ndim + len(others)))
    order.insert(flat.ndim + sample - depth, 0)
    return [b.transpose(b.reshape(picked, (shape[sample], *flat.shape, *kept)), tuple(order))]


def _pad(b: Builder, op: Op) -> list[Value]:
    x = op.tensor()
    op.only("mode", "constant")
    if op.opset >= 11:
        flat, fill, axes = op.int_list(1), op.scalar(2), op.int_list(3)
        value = 0.0 if fill is None else fill
    else:
        flat, axes, value = op.ints("pads"), None, op.get("value", 0.0)
    axes = tuple(range(x.rank)) if axes is None else tuple(b.axis(a, x.rank) for a in axes)
    if flat is None or len(flat) != 2 * len(axes):
        op.fail(f"pads {flat} do not fit {len(axes)} axes")
    by_axis = {axis: (flat[i], flat[i + len(axes)]) for i, axis in enumerate(axes)}
    return [shaping.pad(b, x, tuple(by_axis.get(axis, (0, 0)) for axis in range(x.rank)), value)]


def _shape(_b: Builder, op: Op) -> list[Value]:
    shape = _shape_of(op.value(0))
    start, end = op.get("start", 0), op.get("end", len(shape))
    return [Const(value=np.array(shape[start:end], dtype=np.int64))]


def _size(_b: Builder, op: Op) -> list[Value]:
    return [Const(value=np.array(prod(_shape_of(op.value(0))), dtype=np.int64))]


def _constant(_b: Builder, op: Op) -> list[Value]:
    if op.has("value"):
        return [to_const(op.raw("value"))]
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    for name, kind in kinds.items():
        if op.has(name):
            return [Const(value=np.asarray(op.raw(name), dtype=kind))]
    return op.fail("holds neither a tensor nor numbers; sparse tensors and strings are not read")


def _constant_of_shape(b: Builder, op: Op) -> list[Value]:
    shape = op.int_list(0) or ()
    fill = to_array(op.raw("value")) if op.has("value") else np.zeros(1, dtype=np.float32)
    if fill.size != 1:
        op.fail(f"attribute value has the shape {fill.shape}; one element is expected")
    return [Const(value=broadcast(b, fill.reshape(()), shape))]


def _expand(b: Builder, op: Op) -> list[Value]:
    value, shape = op.value(0), op.int_list(1) or ()
    if isinstance(value, Const):
        return [Const(value=broadcast(b, value.value, shape))]
    return [shaping.expand(b, value, shape)]


HANDLERS: dict[str, Handler] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Pad": _pad,
    "Shape": _shape,
    "Size": _size,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
}
