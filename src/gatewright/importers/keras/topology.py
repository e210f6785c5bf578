"""A model's configuration in (Sequential, functional, nested), its layers applied in order of need; a Value out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gatewright.errors import ModelError
from gatewright.importers.keras.builder import Builder, Value
from gatewright.importers.keras.layers import refuse_unknown, run_layer
from gatewright.importers.keras.operations import (
    is_operation,
    refuse_unknown_operation,
    run_operation,
    tensors_of,
)
from gatewright.importers.keras.settings import FLOAT_TYPES, policies
from gatewright.importers.keras.weights import LayerWeights

MODELS = frozenset({"Sequential", "Functional", "Model"})
WHOLE_TYPES = frozenset({"int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"})
DEEPEST = 30  # models inside models
Key = tuple[str, int]  # layer, number of the call


@dataclass(frozen=True, slots=True)
class Context:
    """What all levels of a model share. path: the models above, each followed by a slash."""

    builder: Builder
    major: int
    path: str = ""
    depth: int = 0

    def inside(self, name: str) -> Context:
        """Return the context of a model inside."""
        if self.depth >= DEEPEST:
            raise ModelError(f"model {self.path!r}: models are nested more than {DEEPEST} deep; refused")
        return Context(self.builder, self.major, f"{self.path}{name}/", self.depth + 1)


def is_model(entry: dict[str, Any]) -> bool:
    """Say whether an entry is a model rather than a layer."""
    return entry.get("class_name") in MODELS and isinstance(entry.get("config"), dict | list)


def entries(model: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the layers' entries of a model."""
    config = model["config"]
    layers = config if isinstance(config, list) else config.get("layers")
    if not isinstance(layers, list) or not layers:
        raise ModelError(f"{where}: expected a list of layers; the file is damaged")
    for entry in layers:
        if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str) or "config" not in entry:
            raise ModelError(f"{where}: a layer must have class_name and config; got {str(entry)[:200]!r}")
    return layers


def refuse_unknown_layers(model: dict[str, Any], where: str, rules: Collection[str], path: str = "") -> None:
    """Raise ModelError for the first layer of the model, or of one inside it, that cannot be taken.

    rules: the classes that a rule describes.
    """
    if path.count("/") > DEEPEST:
        raise ModelError(f"{where}: models are nested more than {DEEPEST} deep; refused")
    for entry in entries(model, where):
        if is_model(entry):
            refuse_unknown_layers(entry, where, rules, f"{path}{name_of(entry)}/")
        elif is_operation(entry):
            refuse_unknown_operation(entry, f"layer {path + name_of(entry)!r}")
        elif entry["class_name"] != "InputLayer":
            refuse_unknown(entry, path, rules)
        else:
            input_type(entry, path)


def name_of(entry: dict[str, Any]) -> str:
    """Return a layer's name."""
    config = entry.get("config")
    inner = config.get("name") if isinstance(config, dict) else None
    return str(entry.get("name") or inner or entry.get("class_name"))


def input_type(entry: dict[str, Any], path: str = "") -> str:
    """Return the type that an InputLayer's values are cast to; ModelError where the cast is no whole or real number."""
    config = entry["config"] if isinstance(entry.get("config"), dict) else {}
    (name, *_) = policies(config.get("dtype"))
    if name not in FLOAT_TYPES and name not in WHOLE_TYPES:
        known = ", ".join(sorted({*FLOAT_TYPES, *WHOLE_TYPES}))
        raise ModelError(
            f"layer {path + name_of(entry)!r} (InputLayer): dtype = {name!r} is not supported: the data are rounded to "
            f"it first; make the input float32 (known: {known})"
        )
    return name


def whole_input(model: dict[str, Any], where: str) -> str | None:
    """Return the integer type that a model casts its data to, None where they stay real numbers."""
    found = {input_type(entry) for entry in entries(model, where) if entry["class_name"] == "InputLayer"}
    return next(iter(sorted(found & WHOLE_TYPES)), None)


def input_shape(model: dict[str, Any], where: str) -> tuple[str, tuple[int, ...]]:
    """Return the name and shape (without samples) of a whole model's only input."""
    layers = entries(model, where)
    inputs = [entry for entry in layers if entry.get("class_name") == "InputLayer"]
    if model["class_name"] != "Sequential" and len(inputs) != 1:
        names = ", ".join(map(name_of, inputs))
        raise ModelError(f"{where}: expected one input, the model has {len(inputs)} ({names}); join them into one")
    first = layers[0]
    config = first.get("config")
    config = config if isinstance(config, dict) else {}
    holder = inputs[0]["config"] if inputs and model["class_name"] != "Sequential" else config
    shape = holder.get("batch_shape") or holder.get("batch_input_shape")
    name = name_of(inputs[0]) if inputs else f"{name_of(first)}_input"
    if shape is None and model["class_name"] == "Sequential":
        outer = model["config"].get("build_input_shape") if isinstance(model["config"], dict) else None
        shape = outer or (model.get("build_config") or {}).get("input_shape")
    if shape is None and is_model(first):
        return input_shape(first, where)
    if not isinstance(shape, list) or len(shape) < 2:
        raise ModelError(f"{where}: the input's shape is not in the file (got {shape!r}); save a built model")
    sizes = shape[1:]
    if not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        raise ModelError(f"{where}: input {name!r} has the dynamic shape {shape}; save the model with fixed sizes")
    return name, tuple(sizes)


def run_model(context: Context, model: dict[str, Any], weights: LayerWeights, inputs: tuple[Value, ...]) -> Value:
    """Apply a model to its inputs; it must have one output."""
    if model["class_name"] == "Sequential":
        return _sequential(context, model, weights, inputs)
    return _functional(context, model, weights, inputs)


def _apply(context: Context, entry: dict[str, Any], weights: LayerWeights, inputs: tuple[Value, ...]) -> Value:
    if is_model(entry):
        return run_model(context.inside(name_of(entry)), entry, weights, inputs)
    return run_layer(context.builder, entry, weights, inputs, context.major, context.path)


def _sequential(context: Context, model: dict[str, Any], weights: LayerWeights, inputs: tuple[Value, ...]) -> Value:
    if len(inputs) != 1:
        raise ModelError(f"model {context.path!r}: a Sequential takes one input, got {len(inputs)}")
    value = inputs[0]
    for entry in entries(model, f"model {context.path!r}"):
        if entry.get("class_name") == "InputLayer":
            continue
        store = weights.layer(name_of(entry), str(entry["class_name"]).rpartition(">")[2])
        value = _apply(context, entry, store, (value,))
    return value


def _functional(context: Context, model: dict[str, Any], weights: LayerWeights, inputs: tuple[Value, ...]) -> Value:
    where = f"model {context.path or name_of(model)!r}"
    layers = {name_of(entry): entry for entry in entries(model, where)}
    stores = {name: weights.layer(name, str(entry["class_name"]).rpartition(">")[2]) for name, entry in layers.items()}
    config = model["config"]
    sources = references(config.get("input_layers"), where)
    if len(sources) != len(inputs):
        raise ModelError(f"{where}: has {len(sources)} inputs, {len(inputs)} are given")
    outputs = references(config.get("output_layers"), where)
    if len(outputs) != 1:
        names = ", ".join(name for name, _ in outputs)
        raise ModelError(
            f"{where}: has {len(outputs)} outputs ({names}); one is supported: join them or save one branch"
        )
    named = [*outputs]
    calls: dict[Key, list[Key]] = {}
    arguments: dict[Key, dict[str, Any]] = {}  # of operations: numbers and slices beside results
    for name, entry in layers.items():
        for number, node in enumerate(entry.get("inbound_nodes") or []):
            at = f"layer {context.path + name!r}"
            if is_operation(entry) and isinstance(node, dict):
                arguments[name, number] = node
                calls[name, number] = [
                    _reference(item, at) for item in tensors_of([node.get("args"), node.get("kwargs")])
                ]
            else:
                calls[name, number] = inbound(node, at)
            named += calls[name, number]
    calls = _renumbered(calls, set(named), {name for name, entry in layers.items() if is_model(entry)}, where)
    done: dict[Key, Value] = dict(zip(sources, inputs, strict=True))
    pending = [_known(outputs[0], calls, done, where)]
    waiting: set[Key] = set()
    while pending:
        key = pending[-1]
        if key in done:
            pending.pop()
            continue
        needs = [_known(need, calls, done, where) for need in calls[key]]
        missing = [need for need in needs if need not in done]
        if missing:
            if key in waiting:
                raise ModelError(f"{where}: layer {key[0]!r} depends on itself; the file is damaged")
            waiting.add(key)
            pending.extend(missing)
            continue
        inputs_of = tuple(done[need] for need in needs)
        if key in arguments:
            entry, node = layers[key[0]], arguments[key]
            done[key] = run_operation(context.builder, entry, node, inputs_of, context.major, context.path)
        else:
            done[key] = _apply(context, layers[key[0]], stores[key[0]], inputs_of)
        pending.pop()
    return done[_known(outputs[0], calls, done, where)]


def _renumbered(calls: dict[Key, list[Key]], named: set[Key], models: set[str], where: str) -> dict[Key, list[Key]]:
    """Count a nested model's calls from 1 where its users do: Keras counts the model's own making as call 0."""
    found: dict[Key, list[Key]] = {}
    for name in {name for name, _ in calls}:
        count = sum(other == name for other, _ in calls)
        used = {number for other, number in named if other == name}
        first = 1 if name in models and count in used and 0 not in used else 0
        if name in models and count > 1 and used and not used & {0, count}:
            raise ModelError(f"{where}: model {name!r} has {count} calls, and users of {sorted(used)}: unclear which")
        found.update({(name, number + first): calls[name, number] for number in range(count)})
    return found


def _known(key: Key, calls: dict[Key, list[Key]], done: dict[Key, Value], where: str) -> Key:
    """Return the key if such a call exists; a layer called once is meant whatever the number."""
    if key in calls or key in done:
        return key
    same = [other for other in {*calls, *done} if other[0] == key[0]]
    if len(same) != 1:
        raise ModelError(f"{where}: refers to call {key[1]} of layer {key[0]!r}, which is not in the file")
    return same[0]


def references(value: Any, where: str) -> list[Key]:
    """Return [["name", 0, 0], ...] or ["name", 0, 0] as (layer, call) pairs."""
    value = list(value.values()) if isinstance(value, dict) else value  # of a model called with names
    items = [value] if isinstance(value, list) and value and isinstance(value[0], str) else value
    if not isinstance(items, list):
        raise ModelError(f"{where}: inputs or outputs {value!r} are not understood; give them as a list")
    return [_reference(item, where) for item in items]


def _reference(item: Any, where: str) -> Key:
    if not isinstance(item, list) or len(item) < 3 or not isinstance(item[0], str) or not isinstance(item[1], int):
        raise ModelError(f"{where}: reference {item!r} is not understood; expected [layer, call, tensor]")
    if item[2] != 0:
        raise ModelError(
            f"{where}: uses output {item[2]!r} of layer {item[0]!r}; layers of several outputs are not supported"
        )
    return item[0], item[1]


def inbound(node: Any, where: str) -> list[Key]:
    """Return the inputs of one call, in Keras 2's or Keras 3's spelling; arguments that compute are refused."""
    if isinstance(node, dict):  # Keras 3
        found: list[Key] = []
        _tensors(node.get("args"), found, where)
        _arguments(node.get("kwargs") or {}, where)
        return found
    items = [node] if isinstance(node, list) and node and isinstance(node[0], str) else node
    if not isinstance(items, list):
        raise ModelError(f"{where}: inbound node {node!r} is not understood")
    for item in items:
        if isinstance(item, list) and len(item) > 3:
            _arguments(item[3] or {}, where)
    return [_reference(item, where) for item in items]


def _tensors(value: Any, found: list[Key], where: str) -> None:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        found.append(_reference(value.get("config", {}).get("keras_history"), where))
    elif isinstance(value, list) or (isinstance(value, dict) and "class_name" not in value):
        for item in value.values() if isinstance(value, dict) else value:
            _tensors(item, found, where)
    elif value is not None:
        raise ModelError(f"{where}: is called with the constant {value!r}; only results of layers are supported")


def _arguments(kwargs: Any, where: str) -> None:
    for key, value in kwargs.items() if isinstance(kwargs, dict) else [("?", kwargs)]:
        if value is None or (key == "training" and value is False):
            continue
        raise ModelError(
            f"{where}: is called with {key} = {value!r}, which is not supported; call it with its inputs only"
        )
