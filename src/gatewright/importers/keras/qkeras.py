"""QKeras quantizers: float32 weights in, exact values out; a value in, quantizing nodes out.

QKeras computes in float32 and adds x + (q - x) to let gradients through, which may miss the level q by one unit in the
last place; the value here is q itself. Everything else follows its float32 arithmetic step by step (QKeras 0.9).
"""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.fixedpoint import Overflow, Rounding
from gatewright.graph.nodes import ActivationKind, Quantize, Thresholds
from gatewright.importers.keras.activations import sign
from gatewright.importers.keras.builder import Builder, Value
from gatewright.importers.keras.call import Weight
from gatewright.importers.keras.qkeras_spec import (
    FUNCTIONS,
    Binary,
    Bits,
    Function,
    HardSwish,
    PowerOfTwo,
    Quantizer,
    Relu,
    Sigmoid,
    Tanh,
    Ternary,
    is_quantizer,
    parse,
    word,
)

__all__ = ["KERAS_KNOWS", "TRAINABLE_ROLES", "apply", "in_cell", "named", "pair", "parse", "quantize", "step"]

Single = NDArray[np.float32]
Pair = tuple[ActivationKind | None, tuple[float, ...], Quantize]
InCell = tuple[ActivationKind, tuple[float, ...], Quantize | None]

# Roles whose quantizer QKeras' layers tell that it quantizes a trained tensor: alpha None becomes "auto_po2".
TRAINABLE_ROLES = frozenset({"kernel", "depthwise", "pointwise", "recurrent", "gamma", "variance"})
KERAS_KNOWS = frozenset({"hard_sigmoid", "hard_tanh"})  # of QKeras' functions, those with a namesake in Keras
IDENTITY: tuple[ActivationKind, tuple[float, ...]] = ("leaky_relu", (1.0,))
EPSILON = np.float32(1e-7)
LN2 = np.float32(np.log(2.0))


def named(spec: Any, where: str, *, but: frozenset[str] = frozenset()) -> Quantizer | None:
    """Return what a setting names of QKeras, a quantizer or one of its functions, None where it names something else.

    but: functions of QKeras that the layer does not mean by these names.
    """
    name = word(spec)
    own = isinstance(name, str) and name in FUNCTIONS and name not in but
    return parse(name, where) if own or is_quantizer(name) else None


def quantize(quantizer: Quantizer, x: Single, *, trainable: bool, where: str) -> Weight:
    """Return a stored weight after its quantizer."""
    match quantizer:
        case Bits():
            return _bits(quantizer, x, trainable)
        case Binary():
            return _binary(quantizer, x, trainable)
        case Ternary():
            return _ternary(quantizer, x, trainable)
        case PowerOfTwo():
            return Weight.plain(_power_of_two(quantizer, x))
        case Relu() | Tanh() | Sigmoid() | HardSwish() | Function():
            raise ModelError(
                f"{where}: {type(quantizer).__name__} is an activation; weights take quantized_bits and its kin"
            )
        case _:
            assert_never(quantizer)


def _bits(q: Bits, x: Single, trainable: bool) -> Weight:
    alpha = "auto_po2" if trainable and q.alpha is None else q.alpha
    unsigned = q.bits - q.keep_negative
    if isinstance(alpha, str):
        return _scaled_bits(q, x, alpha)
    scale = 1.0 if alpha is None else float(np.float32(alpha))
    if unsigned == 0:
        levels = np.where(x >= 0, 1.0, -1.0 if q.keep_negative else 0.0)
        return Weight(levels * scale, np.asarray(scale))
    lsb = 2.0 ** (q.integer - unsigned)
    codes = np.rint(x / np.float32(lsb)).astype(np.float64)
    lo = float(q.keep_negative) * (-(2.0**unsigned) + q.symmetric)
    return Weight(np.clip(codes, lo, 2.0**unsigned - 1) * lsb * scale, np.asarray(scale))


def _scaled_bits(q: Bits, x: Single, alpha: str) -> Weight:
    """Return integers z times a scale found from the weights: by their maximum, or by least squares to powers of 2."""
    axes = _axes(q.scale_axis, x.ndim) if x.ndim > 1 else (0,)
    unit = np.float32(2.0**q.integer)
    v = x / unit
    top = np.float32(2 ** (q.bits - 1) - 1)  # levels / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.max(np.abs(v), axis=axes, keepdims=True) * np.float32(2) / (np.float32(2) * top)
        if alpha == "auto":
            z = _integers(v, scale, top)
        else:
            scale = _power(scale)
            z = v
            for _ in range(5):
                z = _integers(v, scale, top)
                scale = _least_squares(v, z, alpha, q.scale_axis)
    step_size = scale.astype(np.float64) * float(unit)
    return Weight(z.astype(np.float64) * step_size, np.where(step_size > 0, step_size, 1.0))


def _integers(v: Single, scale: Single, top: np.float32) -> Single:
    nearest = np.floor(np.abs(v) / scale + np.float32(0.5))
    return np.sign(v) * np.where(nearest < top, nearest, top)


def _least_squares(x: Single, q: Single, alpha: str, scale_axis: int | None = None) -> Single:
    """Return sum(x q) / sum(q q) per channel; of a vector, per element."""
    if x.ndim > 1:
        axes = _axes(scale_axis, x.ndim)
        xq: Any = np.mean(x * q, axis=axes, keepdims=True)
        qq: Any = np.mean(q * q, axis=axes, keepdims=True)
    else:
        xq, qq = x * q, q * q
    scale: Any = xq / (qq + EPSILON)
    return _power(scale) if alpha == "auto_po2" else scale


def _power(scale: Single) -> Single:
    """Return the power of two nearest in the logarithm."""
    return np.exp2(np.rint(np.log(scale + EPSILON) / LN2)).astype(np.float32)


def _axes(scale_axis: int | None, rank: int) -> tuple[int, ...]:
    """Return the axes that share a scale: all but `scale_axis`, or all but the last."""
    kept = rank - 1 if scale_axis is None else scale_axis
    return tuple(axis for axis in range(rank) if axis != kept)


def _binary(q: Binary, x: Single, trainable: bool) -> Weight:
    alpha = "auto_po2" if trainable and q.alpha is None else q.alpha
    signs = np.where(x >= 0, np.float32(1), np.float32(0 if q.use_01 else -1))
    if isinstance(alpha, str):
        scale = _least_squares(x, signs, alpha).astype(np.float64)
    else:
        scale = np.asarray(1.0 if alpha is None else float(np.float32(alpha)))
    return Weight(signs.astype(np.float64) * scale, np.where(scale > 0, scale, 1.0))


def _ternary(q: Ternary, x: Single, trainable: bool) -> Weight:
    alpha = "auto_po2" if trainable and q.alpha is None else q.alpha
    if not isinstance(alpha, str):
        threshold = np.float32(0.33 if q.threshold is None else q.threshold)
        levels = (np.abs(x) >= threshold) * np.sign(x)
        scale = np.asarray(1.0 if alpha is None else float(np.float32(alpha)))
        return Weight(levels.astype(np.float64) * scale, scale)
    axes = None if x.ndim == 1 else tuple(range(x.ndim - 1))
    most: Any = np.max(np.abs(x), axis=axes, keepdims=True)
    found: Single = np.float32(2) * most / np.float32(3)
    if alpha == "auto_po2":
        found = _power(found)
    levels = np.zeros_like(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(q.unrolls):
            half = found / np.float32(2)
            v = found * np.rint(x / found)
            levels = (np.abs(v) >= half).astype(np.float32) * np.sign(x)
            found = _least_squares(x, levels, alpha)
    scale = found.astype(np.float64)
    return Weight(levels.astype(np.float64) * scale, np.where(scale > 0, scale, 1.0))


def _power_of_two(q: PowerOfTwo, x: Single) -> Single:
    """Return sign(x) * 2**clip(round(log2 |x|)); a ReLU's negative part is zero or a power of its own."""
    exponent_sign = 1 if q.max_value is None or q.max_value > 1 else 0
    room = q.bits - (0 if q.relu else 1) - exponent_sign
    low, high = -(2.0**room), 2.0**room - 1
    if q.quadratic:
        high = 2 * (high // 2)

    def magnitude(v: Single) -> Single:
        kept = np.maximum(v, EPSILON)
        if q.max_value is not None:
            kept = np.where(kept >= q.max_value, np.float32(q.max_value), kept)
        logs = np.log(np.sqrt(kept) if q.quadratic else kept) / LN2
        exponents = np.clip(np.floor(logs) if q.floor else np.rint(logs), low, high) * (2 if q.quadratic else 1)
        return np.exp2(np.where(v < EPSILON, low, exponents)).astype(np.float32)

    if not q.relu:
        return np.where(x >= 0, 1, -1).astype(np.float32) * magnitude(np.abs(x))
    positive = magnitude(np.maximum(x, 0))
    if q.negative_slope == 0:
        return positive
    return np.where(x >= 0, positive, -magnitude(np.maximum(-x, 0) * np.float32(q.negative_slope)))


def step(lsb: float, lo: float, hi: float) -> Quantize:
    """Return a quantizer node (without name and source) of codes lo..hi times lsb: halves to even, then saturated."""
    return Quantize(
        name="",
        scale=np.asarray(lsb, np.float64),
        lo=np.asarray(int(lo), np.int64),
        hi=np.asarray(int(hi), np.int64),
        zero_point=np.zeros((), np.int64),
        rounding=Rounding.HALF_EVEN,
        overflow=Overflow.SATURATE,
    )


def pair(q: Quantizer, where: str) -> Pair | None:
    """Return (function, its parameters, quantizer) where the quantizer is one function and even steps, else None."""
    match q:
        case Bits() if q.bits > q.keep_negative and q.alpha in (None, 1.0):
            levels = 2.0 ** (q.bits - q.keep_negative)
            return None, (), step(2.0**q.integer / levels, q.keep_negative * (q.symmetric - levels), levels - 1)
        case HardSwish():
            inner = pair(q.inner, where)
            return None if inner is None else ("hard_swish", (), inner[2])
        case Relu() if not q.use_sigmoid and q.upper is None:
            levels = 2.0 ** (q.bits - (q.negative_slope != 0))
            lsb = 2.0**q.integer / levels
            if q.negative_slope == 0:
                return "relu", (), step(lsb, 0, levels - 1)
            if q.negative_slope * levels != int(q.negative_slope * levels):
                raise ModelError(f"{where}: negative_slope {q.negative_slope} reaches below one step of {q.bits} bits")
            return "leaky_relu", (q.negative_slope,), step(lsb, -q.negative_slope * levels, levels - 1)
        case Tanh():
            levels = 2.0 ** (q.bits - 1)
            lo = _code(q.symmetric - levels, where)
            kind: ActivationKind = "tanh" if q.real else "hard_tanh"
            return kind, () if q.real else (-1.0, 1.0), step(1 / levels, lo, levels - 1)
        case Sigmoid():
            levels = 2.0**q.bits
            kind = "sigmoid" if q.real else "hard_sigmoid"
            # clip(v, low, high) with low above high gives high, as TensorFlow's does
            lo = min(_code(q.symmetric, where), levels - 1)
            return kind, () if q.real else (0.5, 0.5), step(1 / levels, lo, levels - 1)
        case _:
            return None


def in_cell(q: Quantizer, where: str) -> InCell | None:
    """Return what `q` is inside a recurrent cell: one function and at most one quantizer behind it; else None."""
    match q:
        case Function(name="hard_sigmoid"):
            return "hard_sigmoid", (0.5, 0.5), None
        case Function(name="smooth_sigmoid"):
            return "hard_sigmoid", (0.1875, 0.5), None
        case Function(name="binary_sigmoid"):
            return "hard_sigmoid", (0.5, 0.5), step(1, 0, 1)
        case Function(name="hard_tanh"):
            return "hard_tanh", (-1.0, 1.0), None
        case _:
            found = pair(q, where)
            if found is None:
                return None
            kind, parameters, quantizer = found
            return (*IDENTITY, quantizer) if kind is None else (kind, parameters, quantizer)


def _code(value: float, where: str) -> float:
    if value != int(value):
        raise ModelError(f"{where}: symmetric must be a whole number, or the lowest level lies between two steps")
    return value


def apply(builder: Builder, x: Value, q: Quantizer, where: str) -> Value:
    """Add the nodes of a quantizer used as activation."""
    both = pair(q, where)
    if both is not None:
        kind, parameters, quantizer = both
        if kind is not None:
            x = builder.activation(x, kind, parameters)
        return _add(builder, x, quantizer)
    match q:
        case Function():
            return _function(builder, x, q.name)
        case Bits(alpha=float() | None) | Binary(alpha=float() | None):
            alpha = 1.0 if q.alpha is None else float(np.float32(q.alpha))
            if isinstance(q, Bits) and q.bits > q.keep_negative:
                plain = Bits(
                    bits=q.bits, integer=q.integer, symmetric=q.symmetric, keep_negative=q.keep_negative, alpha=None
                )
                return builder.affine(apply(builder, x, plain, where), np.asarray(alpha), np.zeros(1))
            low = 0.0 if (q.use_01 if isinstance(q, Binary) else not q.keep_negative) else -1.0
            return sign(builder, x, 0.0, low * alpha, alpha)
        case Ternary(alpha=float() | None):
            alpha = 1.0 if q.alpha is None else float(np.float32(q.alpha))
            threshold = float(np.float32(0.33 if q.threshold is None else q.threshold))
            if threshold <= 0:
                raise ModelError(f"{where}: threshold must be positive, not {threshold!r}")
            ends = np.array([[np.nextafter(-threshold, 0.0), threshold]])
            start, width = np.asarray(-alpha), np.asarray(alpha)
            return builder.add(Thresholds, [x], x.shape, "threshold", thresholds=ends, start=start, step=width)
        case Relu() if not q.use_sigmoid:
            if q.negative_slope:
                raise ModelError(f"{where}: negative_slope with relu_upper_bound is not supported; leave one out")
            inner = Relu(bits=q.bits, integer=q.integer, use_sigmoid=False, negative_slope=0.0, upper=None)
            return builder.activation(apply(builder, x, inner, where), "relu", (float(np.float32(q.upper or 0.0)),))
        case Relu():
            if q.negative_slope:
                raise ModelError(f"{where}: negative_slope with use_sigmoid is not supported; leave one out")
            levels, unit = 2.0**q.bits, 2.0**q.integer
            y = builder.activation(x, "hard_sigmoid", (0.5 / unit, 0.5))
            y = builder.affine(_add(builder, y, step(1 / levels, 0, levels)), np.asarray(2 * unit), np.asarray([-unit]))
            return builder.activation(y, "relu", (unit * (1 - 1 / levels),))
        case PowerOfTwo():
            raise ModelError(f"{where}: powers of two as activation are not evenly spaced; use quantized_relu")
        case _:
            raise ModelError(
                f"{where}: alpha = {getattr(q, 'alpha', None)!r} on an activation depends on each batch of data and "
                "has no fixed meaning; use alpha = 1"
            )


def _add(builder: Builder, x: Value, q: Quantize) -> Value:
    return builder.add(
        Quantize,
        [x],
        x.shape,
        "quantize",
        scale=q.scale,
        lo=q.lo,
        hi=q.hi,
        zero_point=q.zero_point,
        rounding=q.rounding,
        overflow=q.overflow,
    )


def _function(builder: Builder, x: Value, name: str) -> Value:
    """Add QKeras' own piecewise-linear functions: slope 1/2 (hard) or 3/16 (smooth) around 1/2."""
    if name == "binary_tanh":
        return sign(builder, x, np.nextafter(0.0, 1.0))
    if name == "binary_sigmoid":
        return sign(builder, x, np.nextafter(0.0, 1.0), 0.0, 1.0)
    y = builder.activation(x, "hard_sigmoid", (0.5 if name.startswith("hard") else 0.1875, 0.5))
    return builder.affine(y, np.asarray(2.0), -np.ones(1)) if name.endswith("tanh") else y
