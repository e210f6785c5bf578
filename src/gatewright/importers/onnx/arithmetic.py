"""Elementwise ONNX operators: arithmetic, activations, casts; on constants they are folded in the file's own type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from gatewright.graph.nodes import ActivationKind
from gatewright.importers import elementwise, patterns, shaping
from gatewright.importers.builder import Builder, Const, Tensor, Value
from gatewright.importers.onnx.constants import Array, divide, folded, rearranged, remainder
from gatewright.importers.onnx.op import Op

Results = Sequence[object]  # Value, Missing, or what only one other operator reads
Handler = Callable[[Builder, Op], Results]


def _term(op: Op) -> bool:
    """Say whether an operand is a part of a GELU written by the error function."""
    return any(isinstance(value, patterns.ErfTerm) for value in op.operands)


def _erf(b: Builder, op: Op) -> list[object]:
    return [patterns.erf(b, op.tensor())]


def _operands(b: Builder, op: Op) -> tuple[Value, Value]:
    """Return the two operands, which broadcast as NumPy's do.

    Before set 7 the second one's axes are consecutive ones of the first's, from `axis` on (absent: the last ones), and
    without `broadcast` both have one shape.
    """
    left, right = op.value(0), op.value(1)
    if op.opset >= 7:
        return left, right
    shapes = [v.shape if isinstance(v, Tensor) else v.value.shape for v in (left, right)]
    spread, (first, second) = op.flag("broadcast", False), shapes
    axis = b.axis(op.get("axis", 0), max(len(first), 1)) if op.has("axis") else len(first) - len(second)
    if prod(second) == 1:
        return left, right
    if first[max(axis, 0) : axis + len(second)] != second or not (spread or first == second):
        op.fail(
            f"its operands have the shapes {first} and {second}, which do not match with broadcast = {int(spread)}, "
            f"axis = {axis} of set {op.opset}"
        )
    behind = len(first) - axis - len(second)
    if behind == 0:
        return left, right
    shape = second + (1,) * behind
    if isinstance(right, Tensor):
        return left, b.reshape(right, shape)
    return left, rearranged(b, right, lambda array: array.reshape(shape))


def _binary(kind: elementwise.Arithmetic, fold: Callable[[Array, Array], Array]) -> Handler:
    def handle(b: Builder, op: Op) -> Results:
        if _term(op):
            return [patterns.combine(b, kind, op.any_operand(0), op.any_operand(1))]
        left, right = _operands(b, op)
        if isinstance(left, Const) and isinstance(right, Const):
            return [folded(b, lambda: fold(left.value, right.value))]
        return [elementwise.combine(b, kind, left, right)]

    return handle


def _div(b: Builder, op: Op) -> Results:
    if _term(op):
        with np.errstate(all="ignore"):
            return [patterns.combine(b, "mul", op.any_operand(0), Const(value=1.0 / op.array(1).astype(np.float64)))]
    left, right = _operands(b, op)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return [patterns.quotient(b, left, right)]
    if isinstance(right, Tensor):
        op.fail("divides by a value computed from the model's input; division by a constant is supported")
    if isinstance(left, Const):
        return [folded(b, lambda: divide(left.value, right.value))]
    with np.errstate(all="ignore"):
        return [elementwise.affine(b, left, 1.0 / np.asarray(right.value, dtype=np.float64), np.zeros(()))]


def _mod(b: Builder, op: Op) -> list[Value]:
    left, right, fmod = op.value(0), op.value(1), op.flag("fmod", False)
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        op.fail("takes the remainder of values computed from the model's input; remainders of constants are folded")
    both = (left.value, right.value)
    if not fmod and any(v.dtype.kind == "f" for v in both):
        op.fail("attribute fmod = 0 is of integers; floats have fmod = 1")
    if any(v.dtype.kind != "f" for v in both) and (right.value == 0).any():
        op.fail("divides integers by 0")
    return [folded(b, lambda: remainder(*both, fmod=fmod))]


def _pow(b: Builder, op: Op) -> list[Value]:
    base, right = _operands(b, op)
    if isinstance(right, Tensor):
        op.fail("its exponent is computed from the model's input; a constant is supported")
    exponent = right.value
    if isinstance(base, Const):
        return [folded(b, lambda: np.power(base.value, exponent).astype(base.value.dtype))]
    powers = np.unique(exponent)
    power = float(powers[0]) if powers.size == 1 else None
    base = shaping.expand(b, base, exponent.shape)
    if power == 1:
        return [base]
    kinds: dict[float | None, ActivationKind] = {2.0: "square", 0.5: "sqrt"}
    if power not in kinds:
        op.fail(f"raises to the power {exponent.tolist()!r}; 1, 2 and 0.5 are supported")
    return [elementwise.activation(b, base, kinds[power])]


def _extreme(kind: elementwise.Arithmetic, fold: Any) -> Handler:
    def handle(b: Builder, op: Op) -> list[Value]:
        result = op.value(0)
        for index in range(1, len(op.operands)):
            other = op.value(index)
            if isinstance(result, Const) and isinstance(other, Const):
                result = folded(b, lambda left=result, right=other: fold(left.value, right.value))
            else:
                result = elementwise.combine(b, kind, result, other)
        return [result]

    return handle


def _simple(kind: ActivationKind, fold: Callable[[Array], Array] | None = None) -> Handler:
    def handle(b: Builder, op: Op) -> list[Value]:
        x = op.value(0)
        if isinstance(x, Const):
            if fold is None:
                op.fail("works on a constant; fold it before export")
            compute = fold
            return [folded(b, lambda: compute(x.value))]
        return [elementwise.activation(b, x, kind)]

    return handle


def _with(kind: ActivationKind, **defaults: float) -> Handler:
    """An activation whose parameters are attributes, in this order."""

    def handle(b: Builder, op: Op) -> list[Value]:
        return [elementwise.activation(b, op.tensor(), kind, *(op.get(n, float(v)) for n, v in defaults.items()))]

    return handle


def _selu(b: Builder, op: Op) -> list[Value]:
    for name, value in (("alpha", 1.6732632423543772), ("gamma", 1.0507009873554805)):
        given = op.get(name, value)
        if abs(given - value) > 1e-6:
            op.fail(f"attribute {name} = {given!r} is not supported; expected {value}")
    return [elementwise.activation(b, op.tensor(), "selu")]


def _gelu(b: Builder, op: Op) -> list[Value]:
    op.only("approximate", "none", "tanh")
    return [elementwise.activation(b, op.tensor(), "gelu_tanh" if op.get("approximate", "none") == "tanh" else "gelu")]


def _prelu(b: Builder, op: Op) -> list[Value]:
    x, slope = op.tensor(), op.array(1)
    if op.opset < 7 and slope.ndim == 1 and slope.size > 1:  # one slope per channel there
        slope = slope.reshape(-1, *(1 for _ in range(x.rank - 2)))
    return [elementwise.prelu(b, x, slope)]


def _clip(b: Builder, op: Op) -> list[Value]:
    x = op.value(0)
    if op.opset >= 11:
        lo, hi = op.scalar(1), op.scalar(2)
    else:
        lo, hi = (op.get(name, default) for name, default in (("min", -np.inf), ("max", np.inf)))
    lo, hi = -np.inf if lo is None else lo, np.inf if hi is None else hi
    lo, hi = (np.sign(v) * np.inf if abs(v) > 1e38 else v for v in (lo, hi))  # float32's largest means no bound
    if isinstance(x, Const):
        return [folded(b, lambda: np.clip(x.value, lo, hi).astype(x.value.dtype))]
    if lo > hi or np.isnan(lo) or np.isnan(hi):
        op.fail(f"clips to {lo!r}..{hi!r}")
    return [elementwise.clip(b, x, lo, hi)]


def _cast(b: Builder, op: Op) -> list[Value]:
    from onnx import TensorProto, helper

    op.ignore("saturate", "round_mode")  # of float8 targets only
    x, to = op.value(0), op.get("to", 0)
    if isinstance(x, Const):
        try:
            dtype = helper.tensor_dtype_to_np_dtype(to)
        except KeyError:
            op.fail(f"attribute to = {to!r} is not an element type")
        if dtype.kind not in "fiub":
            op.fail(f"attribute to = {to!r} ({dtype}) is not supported for constants")
        return [replace(folded(b, lambda: x.value.astype(dtype)), scale=x.scale if dtype.kind == "f" else None)]
    if to not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        op.fail(f"attribute to = {to!r} changes the model's data; casts to float and double are supported")
    return [x]


def _identity(_b: Builder, op: Op) -> list[Value]:
    return [op.value(0)]


def _dropout(_b: Builder, op: Op) -> list[Value]:
    op.ignore("ratio", "seed")
    op.operand(1)  # the ratio
    if op.opset < 7:
        op.only("is_test", 1)
    training = op.maybe_array(2)
    if training is not None and training.any():
        op.fail("is in training mode; export the model for inference")
    return [op.value(0)]


def _where(b: Builder, op: Op) -> list[Value]:
    mask, values = op.array(0), [op.value(1), op.value(2)]
    constants = [value for value in values if isinstance(value, Const)]
    if len(constants) == 2:
        return [folded(b, lambda: np.where(mask, constants[0].value, constants[1].value))]
    if not constants:
        op.fail("chooses between two values computed from the model's input; a constant is supported beside one")
    kept = mask if isinstance(values[0], Tensor) else ~mask  # the others are the constant
    fill = elementwise.finite(b, constants[0].value, "value")
    x = next(value for value in values if isinstance(value, Tensor))
    return [elementwise.affine(b, x, kept.astype(np.float64), folded(b, lambda: np.where(kept, 0.0, fill)).value)]


def _equal(b: Builder, op: Op) -> list[Value]:
    left, right = _operands(b, op)
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        op.fail("compares values computed from the model's input; comparisons of constants are folded")
    return [folded(b, lambda: left.value == right.value)]


HANDLERS: dict[str, Handler] = {
    "Add": _binary("add", np.add),
    "Sub": _binary("sub", np.subtract),
    "Mul": _binary("mul", np.multiply),
    "Div": _div,
    "Mod": _mod,
    "Pow": _pow,
    "Max": _extreme("max", np.maximum),
    "Min": _extreme("min", np.minimum),
    "Sum": _extreme("add", np.add),
    "Relu": _simple("relu"),
    "LeakyRelu": _with("leaky_relu", alpha=0.01),
    "PRelu": _prelu,
    "Elu": _with("elu", alpha=1.0),
    "Celu": _with("celu", alpha=1.0),
    "Selu": _selu,
    "Sigmoid": _simple("sigmoid"),
    "Tanh": _simple("tanh"),
    "HardSigmoid": _with("hard_sigmoid", alpha=0.2, beta=0.5),
    "HardSwish": _simple("hard_swish"),
    "Softplus": _simple("softplus"),
    "Softsign": _simple("softsign"),
    "Mish": _simple("mish"),
    "Gelu": _gelu,
    "Erf": _erf,
    "Exp": _simple("exp", np.exp),
    "Abs": _simple("abs", np.abs),
    "Neg": _simple("neg", np.negative),
    "Sqrt": _simple("sqrt", np.sqrt),
    "Sign": _simple("sign", np.sign),
    "Clip": _clip,
    "Cast": _cast,
    "Identity": _identity,
    "Dropout": _dropout,
    "Where": _where,
    "Equal": _equal,
}
