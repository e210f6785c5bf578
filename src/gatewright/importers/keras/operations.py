"""Calls of keras.ops, and Python's arithmetic and slices of Keras 3 tensors, in; the nodes that compute them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.graph.nodes import ActivationKind, Combine, Concat, Constant, Slice, Softmax
from gatewright.importers.hints import misspelt
from gatewright.importers.keras.activations import apply_function
from gatewright.importers.keras.builder import Builder, Value

Operand = Value | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: args in their order, tensors as values and numbers as arrays; settings: of the call, by name."""

    builder: Builder
    where: str
    major: int
    args: tuple[Any, ...]
    settings: dict[str, Any]

    def refuse(self, text: str) -> ModelError:
        """Return the error of this call."""
        return ModelError(f"{self.where}: {text}")

    def get(self, name: str, at: int, default: Any = None) -> Any:
        """Return an argument given by name or by its place."""
        return self.settings.get(name, self.args[at] if at < len(self.args) else default)

    def tensor(self, at: int = 0) -> Value:
        """Return an argument that is computed from the model's input."""
        if at >= len(self.args) or not isinstance(self.args[at], Value):
            raise self.refuse(f"argument {at} is no result of a layer")
        return self.args[at]

    def axis(self, name: str, at: int, default: Any, rank: int) -> int:
        """Return an axis of the value without its samples' axis."""
        axis = self.get(name, at, default)
        axis = int(axis) if isinstance(axis, np.ndarray) and axis.size == 1 else axis
        if isinstance(axis, bool) or not isinstance(axis, int) or not (1 <= axis <= rank or -rank <= axis <= -1):
            raise self.refuse(
                f"axis = {axis!r} is not supported; the value has the axes 1 to {rank}, samples before them"
            )
        return axis - 1 if axis > 0 else rank + axis


def is_operation(entry: dict[str, Any]) -> bool:
    """Say whether an entry of a model's layers is a call of an operation rather than a layer."""
    return str(entry.get("module")).startswith(("keras.src.ops.", "keras.ops"))


def refuse_unknown_operation(entry: dict[str, Any], where: str) -> None:
    """Raise ModelError for an operation that no table has."""
    kind = str(entry.get("class_name"))
    if kind not in OPERATIONS:
        raise ModelError(
            f"{where}: the operation keras.ops {kind!r} is not supported.{misspelt(kind, list(OPERATIONS))}"
        )


def tensors_of(node: Any) -> Iterator[Any]:
    """Yield the references to results in a call's arguments, in their order."""
    if isinstance(node, dict) and node.get("class_name") == "__keras_tensor__":
        yield node.get("config", {}).get("keras_history")
    elif isinstance(node, dict):
        for value in node.values():
            yield from tensors_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from tensors_of(value)


def run_operation(
    builder: Builder, entry: dict[str, Any], node: dict[str, Any], inputs: tuple[Value, ...], major: int, path: str
) -> Value:
    """Apply one call; inputs: the results it reads, in the order of tensors_of."""
    name, kind = str(entry.get("name")), str(entry.get("class_name"))
    where = f"layer {path + name!r} ({kind})"
    refuse_unknown_operation(entry, where)
    before = builder.layer, builder.kind
    builder.enter(name, kind)
    values = iter(inputs)
    args = tuple(_read(arg, values, where) for arg in node.get("args") or [])
    given = {key: _read(value, values, where) for key, value in (node.get("kwargs") or {}).items() if value is not None}
    config = entry.get("config")
    own = {
        key: value
        for key, value in (config if isinstance(config, dict) else {}).items()
        if key not in ("name", "dtype")
    }
    call = Operation(builder, where, major, args, {**own, **given})
    y = OPERATIONS[kind](call)
    builder.layer, builder.kind = before
    return y


def _read(value: Any, values: Iterator[Value], where: str) -> Any:
    """Return an argument: a tensor as its value, numbers as an array, slices as slices."""
    if isinstance(value, dict):
        kind, config = value.get("class_name"), value.get("config")
        if kind == "__keras_tensor__":
            return next(values)
        if kind == "__slice__" and isinstance(config, dict):
            return slice(config.get("start"), config.get("stop"), config.get("step"))
        if kind == "__ellipsis__":
            return Ellipsis
        if kind in ("__numpy__", "__tensor__") and isinstance(config, dict):
            return np.asarray(config.get("value"), dtype=np.float64)
        raise ModelError(f"{where}: is called with {str(value)[:120]}, which is not understood")
    if isinstance(value, list):
        return [_read(item, values, where) for item in value]
    return np.asarray(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, np.ndarray) and value.ndim == 0 and value == int(value) else value


def _binary(kind: str) -> Callable[[Operation], Value]:
    def handle(call: Operation) -> Value:
        left, right = (call.get(name, at) for at, name in enumerate(("x1", "x2")))
        if isinstance(left, Value) and isinstance(right, Value):
            return call.builder.combine(kind, left, right, call.where)
        x, number, swapped = (left, right, False) if isinstance(left, Value) else (right, left, True)
        if not isinstance(x, Value) or not isinstance(number, np.ndarray) or not np.isfinite(number).all():
            raise call.refuse(f"combines {left!r} and {right!r}; results of layers and finite numbers are supported")
        return _with_number(call, kind, x, number, swapped=swapped)

    return handle


def _with_number(call: Operation, kind: str, x: Value, number: NDArray[Any], *, swapped: bool) -> Value:
    """Combine a result with a constant, which NumPy's rules repeat for every sample."""
    rank = len(x.shape)
    fits = number.ndim <= rank or (number.ndim == rank + 1 and number.shape[0] == 1)
    try:
        shape = np.broadcast_shapes(x.shape, number.shape[number.ndim - rank :] if number.ndim > rank else number.shape)
    except ValueError:
        fits, shape = False, ()
    if not fits:
        raise call.refuse(
            f"a constant of the shape {number.shape} does not go together with values of the shape {x.shape}"
        )
    number = number.astype(np.float32).astype(np.float64)
    number = number.reshape((1,) * (rank - number.ndim) + number.shape[max(number.ndim - rank, 0) :])
    if number.size == number.shape[-1] and shape == x.shape:
        number = np.full(x.shape[-1:], number.reshape(-1))
        if kind in ("add", "sub", "mul"):
            return _per_channel(call.builder, kind, x, number, swapped=swapped)
    constant = call.builder.add(Constant, [], number.shape, "number", value=number)
    pair = [constant, x] if swapped else [x, constant]
    return call.builder.add(Combine, pair, shape, kind, kind=kind)


def _per_channel(builder: Builder, kind: str, x: Value, number: NDArray[Any], *, swapped: bool) -> Value:
    one, zero = np.ones(1), np.zeros(1)
    if kind == "mul":
        return builder.affine(x, number, zero)
    if kind == "add":
        return builder.affine(x, one, number)
    return builder.affine(x, -one, number) if swapped else builder.affine(x, one, -number)


def _divide(call: Operation) -> Value:
    x, divisor = call.get("x1", 0), call.get("x2", 1)
    if not isinstance(x, Value) or not isinstance(divisor, np.ndarray) or (divisor == 0).any():
        raise call.refuse("divides by a computed value or by zero; division by a number is supported")
    return _with_number(call, "mul", x, 1.0 / divisor, swapped=False)


def _function(name: str) -> Callable[[Operation], Value]:
    return lambda call: apply_function(call.builder, call.tensor(), name, call.major, call.where)


def _node(kind: ActivationKind) -> Callable[[Operation], Value]:
    return lambda call: call.builder.activation(call.tensor(), kind)


def _with(kind: ActivationKind, name: str, default: float) -> Callable[[Operation], Value]:
    return lambda call: call.builder.activation(call.tensor(), kind, (float(call.get(name, 1, default)),))


def _gelu(call: Operation) -> Value:
    return call.builder.activation(call.tensor(), "gelu_tanh" if call.get("approximate", 1, True) else "gelu")


def _softmax(call: Operation) -> Value:
    x = call.tensor()
    if call.axis("axis", 1, -1, len(x.shape)) != len(x.shape) - 1:
        raise call.refuse("softmax runs over the last axis only; add a Permute layer")
    return call.builder.add(Softmax, [x], x.shape, "softmax")


def _clip(call: Operation) -> Value:
    ends = float(call.get("x_min", 1, -np.inf)), float(call.get("x_max", 2, np.inf))
    if not np.isfinite(ends).all():
        raise call.refuse(f"clips to {ends}; two finite ends are expected")
    return call.builder.activation(call.tensor(), "hard_tanh", ends)


def _concatenate(call: Operation) -> Value:
    parts = call.args[0] if call.args else None
    if not isinstance(parts, list) or not parts or not all(isinstance(part, Value) for part in parts):
        raise call.refuse("joins something other than results of layers")
    rank = len(parts[0].shape)
    axis = call.axis("axis", 1, -1, rank)
    others = {(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts}
    if len(others) != 1 or any(len(part.shape) != rank for part in parts):
        raise call.refuse(f"joins values of the shapes {[part.shape for part in parts]} along axis {axis + 1}")
    shape = (*parts[0].shape[:axis], sum(part.shape[axis] for part in parts), *parts[0].shape[axis + 1 :])
    return call.builder.add(Concat, parts, shape, axis=axis)


def _reshape(call: Operation) -> Value:
    x, target = call.tensor(), call.get("newshape", 1)
    sizes = [_number(size) for size in target] if isinstance(target, list | tuple) else []
    if len(sizes) < 2 or sizes[0] not in (-1, None) or any(not isinstance(size, int) for size in sizes[1:]):
        raise call.refuse(f"newshape = {target!r} is not supported; -1 for the samples, then whole sizes")
    sizes = sizes[1:]
    if -1 in sizes or prod(sizes) != prod(x.shape):
        raise call.refuse(f"reshapes {x.shape} to {tuple(sizes)}; as many elements are expected")
    return call.builder.reshape(x, tuple(sizes))


def _transpose(call: Operation) -> Value:
    x, axes = call.tensor(), call.get("axes", 1)
    order = [_number(axis) for axis in axes] if isinstance(axes, list | tuple) else []
    if order[:1] != [0] or sorted(order) != list(range(len(x.shape) + 1)):
        raise call.refuse(f"axes = {axes!r} is not supported; the samples' axis stays first")
    return call.builder.transpose(x, tuple(axis - 1 for axis in order[1:]))


def _get_item(call: Operation) -> Value:
    """Slices, whole indices, new axes; the samples' axis stays whole."""
    x, key = call.tensor(), call.get("key", 1)
    items = [_number(item) for item in (key if isinstance(key, list | tuple) else [key])]
    named = sum(item is not None and item is not Ellipsis for item in items)
    if Ellipsis not in items:
        items.append(Ellipsis)
    at = items.index(Ellipsis)
    items[at : at + 1] = [slice(None)] * (len(x.shape) + 1 - named)
    if not items or items[0] != slice(None) or named > len(x.shape) + 1:
        raise call.refuse(f"index {key!r} picks samples; each sample must be treated alike, x[:, ...]")
    starts: list[int] = []
    stops: list[int | None] = []
    steps: list[int] = []
    cut: list[int] = []
    final: list[int] = []
    sizes = iter(x.shape)
    for item in items[1:]:
        if item is None:
            final.append(1)
            continue
        size = next(sizes)
        if isinstance(item, int):
            if not -size <= item < size:
                raise call.refuse(f"index {item} is outside an axis of {size}")
            kept = range(item % size, item % size + 1)
        elif isinstance(item, slice):
            parts = [None if end is None else int(end) for end in (item.start, item.stop, item.step)]
            kept = range(*slice(*parts).indices(size))
            final.append(len(kept))
        else:
            raise call.refuse(f"index {item!r} is not supported; whole numbers and slices are")
        starts.append(kept.start)
        stops.append(None if kept.stop < 0 else kept.stop)
        steps.append(kept.step)
        cut.append(len(kept))
    if tuple(cut) != x.shape or any(step != 1 for step in steps):
        x = call.builder.add(
            Slice, [x], tuple(cut), "slice", starts=tuple(starts), stops=tuple(stops), steps=tuple(steps)
        )
    return call.builder.reshape(x, tuple(final) or (1,))


OPERATIONS: dict[str, Callable[[Operation], Value]] = {
    "Add": _binary("add"),
    "Subtract": _binary("sub"),
    "Multiply": _binary("mul"),
    "Maximum": _binary("max"),
    "Minimum": _binary("min"),
    "TrueDivide": _divide,
    "Divide": _divide,
    "Negative": _node("neg"),
    "Absolute": _node("abs"),
    "Abs": _node("abs"),
    "Square": _node("square"),
    "Sqrt": _node("sqrt"),
    "Exp": _node("exp"),
    "Sign": _node("sign"),
    "Clip": _clip,
    "Relu": _function("relu"),
    "Relu6": _function("relu6"),
    "Sigmoid": _function("sigmoid"),
    "Tanh": _function("tanh"),
    "Softplus": _function("softplus"),
    "Softsign": _function("softsign"),
    "Silu": _function("silu"),
    "Selu": _function("selu"),
    "HardSigmoid": _function("hard_sigmoid"),
    "HardSilu": _function("hard_silu"),
    "LeakyRelu": _with("leaky_relu", "negative_slope", 0.2),
    "Elu": _with("elu", "alpha", 1.0),
    "Celu": _with("celu", "alpha", 1.0),
    "Gelu": _gelu,
    "Softmax": _softmax,
    "Concatenate": _concatenate,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "GetItem": _get_item,
}
