"""hls4ml's typed layers and samples' greatest values in; a bound on each layer's error against the framework out.

It holds for every sample on which no value leaves its type and no source is greater than on the samples judged: sums of
what rounds, each at its worst. A softmax's is half of its scores' and what its tables were seen to lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gatewright.fixedpoint import Rounding
from gatewright.hls.layers import HlsType
from gatewright.hls.project.emulate import MOVED, POOLED, RULES, SCALED, SUMS
from gatewright.hls.project.functions import PLAIN, TABLES, highest
from gatewright.hls.project.judge import Judged, LayerJudged
from gatewright.hls.project.network import HlsLayerGraph, ReadLayer
from gatewright.hls.project.numbers import Floats
from gatewright.hls.project.sums import exact_scaled, stored, weights_of, windows

_NEAREST = tuple(mode for mode in Rounding if mode.value.startswith("half"))


def bounds(graph: HlsLayerGraph, judged: Judged) -> dict[str, float | None]:
    """Return by layer a bound on the difference, None from where one is not known."""
    found: dict[str, Floats | None] = {}
    for layer in graph.layers:
        seen = judged.layer(layer.name)
        sources = [found[name] for name in layer.sources]
        if seen.overflowed or any(source is None for source in sources):
            found[layer.name] = None
            continue
        kinds = {name: graph.layer(name).types.get("result") for name in layer.sources}
        before = [judged.layer(name) for name in layer.sources]
        found[layer.name] = _of(layer, seen, [s for s in sources if s is not None], before, kinds)
    return {name: None if value is None else float(value.max(initial=0.0)) for name, value in found.items()}


def _of(
    layer: ReadLayer,
    seen: LayerJudged,
    sources: list[Floats],
    before: list[LayerJudged],
    kinds: Mapping[str, HlsType | None],
) -> Floats | None:
    """Return the bound of each element, (1, *shape)."""
    rule = RULES.get(layer.kind)
    if layer.kind == "Input":
        return np.full((1, *layer.shape), seen.own)
    if rule is SUMS:
        peak = np.abs(before[0].reference.values).max(axis=0, keepdims=True)
        return _sums(layer, sources[0], peak, kinds[layer.sources[0]])
    if rule is SCALED:
        peak = np.abs(before[0].reference.values).max(axis=0, keepdims=True)
        return _scaled(layer, sources[0], peak)
    word = str(layer.settings.get("activation", "")).lower()
    if layer.kind == "Softmax":
        return np.full((1, *layer.shape), sources[0].max(initial=0.0) / 2 + seen.own)
    if layer.kind == "Activation" and (word in PLAIN or word in TABLES):  # none is steeper than 1
        slack = seen.own if word in TABLES else _step(layer.type("result"))
        return sources[0].reshape(1, *layer.shape) + slack if seen.reference.quantizer is None else None
    if rule is MOVED:
        return sources[0].reshape(1, *layer.shape)
    if rule is POOLED:
        return highest(layer, sources[0])
    if layer.kind == "Merge" and layer.settings.get("op") in ("add", "subtract"):
        return sources[0] + sources[1] + _step(layer.type("result"))
    return None


def _sums(layer: ReadLayer, error: Floats, peak: Floats, source: HlsType | None) -> Floats:
    weight, _ = stored(layer, "weight", weights_of(layer))
    bias, _ = stored(layer, "bias", layer.weights["bias"].reshape(-1))
    accum = layer.type("accum")
    off = np.abs(weight.values - weights_of(layer))
    start = np.abs(bias.values - layer.weights["bias"].reshape(-1))
    total = windows(layer, error) @ np.abs(weight.values) + windows(layer, peak) @ off + start
    frac = None if source is None else source.fixed.frac_bits + weight.kind.fixed.frac_bits
    if frac is None or frac > accum.fixed.frac_bits:
        total = total + len(weight.q) * _step(accum)
    if bias.kind.fixed.frac_bits > accum.fixed.frac_bits:
        total = total + _step(accum)
    result = layer.type("result")
    slack = _step(result) if result.fixed.frac_bits < accum.fixed.frac_bits else 0.0
    return total.reshape(1, *layer.shape) + slack


def _scaled(layer: ReadLayer, error: Floats, peak: Floats) -> Floats:
    sizes = {role: layer.weights[role].reshape(-1) for role in ("scale", "bias")}
    off = {role: np.abs(stored(layer, role, values)[0].values - values) for role, values in sizes.items()}
    steep = {"scale": np.abs(sizes["scale"]) + off["scale"], "bias": 0 * sizes["bias"]}

    def through(x: Floats, weights: Mapping[str, Floats]) -> Floats:
        return exact_scaled(replace(layer, weights=weights), x)

    return through(error, steep) + through(peak, off) + _step(layer.type("result"))


def _step(kind: HlsType) -> float:
    """Return the most that one assignment to a type loses."""
    return 2.0**-kind.fixed.frac_bits / (2 if kind.rounding in _NEAREST else 1)
