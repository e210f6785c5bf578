"""Table [trees], a dataset and a teacher's scores in; the library's own trees, fitted, out. Needs no torch.

A teacher's share of every class is a sample of that class with so much weight, which is the cross entropy with soft
labels (Hinton, Vinyals, Dean 2015), whatever grows the trees. A regression learns the mixture of both values.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config, Trees
from gatewright.data.weights import class_weights
from gatewright.errors import FitError, MissingToolError

if TYPE_CHECKING:
    from gatewright.data import Dataset
    from gatewright.graph.nodes import Floats

LEAST_SHARE = 1e-3  # of a class in a soft label: less of it is no sample of its own
RIDGE = 1.0  # keeps leaves of few samples small; without it boosting of several classes may diverge
_FORESTS = {"forest": "RandomForest", "extra": "ExtraTrees"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What trees are grown from. x: (n, features), what codes mean; y: (n,) classes or (n, targets); weight: (n,)."""

    x: Floats
    y: NDArray[Any]
    weight: Floats | None


def lesson(config: Config, data: Dataset, soft: Floats | None = None) -> Lesson:
    """Return the training split's samples with their labels, of which `soft` is trees.teacher_weight.

    soft: the teacher's scores of all samples, (len(data.x), outputs). Raises FitError where a class has no sample.
    """
    assert config.trees is not None, "asked of a configuration with trees only"
    rows = data.split == 0
    x, y = np.ldexp(data.x[rows].astype(np.float64), -data.format.frac_bits), data.y[rows]
    taught = config.trees.teacher_weight if soft is not None else 0.0
    if config.task == "regression":
        y = y.reshape(len(y), -1)
        return Lesson(x=x, y=y if soft is None else (1 - taught) * y + taught * soft[rows], weight=None)
    if missing := [name for at, name in enumerate(data.classes) if not (y == at).any()]:
        raise FitError(
            f"trees need samples of every class in the training split, there are none of {', '.join(missing)}; "
            "change the split, or leave these classes out"
        )
    by_class = class_weights(config.class_weights, y, data.classes)
    share = np.eye(len(data.classes))[y]
    if soft is not None:
        share = (1 - taught) * share + taught * _softmax(soft[rows] / config.distill.temperature)
    if by_class is not None:
        share = share * by_class[y][:, None]
    at, classes = np.nonzero(share >= LEAST_SHARE if soft is not None else share)
    if missing := [name for number, name in enumerate(data.classes) if not (classes == number).any()]:
        raise FitError(
            f"the teacher and class_weights leave no sample of {', '.join(missing)}; lower trees.teacher_weight, or "
            "weigh these classes more"
        )
    even = soft is None and by_class is None
    return Lesson(x=x[at], y=classes, weight=None if even else share[at, classes])


def grow(config: Config, data: Dataset, soft: Floats | None = None) -> list[Any]:
    """Return fitted estimators of scikit-learn or XGBoost: one, or one for each target of a regression.

    soft: as of `lesson`. One thread grows them, so that equal configurations give equal trees. Raises FitError as
    `lesson` does, MissingToolError where XGBoost is not installed.
    """
    assert config.trees is not None, "asked of a configuration with trees only"
    taught = lesson(config, data, soft)
    if config.task == "classification":
        return [_fitted(config.trees, config, taught.x, taught.y, taught.weight)]
    return [_fitted(config.trees, config, taught.x, column, None) for column in taught.y.T]


def isolated(trees: Trees, seed: int, x: Floats) -> Any:
    """Return scikit-learn's isolation forest of samples (Liu, Ting, Zhou 2008). x: (n, features)."""
    from sklearn.ensemble import IsolationForest

    samples = min(1 << trees.questions, len(x))
    made: Any = IsolationForest
    return made(n_estimators=trees.rounds, max_samples=samples, max_features=trees.features, random_state=seed).fit(x)


def need_library(trees: Trees) -> None:
    """Raise MissingToolError where what grows the trees is not installed."""
    if trees.library == "xgboost" and find_spec("xgboost") is None:
        raise MissingToolError(
            'trees.library "xgboost" needs the package xgboost, which is not installed; pip install xgboost-cpu, '
            'or set trees.library = "scikit-learn"'
        )


def _fitted(trees: Trees, config: Config, x: Floats, y: NDArray[Any], weight: Floats | None) -> Any:
    from threadpoolctl import threadpool_limits

    need_library(trees)
    role = "Classifier" if config.task == "classification" else "Regressor"
    with threadpool_limits(1):
        return _estimator(trees, config.seed, role).fit(x, y, sample_weight=weight)


def _estimator(trees: Trees, seed: int, role: str) -> Any:
    """Return the estimator, not fitted. role: "Classifier" or "Regressor"."""
    if trees.library == "xgboost":
        import xgboost

        made: Any = getattr(xgboost, f"XGB{role}")
        return made(
            n_estimators=trees.rounds,
            max_depth=trees.questions,
            max_leaves=trees.leaves,
            grow_policy="lossguide" if trees.leaves else "depthwise",
            learning_rate=trees.learning_rate,
            reg_lambda=RIDGE,
            min_child_weight=trees.least_samples,
            colsample_bynode=trees.features,
            tree_method="hist",
            random_state=seed,
            n_jobs=1,
        )
    from sklearn import ensemble

    leaves = trees.leaves or None
    common = {"max_depth": trees.questions, "min_samples_leaf": trees.least_samples, "random_state": seed}
    if trees.kind == "boosted":
        return getattr(ensemble, f"HistGradientBoosting{role}")(
            **common,
            max_iter=trees.rounds,
            max_leaf_nodes=leaves,
            learning_rate=trees.learning_rate,
            l2_regularization=RIDGE,
            max_features=trees.features,
            early_stopping=False,
        )
    return getattr(ensemble, _FORESTS[trees.kind] + role)(
        **common, n_estimators=trees.rounds, max_leaf_nodes=leaves, max_features=trees.features, n_jobs=1
    )


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
