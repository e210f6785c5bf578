"""A model file and samples in, what its own framework computes out: a child process of an interpreter that has it."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import MissingToolError, ToolError
from gatewright.graph.nodes import Activation, Graph, Quantize, Softmax, Thresholds
from gatewright.importers.keras.archive import weights_beside
from gatewright.tools import run_tool, write_json

VARIABLE = "GATEWRIGHT_REFERENCE_PYTHON"
WORKERS = {
    "onnxruntime": "onnx_worker.py",
    "qonnx": "onnx_worker.py",
    "keras": "keras_worker.py",
    "xgboost": "trees_worker.py",
    "lightgbm": "trees_worker.py",
    "hls4ml": "hls4ml_worker.py",
}
INSTALL = {
    "onnxruntime": "onnx onnxruntime",
    "qonnx": "qonnx",
    "xgboost": "xgboost-cpu",
    "lightgbm": "lightgbm",
    "hls4ml": "hls4ml==1.3.0, and for QKeras tensorflow-cpu==2.15.1 tf_keras==2.15.1 qkeras",
    "keras": "keras, or tensorflow-cpu==2.15.1 tf_keras==2.15.1 qkeras for Keras 2 and QKeras",
}
Answer = dict[str, NDArray[Any]]


def ask(
    framework: str,
    requests: Sequence[Mapping[str, Any]],
    inputs: Sequence[NDArray[Any]],
    *,
    work: Path,
    python: str | None = None,
    env: Mapping[str, str] | None = None,
) -> list[Answer]:
    """Return each request's answer, as the framework's worker documents it; it may hold "error".

    requests: {"model", ...}; inputs: the samples of each, (n, *shape), which the worker reads as float32; work: an
    existing folder for the files exchanged and the log; python: the interpreter, else GATEWRIGHT_REFERENCE_PYTHON, else
    this one. Raises MissingToolError where the interpreter or the package is absent, ToolError where it fails.
    """
    python = python or os.environ.get(VARIABLE) or sys.executable
    remedy = (
        f"name a Python that has it with --python or {VARIABLE}, or run: PYTHON -m pip install {INSTALL[framework]}"
    )
    found = shutil.which(python)
    if found is None:
        raise MissingToolError(
            f"{python!r} is no program that can be run, expected a Python with {framework}; {remedy}"
        )
    files = [work / f"{framework}-{at}-out.npz" for at in range(len(requests))]
    asked: list[dict[str, Any]] = []
    for at, (request, x, file) in enumerate(zip(requests, inputs, files, strict=True)):
        file.unlink(missing_ok=True)
        np.savez(work / f"{framework}-{at}-in.npz", x=x)
        asked.append({**request, "inputs": str(work / f"{framework}-{at}-in.npz"), "answer": str(file)})
    write_json(work / f"{framework}.json", asked)
    log = work / f"{framework}.log"
    run_tool(
        [
            str(Path(found).absolute()),  # a link to an interpreter is an environment of its own
            str(Path(__file__).parent / "workers" / WORKERS[framework]),
            str(work / f"{framework}.json"),
        ],
        cwd=work,
        log=log,
        env={"PYTHONPATH": "", "OMP_NUM_THREADS": "1", **(env or {})},
    )
    answers = [_read(file, log) for file in files]
    for answer in answers:
        if "missing" in answer:
            raise MissingToolError(f"Python package {str(answer['missing'])!r} is not installed for {python}; {remedy}")
    return answers


def _read(file: Path, log: Path) -> Answer:
    try:
        return dict(np.load(file, allow_pickle=False))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ToolError(f"the reference wrote no answer that can be read ({file}): {error}; its log: {log}") from None


def onnx_results(graph: Graph, path: Path, framework: str, x: NDArray[Any], **settings: Any) -> Answer:
    """Return what onnxruntime or QONNX gives for nodes of the graph, by node: the output and data's quantizers."""
    request = {"model": str(path.resolve()), "framework": framework}
    answer = _checked(ask(framework, [request], [x], **settings)[0], path, framework, "output")
    quantizers = {name[2:]: value for name, value in answer.items() if name.startswith("q:")}
    return {**quantizers, graph.output: answer["output"]}


def trees_results(graph: Graph, path: Path, framework: str, x: NDArray[Any], **settings: Any) -> Answer:
    """Return what XGBoost or LightGBM sums up, for the node that has the sums."""
    request = {"model": str(path.resolve()), "framework": framework}
    answer = _checked(ask(framework, [request], [x], **settings)[0], path, framework, "margin")
    return {(graph.metadata or {})["margin"]: answer["margin"]}


def keras_results(
    graph: Graph, path: Path, weights: Path | None, x: NDArray[Any], **settings: Any
) -> tuple[Answer, str]:
    """Return what Keras gives for nodes of the graph, and its backend ("" where it does not tell).

    Nodes: the output, what a last softmax reads, a quantizer.
    """
    request = {"model": str(path.resolve())}
    if path.suffix == ".json":
        request["weights"] = str((weights or weights_beside(path)).resolve())
    quantizer = last_quantized(graph)
    if quantizer is not None:
        request["layer"] = layer_of(graph, quantizer)
    answer = _checked(ask("keras", [request], [x], **settings)[0], path, "keras", "y", "last")
    plain = {name: answer.get(f"{name}_plain", value) for name, value in answer.items()}
    found: Answer = {}
    if quantizer is not None and "hidden" in plain:
        found[quantizer] = plain["hidden"]
    last = next(node for node in graph.nodes if node.name == graph.output)
    if (
        "logits" in plain
        and isinstance(last, Softmax | Activation)
        and layer_of(graph, last.name) == str(plain["last"])
    ):
        found[last.sources[0]] = plain["logits"]
    return {**found, graph.output: plain["y"]}, str(answer.get("backend", ""))


def torch_results(graph: Graph, path: Path, x: NDArray[Any]) -> Answer:
    """Return torch's forward pass of the module read from a .pt file: torch itself opens these only by running them."""
    import torch

    from gatewright.importers.torch.pickles import read_sequential

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old file leaves a softmax's axis to torch
        module = read_sequential(path)
        first = next(module.parameters(), torch.zeros(()))
        return {graph.output: module(torch.from_numpy(x.astype(np.float32)).to(first.dtype)).numpy()}


def last_quantized(graph: Graph) -> str | None:
    """Return the last quantizer's node where it is a whole layer's result and something inexact follows."""
    names = [node.name for node in graph.nodes if isinstance(node, Quantize | Thresholds)]
    if not names or names[-1] == graph.output:
        return None
    layer = layer_of(graph, names[-1])
    return names[-1] if [n.name for n in graph.nodes if layer_of(graph, n.name) == layer][-1] == names[-1] else None


def layer_of(graph: Graph, node: str) -> str:
    """Return the name of the layer that a node came from."""
    return (graph.metadata or {}).get("layers", {}).get(node, node)


def _checked(answer: Answer, path: Path, framework: str, *expected: str) -> Answer:
    if "error" in answer:
        raise ToolError(f"{framework} itself fails on {path}: {answer['error']}")
    for name in expected:
        if name not in answer:
            raise ToolError(f"the answer of {framework} for {path} lacks {name!r}; it holds {', '.join(answer)}")
    return answer
