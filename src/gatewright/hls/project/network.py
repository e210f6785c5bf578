"""An hls4ml configuration in; hls4ml's own layers after all of its passes, or what its compiled C++ computes, out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import FormatError, LowerError, ToolError
from gatewright.hls.layers import HlsType
from gatewright.hls.project.configuration import Configuration
from gatewright.hls.project.numbers import Floats, parse_type
from gatewright.importers.reference import Answer, ask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadLayer:
    """A layer as hls4ml has it in the end.

    kind: hls4ml's class; sources: names of layers; shape: of a sample's result; types: by role, None where one is no
    fixed-point type; names: the types' C++ names; weights: floats, before their type; computes: whether C++ is written
    for it (else it only passes on what it reads).
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    types: Mapping[str, HlsType | None]
    names: Mapping[str, str]
    settings: Mapping[str, Any]
    weights: Mapping[str, Floats]
    computes: bool

    def type(self, role: str) -> HlsType:
        """Return the type of a role. Raises LowerError where it is no fixed-point type."""
        found = self.types.get(role)
        if found is None:
            raise LowerError(f"layer {self.name!r} ({self.kind}): the type of its {role} is no fixed-point type")
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HlsLayerGraph:
    """hls4ml's network.

    output: the layer whose result leaves; used: the HLSConfig as hls4ml had it in the end; parsed: the names of the
    layers before hls4ml's passes removed, joined and split them.
    """

    layers: tuple[ReadLayer, ...]
    output: str
    version: str
    used: Mapping[str, Any]
    parsed: tuple[str, ...]

    def layer(self, name: str) -> ReadLayer:
        """Return the layer of this name."""
        return next(layer for layer in self.layers if layer.name == name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confirmed:
    """What the compiled C++ computed. results: (n, *shape) of every layer that has C++."""

    graph: HlsLayerGraph
    results: Mapping[str, Floats]


def ask_hls4ml(configuration: Configuration, work: Path, *, python: str | None = None) -> HlsLayerGraph:
    """Return what hls4ml makes of a configuration and its model; nothing is compiled.

    work: an existing folder for its log; python: an interpreter that has hls4ml (and QKeras, where the model is one),
    else GATEWRIGHT_REFERENCE_PYTHON, else this one. Raises MissingToolError, and ToolError with hls4ml's own words.
    """
    shape = (1, 1)
    return _graph(_answer(configuration, np.zeros(shape), work, python, compile_it=False))


def confirm(configuration: Configuration, x: Floats, work: Path, *, python: str | None = None) -> Confirmed:
    """Have hls4ml write and compile the project, and run it on samples. x: (n, *input shape); takes tens of seconds."""
    answer = _answer(configuration, x, work, python, compile_it=True)
    graph = _graph(answer)
    results = {
        layer.name: answer[f"t:{layer.name}"].reshape(len(x), *layer.shape)
        for layer in graph.layers
        if f"t:{layer.name}" in answer
    }
    return Confirmed(graph=graph, results=results)


def _answer(configuration: Configuration, x: Floats, work: Path, python: str | None, *, compile_it: bool) -> Answer:
    request = {
        "model": str(configuration.model.resolve()),
        "weights": str(configuration.weights.resolve()) if configuration.weights else "",
        "hls": configuration.hls,
        "backend": configuration.backend,
        "io_type": configuration.io_type,
        "folder": str((work / "project").resolve()),
        "compile": compile_it,
    }
    answer = ask("hls4ml", [request], [x], work=work.resolve(), python=python)[0]
    if "error" in answer:
        raise ToolError(f"hls4ml itself fails on {configuration.model}: {answer['error']}")
    return answer


def _graph(answer: Answer) -> HlsLayerGraph:
    told = json.loads(str(answer["graph"]))
    if told["bit_exact"]:
        raise LowerError(
            "the model is of HGQ, for which hls4ml chooses every type itself and passes over those of a configuration: "
            "there is nothing to set. `gatewright import MODEL --program net.txt` and `gatewright hls net.txt` hand it "
            "over to the bit"
        )
    layers = tuple(_layer(entry, answer) for entry in told["layers"])
    outputs: Sequence[str] = told["output"]
    if len(outputs) != 1:
        raise LowerError(f"the network has {len(outputs)} outputs, {', '.join(outputs)}; one is understood")
    by_variable = {entry["variable"]: entry["name"] for entry in told["layers"]}
    return HlsLayerGraph(
        layers=layers,
        output=by_variable[outputs[0]],
        version=told["version"],
        used=json.loads(str(answer["hls"])),
        parsed=tuple(told["parsed"]),
    )


def _layer(entry: Mapping[str, Any], answer: Answer) -> ReadLayer:
    prefix = f"w:{entry['name']}:"
    return ReadLayer(
        name=entry["name"],
        kind=entry["kind"],
        sources=tuple(entry["sources"]),
        shape=tuple(entry["shape"]),
        types={role: _type(given["text"]) for role, given in entry["types"].items()},
        names={role: given["name"] for role, given in entry["types"].items()},
        settings=entry["settings"],
        weights={key.removeprefix(prefix): value for key, value in answer.items() if key.startswith(prefix)},
        computes=entry["computes"],
    )


def _type(text: str) -> HlsType | None:
    try:
        return parse_type(text)
    except FormatError:
        return None
