"""Activations that are layers: Activation, QActivation, ReLU and its family, Softmax, PReLU."""

from __future__ import annotations

import numpy as np

from gatewright.errors import ModelError
from gatewright.graph.nodes import Activation, Softmax
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.hgq2 import quantize_value


def activation(call: Call) -> Value:
    """Activation and QActivation."""
    return call.activate(call.one_input())


def relu(call: Call) -> Value:
    """ReLU with its bound, slope and threshold."""
    x = call.one_input()
    upper = call.settings.take("max_value", None)
    bound = float("inf") if upper is None else call.settings.number("max_value")
    slope = (
        call.settings.number("negative_slope", 0.0) if call.settings.take("negative_slope", 0.0) is not None else 0.0
    )
    threshold = call.settings.number("threshold", 0.0) if call.settings.take("threshold", 0.0) is not None else 0.0
    if bound < 0 or slope < 0 or threshold < 0:
        raise ModelError(f"{call.where}: max_value, negative_slope and threshold must not be negative")
    if slope == 0.0 and threshold == 0.0:
        return call.builder.activation(x, "relu", () if upper is None else (bound,))
    if threshold == 0.0 and upper is None:
        return call.builder.activation(x, "leaky_relu", (slope,))
    if threshold == 0.0:
        return call.builder.activation(x, "relu", (bound, slope, 0.0))
    if slope != 0.0:
        raise call.settings.refuse("negative_slope", slope, "with a threshold the ReLU jumps; use one of the two")
    # Keras keeps x > threshold, the node x >= threshold: start at the next number above
    return call.builder.activation(x, "relu", (bound, 0.0, float(np.nextafter(threshold, np.inf))))


def leaky_relu(call: Call) -> Value:
    """LeakyReLU: alpha in Keras 2, negative_slope in Keras 3."""
    key = "alpha" if call.settings.has("alpha") else "negative_slope"
    return call.builder.activation(call.one_input(), "leaky_relu", (call.settings.number(key, 0.3),))


def elu(call: Call) -> Value:
    """ELU."""
    return call.builder.activation(call.one_input(), "elu", (call.settings.number("alpha", 1.0),))


def prelu(call: Call) -> Value:
    """PReLU: one slope per channel, the other axes shared."""
    x = call.one_input()
    rank = len(x.shape)
    shared = call.settings.take("shared_axes", None) or []
    shape = tuple(1 if axis + 1 in shared else size for axis, size in enumerate(x.shape))
    alpha = call.check(call.take("alpha")["alpha"], shape, "alpha").astype(np.float64)
    if any(size != 1 for size in shape[: rank - 1]):
        alpha = _uniform(call, alpha)
    slopes = np.broadcast_to(alpha.reshape(-1), (x.shape[-1],))
    return call.builder.add(Activation, [x], x.shape, "prelu", kind="prelu", parameters=tuple(slopes.tolist()))


def _uniform(call: Call, alpha: np.ndarray) -> np.ndarray:
    """Return the slopes per channel where they do not vary along the other axes."""
    flat = alpha.reshape(-1, alpha.shape[-1])
    if np.any(flat != flat[0]):
        raise ModelError(f"{call.where}: slopes vary along axes other than the channels; set shared_axes to those axes")
    return flat[0]


def threshold_relu(call: Call) -> Value:
    """ThresholdedReLU: x where x > theta, else 0."""
    theta = call.settings.number("theta", 1.0)
    above = float(np.nextafter(theta, np.inf))
    return call.builder.activation(call.one_input(), "relu", (float("inf"), 0.0, above))


def softmax(call: Call) -> Value:
    """Softmax over the last axis."""
    x = call.one_input()
    axis = call.settings.take("axis", -1)
    if axis not in (-1, len(x.shape)) and axis not in ([-1], [len(x.shape)]):
        raise call.settings.refuse("axis", axis, "use the last axis; add a Permute layer")
    return call.builder.add(Softmax, [x], x.shape, "softmax")


def table(call: Call) -> Value:
    """HGQ2's QUnaryFunctionLUT: an elementwise function between its quantizers."""
    call.settings.ignore("allow_heterogeneous_table", "allow_heterogeneous_input")
    return call.activate(call.one_input())


def quantizer_layer(call: Call) -> Value:
    """HGQ2's Quantizer as a layer of its own."""
    conf = call.settings.take("config")
    call.settings.ignore("enable_iq", "enable_ebops")
    if len(call.inputs) != 1:
        raise ModelError(f"{call.where}: expected one input, got {len(call.inputs)}")
    return quantize_value(call.builder, call.inputs[0], conf, call.weights.child("quantizer"), call.where)
