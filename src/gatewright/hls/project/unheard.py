"""An HLSConfig and what hls4ml made of it in; sentences on what is in the configuration and has no effect, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from gatewright.errors import FormatError, nearest
from gatewright.fixedpoint import Overflow
from gatewright.hls.layers import HlsType
from gatewright.hls.project.network import HlsLayerGraph
from gatewright.hls.project.numbers import spelled
from gatewright.importers.fixed import parse


def unheard(graph: HlsLayerGraph) -> tuple[str, ...]:
    """Return one sentence for each layer that is named and is none, and each type that hls4ml makes another."""
    names: dict[str, Any] = graph.used.get("LayerName") or {}
    return tuple(_sentences(graph, names))


def _sentences(graph: HlsLayerGraph, names: Mapping[str, Any]) -> Iterator[str]:
    every = [*graph.parsed, *(layer.name for layer in graph.layers)]
    layers = {layer.name: layer for layer in graph.layers}
    for name, entry in names.items():
        if name not in every:
            yield f"LayerName {name!r} is no layer of the model: hls4ml passes over it.{nearest(name, every)}"
        settings = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        given: Any = settings.get("Precision")
        if name not in layers or not isinstance(given, dict):
            continue
        for role, text in cast("dict[str, Any]", given).items():
            made = layers[name].types.get(role)
            asked = _asked(str(text))
            if made is not None and asked is not None and asked != made:
                yield f"LayerName {name!r}: Precision.{role} = {text} has no effect: hls4ml makes it {spelled(made)}"


def _asked(text: str) -> HlsType | None:
    try:
        precision = parse(text, "")
    except FormatError:
        return None
    overflow = Overflow.SATURATE_SYMMETRIC if precision.symmetric else precision.overflow
    return HlsType(fixed=precision.format, rounding=precision.rounding, overflow=overflow)
