from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as sk

from gatewright.errors import FitError
from gatewright.export.vectors import graph_outputs
from gatewright.fit import evaluate_predictions, metrics
from gatewright.fit.scores.metrics import half_width_68

from .conftest import make_data
from .networks import dataset_for, random_network


@pytest.fixture
def classified():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 4, 300)
    scores = rng.normal(size=(300, 4)) + 2 * np.eye(4)[y]
    return y, scores.argmax(axis=1), scores


def test_classification_equals_sklearn(classified):
    y, said, scores = classified
    got = evaluate_predictions("classification", y, said, scores, classes=("a", "b", "c", "d"))
    json.dumps(got)
    assert got["value"] == sk.accuracy_score(y, said)
    confusion = sk.confusion_matrix(y, said)
    assert got["confusion"] == confusion.tolist()
    recall, precision = (np.diag(confusion) / confusion.sum(axis=axis) for axis in (1, 0))
    assert [row["recall"] for row in got["per_class"].values()] == recall.tolist()
    assert [row["precision"] for row in got["per_class"].values()] == precision.tolist()
    auc = sk.roc_auc_score(y, softmax(scores, axis=1), multi_class="ovr", average="macro")
    assert got["auc"] == pytest.approx(auc, abs=1e-12)


def test_hardware_predictions_without_scores(classified):
    y, said, _ = classified
    got = evaluate_predictions("classification", y, said[:, None], classes=("a", "b", "c", "d"))
    assert got["auc"] is None
    assert got["correct"] == int((y == said).sum())


def test_class_that_does_not_occur_has_no_recall_and_no_auc():
    y = np.array([0, 0, 1, 1])
    got = evaluate_predictions("classification", y, y, np.eye(3)[y], classes=("a", "b", "c"))
    assert got["per_class"]["c"] == {"support": 0, "recall": None, "interval": None, "precision": None}
    assert got["auc_per_class"] == {"a": 1.0, "b": 1.0, "c": None}


def test_regression_equals_sklearn_and_intervals_hold_the_value():
    rng = np.random.default_rng(3)
    y = rng.normal(10, 3, 400)
    said = y + rng.normal(0.1, 0.5, 400)
    got = evaluate_predictions("regression", y, said)
    json.dumps(got)
    (row,) = got["targets"]
    assert row["mae"] == pytest.approx(sk.mean_absolute_error(y, said), abs=1e-12)
    assert row["r2"] == pytest.approx(sk.r2_score(y, said), abs=1e-12)
    assert row["rmse"] == pytest.approx(sk.root_mean_squared_error(y, said), abs=1e-12)
    assert row["resolution_std"] == np.std(said - y)
    assert row["resolution_68"] == pytest.approx(0.5, abs=0.06)
    for key in ("rmse", "mae", "r2", "bias", "resolution_std", "resolution_68"):
        low, high = row[f"{key}_interval"]
        assert low < row[key] < high
    assert got == evaluate_predictions("regression", y, said)
    assert got != evaluate_predictions("regression", y, said, seed=1)


def test_central_width_of_a_normal_distribution_is_its_deviation():
    y = np.zeros(200_001)
    from scipy.stats import norm

    said = norm.ppf((np.arange(200_001) + 0.5) / 200_001)
    assert half_width_68(y, said) == pytest.approx(1.0, abs=1e-3)


def test_network_and_its_predictions_give_the_same_metrics():
    network = random_network(np.random.default_rng(1), [4, 5, 3])
    data = dataset_for(network)
    outputs = graph_outputs(network, data.x)
    assert metrics(network, data, part="train") == metrics(outputs.argmax(axis=1), data, part="train", scores=outputs)


def test_bad_shapes_are_refused():
    y = np.array([0, 1])
    with pytest.raises(FitError, match="as many predictions as targets, got 3 and 2"):
        evaluate_predictions("classification", y, np.zeros(3, dtype=int))
    with pytest.raises(FitError, match=r"class numbers must lie in 0\.\.1, not 0\.\.5"):
        evaluate_predictions("classification", y, np.array([0, 5]), classes=("a", "b"))
    with pytest.raises(FitError, match=r"scores must be \(2, 2\), one column per class, not \(2, 3\)"):
        evaluate_predictions("classification", y, y, np.zeros((2, 3)), classes=("a", "b"))
    with pytest.raises(FitError, match="predictions must have the targets' shape"):
        evaluate_predictions("regression", np.zeros((2, 2)), np.zeros(2))
    assert make_data(classes=0).task == "regression"
