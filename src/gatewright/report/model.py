"""A run with an imported model in, what its report says of that model out: where it is from, its layers, its ranges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from gatewright.export.vectors import graph_outputs
from gatewright.fixedpoint import Fixed, Ints
from gatewright.graph import Graph, load_graph, shapes
from gatewright.graph.exact import bits_of, fixed_point, integer_weights
from gatewright.graph.nodes import Conv, ConvTranspose, Dense, Floats, Quantize, Recurrent, Thresholds
from gatewright.graph.table import table
from gatewright.report.numbers import count

Results = Mapping[str, Any]
FLOAT_BITS = 32  # what a parameter that is not quantized counts
MOST_BITS = 24  # a parameter of more bits was never quantized: it is a float32
ROADS = {
    "exact": "the model's own quantizers, kept exactly",
    "post-training": "quantized after training, formats calibrated on the training split",
    "qat": "the model taught a quantized student",
}
NAMES = {
    "exact": {"teacher": "model", "student": "quantized model"},
    "post-training": {"teacher": "model", "student": "quantized model"},
    "qat": {"teacher": "model", "student": "student"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNetwork:
    """A saved graph with what the report asks of any network."""

    graph: Graph
    source: Fixed

    @staticmethod
    def load(folder: Path, source: Fixed) -> GraphNetwork:
        """Read a stage's graph; source: the format of the data's codes."""
        return GraphNetwork(graph=load_graph(folder / "graph.npz"), source=source)

    def evaluate(self, codes: Ints) -> Floats:
        """Return the scores or values for input codes: (n, features) -> (n, outputs)."""
        return graph_outputs(self.graph, codes, self.source)

    @property
    def layers(self) -> list[dict[str, Any]]:
        """One row per layer with weights, as in results.json."""
        formats = {row.layer: row for row in table(self.graph)}
        after = _formats_after(self.graph, {name: row.result_format for name, row in formats.items()})
        rows: list[dict[str, Any]] = []
        for node in self.graph.nodes:
            if isinstance(node, Recurrent):
                weight, bias, kept = node.kernel, node.bias, int((node.kernel != 0).sum() + (node.recurrent != 0).sum())
                size, width, bias_width = node.kernel.size + node.recurrent.size, FLOAT_BITS, FLOAT_BITS
            elif isinstance(node, Dense | Conv | ConvTranspose):
                weight, bias, kept = node.weight, node.bias, int((node.weight != 0).sum())
                size, width, bias_width = weight.size, _width(integer_weights(node)), _width(node.bias)
            else:
                continue
            rows.append(
                {
                    "name": node.name,
                    "shape": list(weight.shape),
                    "parameters": size + bias.size,
                    "nonzero": kept,
                    "sparsity": 1.0 - kept / size,
                    "weight_format": formats[node.name].weight_format,
                    "bias_format": "float" if bias_width == FLOAT_BITS else f"{bias_width} bits",
                    "activation_format": after[node.name],
                    "bits": size * width + bias.size * bias_width,
                }
            )
        return rows

    def part(self) -> dict[str, Any]:
        """Return its keys of results.json besides its scores."""
        layers = self.layers
        sums = {key: sum(row[key] for row in layers) for key in ("parameters", "bits", "nonzero")}
        weights = sum(prod(row["shape"]) for row in layers)
        return {**sums, "shape": self.shape, "sparsity": 1.0 - sums["nonzero"] / max(weights, 1), "layers": layers}

    @property
    def shape(self) -> list[int]:
        """Inputs, then the outputs of each layer with weights."""
        sizes = shapes(self.graph)
        return [prod(sizes[self.graph.nodes[0].name]), *(prod(sizes[row["name"]]) for row in self.layers)]


def model_part(run: Path) -> dict[str, Any]:
    """Return {"model": ...} of results.json for a run with an imported model, else nothing."""
    path = run / "model" / "model.json"
    return {"model": json.loads(path.read_text())} if path.is_file() else {}


def ranges_of(run: Path) -> list[dict[str, Any]]:
    """Return the profile of a model's layers, which the stage student or model wrote; empty for other runs."""
    for stage in ("student", "model"):
        path = run / stage / "profile.json"
        if path.is_file() and (run / "model" / "model.json").is_file():
            return json.loads(path.read_text())
    return []


def names(results: Results) -> dict[str, str]:
    """Return what the page calls the results' teacher and student."""
    model = results.get("model")
    return {"teacher": "teacher", "student": "student"} if model is None else NAMES[model["quantize"]]


def facts(results: Results) -> list[tuple[str, str]]:
    """Return (term, value) of where the model came from and which road it took."""
    model = results["model"]
    start = {"model": ", whose training began with the model's weights", "random": ", trained from random weights"}
    rows = [
        ("File", model["file"]),
        ("SHA-256", model["sha256"]),
        *([("SHA-256 of its weights", model["weights_sha256"])] if "weights_sha256" in model else []),
        ("Format", model["format"]),
        ("Made by", model["framework"] or "not said in the file"),
        ("Road to hardware", ROADS[model["quantize"]] + start.get(model["start"], "")),
    ]
    return rows + [("Note", note) for note in model["notes"]]


def layer_table(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows) of the model's layers as they were read."""
    rows = [
        [
            layer["name"],
            layer["op"],
            " × ".join(map(count, layer["shape"])),
            count(layer["parameters"]),
            layer["weight_format"],
            layer["result_format"],
        ]
        for layer in results["model"]["layers"]
    ]
    return ["layer", "op", "result", "parameters", "weights", "results"], rows


def chain_table(results: Results, scores: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows) of the verification chain; scores: of teacher, student and hardware, as text."""
    called, h = names(results), results["hardware"]
    samples, vectors = count(results["export"]["samples_compared"]), count(h["vectors"])
    road = {
        "exact": "the same numbers: nothing was changed",
        "post-training": "other numbers: compare the scores",
        "qat": "other numbers: compare the scores",
    }[results["model"]["quantize"]]
    rows = [
        [
            f"{called['teacher']} (as imported)",
            f"with its own framework on request: gatewright verify {results['model']['file']}",
            scores["teacher"],
        ],
        [called["student"], road, scores["student"]],
        ["integer program", f"== on {samples} samples, every layer: 0 differ", scores["hardware"]],
        [
            "Verilog, simulated",
            f"== on {vectors} vectors, outputs and watched layers: {count(h['mismatches'])} differ",
            scores["hardware"],
        ],
    ]
    return ["stands for the network", "compared with the one before", "test score"], rows


def _width(values: Floats) -> int:
    """Return the bits of the widest of given numbers on one grid, sign included; FLOAT_BITS of what is a float."""
    found = fixed_point(values, MOST_BITS)
    if found is None:
        return FLOAT_BITS
    return max(1, int(bits_of(found) + 1)) + bool((values < 0).any()) if values.any() else 1


def _formats_after(graph: Graph, formats: Mapping[str, str]) -> dict[str, str]:
    """Return, per node, the format in which its result is handed on: that of the next quantizer."""
    found: dict[str, str] = {}
    readers: dict[str, str] = {}
    for node in graph.nodes:
        for source in node.sources:
            readers.setdefault(source, node.name)
    kinds = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        at: str | None = node.name
        while at is not None and not isinstance(kinds[at], Quantize | Thresholds):
            at = readers.get(at)
            if at is not None and isinstance(kinds[at], Dense | Conv | ConvTranspose):
                at = None
        found[node.name] = "real numbers" if formats[node.name] == "float" else "its sums"
        if at is not None:
            found[node.name] = formats[at]
    return found
