"""Every ONNX, QONNX, torch and TFLite file of ../shared/data/models: imported or refused, compared with its framework.

GATEWRIGHT_BENCH_ONNX names a Python with onnx, onnxruntime and qonnx; without it the table says what imports, and that
nothing was compared. Inputs: 1,000 samples of a normal distribution; of images of 256 x 256 and more, which make
millions of values and take seconds each, two, or as many as GATEWRIGHT_BENCH_IMAGES says. A quantized model's
quantizers are compared with ==, each value in float32 as the framework holds it; outputs by their greatest difference,
relative to the greatest output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imports_program import program
from benchmarks.tables import BUILD, ROOT, publish
from gatewright.errors import GatewrightError
from gatewright.graph.evaluate import evaluate, trace
from gatewright.graph.nodes import Graph, Input
from gatewright.importers import load_model
from gatewright.importers.reference import Answer, ask, torch_results

MODELS = ROOT.parent / "shared" / "data" / "models"
VARIABLE = "GATEWRIGHT_BENCH_ONNX"
IMAGE = 1 << 16


def rows() -> list[dict[str, Any]]:
    """Import each file, run it in its framework, compare; one row each."""
    work = BUILD / "imports"
    work.mkdir(parents=True, exist_ok=True)
    import_module("torch")  # its seconds are not the files'
    table: list[dict[str, Any]] = []
    for path in sorted(p for p in MODELS.rglob("*") if p.suffix in (".onnx", ".pt", ".tflite")):
        row: dict[str, Any] = {"file": str(path.relative_to(MODELS))}
        table.append(row)
        began = time.perf_counter()
        try:
            graph = load_model(path)
        except GatewrightError as error:
            row |= {
                "imported": "refused",
                "note": str(error).removeprefix(f"{path}: ").replace(str(path), path.name)[:160],
            }
            continue
        row |= {"imported": "yes", "import_s": time.perf_counter() - began}
        row["program"] = program(graph)
        row |= _torch(path, graph) if path.suffix == ".pt" else _compared(path, graph, work)
    return table


def _inputs(graph: Graph) -> Iterator[np.ndarray]:
    """Yield the samples in batches: images two by two."""
    source = graph.nodes[0]
    assert isinstance(source, Input)
    rng = np.random.default_rng(1)
    small = prod(source.shape) < IMAGE
    count, size = (1000, 1000) if small else (int(os.environ.get("GATEWRIGHT_BENCH_IMAGES", "2")), 2)
    for _ in range(0, count, size):
        yield rng.normal(size=(size, *source.shape)).astype(np.float32)


def _torch(path: Path, graph: Graph) -> dict[str, Any]:
    """Compare with torch's forward pass of the module that was read."""
    (x,) = _inputs(graph)
    expected = torch_results(graph, path, x)[graph.output]
    return {"samples": len(x), "output": _relative(evaluate(graph, x), expected), "reference": "torch forward"}


def _compared(path: Path, graph: Graph, work: Path) -> dict[str, Any]:
    python = os.environ.get(VARIABLE)
    if python is None:
        return {"reference": f"none: {VARIABLE} is not set"}
    framework = "qonnx" if graph.format == "qonnx" else "onnxruntime"
    row: dict[str, Any] = {"samples": 0, "reference": framework, "output": 0.0}
    batches = _inputs(graph)
    while inputs := list(islice(batches, 5)):  # so that the worker starts once for five batches
        answers = ask(framework, [{"model": str(path)}] * len(inputs), inputs, work=work, python=python)
        for x, answer in zip(inputs, answers, strict=True):
            if "error" in answer:
                return {"reference": framework, "note": str(answer["error"])}
            _add(row, graph, x, answer)
    return row


def _add(row: dict[str, Any], graph: Graph, x: np.ndarray, answer: Answer) -> None:
    """Add one batch's comparison to the row."""
    quantizers = {name[2:]: value for name, value in answer.items() if name.startswith("q:")}
    ours = trace(graph, x, precision="single" if quantizers else "double", wanted=(*quantizers, graph.output))
    row["samples"] += len(x)
    row["output"] = max(row["output"], _relative(ours[graph.output].reshape(len(x), -1), answer["output"]))
    for name, expected in quantizers.items():
        differing = int((ours[name].reshape(len(x), -1).astype(np.float32) != expected).sum())
        row["values"] = row.get("values", 0) + expected.size
        row["differing"] = row.get("differing", 0) + differing
    if quantizers:
        row["quantizers"] = len(quantizers)


def _relative(ours: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(ours - expected).max() / np.abs(expected).max())


def run() -> None:
    """Print the table and write build/bench/imports_onnx.json."""
    publish("imports_onnx", "Model files: ONNX, QONNX, torch, TFLite", rows())
