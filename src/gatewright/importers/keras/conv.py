"""Convolution layers in, `Conv` and `ConvTranspose` nodes out: 1-D and 2-D, depthwise, separable, transposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.graph.nodes import Conv, ConvTranspose, Pads
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call, Weight

Array = NDArray[Any]


def window_pads(
    sizes: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> Pads:
    """Return TensorFlow's padding: none, the least that keeps ceil(size / stride), or all of it before (causal)."""
    pads: list[tuple[int, int]] = []
    for size, taps, stride, step in zip(sizes, kernel, strides, dilation, strict=True):
        reach = (taps - 1) * step + 1
        if padding == "valid":
            pads.append((0, 0))
        elif padding == "causal":
            pads.append((reach - 1, 0))
        else:
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            pads.append((total // 2, total - total // 2))
    return tuple(pads)


def window_outputs(
    sizes: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], pads: Pads
) -> tuple[int, ...]:
    """Return how many windows fit along each axis."""
    return tuple(
        (size + sum(pad) - (taps - 1) * step - 1) // stride + 1
        for size, taps, stride, step, pad in zip(sizes, kernel, strides, dilation, pads, strict=True)
    )


def convolve(
    call: Call,
    x: Value,
    kernel: Weight,
    bias: Array | None,
    *,
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str,
    groups: int = 1,
    suffix: str = "",
) -> Value:
    """Add a Conv node on a channels-last value. kernel: (*taps, c_in / groups, c_out)."""
    taps, filters = kernel.values.shape[:-2], kernel.values.shape[-1]
    sizes = x.shape[:-1]
    pads = window_pads(sizes, taps, strides, dilation, padding)
    return call.builder.add(
        Conv,
        [x],
        (*window_outputs(sizes, taps, strides, dilation, pads), filters),
        suffix,
        weight=kernel.values,
        bias=np.zeros(filters) if bias is None else bias,
        weight_scale=kernel.per_output(call.where),
        strides=strides,
        dilation=dilation,
        pads=pads,
        groups=groups,
    )


def conv(rank: int) -> Callable[[Call], Value]:
    """Conv1D, Conv2D and their Q forms."""

    def handler(call: Call) -> Value:
        first, x, padding = opening(call, rank)
        taps = call.settings.sizes("kernel_size", rank)
        strides, dilation = strides_and_dilation(call, rank)
        groups = call.settings.integer("groups", 1)
        filters = call.settings.integer("filters")
        channels = x.shape[-1]
        if channels % groups or filters % groups:
            raise ModelError(f"{call.where}: {groups} groups do not divide {channels} channels and {filters} filters")
        call.settings.only("mask", (None,), None, "multiply the mask into the kernel before saving")
        stored, bias = _stored(call, ("kernel",), filters)
        kernel = call.quantize_weight(
            "kernel", call.check(stored["kernel"], (*taps, channels // groups, filters), "kernel")
        )
        y = convolve(call, x, kernel, bias, strides=strides, dilation=dilation, padding=padding, groups=groups)
        return call.activate(call.builder.from_last(y, first))

    return handler


def depthwise(rank: int) -> Callable[[Call], Value]:
    """DepthwiseConv1D, DepthwiseConv2D and QDepthwiseConv2D."""

    def handler(call: Call) -> Value:
        first, x, padding = opening(call, rank)
        taps = call.settings.sizes("kernel_size", rank)
        strides, dilation = strides_and_dilation(call, rank)
        multiplier = call.settings.integer("depth_multiplier", 1)
        channels = x.shape[-1]
        call.settings.only("groups", (1, None, channels), 1, "the layer has one group per channel")
        call.settings.only("filters", (None, channels * multiplier), None, "the layer has depth_multiplier per channel")
        name = "depthwise_kernel" if call.major == 2 else "kernel"
        stored, bias = _stored(call, (name,), channels * multiplier, either="depthwise_kernel")
        weight = call.check(stored[name], (*taps, channels, multiplier), name)
        kernel = call.quantize_weight("depthwise", weight).arranged(grouped)
        y = convolve(call, x, kernel, bias, strides=strides, dilation=dilation, padding=padding, groups=channels)
        return call.activate(call.builder.from_last(y, first))

    return handler


def separable(rank: int) -> Callable[[Call], Value]:
    """SeparableConv1D, SeparableConv2D and their Q forms: depthwise, then pointwise."""

    def handler(call: Call) -> Value:
        first, x, padding = opening(call, rank)
        taps = call.settings.sizes("kernel_size", rank)
        strides, dilation = strides_and_dilation(call, rank)
        multiplier = call.settings.integer("depth_multiplier", 1)
        filters = call.settings.integer("filters")
        call.settings.only("groups", (1, None), 1, "a separable convolution has no groups")
        channels = x.shape[-1]
        stored, bias = _stored(call, ("depthwise_kernel", "pointwise_kernel"), filters)
        ones = (1,) * rank
        weight = call.check(stored["depthwise_kernel"], (*taps, channels, multiplier), "depthwise_kernel")
        across = call.check(stored["pointwise_kernel"], (*ones, channels * multiplier, filters), "pointwise_kernel")
        deep = call.quantize_weight("depthwise", weight).arranged(grouped)
        y = convolve(
            call,
            x,
            deep,
            None,
            strides=strides,
            dilation=dilation,
            padding=padding,
            groups=channels,
            suffix="depthwise",
        )
        point = call.quantize_weight("pointwise", across)
        y = convolve(call, y, point, bias, strides=ones, dilation=ones, padding="valid", suffix="pointwise")
        return call.activate(call.builder.from_last(y, first))

    return handler


def transposed(rank: int) -> Callable[[Call], Value]:
    """Conv1DTranspose, Conv2DTranspose and QConv2DTranspose. A dilated kernel is stored with its zeros."""

    def handler(call: Call) -> Value:
        first, x, padding = opening(call, rank, causal=False)
        taps = call.settings.sizes("kernel_size", rank)
        strides, dilation = strides_and_dilation(call, rank)
        filters = call.settings.integer("filters")
        call.settings.only("groups", (1, None), 1, "a transposed convolution has no groups here")
        extra = call.settings.take("output_padding", None)
        if extra is not None and call.major == 3:
            raise call.settings.refuse("output_padding", extra, "leave it out and pad with a ZeroPadding layer")
        more = None if extra is None else call.settings.sizes("output_padding", rank, least=0)
        stored, bias = _stored(call, ("kernel",), filters)
        weight = call.check(stored["kernel"], (*taps, filters, x.shape[-1]), "kernel")
        kernel = call.quantize_weight("kernel", weight)
        scale = kernel.arranged(lambda w: np.moveaxis(w, -1, -2)).per_output(call.where)
        values = np.moveaxis(kernel.values, -1, -2)
        reach = tuple((tap - 1) * step + 1 for tap, step in zip(taps, dilation, strict=True))
        spread = np.zeros((*reach, *values.shape[-2:]))
        spread[tuple(slice(None, None, step) for step in dilation)] = values
        crop: list[tuple[int, int]] = []
        sizes: list[int] = []
        for at in range(rank):
            stride, full = strides[at], (x.shape[at] - 1) * strides[at] + reach[at]
            if more is not None:
                size = full - (2 * (reach[at] // 2) if padding == "same" else 0) + more[at]
            else:
                size = x.shape[at] * stride + (max(reach[at] - stride, 0) if padding == "valid" else 0)
            before = max(full - size, 0) // 2 if padding == "same" else 0
            crop.append((before, full - size - before))
            sizes.append(size)
        y = call.builder.add(
            ConvTranspose,
            [x],
            (*sizes, filters),
            weight=spread,
            bias=np.zeros(filters) if bias is None else bias,
            weight_scale=scale,
            strides=strides,
            crop=tuple(crop),
        )
        return call.activate(call.builder.from_last(y, first))

    return handler


def opening(call: Call, rank: int, *, causal: bool = True) -> tuple[bool, Value, str]:
    """Return whether channels come first, the input channels-last, and the padding mode."""
    first = call.channels_first()
    x = call.ranked_input(rank + 1, f"{rank} axis/axes and channels")
    modes = ("valid", "same", "causal") if rank == 1 and causal else ("valid", "same")
    padding = call.settings.only("padding", modes, "valid", f"write one of {', '.join(modes)}")
    return first, call.builder.to_last(x, first), padding


def strides_and_dilation(call: Call, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Read strides and dilation_rate."""
    return call.settings.sizes("strides", rank, 1), call.settings.sizes("dilation_rate", rank, 1)


def _stored(
    call: Call, kernels: tuple[str, ...], filters: int, either: str = ""
) -> tuple[dict[str, Array], Array | None]:
    """Return the kernels as stored and the bias after its quantizer; `either`: the first kernel's other name."""
    use_bias = call.settings.flag("use_bias", default=True)
    names = (*kernels, "bias") if use_bias else kernels
    try:
        stored = call.take(*names)
    except ModelError:
        if not either or either == kernels[0]:
            raise
        stored = call.take(either, *names[1:])
        stored[kernels[0]] = stored[either]
    if not use_bias:
        call.settings.ignore("bias_quantizer", "bias_range", "bq_conf")
        return stored, None
    return stored, call.quantize_weight("bias", call.check(stored["bias"], (filters,), "bias")).values


def grouped(kernel: Array) -> Array:
    """Bring (*taps, channels, multiplier) to (*taps, 1, channels * multiplier): one group per channel."""
    return kernel.reshape(*kernel.shape[:-2], 1, -1)
