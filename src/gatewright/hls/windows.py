"""Dense layers, convolutions and pools in; the hls4ml layers that equal them, or the reason of a refusal, out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Fixed
from gatewright.hls.layers import Backend, HlsLayer, HlsType, Io
from gatewright.hls.site import Found, Site, holding, layer_of, named, numbers, step, table_type
from gatewright.ir import Constant, Op
from gatewright.ir.op_moves import Pads
from gatewright.ir.ops import Conv, Dense, Pool, PoolKind
from gatewright.ir.windows import window_counts

_AXES = {1: ("width",), 2: ("height", "width")}
_ENDS = {"height": ("top", "bottom"), "width": ("left", "right")}


def dense(op: Op, site: Site) -> Found:
    """Return a dense layer; over a tensor of more axes, a convolution by a kernel of one element."""
    assert isinstance(op, Dense)
    weight, bias = site.program.constants[op.weight], site.program.constants[op.bias]
    n_in, n_out = weight.q.shape
    shape = site.shape(op.source)
    axes = len(shape) - 1
    if axes:
        if axes not in _AXES:
            return f"a dense layer over a tensor of {len(shape)} axes; hls4ml has none over more than 3"
        ones = (1,) * axes
        kernel = Constant(weight.q.reshape(*ones, n_in, n_out), weight.frac_bits)
        return _convolution(op, op.source, site, kernel, bias, ones, ((0, 0),) * axes)
    settings = {"n_in": n_in, "n_out": n_out, "weight_data": numbers(weight), "bias_data": numbers(bias)}
    types = {"accum": holding(site.known[op.name]), "weight": table_type(weight), "bias": table_type(bias)}
    return (layer_of(op, site, "Dense", op.source, settings=settings, **types),)


def conv(op: Op, site: Site) -> Found:
    """Return a convolution. A dilated kernel gets zeros between its elements, a grouped one around them."""
    assert isinstance(op, Conv)
    weight, bias = site.program.constants[op.weight], site.program.constants[op.bias]
    kernel = _dilated(weight.q, op.dilation)
    c_in = site.shape(op.source)[-1]
    if op.groups > 1 and not (op.groups == c_in == kernel.shape[-1] and site.xilinx):
        kernel, groups = _ungrouped(kernel, op.groups), 1
    else:
        groups = op.groups
    table = Constant(kernel, weight.frac_bits)
    return _convolution(op, op.source, site, table, bias, op.strides, op.pads, depthwise=groups > 1)


def pool(op: Op, site: Site) -> Found:
    """Return a pool, or of sums a convolution by ones, which is exact where hls4ml's mean would round."""
    assert isinstance(op, Pool)
    shape = site.shape(op.source)
    axes, channels = len(shape) - 1, shape[-1]
    if axes not in _AXES:
        return f"a pool over {axes} axes; hls4ml has those over 1 and 2"
    if op.kind is PoolKind.SUM:
        bias = Constant(np.zeros(channels, dtype=np.int64), 0)
        if site.xilinx:
            ones = np.ones((*op.size, 1, channels), dtype=np.int64)
            return _convolution(op, op.source, site, Constant(ones, 0), bias, op.strides, op.pads, depthwise=True)
        eye = np.broadcast_to(np.eye(channels, dtype=np.int64), (*op.size, channels, channels))
        return _convolution(op, op.source, site, Constant(eye, 0), bias, op.strides, op.pads)
    return _maximum(op, site, axes, channels)


def _maximum(op: Pool, site: Site, axes: int, channels: int) -> Found:
    values = site.known[op.source]
    padded = any(any(pair) for pair in op.pads)
    space = site.shape(op.source)[:-1]
    pads = op.pads
    before: tuple[HlsLayer, ...] = ()
    source = site.words[op.source]
    if site.io is Io.STREAM:
        if op.size != op.strides:
            windows = f"windows of {_spelled(op.size)} every {_spelled(op.strides)}"
            return f"{windows}: hls4ml's streams have them side by side only"
        if padded and values.ends[0] < 0:
            return "padding around numbers below 0: hls4ml's streams put 0 there, which would be the greatest"
        if padded:
            widened = tuple(n + sum(pair) for n, pair in zip(space, pads, strict=True))
            settings = {
                **_sizes("in", space),
                **_sizes("out", widened),
                **_ends(pads),
                "n_chan": channels,
            }
            padding = step(op, site, "padded", f"ZeroPadding{axes}D", source, settings=settings, result=holding(values))
            before, source, space, pads = (padding,), padding.name, widened, ((0, 0),) * axes
    elif padded and values.ends[0] >= 0:  # hls4ml pads with the top bit, the least number of a signed type alone
        signed = HlsType(fixed=_signed(values.ends[1], values.frac_bits))
        cast = step(op, site, "signed", "Activation", source, settings={"activation": "linear"}, result=signed)
        before, source = (cast,), cast.name
    counts = window_counts(space, op.size, op.strides, (1,) * axes, pads)
    if axes == 1:
        sizes: dict[str, Any] = {"n_in": space[0], "n_out": counts[0]}
    else:
        sizes = {**_sizes("in", space), **_sizes("out", counts)}
    settings = {
        **sizes,
        **_sizes("pool", op.size),
        **_sizes("stride", op.strides),
        **_ends(pads),
        "n_filt": channels,
    }
    accum = before[-1].types["result"] if before else holding(values)
    types = {"result": holding(site.known[op.name])}
    if site.backend is not Backend.CATAPULT:  # there hls4ml widens it itself, whatever it is told
        types["accum"] = accum
    last = step(op, site, "pool", f"MaxPooling{axes}D", source, settings=settings, **types)

    return (*before, named(last, op, site))


def _convolution(
    op: Op,
    source: str,
    site: Site,
    weight: Constant,
    bias: Constant,
    strides: tuple[int, ...],
    pads: Pads,
    *,
    depthwise: bool = False,
) -> Found:
    """Return the layer of a kernel (*size, c_in, c_out), or (*size, 1, channels) where it is depthwise."""
    *space, c_in = site.shape(source)
    *size, _, c_out = weight.q.shape
    axes = len(space)
    counts = window_counts(space, size, strides, (1,) * axes, pads)
    values = np.moveaxis(numbers(weight), -1, -2) if depthwise else numbers(weight)
    settings = {
        **_sizes("in", space),
        **_sizes("out", counts),
        **_sizes("filt", size),
        **_sizes("stride", strides),
        **_ends(pads),
        "n_chan": c_in,
        "n_filt": c_out,
        ("depthwise_data" if depthwise else "weight_data"): values,
        "bias_data": numbers(bias),
        **({"depth_multiplier": 1} if depthwise else {}),
    }
    types = {"accum": holding(site.known[op.name]), "weight": table_type(weight), "bias": table_type(bias)}
    kind = f"{'Depthwise' if depthwise else ''}Conv{axes}D"
    return (layer_of(op, site, kind, source, settings=settings, **types),)


def _dilated(kernel: NDArray[np.int64], dilation: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the kernel with zeros between its elements."""
    size = kernel.shape[: len(dilation)]
    spread = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
    result = np.zeros((*spread, *kernel.shape[len(dilation) :]), dtype=np.int64)
    result[tuple(slice(None, None, d) for d in dilation)] = kernel
    return result


def _ungrouped(kernel: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Return the kernel (*size, c_in, c_out) with zeros for the channels of other groups."""
    *size, depth, c_out = kernel.shape
    each = c_out // groups
    result = np.zeros((*size, depth * groups, c_out), dtype=np.int64)
    for group in range(groups):
        outs = slice(group * each, (group + 1) * each)
        result[..., group * depth : (group + 1) * depth, outs] = kernel[..., outs]
    return result


def _sizes(word: str, sizes: tuple[int, ...] | list[int]) -> dict[str, int]:
    return {f"{word}_{axis}": size for axis, size in zip(_AXES[len(sizes)], sizes, strict=True)}


def _ends(pads: Pads) -> dict[str, int]:
    axes = _AXES[len(pads)]
    return {
        f"pad_{end}": n for axis, pair in zip(axes, pads, strict=True) for end, n in zip(_ENDS[axis], pair, strict=True)
    }


def _signed(high: int, frac_bits: int) -> Fixed:
    return Fixed.holding(-1, high, frac_bits)


def _spelled(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
