"""hls4ml's layers, the model as its framework means it and samples in; what each layer should give out.

hls4ml joins and splits layers, so that names alone do not tell which value of the framework a layer stands for: a dense
layer takes a batch normalisation in, a scale leaves one. Layers that sum are found by their values, activations by
name; what has no counterpart is computed in real numbers from its sources'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gatewright.graph import Graph, trace
from gatewright.graph.nodes import Quantize
from gatewright.hls.project.emulate import in_real_numbers
from gatewright.hls.project.network import HlsLayerGraph, ReadLayer
from gatewright.hls.project.numbers import Floats
from gatewright.importers.reference import layer_of

NOISE = 1e-4  # of the greatest value: what float32 sums in another order may differ by
MISREAD = 1e-2  # of the greatest value: more is another function
_LOOKED_AT = 32  # samples by which values are recognised
_NAMED = ("Activation", "Softmax", "ParametrizedActivation", "PReLU", "HardActivation", "TernaryTanh")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """What a layer should give.

    values: (n, *shape); node: of the model's graph, "" where it was computed here; quantizer: the node, if it is one.
    """

    values: Floats
    node: str
    quantizer: Quantize | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class References:
    """All layers', the framework's own output, (n, outputs), and sentences on where hls4ml means something else."""

    by_layer: Mapping[str, Reference]
    output: Floats
    notes: tuple[str, ...]


def references(graph: HlsLayerGraph, model: Graph, x: Floats) -> References:
    """Return what the framework gives for samples x: (n, *input shape), layer by layer of hls4ml's."""
    known = trace(model, x, precision="single")
    found: dict[str, Reference] = {}
    notes: list[str] = []
    for layer in graph.layers:
        if layer.kind == "Input":
            found[layer.name] = Reference(
                values=x.reshape(len(x), *layer.shape), node=model.nodes[0].name, quantizer=None
            )
            continue
        real = in_real_numbers(layer, *(found[name].values for name in layer.sources))
        node = (_by_name(layer, model, known) if layer.kind in _NAMED else None) or _by_value(real, known)
        if node is None and real is None:
            node = _by_name(layer, model, known)
        quantizer = next((n for n in model.nodes if n.name == node and isinstance(n, Quantize)), None)
        values = known[node].reshape(len(x), *layer.shape) if node else real
        if values is None:
            notes.append(f"layer {layer.name!r} ({layer.kind}) has no counterpart in the model; it is taken to give 0")
            values = np.zeros((len(x), *layer.shape))
        elif real is not None and quantizer is None and (off := _far(values, real)) > MISREAD:
            notes.append(
                f"layer {layer.name!r}: hls4ml's {layer.kind} is not what the framework computes there: "
                f"{off:.2g} of the greatest value apart, in real numbers"
            )
        found[layer.name] = Reference(values=values, node=node or "", quantizer=quantizer)
    return References(by_layer=found, output=known[model.output].reshape(len(x), -1), notes=tuple(notes))


def _by_name(layer: ReadLayer, model: Graph, known: Mapping[str, Floats]) -> str | None:
    """Return the last node of the layer of this name, or of the one whose activation it is; of the same size."""
    size = int(np.prod(layer.shape))
    nodes = [node.name for node in model.nodes if int(np.prod(known[node.name].shape[1:])) == size]
    own = [name for name in nodes if layer_of(model, name) == layer.name]
    held = [name for name in nodes if layer.name.startswith(f"{layer_of(model, name)}_")]
    longest = max((layer_of(model, name) for name in held), key=len, default="")
    return (own or [name for name in held if layer_of(model, name) == longest] or [None])[-1]


def _by_value(real: Floats | None, known: Mapping[str, Floats]) -> str | None:
    """Return the node whose values these are, the last of equals, None where there is none."""
    if real is None:
        return None
    best, least = None, NOISE
    for name, values in known.items():
        if values[0].size == real[0].size and (off := _far(values[:_LOOKED_AT], real[:_LOOKED_AT])) <= least:
            best, least = name, off
    return best


def _far(a: Floats, b: Floats) -> float:
    """Return the greatest difference, of the greatest value."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    return float(np.abs(a - b).max(initial=0.0) / max(float(np.abs(b).max(initial=0.0)), 1e-30))
