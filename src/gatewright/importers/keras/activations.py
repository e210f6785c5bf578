"""A Keras activation (a name or a configuration) in, nodes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewright.errors import ModelError
from gatewright.fixedpoint import Overflow, Rounding
from gatewright.graph.nodes import ActivationKind, Quantize, Softmax, Thresholds
from gatewright.importers.hints import misspelt
from gatewright.importers.keras.builder import Builder, Value

Parameters = tuple[float, ...]

FUNCTIONS: dict[str, tuple[ActivationKind, Parameters]] = {
    "relu": ("relu", ()),
    "relu6": ("relu", (6.0,)),
    "relu1": ("relu", (1.0,)),  # hls4ml's examples: a ReLU bounded at 1
    "leaky_relu": ("leaky_relu", (0.2,)),
    "elu": ("elu", (1.0,)),
    "selu": ("selu", ()),
    "celu": ("celu", (1.0,)),
    "sigmoid": ("sigmoid", ()),
    "tanh": ("tanh", ()),
    "softplus": ("softplus", ()),
    "softsign": ("softsign", ()),
    "exponential": ("exp", ()),
    "silu": ("silu", ()),
    "swish": ("silu", ()),
    "gelu": ("gelu", ()),
    "mish": ("mish", ()),
    "hard_silu": ("hard_swish", ()),
    "hard_swish": ("hard_swish", ()),
    "hard_tanh": ("hard_tanh", (-1.0, 1.0)),
}
HARD_SIGMOID: dict[int, Parameters] = {2: (0.2, 0.5), 3: (1 / 6, 0.5)}  # the function changed with Keras 3
SPECIAL = ("linear", "softmax", "log_softmax", "hard_sigmoid", "binary_tanh", "ternary_tanh")


def function_name(spec: Any, where: str) -> str:
    """Return the name in a setting: text, None, or Keras' {"class_name": "function", "config": name}."""
    if spec is None:
        return "linear"
    if isinstance(spec, str):
        return spec
    if isinstance(spec, dict) and spec.get("class_name") in ("function", "__lambda__"):
        inner = spec.get("config")
        if spec["class_name"] == "function" and isinstance(inner, str):
            return inner
        raise ModelError(
            f"{where}: the activation is Python code stored in the file, and loading a model never runs code from it; "
            "use a named activation"
        )
    raise ModelError(f"{where}: activation {spec!r} is not understood; use a named activation")


def apply_function(builder: Builder, x: Value, name: str, major: int, where: str) -> Value:
    """Add the nodes of a named activation."""
    name = name.removeprefix("keras.activations.")
    if name == "linear":
        return x
    if name == "softmax":
        return builder.add(Softmax, [x], x.shape, "softmax")
    if name == "log_softmax":
        return builder.leave_out_log_softmax(x)
    if name == "hard_sigmoid":
        return builder.activation(x, "hard_sigmoid", HARD_SIGMOID[major])
    if name == "binary_tanh":  # 2 round(clip(x/2 + 1/2, 0, 1)) - 1, halves to even: 1 where x > 0, else -1
        return sign(builder, x, np.nextafter(0.0, 1.0))
    if name == "ternary_tanh":  # round(clip(x, -1, 1)), halves to even
        return builder.add(
            Quantize,
            [x],
            x.shape,
            "quantize",
            scale=np.ones(()),
            lo=np.int64(-1) * np.ones((), np.int64),
            hi=np.ones((), np.int64),
            zero_point=np.zeros((), np.int64),
            rounding=Rounding.HALF_EVEN,
            overflow=Overflow.SATURATE,
        )
    if name not in FUNCTIONS:
        raise ModelError(f"{where}: activation {name!r} is not supported.{misspelt(name, [*FUNCTIONS, *SPECIAL])}")
    kind, parameters = FUNCTIONS[name]
    return builder.activation(x, kind, parameters)


def sign(builder: Builder, x: Value, threshold: float, low: float = -1.0, high: float = 1.0) -> Value:
    """Return `high` where x >= threshold, else `low`."""
    return builder.add(
        Thresholds,
        [x],
        x.shape,
        "threshold",
        thresholds=np.array([[threshold]]),
        start=np.asarray(low, np.float64),
        step=np.asarray(high - low, np.float64),
    )
