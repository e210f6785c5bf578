"""Elementwise functions of the nodes: floats in, floats of the same dtype and shape out; docs beside each kind."""

# scipy ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray
from scipy import special  # erf and expit, which NumPy lacks

from gatewright.fixedpoint import Overflow, round_to_integers
from gatewright.graph.nodes import Activation, Affine, Quantize, Table, Thresholds
from gatewright.graph.shapes import fail

AnyFloats = NDArray[Any]  # float64, or float32 as the frameworks compute
_RISING_UNITS = {"relu", "leaky_relu", "elu", "selu", "celu"}  # given slopes of 0 or more
_RISING = {"sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softplus", "softsign", "exp", "sqrt", "sign"}
INCREASING = _RISING_UNITS | _RISING  # wherever they are defined
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, equation 2


def activate(node: Activation, x: AnyFloats) -> AnyFloats:
    """Apply an activation; a prelu's slopes belong to the last axis."""
    if node.kind == "prelu":
        return np.where(x >= 0, x, x * np.array(node.parameters, dtype=x.dtype))
    return _KINDS[node.kind](x, *node.parameters)


def affine(node: Affine, x: AnyFloats) -> AnyFloats:
    """Return x * scale + offset, each step rounded to x's dtype."""
    return x * node.scale.astype(x.dtype) + node.offset.astype(x.dtype)


def quantize(node: Quantize, x: AnyFloats) -> AnyFloats:
    """Return a quantizer's result as numbers."""
    return quantize_integers(node, x) * node.scale.astype(x.dtype)


def quantize_integers(node: Quantize, x: AnyFloats) -> AnyFloats:
    """Return q - zero_point of a quantizer as floats: x / scale is rounded in x's dtype."""
    zero = node.zero_point.astype(x.dtype)
    q = round_to_integers(x / node.scale.astype(x.dtype), node.rounding) + zero
    lo, hi = node.lo.astype(x.dtype), node.hi.astype(x.dtype)
    match node.overflow:
        case Overflow.SATURATE:
            q = np.clip(q, lo, hi)
        case Overflow.SATURATE_SYMMETRIC:
            q = np.clip(q, np.maximum(lo, -hi), hi)
        case Overflow.WRAP:
            q = np.mod(q - lo, hi - lo + 1) + lo
        case _:
            assert_never(node.overflow)
    return np.where((node.lo == 0) & (node.hi == 0), 0, q - zero).astype(x.dtype)


def count_thresholds(node: Thresholds, x: AnyFloats) -> NDArray[np.int64]:
    """Return how many thresholds of its channel (last axis) each element reaches."""
    levels = node.thresholds.astype(x.dtype)
    if levels.shape[0] == 1:
        return np.searchsorted(levels[0], x, side="right").astype(np.int64)
    counts = np.empty(x.shape, dtype=np.int64)
    for channel, row in enumerate(levels):
        counts[..., channel] = np.searchsorted(row, x[..., channel], side="right")
    return counts


def look_up(node: Table, x: AnyFloats) -> AnyFloats:
    """Return the table's value for each element; ModelError where x is no multiple of 2**-frac_bits inside it."""
    at, count = np.ldexp(x.astype(np.float64), node.frac_bits) - node.first, node.values.shape[1]
    if not ((at >= 0) & (at < count) & (at == np.floor(at))).all():
        ends = [np.ldexp(float(end), -node.frac_bits) for end in (node.first, node.first + 1, node.first + count - 1)]
        remedy = "put a quantizer of the table's format before it, or bits with weights 1, 2, 4, ..."
        fail(node, "inputs of {:g}, {:g}, ..., {:g}".format(*ends), f"{x.min():g} .. {x.max():g}", remedy)
    return node.values[np.arange(x.shape[-1]) % len(node.values), at.astype(np.int64)]


def softmax(x: AnyFloats) -> AnyFloats:
    """Return exp(x - max) / sum over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def top_k(x: AnyFloats, k: int) -> NDArray[np.int64]:
    """Return the indices of the k greatest of the last axis, the lowest index first among equals."""
    return np.argsort(-x, axis=-1, kind="stable")[..., :k].astype(np.int64)


def _relu(x: AnyFloats, upper: float = np.inf, slope: float = 0.0, threshold: float = 0.0) -> AnyFloats:
    below = slope * (x - threshold) if slope else np.zeros_like(x)
    return np.where(x >= upper, x.dtype.type(upper), np.where(x >= threshold, x, below))


def _elu(x: AnyFloats, alpha: float) -> AnyFloats:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: AnyFloats) -> AnyFloats:
    return SELU_SCALE * _elu(x, SELU_ALPHA)


def _celu(x: AnyFloats, alpha: float) -> AnyFloats:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _gelu_tanh(x: AnyFloats) -> AnyFloats:
    return 0.5 * x * (1 + np.tanh(float(np.sqrt(2 / np.pi)) * (x + 0.044715 * x * x * x)))


def _softplus(x: AnyFloats) -> AnyFloats:
    return np.logaddexp(x.dtype.type(0), x)


def _leaky_relu(x: AnyFloats, slope: float) -> AnyFloats:
    return np.where(x >= 0, x, x * slope)


def _hard_sigmoid(x: AnyFloats, slope: float, offset: float) -> AnyFloats:
    return np.clip(x * slope + offset, 0, 1)


def _hard_swish(x: AnyFloats) -> AnyFloats:
    return x * np.clip(x + 3, 0, 6) / 6


def _silu(x: AnyFloats) -> AnyFloats:
    return x * _sigmoid(x)


def _gelu(x: AnyFloats) -> AnyFloats:
    return 0.5 * x * (1 + special.erf(x * float(np.sqrt(0.5))))


def _softsign(x: AnyFloats) -> AnyFloats:
    return x / (1 + np.abs(x))


def _mish(x: AnyFloats) -> AnyFloats:
    return x * np.tanh(_softplus(x))


def _sigmoid(x: AnyFloats) -> AnyFloats:
    return special.expit(x)


_KINDS: dict[str, Callable[..., AnyFloats]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hard_sigmoid": _hard_sigmoid,
    "hard_tanh": np.clip,
    "hard_swish": _hard_swish,
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "softplus": _softplus,
    "softsign": _softsign,
    "exp": np.exp,
    "mish": _mish,
    "abs": np.abs,
    "neg": np.negative,
    "sqrt": np.sqrt,
    "square": np.square,
    "sign": np.sign,
}
