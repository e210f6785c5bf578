"""Layers that hold a layer: TimeDistributed, Bidirectional, PruneLowMagnitude."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gatewright.errors import ModelError
from gatewright.graph.nodes import Concat, Slice
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.weights import LayerWeights

# (outer call, inner layer's configuration, its weights, its inputs) -> its result
Run = Callable[[Call, dict[str, Any], LayerWeights, tuple[Value, ...]], Value]

# What acts alike on every step: over the last axis, or on each element.
PER_STEP = frozenset({"Dense", "QDense", "Activation", "QActivation", "ReLU", "LeakyReLU", "ELU", "Dropout", "Softmax"})


def time_distributed(call: Call, run: Run) -> Value:
    """TimeDistributed of a layer that works on the last axis."""
    inner = _inner(call, "layer")
    if inner["class_name"] not in PER_STEP:
        raise ModelError(
            f"{call.where}: TimeDistributed({inner['class_name']}) is not supported; "
            f"of {', '.join(sorted(PER_STEP))} it is"
        )
    return run(call, inner, call.weights.child("layer"), call.inputs)


def pruned(call: Call, run: Run) -> Value:
    """PruneLowMagnitude: in inference the wrapped layer with its stored (already masked) weights."""
    inner = _inner(call, "layer")
    call.settings.ignore("pruning_schedule", "block_size", "block_pooling_type", "sparsity_m_by_n")
    return run(call, inner, call.weights, call.inputs)


def bidirectional(call: Call, run: Run) -> Value:
    """Bidirectional: the same input read both ways, the second one's steps put back in order, then merged."""
    forward = _inner(call, "layer")
    first = dict(forward["config"])
    mirrored = {**first, "go_backwards": not first.get("go_backwards", False)}
    stored = call.settings.take("backward_layer", None)
    backward = {**forward, "config": mirrored} if stored is None else _inner(call, "backward_layer")
    mode = call.settings.only("merge_mode", ("concat", "sum", "mul", "ave"), "concat", "use concat, sum, mul or ave")
    if backward["config"].get("return_sequences") != first.get("return_sequences"):
        raise ModelError(f"{call.where}: return_sequences must be alike in both directions")
    ahead = run(call, forward, call.weights.child("forward_layer"), call.inputs)
    behind = run(call, backward, call.weights.child("backward_layer"), call.inputs)
    if first.get("return_sequences"):
        turned = (None, None)
        behind = call.builder.add(Slice, [behind], behind.shape, "reverse", starts=turned, stops=turned, steps=(-1, 1))
    if mode == "concat":
        width = ahead.shape[-1] + behind.shape[-1]
        return call.builder.add(Concat, [ahead, behind], (*ahead.shape[:-1], width), axis=len(ahead.shape) - 1)
    y = call.builder.combine("mul" if mode == "mul" else "add", ahead, behind, call.where)
    if mode == "ave":
        y = call.builder.affine(y, np.asarray(0.5), np.zeros(1))
    return y


def _inner(call: Call, key: str) -> dict[str, Any]:
    layer = call.settings.take(key)
    if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict) or "class_name" not in layer:
        raise call.settings.refuse(key, layer, "expected a layer's configuration")
    return layer
