"""A model file and samples in, the proof that its graph computes what its own framework computes; or MismatchError.

What is quantized is compared with ==: each quantizer's values, and sums that float32 holds exactly. Real numbers, and
wider sums that the framework rounded, are compared within a tolerance relative to the greatest: two libraries sum
float32 in different orders.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ConfigError, DataError, ExportError, MismatchError, ModelError, ProgramError, ToolError
from gatewright.export import Exported, check_graph_export, export_graph
from gatewright.export.builder import legal
from gatewright.export.inputs import quantize_input
from gatewright.fixedpoint import Fixed
from gatewright.graph import evaluate, shapes, trace
from gatewright.graph.exact import Lattice, bits_of, is_power_of_two, lattices
from gatewright.graph.nodes import AnyNode, Floats, Graph, Pool, Quantize, Thresholds
from gatewright.importers import load_model, model_kind
from gatewright.importers.reference import keras_results, onnx_results, torch_results, trees_results
from gatewright.importers.samples import random_samples

AGAINST = {"keras": ("keras",), "onnx": ("onnxruntime", "qonnx"), "torch": ("torch",)}
AGAINST |= {kind: (kind,) for kind in ("xgboost", "lightgbm")}
SAMPLES = 1000
TOLERANCE = 1e-5
FLOAT32_BITS = 24  # a float32 significand: the framework's sums of more bits are rounded
SIGNIFICANDS = {"float16": 11, "bfloat16": 8}  # bits; sums and results of these types are rounded to them
WHOLE = ("int", "uint")  # types of input that the framework casts samples to
BATCH_VALUES = 1 << 27  # values of all nodes that are compared at a time: 1 GiB as float64


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One node's comparison. exact: all is ==; equal: samples that are; max_difference, largest: of the reference."""

    node: str
    exact: bool
    samples: int
    equal: int
    max_difference: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was compared and found equal. data: the samples; program: the integer program, or why there is none."""

    model: str
    against: str
    data: str
    rows: tuple[Compared, ...]
    program: str


def verify_model(
    path: Path | str,
    x: NDArray[Any] | None = None,
    *,
    against: str | None = None,
    weights: Path | str | None = None,
    input_format: Fixed | None = None,
    tolerance: float = TOLERANCE,
    samples: int = SAMPLES,
    python: str | None = None,
    graph: Graph | None = None,
    progress: Callable[[int], object] | None = None,
) -> Verification:
    """Compare a model file's graph, and its integer program, with the framework that the file comes from.

    x: (n, *input shape), else `samples` seeded random ones; input_format: x is rounded to it first, and the program
    reads it; against: one of AGAINST, else what the file is; tolerance: of real numbers, relative to the greatest;
    python: the interpreter that has the framework (see reference.ask); graph: the file's,
    where it is loaded already; progress: called with the count of samples of each batch that agrees: a model with many
    values is compared in batches of about BATCH_VALUES of them, real numbers relative to the batch's greatest. Raises
    MismatchError naming node, sample, element and both values; MissingToolError where the framework is not installed;
    ModelError, DataError, ConfigError, ToolError.
    """
    path, weights = Path(path), None if weights is None else Path(weights)
    if not 0 <= tolerance < 1:
        raise ConfigError(
            f"tolerance must be at least 0 and below 1, relative to the greatest value, not {tolerance!r}"
        )
    graph = load_model(path, weights=weights) if graph is None else graph
    against = _framework(path, graph, against)
    x, data = random_samples(graph, samples) if x is None else (x, f"{len(x)} given samples")
    if not len(x) or not np.isfinite(x).all():
        raise DataError(
            f"samples must be finite numbers and at least one, not {len(x)} with NaN or infinity among them"
        )
    if input_format is not None:
        graph, source = quantize_input(graph, input_format), graph.nodes[0].name
        codes = next(node.name for node in graph.nodes if source in node.sources)
        x, data = evaluate(replace(graph, output=codes), x), f"{data}, rounded to {input_format}"
    kind = str((graph.metadata or {}).get("input_type", "float32"))
    x, tolerance, said = _typed(x.astype(np.float32), kind, tolerance)
    data += said
    exported = _exported(graph)
    batches: list[tuple[Compared, ...]] = []
    size = max(1, BATCH_VALUES // sum(prod(shape) for shape in shapes(graph).values()))
    for first in range(0, len(x), size):
        part = x[first : first + size]
        try:
            reference, told = _reference(path, graph, weights, against, part, python)
            batches.append(compare(graph, part, reference, tolerance=tolerance, told=told))
            if not isinstance(exported, str):
                _compare_program(graph, *exported, part)
        except (MismatchError, ExportError) as error:
            if len(part) < len(x):
                error.args = (f"in the batch from sample {first} on: {error}",)
            raise
        if progress is not None:
            progress(len(part))
    rows = tuple(_merged(rows) for rows in zip(*batches, strict=True))
    if isinstance(exported, str):
        program = exported
    else:
        ops, what = len(exported[0].program.ops), exported[1]
        program = f"{ops} ops ({what}), equal to the model on {len(x)} samples"
    return Verification(model=str(path), against=against, data=data, rows=rows, program=program)


def _typed(x: NDArray[np.float32], kind: str, tolerance: float) -> tuple[NDArray[np.float32], float, str]:
    """Return the samples as the model's input type holds them, the tolerance of that type, and what was done."""
    if kind.startswith(WHOLE):
        ends = np.iinfo(kind)
        return np.clip(np.rint(x), ends.min, ends.max).astype(np.float32), tolerance, f", rounded to {kind}"
    if kind not in SIGNIFICANDS:
        return x, tolerance, ""
    bits = SIGNIFICANDS[kind]
    mantissa, exponent = np.frexp(x)
    tolerance = max(tolerance, 4 * 2.0**-bits)  # each step rounds by half a unit of the type's last place
    x = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits).astype(np.float32)
    return x, tolerance, f", rounded to {kind}, in which the model computes: results agree within {tolerance:g}"


def compare(
    graph: Graph,
    x: NDArray[Any],
    expected: Mapping[str, NDArray[Any]],
    *,
    tolerance: float = TOLERANCE,
    told: str = "",
) -> tuple[Compared, ...]:
    """Compare results of nodes (with precision "single") with a reference's. expected: node -> (n, ...).

    With == where the node quantizes, or its values lie on a grid of at most 24 bits; else within the tolerance,
    relative to the reference's greatest magnitude. A function that the import left out at the model's end is applied to
    the output first. told: what is known of the reference, for messages. Raises MismatchError, and ToolError for
    another count of values.
    """
    data = graph.metadata or {}
    left_out = data.get("left_out")
    held = SIGNIFICANDS.get(str(data.get("input_type")), FLOAT32_BITS)
    known, nodes = lattices(graph), {node.name: node for node in graph.nodes}
    for name in expected:
        if name not in nodes:
            raise ToolError(f"the reference gave a result {name!r}; the graph has no such node to compare it with")
    results = trace(graph, x, precision="single", wanted=tuple(expected))
    rows: list[Compared] = []
    for name, reference in expected.items():
        whole, lattice = results[name], known[name]
        if left_out is not None and name == graph.output:
            whole, lattice = LEFT_OUT[left_out[0]](whole, left_out[1]), None
        ours = whole.reshape(len(x), -1)
        if reference.size != ours.size or reference.shape[:1] != (len(x),):
            raise ToolError(f"node {name!r}: expected {ours.shape} values of the reference, got {reference.shape}")
        theirs = reference.reshape(len(x), -1)
        if lattice is None or not lattice.plain:
            ours = ours.astype(np.float32)
        plain = lattice is not None and lattice.plain and bits_of(lattice) <= held
        exact = plain or (lattice is not None and isinstance(nodes[name], Quantize | Thresholds))
        why = f"{_cause(graph, x, nodes[name], known)}{told}"
        rows.append(_compare(nodes[name], ours, theirs, tolerance, exact=exact, why=why))
    return tuple(rows)


def _log_softmax(x: Floats, axis: int) -> Floats:
    """Return x - log(sum(exp(x))) over one axis."""
    moved = x - x.max(axis=axis, keepdims=True)
    return moved - np.log(np.exp(moved).sum(axis=axis, keepdims=True))


LEFT_OUT: dict[str, Callable[[Floats, int], Floats]] = {"log_softmax": _log_softmax}


def _cause(graph: Graph, x: NDArray[Any], node: AnyNode, known: Mapping[str, Lattice | None]) -> str:
    """Return what most likely makes the reference differ at a node on these samples."""
    source = graph.nodes[0].name
    inputs = [n for n in graph.nodes if isinstance(n, Quantize) and source in n.sources]
    if any((x / n.scale != np.rint(x / n.scale)).any() for n in inputs):
        return (
            "Data finer than the model's input format are rounded differently by any two libraries: try "
            "--input-format; else report the model"
        )
    before = known.get(node.sources[0]) if node.sources else None
    real = before is not None and not before.plain
    if isinstance(node, Quantize) and (real or not is_power_of_two(node.scale)):
        return (
            "Its scales are no powers of two: a value near the middle between two codes is rounded by the reference's "
            "own order of float32 products, which runtimes change as they fuse operators (docs/importing.md, scales). "
            "Scales that are powers of two have one meaning"
        )
    return "Report the model"


def _compare(
    node: AnyNode, ours: NDArray[Any], theirs: NDArray[Any], tolerance: float, *, exact: bool, why: str
) -> Compared:
    exact = exact or bool((ours == theirs).all())
    difference = np.abs(ours.astype(np.float64) - theirs)
    largest = float(np.abs(theirs).max(initial=0))
    good = ours == theirs if exact else difference <= tolerance * largest
    if not good.all():
        wrong = int((~good).any(axis=1).sum())
        at, element = (int(i) for i in np.argwhere(~good)[0])
        how = "exactly (==)" if exact else f"within {tolerance:g} of the greatest, {largest:g}"
        raise MismatchError(
            f"node {node.name!r} ({node.origin or type(node).__name__}), sample {at}, element {element}: expected "
            f"{theirs[at, element]!s} of the reference {how}, got {ours[at, element]!s}; {wrong} of {len(ours)} "
            f"samples differ. {why}"
        )
    return Compared(
        node=node.name,
        exact=exact,
        samples=len(ours),
        equal=int((ours == theirs).all(axis=1).sum()),
        max_difference=float(difference.max(initial=0)),
        largest=largest,
    )


def _framework(path: Path, graph: Graph, against: str | None) -> str:
    kind = model_kind(path)
    if kind not in AGAINST:
        raise ModelError(f"{path} is a graph that gatewright saved; give the file that it was imported from")
    if against is None:
        return "qonnx" if graph.format == "qonnx" else AGAINST[kind][0]
    if against not in AGAINST[kind]:
        raise ConfigError(f"{path} can be compared with {' or '.join(AGAINST[kind])}, not with {against!r}")
    return against


def _reference(
    path: Path, graph: Graph, weights: Path | None, against: str, x: NDArray[Any], python: str | None
) -> tuple[dict[str, NDArray[Any]], str]:
    """Return the reference's results by node, and what a mismatch should be told of it."""
    if against == "torch":
        if python is not None:
            raise ConfigError(
                f"{path}: torch runs in this interpreter, from the layers that were read; leave --python out"
            )
        return torch_results(graph, path, x), ""
    work = Path(tempfile.mkdtemp(prefix="gatewright-verify-"))  # kept, with its log, where the reference fails
    told = ""
    if against == "keras":
        found, backend = keras_results(graph, path, weights, x, work=work, python=python)
        told = _told(graph, backend)
    elif against in ("xgboost", "lightgbm"):
        found = trees_results(graph, path, against, x, work=work, python=python)
    else:
        found = onnx_results(graph, path, against, x, work=work, python=python)
    shutil.rmtree(work)
    return found, told


def _told(graph: Graph, backend: str) -> str:
    """Return what is known of a Keras backend that may explain a difference."""
    padded = any(isinstance(n, Pool) and n.kind == "average" and any(map(any, n.pads)) for n in graph.nodes)
    if backend == "torch" and padded:
        return (
            ". Keras ran on torch, where the mean of a padded window counts its edges again; its other backends leave "
            "the padding out: install jax or tensorflow beside it, or set KERAS_BACKEND"
        )
    return f". Keras ran on {backend}" if backend else ""


def _merged(rows: Sequence[Compared]) -> Compared:
    """Return one node's comparison over several batches."""
    return Compared(
        node=rows[0].node,
        exact=all(row.exact for row in rows),
        samples=sum(row.samples for row in rows),
        equal=sum(row.equal for row in rows),
        max_difference=max(row.max_difference for row in rows),
        largest=max(row.largest for row in rows),
    )


def _exported(graph: Graph) -> tuple[Exported, str] | str:
    """Return the integer program and what it gives, "scores" or "class"; or why there is none."""
    if not any(isinstance(node, Quantize | Thresholds) for node in graph.nodes):
        return "none: the model is not quantized"
    name = legal(graph.name or "model")
    try:
        return export_graph(graph, name=name), "scores"
    except (ExportError, ProgramError) as error:
        try:  # a positive factor and an offset at the end change no class
            return export_graph(graph, name=name, output="argmax"), "class"
        except (ExportError, ProgramError):
            return f"none: {error}"


def _compare_program(graph: Graph, exported: Exported, what: str, x: NDArray[Any]) -> None:
    """Compare the integer program with the graph, every node, and its scores with the graph as it was imported."""
    check_graph_export(exported, x)
    result = exported.graph.output
    if what == "scores" and exported.output_scale.size == 1 and float(exported.output_scale) == 1:
        scores = np.ldexp(exported.run(x).astype(np.float64), -exported.frac_bits).reshape(len(x), -1)
        wanted = evaluate(replace(graph, output=result), x, precision="single").reshape(len(x), -1)
        if not (scores == wanted).all():
            at, element = (int(i) for i in np.argwhere(scores != wanted)[0])
            raise MismatchError(
                f"program, result {result!r}, sample {at}, element {element}: expected {wanted[at, element]!s} of the "
                f"graph exactly (==), got {scores[at, element]!s}; report the model"
            )
