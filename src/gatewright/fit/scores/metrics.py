"""True targets and predictions of anything (teacher, student, hardware) in; metrics with intervals, JSON-able, out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.metrics import confusion_matrix, roc_auc_score

from gatewright.errors import FitError
from gatewright.export.vectors import graph_outputs
from gatewright.graph import Graph
from gatewright.graph.figures import figures
from gatewright.graph.table import table, total
from gatewright.intervals import CONFIDENCE, wilson

if TYPE_CHECKING:
    from gatewright.data import Dataset
    from gatewright.data.dataset import Split

Floats = NDArray[np.float64]
RESAMPLES = 1000
CENTRAL = 0.6827  # share of a normal distribution within one standard deviation


def evaluate_predictions(
    task: Literal["classification", "regression"],
    y_true: NDArray[Any],
    predictions: NDArray[Any],
    scores: NDArray[Any] | None = None,
    *,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Return the metrics of predictions, whatever made them.

    Classification: y_true (n,), predictions (n,) or (n, 1) class numbers, scores (n, classes) before softmax where
    known. Regression: y_true and predictions (n,) or (n, targets). `seed` drives the bootstrap of regression.
    "metric" names the main one; "value" and "interval" (95 %) are its numbers.
    """
    if len(y_true) == 0 or len(y_true) != len(predictions):
        raise FitError(f"metrics need as many predictions as targets, got {len(predictions)} and {len(y_true)}")
    if task == "regression":
        return _regression(y_true, predictions, seed)
    return _classification(np.asarray(y_true), np.asarray(predictions).reshape(-1), scores, tuple(classes))


def metrics(
    network_or_predictions: Graph | NDArray[Any],
    data: Dataset,
    *,
    part: Split = "test",
    scores: NDArray[Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return evaluate_predictions on one split, for a network or for predictions already made (e.g. by hardware).

    Predictions and scores have one row per sample of the split, in the dataset's order.
    """
    x, y = data.part(part)
    predictions = network_or_predictions
    if isinstance(predictions, Graph):
        predictions = scores = graph_outputs(predictions, x)
        if data.task == "classification":
            predictions = scores.argmax(axis=1)
    task = "classification" if data.task == "classification" else "regression"
    return evaluate_predictions(task, y, predictions, scores, classes=data.classes, seed=seed)


@dataclass(frozen=True, slots=True, order=True)
class Merit:
    """How good a model is on the validation split, for comparison with <: by score, of equal scores by the loss.

    score: accuracy, or minus the RMSE of a regression. gain: minus the loss, which is the cross-entropy in nats of
    softmax(outputs), or the RMSE. Few validation samples give few different accuracies, but never few losses.
    """

    score: float
    gain: float

    @property
    def loss(self) -> float:
        """Cross-entropy in nats per sample, or RMSE."""
        return -self.gain


def merit_of(outputs: NDArray[Any], data: Dataset) -> Merit:
    """Return the merit of validation outputs, (n, outputs): scores before softmax, or values."""
    y, outputs = data.part("validation")[1], np.asarray(outputs, dtype=np.float64)
    if data.task == "classification":
        own = np.take_along_axis(outputs, np.asarray(y, dtype=np.int64)[:, None], axis=1)[:, 0]
        gain = float(np.mean(own - logsumexp(outputs, axis=1)))
        return Merit(score=float(np.mean(outputs.argmax(axis=1) == y)), gain=gain)
    score = -float(np.sqrt(np.mean((outputs - np.asarray(y, dtype=np.float64).reshape(len(y), -1)) ** 2)))
    return Merit(score=score, gain=score)


def validation_merit(network: Graph, data: Dataset) -> Merit:
    """Return a network's merit_of on the validation split."""
    return merit_of(graph_outputs(network, data.part("validation")[0]), data)


def validation_score(network: Graph, data: Dataset) -> float:
    """Return a network's accuracy on the validation split, or minus its RMSE: greater is better."""
    return validation_merit(network, data).score


def compression_table(teacher: Graph, student: Graph) -> dict[str, dict[str, float]]:
    """Return what compression did: rows by quantity, each with teacher, student and ratio = teacher / student.

    bits count every parameter; nonzero_bits leave zero weights out; multiply_accumulates are one dense inference's,
    nonzero_multiply_accumulates those a circuit without zero weights does. A float parameter counts 32 bits. Of
    nonzero_parameters biases count whatever they are.
    """
    found = {"teacher": _counted(teacher), "student": _counted(student)}
    rows = {
        key: {who: counts[key] for who, counts in found.items()}
        | {"ratio": found["teacher"][key] / max(found["student"][key], 1)}
        for key in found["teacher"]
    }
    return {**rows, "sparsity": {"teacher": figures(teacher).sparsity, "student": figures(student).sparsity}}


def _counted(network: Graph) -> dict[str, int]:
    held, operations = figures(network), total(table(network))
    return {
        "parameters": held.parameters,
        "nonzero_parameters": held.parameters - held.weights + held.nonzero,
        "bits": held.bits,
        "nonzero_bits": held.nonzero_bits,
        "multiply_accumulates": operations.operations,
        "nonzero_multiply_accumulates": operations.live_operations,
    }


def _classification(
    y: NDArray[Any], said: NDArray[Any], scores: NDArray[Any] | None, classes: tuple[str, ...]
) -> dict[str, Any]:
    names = classes or tuple(str(k) for k in range(int(max(y.max(), said.max())) + 1))
    confusion = confusion_matrix(y, said, labels=np.arange(len(names)))
    correct, total = int(np.trace(confusion)), int(confusion.sum())
    if total != len(y):
        raise FitError(
            f"class numbers must lie in 0..{len(names) - 1}, not {min(y.min(), said.min())}..{max(y.max(), said.max())}"
        )
    result: dict[str, Any] = {
        "task": "classification",
        "metric": "accuracy",
        "value": correct / total,
        "interval": list(wilson(correct, total)),
        "samples": total,
        "correct": correct,
        "classes": list(names),
        "per_class": {name: _one_class(confusion, k) for k, name in enumerate(names)},
        "confusion": confusion.tolist(),
        "auc": None,
    }
    if scores is not None:
        result["auc"], result["auc_per_class"] = _auc(y, np.asarray(scores, dtype=np.float64), names)
    return result


def _one_class(confusion: NDArray[Any], k: int) -> dict[str, Any]:
    """recall is the accuracy among the class's own samples; None where there are none."""
    hit, support, said = int(confusion[k, k]), int(confusion[k].sum()), int(confusion[:, k].sum())
    return {
        "support": support,
        "recall": hit / support if support else None,
        "interval": list(wilson(hit, support)) if support else None,
        "precision": hit / said if said else None,
    }


def _auc(y: NDArray[Any], scores: Floats, names: tuple[str, ...]) -> tuple[float | None, dict[str, float | None]]:
    """One-vs-rest ROC AUC of softmax(scores) per class, and the mean over classes that occur (macro)."""
    if scores.shape != (len(y), len(names)):
        raise FitError(f"scores must be ({len(y)}, {len(names)}), one column per class, not {scores.shape}")
    shares = softmax(scores, axis=1)
    each: dict[str, float | None] = {}
    for k, name in enumerate(names):
        positive = y == k
        each[name] = float(roc_auc_score(positive, shares[:, k])) if 0 < positive.sum() < len(y) else None
    known = [value for value in each.values() if value is not None]
    return (float(np.mean(known)) if known else None), each


def _regression(y_true: NDArray[Any], predictions: NDArray[Any], seed: int) -> dict[str, Any]:
    y, said = (np.asarray(v, dtype=np.float64).reshape(len(v), -1) for v in (y_true, predictions))
    if y.shape != said.shape:
        raise FitError(f"predictions must have the targets' shape {y.shape}, not {said.shape}")
    targets = [_one_target(y[:, k], said[:, k], seed) for k in range(y.shape[1])]
    rmse = float(np.sqrt(np.mean((said - y) ** 2)))
    interval = targets[0]["rmse_interval"] if len(targets) == 1 else _bootstrap(_rmse, y, said, seed)
    return {
        "task": "regression",
        "metric": "rmse",
        "value": rmse,
        "interval": interval,
        "samples": len(y),
        "targets": targets,
    }


def _one_target(y: Floats, said: Floats, seed: int) -> dict[str, Any]:
    named: dict[str, Callable[[Floats, Floats], float]] = {
        "rmse": _rmse,
        "mae": lambda y, s: float(np.mean(np.abs(s - y))),
        "r2": _r2,
        "bias": lambda y, s: float(np.mean(s - y)),
        "resolution_std": lambda y, s: float(np.std(s - y)),
        "resolution_68": half_width_68,
    }
    result: dict[str, Any] = {}
    for key, function in named.items():
        result[key] = function(y, said)
        result[f"{key}_interval"] = _bootstrap(function, y, said, seed)
    return result


def half_width_68(y: Floats, said: Floats) -> float:
    """Return half the width of the central 68.27 % of the residuals: sigma where they are normal, robust to tails."""
    low, high = np.quantile(said - y, [0.5 - CENTRAL / 2, 0.5 + CENTRAL / 2])
    return float(high - low) / 2


def _rmse(y: Floats, said: Floats) -> float:
    return float(np.sqrt(np.mean((said - y) ** 2)))


def _r2(y: Floats, said: Floats) -> float:
    spread = float(np.sum((y - y.mean()) ** 2))
    return 1.0 - float(np.sum((said - y) ** 2)) / spread if spread else 0.0


def _bootstrap(function: Callable[[Floats, Floats], float], y: Floats, said: Floats, seed: int) -> list[float]:
    """Return the 95 % percentile interval over RESAMPLES resamples of the samples (Efron 1979), reproducible."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(y), len(y)) for _ in range(RESAMPLES))
    values = [function(y[rows], said[rows]) for rows in draws]
    tail = (1 - CONFIDENCE) / 2
    return [float(v) for v in np.quantile(values, [tail, 1 - tail])]
