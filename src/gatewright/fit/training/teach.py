"""A teacher of any kind in; its outputs, and what its hidden layers say, for every sample out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config
from gatewright.errors import FitError, ModelError
from gatewright.export.vectors import graph_outputs, graph_trace
from gatewright.fit.frozen import codes_node, weighted_layers
from gatewright.graph import Graph, load_graph, shapes
from gatewright.graph.nodes import Floats, Quantize

CHUNK = 8192  # samples that a teacher is asked at once

if TYPE_CHECKING:
    from gatewright.data import Dataset

Teacher = Graph | Callable[[Floats], NDArray[Any]] | NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a student imitates. outputs: (n, outputs) raw scores or values; features: (n, k) or None."""

    outputs: Floats
    features: Floats | None = None


def lesson(teacher: Teacher, data: Dataset, config: Config, features: NDArray[Any] | None = None) -> Lesson:
    """Return a teacher's outputs, and its features where config.distill.hint_weight asks for them.

    teacher: a Graph of the data's codes; a function of input values (n, features) = codes * 2**-frac_bits, (n, outputs)
    out; or an array, one row per sample of `data`. features: (n, k), needed for hints unless the teacher is a Graph,
    which gives its own hidden layer. Raises FitError for a teacher of other classes, shapes, probabilities, or numbers
    that are not finite.
    """
    outputs = checked_targets(teacher, data)
    if not config.distill.hint_weight:
        return Lesson(outputs=outputs)
    if features is None and isinstance(teacher, Graph):
        features = hidden_features(teacher, data, config.distill.hint_layers[0])
    if features is None:
        raise FitError("distill.hint_weight needs a teacher's features; give train_student features= or a Graph")
    known = np.asarray(features, dtype=np.float64)
    if known.ndim != 2 or len(known) != len(data.x) or not np.isfinite(known).all():
        raise FitError(f"features must be finite and ({len(data.x)}, k), one row per sample, not {known.shape}")
    return Lesson(outputs=outputs, features=known)


def checked_targets(teacher: Teacher, data: Dataset) -> Floats:
    """Return a teacher's outputs for every sample as float64; FitError where they are not one finite row per sample."""
    outputs = len(data.classes) or (1 if data.y.ndim == 1 else data.y.shape[1])
    soft = _outputs(teacher, data)
    if soft.shape != (len(data.x), outputs):
        raise FitError(
            f"the teacher's outputs must be ({len(data.x)}, {outputs}), one row of raw teacher scores per sample, "
            f"not {soft.shape}; compute them with teacher_outputs"
        )
    if not np.isfinite(soft).all():
        raise FitError("the teacher's outputs must be finite, not NaN or infinity; train it again")
    if data.classes and len(soft) and soft.min() >= 0.0 and np.allclose(soft.sum(axis=1), 1.0, atol=1e-3):
        raise FitError(
            "the teacher's outputs must be raw scores, not probabilities: a second softmax would make them all nearly "
            "equal; give the scores before the softmax, or np.log of the probabilities"
        )
    return soft


def _outputs(teacher: Teacher, data: Dataset) -> Floats:
    if isinstance(teacher, Graph):
        check_classes(teacher, data, "the teacher")
        return graph_outputs(teacher, data.x)
    if not callable(teacher):
        return np.asarray(teacher, dtype=np.float64)
    values = np.ldexp(data.x.astype(np.float64), -data.format.frac_bits)
    parts = [np.asarray(teacher(values[at : at + CHUNK]), dtype=np.float64) for at in range(0, len(values), CHUNK)]
    return np.concatenate(parts)


def hidden_features(teacher: Graph, data: Dataset, layer: int) -> Floats:
    """Return the activations of a hidden layer, -1 the last, for every sample: (n, neurons), of maps (n, elements)."""
    hidden = weighted_layers(teacher)[:-1]
    if not -len(hidden) <= layer < len(hidden):
        raise FitError(
            f"distill.hint_layers[0] must name one of the teacher's {len(hidden)} hidden layers, not {layer}"
        )
    return graph_trace(teacher, data.x)[f"{hidden[layer].name}.act"].reshape(len(data.x), -1)


def with_targets(data: Dataset, targets: NDArray[Any]) -> Dataset:
    """Return the data as a regression on a teacher's values: a latent vector, a reconstruction. targets: (n, k).

    Labels are not needed: with config.distill.weight 1 and the same values as teacher nothing else is learnt from.
    """
    values = np.asarray(targets, dtype=np.float64)
    if values.ndim != 2 or len(values) != len(data.x) or not np.isfinite(values).all():
        raise FitError(f"targets must be finite and ({len(data.x)}, k), one row per sample, not {values.shape}")
    return replace(data, task="regression", y=values, classes=())


def check_classes(network: Graph, data: Dataset, who: str) -> None:
    """Raise FitError where a network knows other classes or reads another number of features than the data have."""
    if network.classes != data.classes:
        raise FitError(
            f"{who} must know the data's classes {list(data.classes)!r}, in this order, not {list(network.classes)!r}; "
            "train it on these classes"
        )
    if (n_in := prod(shapes(network)[network.nodes[0].name])) != data.x.shape[1]:
        raise FitError(f"{who} must read the data's {data.x.shape[1]} features, not {n_in}; train it on these features")


def load_teacher(path: Path, data: Dataset) -> Graph:
    """Return a trained teacher: a folder with its graph.npz, or the run directory in whose teacher/ it lies.

    It reads the data's codes as the values that they mean, whatever format it was trained with. FitError where there
    is none or where it does not suit the data.
    """
    try:
        network = load_graph(teacher_file(path))
    except ModelError as error:
        raise FitError(f"teacher.pretrained {path}: {error}") from None
    check_classes(network, data, f"teacher.pretrained {path}")
    if not weighted_layers(network) or not isinstance(network.nodes[1], Quantize):
        raise FitError(f"teacher.pretrained {path} must be a network that gatewright trained, not an imported model")
    first, *rest = network.nodes[1:]
    codes = replace(codes_node(data.format), name=first.name, sources=first.sources)
    return replace(network, nodes=(network.nodes[0], codes, *rest))


def teacher_file(path: Path) -> Path:
    """Return the file of a trained network: in the folder itself, or in teacher/ of a run directory.

    FitError for a folder of an older version, whose networks were two other files.
    """
    folder = path / "teacher" if (path / "teacher").is_dir() else path
    if not (folder / "graph.npz").is_file() and (folder / "network.json").is_file():
        raise FitError(
            f"{folder} holds network.json, which versions before this one wrote; train it again to get graph.npz"
        )
    return folder / "graph.npz"
