"""A graph and an hls4ml configuration in, the graph with those precisions out: weights cast, results quantized.

Precisions are looked up as hls4ml does: by layer name, then by layer type, then the model's. A layer with an activation
counts as two, `fc1` and `fc1_relu` (`fc1_linear` is the first one's other name). What a quantizer of the model itself
has fixed is not touched by the model's default. Sums are exact here, so `accum` has nothing to set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import ModelError, nearest
from gatewright.graph import Graph, check
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Conv,
    ConvTranspose,
    Dense,
    Input,
    Pool,
    Quantize,
    Recurrent,
    Softmax,
    Thresholds,
)
from gatewright.graph.structure import is_structure
from gatewright.importers.fixed import Precision, parse
from gatewright.importers.given import read_object
from gatewright.importers.keras.layers import HGQ2, KERAS, QKERAS

Config = Mapping[str, Any]
VALUES = ("default", "weight", "bias", "result", "scale", "recurrent_weight", "input")
NOT_NUMBERS = ("accum", "table", "exp_table", "inv_table", "maximum")  # tables and sums are exact here
# Settings of hls4ml's hardware; the architecture is chosen elsewhere.
HARDWARE = (
    "ReuseFactor", "Strategy", "BramFactor", "ParallelizationFactor", "ConvImplementation", "Implementation",
    "TableSize", "table_size", "UnrollFactor", "Compression", "DeepReuse", "TraceOutput", "TargetCycles",
    "PipelineStyle", "PipelineInterval", "WriteWeightsTxt", "exp_table_size", "inv_table_size", "Skip",
)  # fmt: skip
OUTSIDE = (
    "Backend", "Part", "XilinxPart", "Board", "ClockPeriod", "ClockUncertainty", "IOType", "OutputDir", "ProjectName",
    "KerasModel", "KerasJson", "KerasH5", "InputData", "OutputPredictions", "Version", "Stamp", "AcceleratorConfig",
    "WriterConfig", "Namespace",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """One layer in hls4ml's sense: the nodes after which its result stands, its names, its type."""

    names: tuple[str, ...]
    kind: str
    nodes: tuple[AnyNode, ...]
    fixed: bool  # by quantizers of its own


def apply_precision(graph: Graph, hls_config: Config) -> Graph:
    """Return the graph with weights, biases and results in the precisions of {"Model", "LayerType", "LayerName"}.

    Values: text such as "ap_fixed<16,6,AP_RND,AP_SAT>" for all of a layer, or {"weight", "bias", "result", ...};
    "auto" leaves a value exact. Layers with Trace are listed in metadata["trace"]. Raises ModelError for unknown keys,
    layers and types, naming the nearest; FormatError for precisions.
    """
    if "HLSConfig" in hls_config:
        _known(hls_config, ("HLSConfig", *OUTSIDE), "the configuration")
        hls_config = hls_config["HLSConfig"]
    _known(hls_config, ("Model", "LayerType", "LayerName", "Optimizers", "SkipOptimizers"), "the configuration")
    parts = _parts(graph)
    model = _entry(hls_config.get("Model"), "Model", ("Precision", *HARDWARE))
    types = _section(hls_config, "LayerType")
    names = _section(hls_config, "LayerName")
    kinds = sorted({part.kind for part in parts} | {*KERAS, *QKERAS, *HGQ2, "InputLayer"})
    for kind in types:
        if kind not in kinds:
            raise ModelError(f"LayerType: no layer type {kind!r}.{nearest(kind, kinds)}")
    every = [name for part in parts for name in part.names]
    for name in names:
        if name not in every:
            raise ModelError(f"LayerName: the model has no layer {name!r}.{nearest(name, every)}")
    notes: list[str] = []
    traced: list[str] = []
    made: dict[str, tuple[AnyNode, ...]] = {}
    for part in parts:
        own = next(((f"LayerName.{name}", names[name]) for name in part.names if name in names), None)
        kind = (f"LayerType.{part.kind}", types[part.kind]) if part.kind in types else None
        found: dict[str, Precision] = {}
        for where, entry in [("Model", {} if part.fixed else model), *filter(None, (kind, own))]:
            settings = _entry(entry, where, ("Precision", "Trace", *HARDWARE))
            found = _precisions(settings.get("Precision"), where, notes, found)
            if settings.get("Trace"):
                traced.append(part.names[0])
        for node in part.nodes:
            made[node.name] = _cast(node, found, part, explicit=own is not None or kind is not None)
    return _rebuilt(graph, made, notes, traced)


def read_precision(path: Path) -> dict[str, Any]:
    """Return the dictionary of precisions that a .json or .toml file holds; ConfigError for any other content."""
    return read_object(path, what="precisions", form='{"Model": ..., "LayerType": ..., "LayerName": ...}')


def _parts(graph: Graph) -> list[_Part]:
    """Split the nodes into layers as hls4ml counts them."""
    data = graph.metadata or {}
    layers, kinds = data.get("layers", {}), data.get("kinds", {})
    linear = (Dense, Conv, ConvTranspose)
    now: dict[str, str] = {}  # layer -> its part that nodes are being added to
    groups: dict[str, list[AnyNode]] = {}
    types: dict[str, str] = {}
    for node in graph.nodes:
        layer = layers.get(node.name, node.name)
        if layer not in now:
            now[layer], types[layer] = layer, kinds.get(layer, type(node).__name__)
        elif isinstance(node, Activation | Softmax) and isinstance(groups[now[layer]][-1], linear):
            word = node.kind if isinstance(node, Activation) else "softmax"
            now[layer] = f"{layer}_{word}"
            types[now[layer]] = "Softmax" if word == "softmax" else "Activation"
        groups.setdefault(now[layer], []).append(node)
    parts: list[_Part] = []
    for name, nodes in groups.items():
        names = (name, f"{name}_linear") if any(isinstance(node, linear) for node in nodes) else (name,)
        kind = kinds.get(layers.get(nodes[0].name, name), types[name])
        fixed = kind in QKERAS or kind in HGQ2 or any(isinstance(node, Quantize | Thresholds) for node in nodes)
        parts.append(_Part(names, types[name], tuple(nodes), fixed))
    return parts


def _precisions(value: Any, where: str, notes: list[str], below: dict[str, Precision]) -> dict[str, Precision]:
    """Return the precisions of an entry over those of the coarser one."""
    if value is None:
        return below
    given = {"default": value} if isinstance(value, str) else value
    _known(given, (*VALUES, *NOT_NUMBERS), f"{where}.Precision")
    found = {} if "default" in given else dict(below)
    for key, text in given.items():
        if key in NOT_NUMBERS:
            notes.append(f"{where}: {key} precision {text!r} is not applied: sums and functions are exact here")
        elif not isinstance(text, str):
            raise ModelError(f"{where}.Precision.{key}: expected text such as 'ap_fixed<16,6>', got {text!r}")
        elif text == "auto":
            found.pop(key, None)
        else:
            found[key] = parse(text, f"{where}.Precision.{key}")
    return found


def _cast(node: AnyNode, found: dict[str, Precision], part: _Part, *, explicit: bool) -> tuple[AnyNode, ...]:
    """Return the node with its weights cast, and a quantizer behind the layer's last node."""

    def get(key: str) -> Precision | None:
        return found.get(key, found.get("default"))

    weight, bias = get("weight"), get("bias")
    match node:
        case Dense() | Conv() | ConvTranspose():
            if weight:
                node = replace(node, weight=weight.cast(node.weight), weight_scale=np.ones(()))
            if bias:
                node = replace(node, bias=bias.cast(node.bias))
        case Affine():
            scale = get("scale") if "scale" in found else weight
            node = replace(node, scale=scale.cast(node.scale)) if scale else node
            node = replace(node, offset=bias.cast(node.offset)) if bias else node
        case Recurrent():
            inner = get("recurrent_weight") if "recurrent_weight" in found else weight
            node = replace(node, kernel=weight.cast(node.kernel)) if weight else node
            node = replace(node, recurrent=inner.cast(node.recurrent)) if inner else node
            node = replace(node, bias=bias.cast(node.bias)) if bias else node
        case _:
            pass
    result = get("result")
    moves = is_structure(node) and not isinstance(node, Input)
    keeps = moves or (isinstance(node, Pool) and node.kind == "max")  # already in the format of what they read
    if result is None or node.name != part.nodes[-1].name or (keeps and not explicit):
        return (node,)
    quantizer = Quantize(
        name=f"{node.name}.result",
        sources=(node.name,),
        origin=node.origin,
        scale=np.asarray(result.step),
        lo=np.asarray(result.lo, np.int64),
        hi=np.asarray(result.format.hi, np.int64),
        zero_point=np.zeros((), np.int64),
        rounding=result.rounding,
        overflow=result.overflow,
    )
    return node, quantizer


def _rebuilt(graph: Graph, made: dict[str, tuple[AnyNode, ...]], notes: list[str], traced: list[str]) -> Graph:
    """Join the nodes; who read a node reads its quantizer now."""
    final = {name: nodes[-1].name for name, nodes in made.items()}
    nodes: list[AnyNode] = []
    data = dict(graph.metadata or {})
    layers = dict(data.get("layers", {}))
    for node in graph.nodes:
        first, *rest = made[node.name]
        nodes.append(replace(first, sources=tuple(final[source] for source in first.sources)))
        nodes.extend(rest)
        layers.update({item.name: layers.get(node.name, node.name) for item in rest})
    data |= {"layers": layers, "trace": traced}
    joined = replace(graph, nodes=tuple(nodes), output=final[graph.output], notes=(*graph.notes, *notes), metadata=data)
    check(joined)
    return joined


def _section(config: Config, name: str) -> dict[str, Any]:
    value = config.get(name) or {}
    if not isinstance(value, Mapping):
        raise ModelError(f"{name}: expected names with their settings, got {value!r}")
    return dict(value)


def _entry(value: Any, where: str, known: tuple[str, ...]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ModelError(f"{where}: expected settings such as {{'Precision': 'ap_fixed<16,6>'}}, got {value!r}")
    _known(value, known, where)
    return dict(value)


def _known(value: Config, known: tuple[str, ...], where: str) -> None:
    for key in value:
        if key not in known:
            raise ModelError(f"{where}: unknown key {key!r}.{nearest(str(key), list(known))}")
