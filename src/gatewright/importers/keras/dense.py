"""Dense layers in, `Dense` nodes out: Dense, TimeDistributed(Dense), einsum forms, folded batch norms, binary nets."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.graph.nodes import Dense
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call, Weight

Array = NDArray[Any]


def matmul(call: Call, x: Value, kernel: Weight, bias: Array | None) -> Value:
    """Add the node of x @ kernel + bias over the last axis. bias: float64 after its quantizer, or None."""
    units = kernel.values.shape[1]
    return call.builder.add(
        Dense,
        [x],
        (*x.shape[:-1], units),
        weight=kernel.values,
        bias=np.zeros(units) if bias is None else bias,
        weight_scale=kernel.per_output(call.where),
    )


def dense(call: Call) -> Value:
    """Dense and QDense: over the last axis, whatever stands before it."""
    x = call.one_input()
    units = call.settings.integer("units")
    use_bias = call.settings.flag("use_bias", default=True)
    call.settings.only("lora_rank", (None,), None, "merge the adapter into the kernel before saving")
    call.settings.ignore("lora_alpha")
    stored = call.take("kernel", "bias") if use_bias else call.take("kernel")
    kernel = call.quantize_weight("kernel", call.check(stored["kernel"], (x.shape[-1], units), "kernel"))
    bias = call.quantize_weight("bias", call.check(stored["bias"], (units,), "bias")).values if use_bias else None
    if not use_bias:
        call.settings.ignore("bias_quantizer", "bias_range", "bq_conf")
    return call.activate(matmul(call, x, kernel, bias))


def batch_norm_dense(call: Call) -> Value:
    """HGQ2's QBatchNormDense: scale folded into the rows of the kernel (inputs are normalised), then quantized."""
    x = call.one_input()
    units = call.settings.integer("units")
    call.settings.only("use_bias", (True,), True, "the layer always has one")
    scale = call.settings.flag("scale", default=True)
    epsilon = np.float32(call.settings.number("epsilon", 1e-3))
    gammas = ("bn_gamma",) if scale else ()
    cost = ("beta", "ebops") if call.settings.flag("enable_ebops", default=False) else ()
    stored = call.take("kernel", "bias", *gammas, *cost, "moving_mean", "moving_variance")
    width = (x.shape[-1],)
    for name in (*gammas, "moving_mean", "moving_variance"):
        call.check(stored[name], width, name)
    kernel = call.check(stored["kernel"], (*width, units), "kernel")
    gamma = stored["bn_gamma"] if scale else np.float32(1)
    scaler = gamma / np.sqrt(stored["moving_variance"] + epsilon)
    folded = call.quantize_weight("kernel", scaler[:, None] * kernel)
    offset = -np.dot(stored["moving_mean"], kernel)
    bias = call.quantize_weight("bias", call.check(stored["bias"], (units,), "bias") + offset)
    return call.activate(matmul(call, x, folded, bias.values))


def einsum_dense_batchnorm(call: Call) -> Value:
    """HGQ2's QEinsumDenseBatchnorm: output scale and mean folded into kernel and bias, then quantized.

    Its equation must be a product over the last axis, `bc,cC->bC` or `...c,cC->...C`.
    """
    x = call.one_input()
    equation = call.settings.take("equation")
    form = re.fullmatch(r"([a-zA-Z.]+)([a-zA-Z]),\2([a-zA-Z])->\1\3", str(equation).replace(" ", ""))
    if not form or form[2] == form[3]:
        raise call.settings.refuse("equation", equation, "only a product over the last axis is, such as 'bc,cC->bC'")
    call.settings.only("bias_axes", (form[3],), None, f"write {form[3]!r}: the folded batch norm needs a bias")
    call.settings.only("lora_rank", (None,), None, "merge the adapter into the kernel before saving")
    call.settings.ignore("lora_alpha")
    shape = call.settings.take("output_shape")
    units = shape[-1] if isinstance(shape, list) and shape else shape
    if not isinstance(units, int):
        raise call.settings.refuse("output_shape", shape, "its last size must be known")
    call.settings.only("normalize_axes", (None, form[3]), None, f"write {form[3]!r} or leave it out")
    call.settings.ignore("center", "epsilon")  # center: trained or not; epsilon: the layer uses Keras' own
    gammas = ("gamma",) if call.settings.flag("scale", default=True) else ()
    cost = ("beta", "ebops") if call.settings.flag("enable_ebops", default=False) else ()
    stored = call.take("kernel", "bias", *gammas, *cost, "moving_mean", "moving_variance")
    for name in ("bias", *gammas, "moving_mean", "moving_variance"):
        call.check(stored[name], (units,), name)
    gamma = stored["gamma"] if gammas else np.float32(1)
    scaler = gamma / np.sqrt(stored["moving_variance"] + np.float32(1e-7))
    kernel = call.check(stored["kernel"], (x.shape[-1], units), "kernel") * scaler
    folded = call.quantize_weight("kernel", kernel)
    bias = call.quantize_weight("bias", stored["bias"] + -stored["moving_mean"] * scaler).values
    return call.activate(matmul(call, x, folded, bias))


def binary_dense(call: Call) -> Value:
    """BinaryDense of the BinaryNet examples: weights H * sign(w / H), where zero counts as -1."""
    return _few_levels(call, lambda w: np.where(np.clip(np.float32(0.5) * w + np.float32(0.5), 0, 1) > 0.5, 1.0, -1.0))


def ternary_dense(call: Call) -> Value:
    """TernaryDense of the same examples: weights H * {-1, 0, 1} with thresholds at half of H, -1/2 counting as -1."""
    return _few_levels(call, lambda w: np.where(w > 0.5, 1.0, np.where(w <= -0.5, -1.0, 0.0)))


def _few_levels(call: Call, levels: Any) -> Value:
    x = call.one_input()
    units = call.settings.integer("units")
    half_range = call.settings.number("H", 1.0)
    if half_range <= 0:
        raise call.settings.refuse("H", half_range, "it must be a positive number")
    use_bias = call.settings.flag("use_bias", default=True)
    stored = call.take("kernel", "bias") if use_bias else call.take("kernel")
    kernel = call.check(stored["kernel"], (x.shape[-1], units), "kernel").astype(np.float32)
    codes = levels(kernel / np.float32(half_range))
    weight = Weight(codes * half_range, np.asarray(half_range, np.float64))
    bias = call.check(stored["bias"], (units,), "bias").astype(np.float64) if use_bias else None
    return call.activate(matmul(call, x, weight, bias))
