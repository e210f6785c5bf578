"""ONNX operators with weights or windows: Conv, ConvTranspose, Gemm, MatMul, BatchNormalization, pools, Resize."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from gatewright.graph.nodes import Pads
from gatewright.importers import layers, shaping
from gatewright.importers.builder import Builder, Const, Missing, Tensor, Value
from gatewright.importers.elementwise import affine, finite
from gatewright.importers.onnx.arithmetic import Handler, Results
from gatewright.importers.onnx.constants import Array, folded, rearranged
from gatewright.importers.onnx.op import Op


def _ones(n: int) -> tuple[int, ...]:
    return (1,) * n


def _pads(op: Op, space: tuple[int, ...], window: tuple[int, ...], strides: tuple[int, ...]) -> Pads:
    """Padding as the node says or as its auto_pad computes it; window: the reach of the kernel, dilation included."""
    n = len(space)
    auto, flat = op.get("auto_pad", "NOTSET"), op.ints("pads")
    if auto == "NOTSET":
        flat = flat if flat is not None else (0,) * (2 * n)
        if len(flat) != 2 * n:
            op.fail(f"attribute pads = {flat} does not fit {n} axes of space")
        return tuple((flat[i], flat[i + n]) for i in range(n))
    if flat is not None and any(flat):
        op.fail(f"sets both auto_pad = {auto!r} and pads = {flat}")
    if auto == "VALID":
        return ((0, 0),) * n
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        op.fail(f"attribute auto_pad = {auto!r}; NOTSET, VALID, SAME_UPPER and SAME_LOWER are supported")
    pads: list[tuple[int, int]] = []
    for size, k, s in zip(space, window, strides, strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return tuple(pads)


def _reach(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=False))


def _geometry(op: Op, kernel: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Strides and dilations; the kernel's shape must be the weights'."""
    n = len(kernel)
    given = op.ints("kernel_shape", kernel)
    if given != kernel:
        op.fail(f"attribute kernel_shape = {given} but the weights' kernel is {kernel}")
    strides, dilation = op.ints("strides", _ones(n)) or (), op.ints("dilations", _ones(n)) or ()
    if len(strides) != n or len(dilation) != n or min((*strides, *dilation), default=0) < 1:
        op.fail(f"strides {strides} and dilations {dilation} must be {n} positive numbers each")
    return strides, dilation


def _weight(op: Op, x: Tensor) -> Const:
    weight = op.const(1)
    if weight.value.ndim != x.rank:
        op.fail(f"weights of the shape {weight.value.shape} do not fit a value of the shape {x.shape}")
    return weight


def conv(b: Builder, op: Op) -> list[Value]:
    """Conv, any padding and grouping."""
    x = op.tensor()
    weight = _weight(op, x)
    strides, dilation = _geometry(op, weight.value.shape[2:])
    pads = _pads(op, x.shape[2:], _reach(weight.value.shape[2:], dilation), strides)
    bias, groups = op.maybe_array(2), op.get("group", 1)
    return [layers.conv(b, x, weight, bias, strides=strides, dilation=dilation, pads=pads, groups=groups)]


def _conv_transpose(b: Builder, op: Op) -> list[Value]:
    x = op.tensor()
    weight = _weight(op, x)
    kernel, n = weight.value.shape[2:], x.rank - 2
    strides, dilation = _geometry(op, kernel)
    extra = op.ints("output_padding", (0,) * n) or ()
    auto, target, flat = op.get("auto_pad", "NOTSET"), op.ints("output_shape"), op.ints("pads", (0,) * (2 * n)) or ()
    if len(extra) != n or len(flat) != 2 * n or (target is not None and len(target) != n):
        op.fail(f"pads {flat}, output_padding {extra} and output_shape {target} do not fit {n} axes of space")
    full = [(size - 1) * s + r for size, s, r in zip(x.shape[2:], strides, _reach(kernel, dilation), strict=True)]
    if auto in ("SAME_UPPER", "SAME_LOWER") and target is None:  # never more than the windows reach, as onnxruntime
        sizes = zip(x.shape[2:], strides, full, extra, strict=True)
        target = tuple(min(size * s, reach + e) for size, s, reach, e in sizes)
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        op.fail(f"attribute auto_pad = {auto!r} is not supported")
    if target is None:
        crop = tuple((flat[i], flat[i + n] - extra[i]) for i in range(n))
    else:  # the standard: total = stride (in - 1) + output_padding + reach - out, its halves by auto_pad
        totals = [size + e - out for size, e, out in zip(full, extra, target, strict=True)]
        upper = auto == "SAME_UPPER"
        halves = [(t // 2, t - t // 2) if upper else (t - t // 2, t // 2) for t in totals]
        crop = tuple((lo, hi - e) for (lo, hi), e in zip(halves, extra, strict=True))
    if any(lo < 0 for lo, _ in crop):
        op.fail(f"its output {target} is larger than its windows reach, {tuple(full)}")
    return [
        layers.conv_transpose(
            b, x, weight, op.maybe_array(2), strides=strides, dilation=dilation, crop=crop, groups=op.get("group", 1)
        )
    ]


def _gemm(b: Builder, op: Op) -> list[Value]:
    left, right = op.tensor(), op.const(1)
    if left.rank != 2 or right.value.ndim != 2:
        op.fail(f"multiplies values of the shapes {left.shape} and {right.value.shape}; matrices are expected")
    alpha, beta = op.get("alpha", 1.0), op.get("beta", 1.0)
    if op.flag("transA", False):
        left = b.transpose(left, (1, 0))
    if op.flag("transB", False):
        right = rearranged(b, right, np.transpose)
    if alpha != 1:
        right = Const(value=right.value * alpha, scale=None if right.scale is None else right.scale * alpha)
    bias = op.maybe_array(2)
    spreads = op.opset >= 7 or op.flag("broadcast", False)
    if bias is not None and bias.ndim != 2 and not spreads:
        op.fail(
            f"its third operand has the shape {bias.shape}, which set {op.opset} does not repeat for every sample "
            "without broadcast = 1; export with opset_version 7 or later"
        )
    return [layers.dense(b, left, right, None if bias is None else bias * beta)]


def _matmul(b: Builder, op: Op) -> list[Value]:
    left, right = op.value(0), op.value(1)
    if isinstance(left, Const) and isinstance(right, Const):
        return [folded(b, lambda: left.value @ right.value)]
    if isinstance(left, Const):
        op.fail("its first factor is constant and its second is not; write the transposed product")
    if isinstance(right, Tensor):
        return [layers.matmul(b, left, right)]
    if right.value.ndim == 1:
        op.fail("multiplies by a vector; reshape it to (n, 1)")
    if prod(right.value.shape[:-2]) != 1 or right.value.ndim > left.rank:
        op.fail(f"multiplies by a stack of matrices of the shape {right.value.shape}; one matrix is supported")
    matrix = right.value.shape[-2:]
    return [layers.dense(b, left, rearranged(b, right, lambda array: array.reshape(matrix)), None)]


def batch_normalization(b: Builder, op: Op) -> list[Value]:
    """BatchNormalization in inference: scale (x - mean) / sqrt(variance + epsilon) + bias along axis 1."""
    op.ignore("momentum")
    if op.opset < 7:
        op.ignore("consumed_inputs")
        if not op.flag("is_test", False):
            op.fail("attribute is_test = 0 is training mode; export the model for inference")
    op.only("spatial", 1)
    op.only("training_mode", 0)
    x, epsilon = op.tensor(), op.get("epsilon", 1e-5)
    per_channel: list[Array] = [finite(b, op.array(i), "statistics") for i in range(1, 5)]
    if x.rank < 2 or any(p.shape != (x.shape[1],) for p in per_channel):
        op.fail(
            f"has parameters of the shape {per_channel[0].shape} for the {x.shape[1] if x.rank > 1 else 0} channels "
            f"of its input {x.shape}; the file breaks the ONNX standard, export it again"
        )
    gamma, beta, mean, variance = (p.reshape(-1, *_ones(x.rank - 2)) for p in per_channel)
    if (variance + epsilon <= 0).any():
        op.fail(f"has a variance of {variance.min()!r}, which has no root")
    scale = gamma / np.sqrt(variance + epsilon)
    return [affine(b, x, scale, beta - mean * scale)]


def _pool(kind: Literal["max", "average"]) -> Handler:
    def handle(b: Builder, op: Op) -> list[Value]:
        x, size = op.tensor(), op.ints("kernel_shape")
        if size is None or len(size) != x.rank - 2:
            op.fail(f"attribute kernel_shape = {size} does not fit a value of the shape {x.shape}")
        op.ignore("storage_order")  # of the indices, which are refused where used
        op.only("dilations", [1] * len(size))
        strides, _ = _geometry(op, size)
        pads = _pads(op, x.shape[2:], size, strides)
        ceil, include = op.flag("ceil_mode", False), op.flag("count_include_pad", False)
        return [layers.pool(b, x, kind, size=size, strides=strides, pads=pads, include_pad=include, ceil=ceil)]

    return handle


def _global(kind: Literal["max", "average"]) -> Handler:
    def handle(b: Builder, op: Op) -> list[Value]:
        x = op.tensor()
        return [layers.reduce(b, x, kind, tuple(range(2, x.rank)), keep_axes=True)]

    return handle


def _reduce(kind: Literal["max", "average", "sum"], since: int) -> Handler:
    def handle(b: Builder, op: Op) -> list[Value]:
        x, axes, keep = op.value(0), op.listed("axes", 1, since=since), op.flag("keepdims", True)
        none = op.flag("noop_with_empty_axes", False)
        rank = x.rank if isinstance(x, Tensor) else x.value.ndim
        if not axes:
            if none:
                return [x]
            axes = tuple(range(rank))
        if isinstance(x, Const):
            fold = {"max": np.max, "average": np.mean, "sum": np.sum}[kind]
            return [folded(b, lambda: fold(x.value, axis=axes, keepdims=keep))]
        return [layers.reduce(b, x, kind, axes, keep_axes=keep)]

    return handle


def _resize(b: Builder, op: Op) -> list[Value]:
    """Resize and Upsample: whole factors by the nearest neighbour, which repeats elements."""
    x = op.tensor()
    op.only("mode", "nearest")
    op.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value", "antialias")  # of other modes
    op.only("keep_aspect_ratio_policy", "stretch")
    transform, rounding = "asymmetric", "floor"
    sizes = None
    axes = tuple(b.axis(a, x.rank) for a in op.ints("axes", tuple(range(x.rank))) or ())
    if op.type == "Upsample" and op.opset < 9:
        scales = op.raw("scales")
    elif op.opset < 11:
        scales = op.array(1).reshape(-1).tolist()
    else:
        op.operand(1)  # the region, of tf_crop_and_resize only, which is refused
        given = op.maybe_array(2)
        scales = given.reshape(-1).tolist() if given is not None and given.size else None
        sizes = op.int_list(3)
        transform, rounding = op.get("coordinate_transformation_mode", "half_pixel"), "round_prefer_floor"
        rounding = op.get("nearest_mode", rounding)
    if scales is None:
        if sizes is None or len(sizes) != len(axes):
            op.fail("has neither scales nor sizes for its axes")
        scales = [size / x.shape[axis] for size, axis in zip(sizes, axes, strict=True)]
    if not isinstance(scales, list) or len(scales) != len(axes):
        op.fail(f"scales {scales} do not fit {len(axes)} axes")
    by_axis = dict(zip(axes, scales, strict=True))
    counts = [_repetition(op, x.shape[a], by_axis.get(a, 1.0), transform, rounding) for a in range(x.rank)]
    x = shaping.upsample(b, x, tuple(each[0] if len(set(each)) == 1 else 1 for each in counts))
    for axis, each in enumerate(counts):
        x = shaping.repeat(b, x, axis, each) if len(set(each)) > 1 else x
    return [x]


def _repetition(op: Op, size: int, factor: float, transform: str, rounding: str) -> list[int]:
    """Return how many times nearest-neighbour sampling repeats each element of an axis, or refuse."""
    whole = round(factor)
    if factor == 1:
        return [1] * size
    if whole != factor or whole < 1 or whole * size > 1 << 20:
        op.fail(f"scales an axis of {size} by {factor!r}; whole factors are supported")
    out = np.arange(whole * size)
    positions = {
        "asymmetric": out / whole,
        "half_pixel": (out + 0.5) / whole - 0.5,
        "half_pixel_symmetric": (out + 0.5) / whole - 0.5,
        "pytorch_half_pixel": (out + 0.5) / whole - 0.5,
        "tf_half_pixel_for_nn": (out + 0.5) / whole,
    }.get(transform)
    roundings = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda at: np.ceil(at - 0.5),
        "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    }
    if positions is None or rounding not in roundings:
        op.fail(f"coordinate_transformation_mode {transform!r} with nearest_mode {rounding!r} is not supported")
    nearest = np.clip(roundings[rounding](positions), 0, size - 1).astype(np.int64)
    return [int(count) for count in np.bincount(nearest, minlength=size)]


def _softmax(b: Builder, op: Op) -> list[Value]:
    x = op.tensor()
    axis = b.axis(op.get("axis", -1 if op.opset >= 13 else 1), x.rank)
    if op.opset >= 13 or all(size == 1 for size in x.shape[axis + 1 :]):
        return [layers.softmax(b, x, axis)]
    if axis == 0:
        op.fail("attribute axis = 0 runs over the samples; the model must treat samples alike")
    flat = b.reshape(x, (*x.shape[:axis], prod(x.shape[axis:])))  # before set 13: over all axes from `axis` on
    return [b.reshape(layers.softmax(b, flat, axis), x.shape)]


def _log_softmax(b: Builder, op: Op) -> list[Value]:
    x = op.tensor()
    axis = b.axis(op.get("axis", -1 if op.opset >= 13 else 1), x.rank)
    one_axis = op.opset >= 13 or all(size == 1 for size in x.shape[axis + 1 :])
    if op.outputs[0] not in op.uses.outputs or op.outputs[0] in op.uses.by_nodes or not one_axis:
        op.fail("is supported as the model's last operator, over one axis")
    return [b.leave_out_log_softmax(x, axis)]


def _arg(*, largest: bool) -> Handler:
    def handle(b: Builder, op: Op) -> list[Value]:
        x = op.tensor()
        axis, keep = b.axis(op.get("axis", 0), x.rank), op.flag("keepdims", True)
        last = op.flag("select_last_index", False)
        if last:
            b.note("names the last of equal scores, which no program does: leave select_last_index out to make one")
        return [layers.top_k(b, x, 1, axis, largest=largest, last=last, keep_axis=keep)]

    return handle


def _top_k(b: Builder, op: Op) -> Results:
    x = op.tensor()
    axis = b.axis(op.get("axis", -1), x.rank)
    largest = op.flag("largest", True)
    k = op.int_list(1) if op.opset >= 10 else (op.get("k", 0),)
    if k is None or len(k) != 1:
        op.fail(f"takes {k} elements; one number is expected")
    if not op.flag("sorted", True) and k[0] > 1:
        op.fail("attribute sorted = 0 leaves the order of its results open; set sorted to 1")
    values = Missing("the values of a TopK; only their indices are supported")
    return [values, layers.top_k(b, x, k[0], axis, largest=largest)]


HANDLERS: dict[str, Handler] = {
    "Conv": conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": batch_normalization,
    "MaxPool": _pool("max"),
    "AveragePool": _pool("average"),
    "GlobalMaxPool": _global("max"),
    "GlobalAveragePool": _global("average"),
    "ReduceMax": _reduce("max", 18),
    "ReduceMean": _reduce("average", 18),
    "ReduceSum": _reduce("sum", 13),
    "Resize": _resize,
    "Upsample": _resize,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "ArgMax": _arg(largest=True),
    "ArgMin": _arg(largest=False),
    "TopK": _top_k,
}
