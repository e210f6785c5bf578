"""hls4ml's layers and samples in; each layer's result as its C++ computes it, and what each type loses, out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gatewright.hls.project.functions import (
    activation,
    exact_activation,
    exact_merge,
    exact_moved,
    highest,
    merge,
    moved,
    pooled,
)
from gatewright.hls.project.network import HlsLayerGraph, ReadLayer
from gatewright.hls.project.numbers import Floats, Loss, Signal, assign_real
from gatewright.hls.project.softmax import exact_softmax, softmax
from gatewright.hls.project.sums import Computed, exact_scaled, exact_sums, scaled, sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a class of layers is computed: in hls4ml's types, None where that is not known, and in real numbers."""

    typed: Callable[[ReadLayer, Sequence[Signal]], Computed | None]
    real: Callable[..., Floats | None]


SUMS, SCALED = Rule(typed=sums, real=exact_sums), Rule(typed=scaled, real=exact_scaled)
ACTIVATION, POOLED = Rule(typed=activation, real=exact_activation), Rule(typed=pooled, real=highest)
MOVED = Rule(typed=moved, real=exact_moved)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "PointwiseConv1D", "PointwiseConv2D"), SUMS),
    **dict.fromkeys(("BatchNormalization", "ApplyAlpha"), SCALED),
    "Activation": ACTIVATION,
    "Softmax": Rule(typed=softmax, real=exact_softmax),
    "Merge": Rule(typed=merge, real=exact_merge),
    **dict.fromkeys(("Pooling1D", "Pooling2D", "GlobalPooling1D", "GlobalPooling2D"), POOLED),
    **dict.fromkeys(("Reshape", "Flatten"), MOVED),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emulated:
    """One layer. losses: of its types, in the order of computation; assumed: it is not predicted, and its result is the
    reference's in its type."""

    layer: ReadLayer
    result: Signal
    losses: tuple[Loss, ...]
    assumed: bool = False


def emulate(graph: HlsLayerGraph, x: Floats, references: Mapping[str, Floats]) -> dict[str, Emulated]:
    """Return every layer's result for samples. x: (n, *input shape); references: what a layer without a rule gives."""
    found: dict[str, Emulated] = {}
    for layer in graph.layers:
        if layer.kind == "Input":
            q, loss = assign_real(x, layer.type("result"), "result")
            found[layer.name] = Emulated(layer=layer, result=Signal(q=q, kind=layer.type("result")), losses=(loss,))
            continue
        rule = RULES.get(layer.kind)
        made = rule.typed(layer, [found[name].result for name in layer.sources]) if rule else None
        if made is None:
            q, loss = assign_real(references[layer.name], layer.type("result"), "result")
            made = Signal(q=q, kind=layer.type("result")), (loss,)
            found[layer.name] = Emulated(layer=layer, result=made[0], losses=made[1], assumed=True)
        else:
            found[layer.name] = Emulated(layer=layer, result=made[0], losses=made[1])
    return found


def in_real_numbers(layer: ReadLayer, *values: Floats) -> Floats | None:
    """Return what a layer computes in real numbers, None where that is not known. values: (n, *shape) each."""
    rule = RULES.get(layer.kind)
    return rule.real(layer, *values) if rule else None
