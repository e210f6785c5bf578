"""A QKeras quantizer as written (text or configuration) in, one of a closed union of quantizers out.

Nothing is evaluated: text is parsed as a call of a known name with constant arguments.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from gatewright.errors import ModelError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """quantized_bits: fixed point; alpha: None, a number, "auto" or "auto_po2"."""

    bits: int
    integer: int
    symmetric: bool
    keep_negative: bool
    alpha: float | str | None
    scale_axis: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu:
    """quantized_relu; upper: bound that replaces the format's own (is_quantized_clip off)."""

    bits: int
    integer: int
    use_sigmoid: bool
    negative_slope: float
    upper: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """binary and stochastic_binary (in inference the same)."""

    use_01: bool
    alpha: float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ternary:
    """ternary and stochastic_ternary (in inference the same)."""

    alpha: float | str | None
    threshold: float | None
    unrolls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerOfTwo:
    """quantized_po2 and, with `relu`, quantized_relu_po2."""

    bits: int
    max_value: float | None
    quadratic: bool
    floor: bool
    relu: bool
    negative_slope: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh:
    """quantized_tanh; real: tanh itself, else clip(x, -1, 1)."""

    bits: int
    symmetric: float
    real: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid:
    """quantized_sigmoid; real: the logistic function, else clip(x/2 + 1/2, 0, 1). symmetric: lowest code."""

    bits: int
    symmetric: float
    real: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HardSwish:
    """quantized_hswish: x relu6(x + 3) / 6, then fixed point."""

    inner: Bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of QKeras without parameters: hard_tanh, hard_sigmoid, ..."""

    name: str


Quantizer = Bits | Relu | Binary | Ternary | PowerOfTwo | Tanh | Sigmoid | HardSwish | Function

FUNCTIONS = ("hard_sigmoid", "hard_tanh", "smooth_sigmoid", "smooth_tanh", "binary_sigmoid", "binary_tanh")

_STOCHASTIC = ("use_stochastic_rounding", False)
_TAIL = (("qnoise_factor", 1.0), ("var_name", None), ("use_ste", True), ("use_variables", False))
# The parameters of each class in the order of its constructor (QKeras 0.9), with defaults.
SIGNATURES: dict[str, tuple[tuple[str, Any], ...]] = {
    "quantized_bits": (
        ("bits", 8), ("integer", 0), ("symmetric", 0), ("keep_negative", True), ("alpha", None), _STOCHASTIC,
        ("scale_axis", None), *_TAIL, ("post_training_scale", None),
    ),
    "quantized_relu": (
        ("bits", 8), ("integer", 0), ("use_sigmoid", 0), ("negative_slope", 0.0), _STOCHASTIC,
        ("relu_upper_bound", None), ("is_quantized_clip", True), *_TAIL,
    ),
    "binary": (("use_01", False), ("alpha", None), _STOCHASTIC),
    "stochastic_binary": (("alpha", None), ("temperature", 6.0), ("use_real_sigmoid", True)),
    "ternary": (("alpha", None), ("threshold", None), _STOCHASTIC, ("number_of_unrolls", 5)),
    "stochastic_ternary": (
        ("alpha", None), ("threshold", None), ("temperature", 8.0), ("use_real_sigmoid", True),
        ("number_of_unrolls", 5),
    ),
    "quantized_tanh": (("bits", 8), _STOCHASTIC, ("symmetric", False), ("use_real_tanh", False)),
    "quantized_sigmoid": (("bits", 8), ("symmetric", False), ("use_real_sigmoid", False), _STOCHASTIC),
    "quantized_po2": (
        ("bits", 8), ("max_value", None), _STOCHASTIC, ("quadratic_approximation", False), ("log2_rounding", "rnd"),
        *_TAIL,
    ),
    "quantized_relu_po2": (
        ("bits", 8), ("max_value", None), ("negative_slope", 0), _STOCHASTIC, ("quadratic_approximation", False),
        ("log2_rounding", "rnd"), *_TAIL,
    ),
    "quantized_hswish": (
        ("bits", 8), ("integer", 0), ("symmetric", 0), ("alpha", None), _STOCHASTIC, ("scale_axis", None), *_TAIL,
        ("relu_shift", 3), ("relu_upper_bound", 6), ("keep_negative", True),
    ),
}  # fmt: skip
REFUSED = {
    "quantized_ulaw": "its levels are not evenly spaced; use quantized_bits",
    "bernoulli": "it draws random numbers; use binary",
    "quantized_linear": "use quantized_bits, its equal",
}


def word(spec: Any) -> Any:
    """Return the name of a function that Keras saved as an object, {"class_name": "function"}; else the setting."""
    if isinstance(spec, dict) and spec.get("class_name") == "function" and isinstance(spec.get("config"), str):
        return spec["config"]
    return spec


def is_quantizer(spec: Any) -> bool:
    """Say whether a setting names a quantizer of QKeras rather than an activation."""
    if isinstance(spec, dict):
        return spec.get("class_name") in SIGNATURES or spec.get("class_name") in REFUSED
    return isinstance(spec, str) and spec.split("(")[0].strip() in {*SIGNATURES, *REFUSED}


def parse(spec: Any, where: str) -> Quantizer:
    """Return the quantizer; ModelError for unknown names, parameters and values."""
    if isinstance(spec, str):
        name, positional, named = _read(spec, where)
    elif isinstance(spec, dict) and isinstance(spec.get("config"), dict):
        name, positional, named = str(spec.get("class_name")), [], dict(spec["config"])
    else:
        raise ModelError(
            f"{where}: quantizer {spec!r} is not understood; write for example quantized_bits(8,2,alpha=1)"
        )
    if name in FUNCTIONS and not positional and not named:
        return Function(name=name)
    if name in REFUSED:
        raise ModelError(f"{where}: quantizer {name!r} is not supported: {REFUSED[name]}")
    if name not in SIGNATURES:
        raise ModelError(f"{where}: quantizer {name!r} is not known.{nearest(name, list(SIGNATURES))}")
    signature = SIGNATURES[name]
    if len(positional) > len(signature):
        raise ModelError(f"{where}: {name} takes at most {len(signature)} parameters, got {len(positional)}")
    given = {signature[at][0]: value for at, value in enumerate(positional)}
    for key, value in named.items():
        if key not in dict(signature):
            raise ModelError(
                f"{where}: {name} has no parameter {key!r} (= {value!r}).{nearest(key, [*dict(signature)])}"
            )
        given[key] = value
    return _build(name, {**dict(signature), **given}, where)


def _read(text: str, where: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Parse `name` or `name(constants)`."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, [], {}
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            positional = [ast.literal_eval(item) for item in tree.args]
            return tree.func.id, positional, {str(item.arg): ast.literal_eval(item.value) for item in tree.keywords}
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass
    raise ModelError(f"{where}: {text!r} is not a quantizer; write a name with constants, such as quantized_bits(8,2)")


def _build(name: str, p: dict[str, Any], where: str) -> Quantizer:
    def number(key: str) -> float:
        value = p[key]
        if isinstance(value, dict) and value.get("class_name") == "__numpy__":
            value = value.get("config", {}).get("value")
        if not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
            raise ModelError(f"{where}: {name}: {key} must be a number, not {value!r}")
        return float(value)

    def whole(key: str, least: int, most: int) -> int:
        value = number(key)
        if value != int(value) or not least <= value <= most:
            raise ModelError(f"{where}: {name}: {key} must be a whole number of {least}..{most}, not {p[key]!r}")
        return int(value)

    def alpha() -> float | str | None:
        value = p["alpha"]
        if value is None or value in ("auto", "auto_po2"):
            return value
        return number("alpha")

    if p.get("qnoise_factor", 1.0) != 1.0:
        raise ModelError(
            f"{where}: {name}: qnoise_factor = {p['qnoise_factor']!r}: the model is only partly quantized; use 1"
        )
    if p.get("post_training_scale") is not None:
        raise ModelError(f"{where}: {name}: post_training_scale is not supported; save without it")
    match name:
        case "quantized_bits" | "quantized_hswish":
            bits = Bits(
                bits=whole("bits", 1, 62),
                integer=whole("integer", -62, 62),
                symmetric=bool(p["symmetric"]) or isinstance(p["alpha"], str),
                keep_negative=bool(p["keep_negative"]),
                alpha=alpha(),
                scale_axis=None if p["scale_axis"] is None else whole("scale_axis", 0, 8),
            )
            if name == "quantized_bits":
                return bits
            if (p["relu_shift"], p["relu_upper_bound"]) != (3, 6):
                raise ModelError(f"{where}: {name}: only relu_shift=3, relu_upper_bound=6 is supported")
            return HardSwish(inner=bits)
        case "quantized_relu":
            free = not p["is_quantized_clip"] and p["relu_upper_bound"]
            return Relu(
                bits=whole("bits", 1, 62),
                integer=whole("integer", -62, 62),
                use_sigmoid=bool(p["use_sigmoid"]),
                negative_slope=number("negative_slope"),
                upper=number("relu_upper_bound") if free else None,
            )
        case "binary" | "stochastic_binary":
            return Binary(use_01=bool(p.get("use_01", False)), alpha=alpha())
        case "ternary" | "stochastic_ternary":
            threshold = None if p["threshold"] is None else number("threshold")
            return Ternary(alpha=alpha(), threshold=threshold, unrolls=whole("number_of_unrolls", 1, 1000))
        case "quantized_tanh":
            return Tanh(bits=whole("bits", 2, 30), symmetric=number("symmetric"), real=bool(p["use_real_tanh"]))
        case "quantized_sigmoid":
            return Sigmoid(bits=whole("bits", 1, 30), symmetric=number("symmetric"), real=bool(p["use_real_sigmoid"]))
        case _:
            return PowerOfTwo(
                bits=whole("bits", 1, 8),
                max_value=None if p["max_value"] is None else number("max_value"),
                quadratic=bool(p["quadratic_approximation"]),
                floor=p["log2_rounding"] == "floor",
                relu=name == "quantized_relu_po2",
                negative_slope=number("negative_slope") if name == "quantized_relu_po2" else 0.0,
            )
