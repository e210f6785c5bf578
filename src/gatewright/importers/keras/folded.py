"""QKeras' convolutions with a folded batch normalisation: scale and mean go into kernel and bias, then quantizers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.conv import convolve, grouped, opening, strides_and_dilation
from gatewright.importers.keras.weights import NumberedWeights

Single = NDArray[np.float32]


def conv_batchnorm(call: Call) -> Value:
    """QConv2DBatchnorm in inference, in float32 as QKeras folds."""
    first, x, padding = opening(call, 2)
    taps, filters = call.settings.sizes("kernel_size", 2), call.settings.integer("filters")
    strides, dilation = strides_and_dilation(call, 2)
    call.settings.only("groups", (1, None), 1, "QConv2DBatchnorm has no groups")
    scale, offset, stored = _fold(call, "kernel", filters)
    kernel = scale * call.check(stored["kernel"], (*taps, x.shape[-1], filters), "kernel")
    weight = call.quantize_weight("kernel", kernel)
    bias = call.quantize_weight("bias", offset).values
    y = convolve(call, x, weight, bias, strides=strides, dilation=dilation, padding=padding)
    return call.activate(call.builder.from_last(y, first))


def depthwise_batchnorm(call: Call) -> Value:
    """QDepthwiseConv2DBatchnorm in inference."""
    first, x, padding = opening(call, 2)
    taps, multiplier = call.settings.sizes("kernel_size", 2), call.settings.integer("depth_multiplier", 1)
    strides, dilation = strides_and_dilation(call, 2)
    call.settings.only("groups", (1, None), 1, "the layer has one group per channel")
    channels = x.shape[-1]
    scale, offset, stored = _fold(call, "depthwise_kernel", channels * multiplier)
    kernel = call.check(stored["depthwise_kernel"], (*taps, channels, multiplier), "depthwise_kernel")
    weight = call.quantize_weight("depthwise", scale.reshape(channels, multiplier) * kernel).arranged(grouped)
    bias = call.quantize_weight("bias", offset).values
    y = convolve(call, x, weight, bias, strides=strides, dilation=dilation, padding=padding, groups=channels)
    return call.activate(call.builder.from_last(y, first))


def _fold(call: Call, kernel: str, channels: int) -> tuple[Single, Single, dict[str, NDArray[Any]]]:
    """Return gamma / sqrt(variance + epsilon), the folded bias, and the stored weights."""
    settings = call.settings
    settings.only(
        "folding_mode", ("ema_stats_folding", "batch_stats_folding"), "ema_stats_folding", "use one of the two"
    )
    settings.ignore("ema_freeze_delay")
    settings.only("axis", (-1, 3, [3], [-1]), -1, "normalise the channels, the last axis")
    epsilon = np.float32(settings.number("epsilon", 1e-3))
    use_bias = settings.flag("use_bias", default=True)
    has_gamma, has_beta = settings.flag("scale", default=True), settings.flag("center", default=True)
    names = [*["bias"] * use_bias, *["gamma"] * has_gamma, *["beta"] * has_beta, "moving_mean", "moving_variance"]
    if isinstance(call.weights, NumberedWeights):  # the normalisation is a layer of its own there
        stored = call.take(kernel, *["bias"] * use_bias, "iteration")
        stored |= call.weights.child("batchnorm").take(*(name for name in names if name != "bias"))
    else:
        stored = call.take(kernel, *names)
    for name in names:
        call.check(stored[name], (channels,), name)
    if np.any(stored["moving_variance"] < 0):
        raise ModelError(f"{call.where}: moving_variance has negative values; the file is damaged")
    one: Single = np.ones(channels, np.float32)
    nothing: Single = np.zeros(channels, np.float32)
    scale: Any = one / np.sqrt(stored["moving_variance"] + epsilon) * stored.get("gamma", one)
    offset: Any = scale * (stored.get("bias", nothing) - stored["moving_mean"]) + stored.get("beta", nothing)
    return scale, offset, stored
