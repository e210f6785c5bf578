"""Every Keras-family file of ../shared/data/models: imported or refused, and compared with its own framework.

Inputs: 1,000 samples of a normal distribution on a grid of 1/256, as fixed-point data arrive. Results are compared
before a last softmax (its exponentials differ by float32 rounding in any two libraries). GATEWRIGHT_BENCH_KERAS names
a Python with TensorFlow < 2.16, tf_keras, QKeras, HGQ; GATEWRIGHT_BENCH_HGQ2 one with Keras 3 and HGQ2. Without them
the column `reference` says so.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imports_program import program
from benchmarks.tables import BUILD, ROOT, publish
from gatewright.errors import GatewrightError
from gatewright.graph import Graph, evaluate
from gatewright.graph.nodes import Activation, Quantize, Softmax, Thresholds
from gatewright.importers.keras import load_keras
from gatewright.importers.reference import ask, last_quantized, layer_of

MODELS = ROOT.parent / "shared" / "data" / "models"
PYTHONS = {"keras": "GATEWRIGHT_BENCH_KERAS", "hgq2": "GATEWRIGHT_BENCH_HGQ2"}
SAMPLES = 1000
BACKEND = "torch"  # of Keras 3
HGQ2 = ("hgq_ae/", "da4ml_ae/", "qkeras-v3", "8part.keras")


@dataclass(frozen=True, slots=True)
class Case:
    """A model and, for an architecture, its weights."""

    model: Path
    weights: Path | None

    @property
    def label(self) -> str:
        """The path below the models' folder."""
        name = str(self.model.relative_to(MODELS))
        other = self.weights is not None and self.weights.stem != self.model.stem + "_weights"
        return f"{name} + {self.weights.name}" if other and self.weights else name

    @property
    def framework(self) -> str:
        """Which interpreter runs it."""
        return "hgq2" if any(part in str(self.model) for part in HGQ2) else "keras"


def cases() -> list[Case]:
    """Return every model of the family, each architecture with each of its weights."""
    found: list[Case] = []
    for path in sorted(MODELS.rglob("*")):
        if "wakeword" in path.parts:
            continue
        if path.suffix == ".keras" or (path.suffix == ".h5" and not path.stem.endswith("_weights")):
            found.append(Case(path, None))
        elif path.suffix == ".json":
            found.append(Case(path, path.with_name(path.stem + "_weights.h5")))
        elif path.stem.endswith("pruned_retrained_weights"):
            found.append(Case(path.with_name("KERAS_3layer.json"), path))
    return found


def rows() -> list[dict[str, Any]]:
    """Import each file, run it in its framework, compare; one row each."""
    work = BUILD / "imports"
    work.mkdir(parents=True, exist_ok=True)
    table: list[dict[str, Any]] = []
    loaded: list[tuple[Case, Graph, dict[str, Any]]] = []
    for case in cases():
        row: dict[str, Any] = {"file": case.label}
        table.append(row)
        began = time.perf_counter()
        try:
            graph = load_keras(case.model, case.weights)
        except GatewrightError as error:
            row |= {"imported": "refused", "note": str(error)[:160]}
            continue
        row |= {"imported": "yes", "import_s": time.perf_counter() - began}
        row["program"] = program(graph)
        loaded.append((case, graph, row))
    for framework, variable in PYTHONS.items():
        python = os.environ.get(variable)
        chosen = [item for item in loaded if item[0].framework == framework]
        if python is None:
            for _, _, row in chosen:
                row["note"] = f"not compared: {variable} is not set"
            continue
        answers = _ask(python, chosen, work / framework)
        for (_, graph, row), (x, answer) in zip(chosen, answers, strict=True):
            row |= compare(graph, x, answer)
    return table


def _ask(python: str, chosen: list[tuple[Case, Graph, Any]], work: Path) -> list[tuple[Any, Any]]:
    """Run the worker once for all models of a framework; return inputs and answers."""
    work.mkdir(exist_ok=True)
    requests: list[dict[str, Any]] = []
    inputs: list[np.ndarray] = []
    for at, (case, graph, _) in enumerate(chosen):
        x = np.random.default_rng(at).normal(size=(SAMPLES, *getattr(graph.nodes[0], "shape", ())))
        inputs.append(np.rint(x * 256) / 256)
        weights = {} if case.weights is None else {"weights": str(case.weights)}
        hidden = {"layer": layer_of(graph, node)} if (node := last_quantized(graph)) else {}
        requests.append({"model": str(case.model), **weights, **hidden})
    answers = ask("keras", requests, inputs, work=work, python=python, env={"KERAS_BACKEND": BACKEND})
    return list(zip(inputs, answers, strict=True))


def compare(graph: Graph, x: np.ndarray, answer: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return how many samples agree to the last bit, and the greatest difference."""
    if "error" in answer:
        return {"note": f"its framework fails: {str(answer['error'])[:120]}"}
    last = graph.nodes[-1]
    quantized = any(isinstance(node, Quantize | Thresholds) for node in graph.nodes)
    key = "logits" if "logits" in answer and isinstance(last, Softmax | Activation) else "y"
    shown = replace(graph, output=last.sources[0]) if key == "logits" else graph
    double, single = evaluate(shown, x), evaluate(shown, x, precision="single")
    best = answer.get(f"{key}_plain", answer[key])
    hidden: dict[str, Any] = {}
    if (node := last_quantized(graph)) and "hidden" in answer:
        ours = evaluate(replace(graph, output=node), x)
        hidden = {"exact_hidden": _equal(answer.get("hidden_plain", answer["hidden"]), ours)}
    return {
        "kind": "quantized" if quantized else "float",
        "exact": _equal(best, double),
        "exact_f32": _equal(best, single),
        "exact_as_is": _equal(answer[key], double),
        "max_error": float(np.abs(best - double).max()),
        "max_error_f32": float(np.abs(best - single).max()),
        "largest": float(np.abs(double).max()),
        "compared": key,
        **hidden,
    }


def _equal(reference: np.ndarray, ours: np.ndarray) -> int:
    """Count the samples whose every number is equal."""
    return int((reference.reshape(len(ours), -1) == ours.reshape(len(ours), -1)).all(axis=1).sum())


def run() -> None:
    """Print the table."""
    publish("imports_keras", f"Keras family: {SAMPLES} samples of each file against its own framework", rows())
