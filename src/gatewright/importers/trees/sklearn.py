"""A fitted estimator of scikit-learn, alive in Python, in; a Graph of one Trees node out. Nothing is ever unpickled.

Trees of DecisionTree, RandomForest, ExtraTrees, GradientBoosting and IsolationForest compare a float32 with a float64:
x <= t goes left. HistGradientBoosting compares float64. Written for scikit-learn 1.2 to 1.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewright.errors import ModelError
from gatewright.graph.nodes import Floats, Graph
from gatewright.importers.trees.collect import Forest, Split, after, model, one_of

_FORESTS = ("RandomForest", "ExtraTrees", "DecisionTree", "ExtraTree")
_KINDS = "DecisionTree, RandomForest, ExtraTrees, GradientBoosting, HistGradientBoosting and IsolationForest"


def load_sklearn(estimator: Any) -> Graph:
    """Return the model of a fitted estimator: class probabilities of forests, margins of boosting with their function.

    An IsolationForest gives the sum of path lengths, from which the host makes its score. Raises ModelError for other
    kinds, estimators that are not fitted, several outputs and categorical splits.
    """
    kind = type(estimator).__name__
    if not any(key.endswith("_") and not key.startswith("_") for key in vars(estimator)):
        raise ModelError(f"{kind} is not fitted; call fit first")
    if kind == "IsolationForest":
        return _isolation(estimator)
    if kind.startswith("HistGradientBoosting"):
        return _histogram(estimator)
    if kind.startswith("GradientBoosting"):
        return _boosted(estimator)
    if kind.removesuffix("Classifier").removesuffix("Regressor") in _FORESTS:
        return _averaged(estimator)
    raise ModelError(f"{kind} is none of {_KINDS}; export it to ONNX, XGBoost's JSON or LightGBM's text")


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _finish(estimator: Any, forest: Forest, bias: Floats, **given: Any) -> Graph:
    name = _name(estimator)
    origin = f"scikit-learn, {name}, {len(forest.roots)} trees"
    features = int(estimator.n_features_in_)
    return model(forest, name=name, format="scikit-learn", features=features, bias=bias, origin=origin, **given)


def _averaged(estimator: Any) -> Graph:
    """Return the mean of the trees' probabilities or values."""
    trees = getattr(estimator, "estimators_", None) or [estimator]
    if int(estimator.n_outputs_) != 1:
        raise ModelError(f"{_name(estimator)} has {estimator.n_outputs_} outputs; fit one estimator for each")
    classifies = hasattr(estimator, "classes_")
    forest = Forest(len(estimator.classes_) if classifies else 1)
    for tree in trees:
        values = tree.tree_.value[:, 0, :]
        values = values / values.sum(axis=1, keepdims=True) if classifies else values[:, :1]
        _add(forest, tree.tree_, values)
    return _finish(estimator, forest, np.zeros(forest.outputs), scale=1 / len(trees))


def _boosted(estimator: Any) -> Graph:
    rounds, outputs = estimator.estimators_.shape
    forest = Forest(outputs)
    for index in np.ndindex(rounds, outputs):
        tree, rate = estimator.estimators_[index].tree_, float(estimator.learning_rate)
        rows = [one_of(outputs, index[1], rate * float(v)) for v in tree.value[:, 0, 0]]
        _add(forest, tree, rows)
    bias = np.ravel(estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_))))
    return _finish(estimator, forest, bias, function=_function(estimator, outputs))


def _function(estimator: Any, outputs: int) -> str:
    if not hasattr(estimator, "classes_"):
        return ""
    return "sigmoid" if outputs == 1 else "softmax"


def _histogram(estimator: Any) -> Graph:
    outputs = int(estimator.n_trees_per_iteration_)
    forest = Forest(outputs)
    for number, trees in enumerate(estimator._predictors):
        for group, tree in enumerate(trees):
            nodes = tree.nodes

            def at(node: int, nodes: Any = nodes, group: int = group, number: int = number) -> Split | Floats:
                row = nodes[node]
                if row["is_leaf"]:
                    return one_of(outputs, group, float(row["value"]))
                if "is_categorical" in nodes.dtype.names and row["is_categorical"]:
                    raise ModelError(
                        f"round {number}, node {node}: a categorical split of feature {row['feature_idx']}; encode "
                        "categories as numbers (one-hot) before training"
                    )
                feature, threshold = int(row["feature_idx"]), after(float(row["num_threshold"]))
                return Split(feature, threshold, int(row["left"]), int(row["right"]))

            forest.add(0, at)
    bias = np.ravel(estimator._baseline_prediction).astype(np.float64)
    return _finish(estimator, forest, np.broadcast_to(bias, (outputs,)), function=_function(estimator, outputs))


def _isolation(estimator: Any) -> Graph:
    """Return the sum of path lengths: for each tree the depth of its leaf and what its samples would need further."""
    forest = Forest(1)
    for tree, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        kept = tree.tree_
        depth = np.zeros(kept.node_count)
        for node in range(kept.node_count):
            for child in (kept.children_left[node], kept.children_right[node]):
                if child >= 0:
                    depth[child] = depth[node] + 1
        lengths = depth + _average_path(kept.n_node_samples)
        _add(forest, kept, [np.array([v]) for v in lengths], features)
    count = len(estimator.estimators_) * float(_average_path(np.array([estimator._max_samples]))[0])
    note = (
        f"The host makes the score of the sum s of path lengths: -(2 ** (-s / {count:.17g})), scikit-learn's "
        "score_samples; the lower s, the more anomalous."
    )
    return _finish(estimator, forest, np.zeros(1), notes=[note], metadata={"path_length_scale": count})


def _average_path(samples: Any) -> Floats:
    """Return the average path length of an unsuccessful search among so many samples (Liu et al. 2008, equation 1)."""
    n = np.maximum(np.asarray(samples, dtype=np.float64), 2.0)
    many = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return np.where(np.asarray(samples) > 2, many, np.where(np.asarray(samples) == 2, 1.0, 0.0))


def _add(forest: Forest, tree: Any, rows: Sequence[Floats] | Floats, columns: Any = None) -> None:
    def at(node: int) -> Split | Floats:
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0:
            return np.asarray(rows[node], dtype=np.float64)
        feature = int(tree.feature[node])
        return Split(
            feature if columns is None else int(columns[feature]), after(float(tree.threshold[node])), left, right
        )

    forest.add(0, at)
