"""An hls4ml configuration with its model in; what its types lose, and a configuration that loses less, out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import DataError, LowerError, MismatchError
from gatewright.graph import Graph, shapes
from gatewright.graph.nodes import Floats
from gatewright.hls.project import (
    Configuration,
    HlsLayerGraph,
    Judged,
    Suggestion,
    ask_hls4ml,
    bounds,
    configuration_text,
    confirm,
    judge,
    read_configuration,
    record,
    suggest,
)
from gatewright.importers import load_model
from gatewright.importers.samples import random_samples
from gatewright.tools import new_directory, write_atomic, write_json

ROUNDS = 3  # with other types hls4ml may keep layers that it had removed; these get their types in the next round


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HlsChecked:
    """What was found.

    graph, judged: hls4ml's layers and what they lose as configured; suggestion: what to set; after: what they lose
    with that; bounds: on each layer's error then; confirmed: how many values of the compiled C++ were found to be the
    predicted ones, as configured and with the suggestion, None where nothing was compiled.
    """

    configuration: Configuration
    graph: HlsLayerGraph
    judged: Judged
    suggestion: Suggestion
    after: Judged
    bounds: dict[str, float | None]
    confirmed: tuple[int, int] | None


def check_hls_project(
    source: Path | str,
    *,
    model: Path | None = None,
    weights: Path | None = None,
    x: Floats | None = None,
    samples: int = 1000,
    backend: str | None = None,
    io_type: str | None = None,
    width_bits: int | None = None,
    compiled: bool = False,
    python: str | None = None,
) -> HlsChecked:
    """Return what an hls4ml configuration loses against the framework, layer by layer, before anything is built.

    source: the configuration (YAML or JSON), or "name", "type" or "model" for the one that config_from_keras_model
    writes with this granularity; x: (n, *input shape), None draws `samples`; width_bits: of suggested types of floats;
    compiled: also have g++ compile hls4ml's C++ twice and compare every value with the predicted one; python: an
    interpreter with hls4ml. Raises ConfigError, ModelError, DataError, ToolError, MissingToolError, LowerError,
    MismatchError.
    """
    configuration = read_configuration(source, model=model, weights=weights, backend=backend, io_type=io_type)
    network = load_model(configuration.model, weights=configuration.weights)
    given, data = _samples(network, x, samples)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        graph = ask_hls4ml(configuration, work, python=python)
        judged = judge(graph, network, given, data)
        suggestion, better, after = _better(configuration, graph, judged, network, given, width_bits, work, python)
        confirmed = None
        if compiled:
            confirmed = (
                _confirmed(configuration, judged, given, work, python),
                _confirmed(replace(configuration, hls=suggestion.hls), after, given, work, python),
            )
    return HlsChecked(
        configuration=configuration,
        graph=graph,
        judged=judged,
        suggestion=suggestion,
        after=after,
        bounds=bounds(better, after),
        confirmed=confirmed,
    )


def write_hls_check(checked: HlsChecked, out: Path) -> None:
    """Write report.json and suggested.yml, the configuration with what to set, into the new folder `out`."""
    with new_directory(out) as folder:
        write_json(folder / "report.json", _record(checked))
        write_atomic(folder / "suggested.yml", configuration_text(checked.configuration, checked.suggestion.hls))


def _record(checked: HlsChecked) -> dict[str, Any]:
    return {
        "model": checked.configuration.model.name,
        "hls4ml": checked.graph.version,
        "backend": checked.configuration.backend,
        "io_type": checked.configuration.io_type,
        "configured": record(checked.judged, {}),
        "set": {name: dict(settings) for name, settings in checked.suggestion.layers.items()},
        "with_that": record(checked.after, checked.bounds),
        "compiled_values": list(checked.confirmed) if checked.confirmed else None,
    }


def _better(
    configuration: Configuration,
    graph: HlsLayerGraph,
    judged: Judged,
    network: Graph,
    x: Floats,
    width_bits: int | None,
    work: Path,
    python: str | None,
) -> tuple[Suggestion, HlsLayerGraph, Judged]:
    """Return types to set, until hls4ml's network with them has no layer that had none."""
    for _ in range(ROUNDS):
        suggestion = suggest(graph, judged, width_bits=width_bits)
        known = {layer.name for layer in graph.layers}
        graph = ask_hls4ml(replace(configuration, hls=suggestion.hls), work, python=python)
        graph = replace(graph, parsed=(*graph.parsed, *known))  # what was set for a layer that is gone now does no harm
        judged = judge(graph, network, x, judged.data)
        if known >= {layer.name for layer in graph.layers}:
            return suggestion, graph, judged
    raise LowerError(
        f"with the suggested types hls4ml's network goes on changing after {ROUNDS} rounds; "
        "name the types of all of its layers in LayerName and try again"
    )


def _samples(network: Graph, x: Floats | None, count: int) -> tuple[Floats, str]:
    if x is None:
        drawn, what = random_samples(network, count)
        return np.rint(drawn * 256) / 256, what
    shape = shapes(network)[network.nodes[0].name]
    if x.ndim < 2 or not len(x) or x[0].size != int(np.prod(shape)):
        raise DataError(f"samples must be numbers (n, {', '.join(map(str, shape))}), not {x.shape}")
    return np.asarray(x, dtype=np.float64).reshape(len(x), *shape), f"{len(x):,} samples"


def _confirmed(configuration: Configuration, judged: Judged, x: Floats, work: Path, python: str | None) -> int:
    """Compile hls4ml's C++, and return how many of its values are the predicted ones: all, or MismatchError."""
    results = confirm(configuration, x, work, python=python).results
    for layer in judged.layers:
        if layer.name not in results:
            continue
        wrong = np.argwhere((found := results[layer.name]) != layer.result)
        if len(wrong):
            at = tuple(map(int, wrong[0]))
            raise MismatchError(
                f"layer {layer.name!r}, value {at}: hls4ml's C++ computes {found[at]:g}, predicted was "
                f"{layer.result[at]:g}; {len(wrong):,} of {found.size:,} differ. Please report it with the model"
            )
    return sum(found.size for found in results.values())
