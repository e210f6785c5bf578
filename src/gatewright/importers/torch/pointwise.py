"""Elementwise ATen operators in, nodes out: arithmetic, activations, copies, fake quantizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gatewright.fixedpoint import Rounding
from gatewright.graph.nodes import ActivationKind
from gatewright.importers import elementwise, patterns
from gatewright.importers.builder import Builder, Const, Tensor
from gatewright.importers.torch.call import Call

Handler = Callable[[Builder, Call], Any]
_FOLD = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _binary(kind: elementwise.Arithmetic) -> Handler:
    def handle(b: Builder, c: Call) -> Any:
        if any(isinstance(c.get(name), patterns.ErfTerm) for name in ("self", "other")):
            return patterns.combine(b, kind, *(_or_number(c.get(name)) for name in ("self", "other")))
        left, right = c.value("self"), c.value("other")
        alpha = c.get("alpha")
        if alpha not in (None, 1):
            c.fail(f"argument alpha = {alpha!r} is not supported; expected 1")
        if isinstance(left, Const) and isinstance(right, Const):
            return Const(value=_FOLD[kind](left.value, right.value))
        return elementwise.combine(b, kind, left, right)

    return handle


def _rsub(b: Builder, c: Call) -> Any:
    return elementwise.combine(b, "sub", c.value("other"), c.tensor())


def _or_number(value: Any) -> Any:
    return Const(value=np.array(value)) if isinstance(value, (int, float)) else value


def _erf(b: Builder, c: Call) -> patterns.ErfTerm:
    return patterns.erf(b, c.tensor())


def _div(b: Builder, c: Call) -> Any:
    if isinstance(c.get("self"), patterns.ErfTerm):
        return patterns.combine(b, "mul", c.get("self"), Const(value=1.0 / np.asarray(c.const("other").value)))
    if isinstance(c.get("self"), Tensor) and isinstance(c.get("other"), Tensor):
        return patterns.quotient(b, c.tensor(), c.tensor("other"))
    divisor = c.const("other").value
    with np.errstate(all="ignore"):
        return elementwise.affine(b, c.tensor(), 1.0 / np.asarray(divisor, dtype=np.float64), np.zeros(()))


def _simple(kind: ActivationKind) -> Handler:
    return lambda b, c: elementwise.activation(b, c.tensor(), kind)


def _with(kind: ActivationKind, *names: str) -> Handler:
    return lambda b, c: elementwise.activation(b, c.tensor(), kind, *(float(c.get(name)) for name in names))


def _elu(b: Builder, c: Call) -> Tensor:
    alpha, scale, input_scale = (float(c.get(name)) for name in ("alpha", "scale", "input_scale"))
    if input_scale != 1 or scale != 1:
        c.fail(f"arguments scale = {scale!r} and input_scale = {input_scale!r} are not supported; expected 1")
    return elementwise.activation(b, c.tensor(), "elu", alpha)


def _softplus(b: Builder, c: Call) -> Tensor:
    if c.get("beta") != 1 or c.get("threshold") < 20:  # above 20 torch gives x, which differs by less than 2.1e-9
        c.fail(f"arguments beta = {c.get('beta')!r}, threshold = {c.get('threshold')!r}; expected 1 and 20")
    return elementwise.activation(b, c.tensor(), "softplus")


def _gelu(b: Builder, c: Call) -> Tensor:
    return elementwise.activation(b, c.tensor(), "gelu_tanh" if c.get("approximate") == "tanh" else "gelu")


def _clip(b: Builder, c: Call, lo: str, hi: str) -> Tensor:
    low, high = (np.inf * sign if (v := c.get(n)) is None else float(v) for n, sign in ((lo, -1), (hi, 1)))
    return elementwise.clip(b, c.tensor(), low, high)


def _hard_sigmoid(b: Builder, c: Call) -> Tensor:
    return elementwise.activation(b, c.tensor(), "hard_sigmoid", 1 / 6, 0.5)


def _prelu(b: Builder, c: Call) -> Tensor:
    x, slope = c.tensor(), c.const("weight").value
    if slope.size > 1:
        slope = slope.reshape(1, -1, *(1 for _ in range(x.rank - 2)))
    return elementwise.prelu(b, x, slope)


def _power(b: Builder, c: Call) -> Tensor:
    kinds: dict[Any, ActivationKind] = {2: "square", 0.5: "sqrt"}
    power = c.get("exponent")
    if power not in kinds:
        c.fail(f"argument exponent = {power!r}; 2 and 0.5 are supported")
    return elementwise.activation(b, c.tensor(), kinds[power])


def _threshold(b: Builder, c: Call) -> Tensor:
    if c.get("threshold") != 0 or c.get("value") != 0:
        c.fail("is supported as a ReLU, threshold 0 and value 0")
    return elementwise.activation(b, c.tensor(), "relu")


def _dropout(_b: Builder, c: Call) -> Any:
    c.ignore("p")
    if c.get("train"):
        c.fail("is in training mode; call model.eval() first")
    return c.value("input")


def _training(_b: Builder, c: Call) -> Any:
    c.fail("drops elements at random, in training mode; call model.eval() and use nn.Dropout")


def _copy(_b: Builder, c: Call) -> Any:
    c.ignore("memory_format", "non_blocking", "copy", "implicit", "layout", "device", "pin_memory")
    return c.value("self")


def _to(b: Builder, c: Call) -> Any:
    import torch

    dtype = c.get("dtype")
    if dtype not in (None, torch.float32, torch.float64):
        c.fail(f"argument dtype = {dtype} changes the data; float32 and float64 are supported")
    return _copy(b, c)


def _fake_quantize(b: Builder, c: Call) -> Any:
    """Round to integers of a scale: per tensor, or per element of `axis`."""
    x = c.value("self")
    shape = x.shape if isinstance(x, Tensor) else x.value.shape
    scale, zero = c.const("scale").value, c.const("zero_point").value
    axis = c.get("axis")
    if axis is not None:
        along = tuple(-1 if a == axis % len(shape) else 1 for a in range(len(shape)))
        scale, zero = scale.reshape(along), zero.reshape(along)
    scale, lo, hi = np.asarray(scale, dtype=np.float64), c.get("quant_min"), c.get("quant_max")
    if (np.round(zero) != zero).any():
        c.fail(f"argument zero_point = {zero.tolist()!r}; whole numbers are supported")
    zero = np.asarray(zero, dtype=np.int64)
    if isinstance(x, Tensor):
        lo, hi = np.array(lo), np.array(hi)
        return elementwise.quantize(b, x, scale=scale, lo=lo, hi=hi, zero_point=zero, rounding=Rounding.HALF_EVEN)
    inverse = np.float32(1) / scale.astype(np.float32)  # as torch computes it
    integers = np.clip(np.round(x.value.astype(np.float32) * inverse) + zero, lo, hi) - zero
    scale = scale.reshape((1,) * len(shape)) if scale.size == 1 else scale
    return replace(x, value=integers.astype(np.float64) * scale, scale=scale)


HANDLERS: dict[str, Handler] = {
    "add": _binary("add"),
    "sub": _binary("sub"),
    "mul": _binary("mul"),
    "maximum": _binary("max"),
    "minimum": _binary("min"),
    "rsub": _rsub,
    "div": _div,
    "pow": _power,
    "relu": _simple("relu"),
    "relu6": lambda b, c: elementwise.activation(b, c.tensor(), "relu", 6.0),
    "leaky_relu": _with("leaky_relu", "negative_slope"),
    "prelu": _prelu,
    "elu": _elu,
    "celu": _with("celu", "alpha"),
    "selu": _simple("selu"),
    "sigmoid": _simple("sigmoid"),
    "tanh": _simple("tanh"),
    "hardtanh": lambda b, c: _clip(b, c, "min_val", "max_val"),
    "clamp": lambda b, c: _clip(b, c, "min", "max"),
    "clamp_min": lambda b, c: _clip(b, c, "min", "max"),
    "clamp_max": lambda b, c: _clip(b, c, "min", "max"),
    "hardsigmoid": _hard_sigmoid,
    "hardswish": _simple("hard_swish"),
    "silu": _simple("silu"),
    "gelu": _gelu,
    "erf": _erf,
    "softplus": _softplus,
    "mish": _simple("mish"),
    "exp": _simple("exp"),
    "abs": _simple("abs"),
    "neg": _simple("neg"),
    "sqrt": _simple("sqrt"),
    "square": _simple("square"),
    "sign": _simple("sign"),
    "threshold": _threshold,
    "dropout": _dropout,
    "feature_dropout": _dropout,
    "native_dropout": _training,
    "clone": _copy,
    "contiguous": _copy,
    "alias": _copy,
    "detach": _copy,
    "lift_fresh_copy": _copy,
    "to": _to,
    "_to_copy": _to,
    "fake_quantize_per_tensor_affine": _fake_quantize,
    "fake_quantize_per_channel_affine": _fake_quantize,
}
