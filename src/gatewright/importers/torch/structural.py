"""ATen operators with weights, windows or reductions in, nodes out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gatewright.graph.nodes import Pads
from gatewright.importers import layers
from gatewright.importers.builder import Builder, Const, Missing, Tensor
from gatewright.importers.elementwise import affine, finite
from gatewright.importers.torch.call import Call
from gatewright.importers.torch.pointwise import Handler


def _linear(b: Builder, c: Call) -> Tensor:
    weight = c.const("weight")
    scale = None if weight.scale is None else weight.scale.T
    return layers.dense(b, c.tensor("input"), Const(value=weight.value.T, scale=scale), c.array("bias"))


def _addmm(b: Builder, c: Call) -> Tensor:
    return layers.dense(b, c.tensor("mat1"), c.const("mat2"), c.array("self"))


def _matmul(other: str) -> Handler:
    def handler(b: Builder, c: Call) -> Tensor:
        left, right = c.tensor("self"), c.value(other)
        return layers.matmul(b, left, right) if isinstance(right, Tensor) else layers.dense(b, left, right, None)

    return handler


def _conv(b: Builder, c: Call) -> Tensor:
    x, weight = c.tensor("input"), c.const("weight")
    n = weight.value.ndim - 2
    _batched(c, x, n)
    strides, dilation = c.ints("stride", n), c.ints("dilation", n)
    given = c.get("padding")
    pads: Pads
    if given == "same":  # torch puts the odd one at the end
        totals = [(k - 1) * d for k, d in zip(weight.value.shape[2:], dilation, strict=True)]
        pads = tuple((total // 2, total - total // 2) for total in totals)
    elif given == "valid":
        pads = ((0, 0),) * n
    else:
        pads = tuple((p, p) for p in c.ints("padding", n))
    bias, groups = c.array("bias"), c.get("groups")
    return layers.conv(b, x, weight, bias, strides=strides, dilation=dilation, pads=pads, groups=groups)


def _conv_transpose(b: Builder, c: Call) -> Tensor:
    x, weight = c.tensor("input"), c.const("weight")
    n = weight.value.ndim - 2
    _batched(c, x, n)
    pads, extra = c.ints("padding", n), c.ints("output_padding", n)
    return layers.conv_transpose(
        b,
        x,
        weight,
        c.array("bias"),
        strides=c.ints("stride", n),
        dilation=c.ints("dilation", n),
        crop=tuple((p, p - e) for p, e in zip(pads, extra, strict=True)),
        groups=c.get("groups"),
    )


def _batched(c: Call, x: Tensor, n: int) -> None:
    if x.rank != n + 2:
        c.fail(f"reads a value of the shape {x.shape}; samples, channels and {n} axes of space are expected")


def _batch_norm(b: Builder, c: Call) -> list[Any]:
    x = c.tensor("input")
    c.ignore("momentum", "cudnn_enabled")
    if c.get("training"):
        c.fail("is in training mode; call model.eval() first")
    mean, variance = c.array("running_mean"), c.array("running_var")
    if mean is None or variance is None:
        c.fail("keeps no running statistics (track_running_stats=False)")
    gamma, beta = c.array("weight"), c.array("bias")
    along = (-1, *(1 for _ in range(x.rank - 2)))
    mean, variance, gamma, beta = (
        finite(b, fill if p is None else p, "statistics").reshape(along if np.ndim(p) else ())
        for p, fill in ((mean, mean), (variance, variance), (gamma, np.ones(())), (beta, np.zeros(())))
    )
    scale = gamma / np.sqrt(variance + c.get("eps"))
    return [affine(b, x, scale, beta - mean * scale), Missing("batch statistics"), Missing("batch statistics")]


def _first(handler: Handler) -> Handler:
    return lambda b, c: handler(b, c)[0]


def _pool(kind: Literal["max", "average"], n: int) -> Handler:
    def handle(b: Builder, c: Call) -> Tensor:
        x, size = c.tensor(), c.ints("kernel_size", n)
        _batched(c, x, n)
        strides = c.ints("stride", n) if c.get("stride") else size
        pads = tuple((p, p) for p in c.ints("padding", n))
        if kind == "max" and c.ints("dilation", n) != (1,) * n:
            c.fail(f"argument dilation = {c.ints('dilation', n)} is not supported; expected 1")
        include = bool(c.get("count_include_pad")) if kind == "average" else False
        ceil = bool(c.get("ceil_mode"))
        return layers.pool(b, x, kind, size=size, strides=strides, pads=pads, include_pad=include, ceil=ceil)

    return handle


def _adaptive(kind: Literal["max", "average"], n: int) -> Handler:
    def handle(b: Builder, c: Call) -> Any:
        x, target = c.tensor(), c.ints("output_size", n)
        _batched(c, x, n)
        if any(size % out for size, out in zip(x.shape[2:], target, strict=True)):
            c.fail(f"pools {x.shape[2:]} to {target}; sizes that divide are supported")
        size = tuple(s // out for s, out in zip(x.shape[2:], target, strict=True))
        pads = ((0, 0),) * n
        y = layers.pool(b, x, kind, size=size, strides=size, pads=pads, include_pad=False, ceil=False)
        return [y, Missing("the places of the greatest values")] if kind == "max" else y

    return handle


def _reduce(kind: Literal["max", "average", "sum"]) -> Handler:
    def handle(b: Builder, c: Call) -> Tensor:
        x = c.tensor()
        axes = c.get("dim")
        axes = tuple(range(x.rank)) if axes is None or axes == [] else c.ints("dim")
        return layers.reduce(b, x, kind, axes, keep_axes=bool(c.get("keepdim")))

    return handle


def _max(b: Builder, c: Call) -> list[Tensor]:
    x = c.tensor()
    axis, keep = b.axis(c.get("dim"), x.rank), bool(c.get("keepdim"))
    best = layers.reduce(b, x, "max", (axis,), keep_axes=keep)
    return [best, _without(b, layers.top_k(b, x, 1, axis), axis, keep)]


def _without(b: Builder, x: Tensor, axis: int, keep: bool) -> Tensor:
    return x if keep else b.reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))


def _arg_max(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    if c.get("dim") is None:
        c.fail("runs over all samples at once; give it a dim")
    axis = b.axis(c.get("dim"), x.rank)
    return _without(b, layers.top_k(b, x, 1, axis), axis, bool(c.get("keepdim")))


def _top_k(b: Builder, c: Call) -> list[Any]:
    x = c.tensor()
    if not c.get("sorted") and c.get("k") > 1:
        c.fail("argument sorted = False leaves the order of its results open; leave it out")
    if not c.get("largest"):
        c.fail("argument largest = False takes the least; negate the value before it")
    if c.get("k") > 1:
        b.note("of equal scores the lowest index comes first, as ONNX' TopK says; torch leaves their order open")
    best = layers.top_k(b, x, c.get("k"), b.axis(c.get("dim"), x.rank))
    return [Missing("the greatest values of topk; only their indices are supported"), best]


def _softmax(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    c.ignore("half_to_float")
    return layers.softmax(b, x, b.axis(c.get("dim"), x.rank))


def _log_softmax(b: Builder, c: Call) -> Tensor:
    x = c.tensor()
    c.ignore("half_to_float")
    if not c.is_output:
        c.fail("is supported as the model's last layer")
    return b.leave_out_log_softmax(x, b.axis(c.get("dim"), x.rank))


HANDLERS: dict[str, Handler] = {
    "linear": _linear,
    "addmm": _addmm,
    "mm": _matmul("mat2"),
    "bmm": _matmul("mat2"),
    "matmul": _matmul("other"),
    "conv1d": _conv,
    "conv2d": _conv,
    "conv_transpose1d": _conv_transpose,
    "conv_transpose2d": _conv_transpose,
    "batch_norm": _first(_batch_norm),
    "_native_batch_norm_legit_no_training": _batch_norm,
    "max_pool1d": _pool("max", 1),
    "max_pool2d": _pool("max", 2),
    "avg_pool1d": _pool("average", 1),
    "avg_pool2d": _pool("average", 2),
    "adaptive_avg_pool1d": _adaptive("average", 1),
    "adaptive_avg_pool2d": _adaptive("average", 2),
    "adaptive_max_pool1d": _adaptive("max", 1),
    "adaptive_max_pool2d": _adaptive("max", 2),
    "mean": _reduce("average"),
    "sum": _reduce("sum"),
    "amax": _reduce("max"),
    "max": _max,
    "argmax": _arg_max,
    "topk": _top_k,
    "softmax": _softmax,
    "_softmax": _softmax,
    "log_softmax": _log_softmax,
    "_log_softmax": _log_softmax,
}
