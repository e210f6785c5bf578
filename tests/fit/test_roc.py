"""What is said of anomaly scores: AUC with interval, differences, curves, histograms; scores without a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.data import Dataset
from gatewright.errors import FitError
from gatewright.fit import (
    anomalous,
    anomaly_metrics,
    auc_difference,
    decision_shares,
    roc_points,
    score_histogram,
    simple_scores,
)
from gatewright.fit.scores.roc import CURVE_POINTS

pytestmark = pytest.mark.torch


def test_auc_and_its_interval():
    """Counted by hand: of 6 pairs 4 are in order and 1 is a tie; the interval from the paper's formula."""
    found = anomaly_metrics(np.array([3, 1, 2, 2, 0]), np.array([True, True, True, False, False]))
    pairs = (1 + 0 + 0.5 + 1 + 1 + 1) / 6
    assert found["value"] == pytest.approx(pairs)
    assert (found["samples"], found["anomalies"]) == (5, 3)
    variance = (
        pairs * (1 - pairs) + 2 * (pairs / (2 - pairs) - pairs**2) + 1 * (2 * pairs**2 / (1 + pairs) - pairs**2)
    ) / 6
    assert found["interval"][0] == pytest.approx(pairs - 1.959964 * variance**0.5, abs=1e-6)
    assert found["interval"][1] == 1.0
    with pytest.raises(FitError, match="not 0 and 2"):
        anomaly_metrics(np.zeros(2), np.zeros(2, dtype=bool))
    with pytest.raises(FitError, match="not 3 and 2"):
        anomaly_metrics(np.zeros(3), np.zeros(2, dtype=bool))


def test_auc_interval_covers_the_truth():
    """Of normal scores one deviation apart the AUC is Phi(1 / sqrt 2) = 0.7602."""
    rng = np.random.default_rng(0)
    strange = np.arange(200) < 80
    inside = 0
    for _ in range(300):
        low, high = anomaly_metrics(rng.normal(size=200) + strange, strange)["interval"]
        inside += low <= 0.760250 <= high
    assert 0.91 < inside / 300 < 0.99


def placements(scores: np.ndarray, strange: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's components, pair by pair."""
    pairs = scores[strange][:, None] - scores[~strange][None]
    wins = (pairs > 0) + 0.5 * (pairs == 0)
    return wins.mean(axis=1), wins.mean(axis=0)


def test_difference_of_two_scores_of_the_same_samples():
    rng = np.random.default_rng(2)
    strange = rng.random(60) < 0.4
    one, other = (rng.integers(0, 9, 60) + strange * k for k in (4, 1))
    found = auc_difference(one, other, strange)
    values = [anomaly_metrics(v, strange)["value"] for v in (one, other)]
    assert found["value"] == pytest.approx(values[0] - values[1])
    parts = [a - b for a, b in zip(placements(one, strange), placements(other, strange), strict=True)]
    half = 1.959964 * sum(v.var(ddof=1) / len(v) for v in parts) ** 0.5
    assert found["interval"] == pytest.approx([found["value"] - half, found["value"] + half], abs=1e-6)
    assert auc_difference(one, 2 * one + 7, strange) == {"value": 0.0, "interval": [0.0, 0.0]}
    assert auc_difference(one, other, np.arange(60) == 0)["interval"] is None


def test_difference_interval_covers_the_truth():
    """Both scores share most of their noise; either AUC is Phi(1 / sqrt 2), so that their difference is 0."""
    rng = np.random.default_rng(0)
    strange = np.arange(200) < 80
    inside = 0
    for _ in range(300):
        shared = rng.normal(size=200)
        one, other = (0.8 * shared + 0.6 * rng.normal(size=200) + strange for _ in range(2))
        low, high = auc_difference(one, other, strange)["interval"]
        inside += low <= 0.0 <= high
        assert high - low < 0.16  # two independent intervals would be about 0.19
    assert 0.91 < inside / 300 < 0.99


def test_roc_points_rise_from_corner_to_corner():
    rng = np.random.default_rng(1)
    strange = np.arange(5000) < 2000
    scores = rng.normal(size=5000) + strange
    curve = roc_points(scores, strange)
    x, y = np.array(curve["false_alarms"]), np.array(curve["found"])
    assert (x[0], y[0], x[-1], y[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert len(x) == len(y) <= CURVE_POINTS
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    area = float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())
    assert area == pytest.approx(anomaly_metrics(scores, strange)["value"], abs=2e-3)
    few = roc_points(np.array([3, 1, 2, 2, 0]), np.array([True, True, True, False, False]))
    assert few == {"false_alarms": [0.0, 0.0, 0.5, 0.5, 1.0], "found": [0.0, 1 / 3, 2 / 3, 1.0, 1.0]}


@pytest.mark.parametrize(
    ("scores", "log"), [([0, 1, 2, 3, 4, 5], False), ([0, 1, 2, 3, 4, 900], True), ([7] * 6, False), ([0] * 6, False)]
)
def test_histogram_counts_every_sample(scores: list[float], log: bool):
    strange = np.array([False, False, True, True, False, True])
    found = score_histogram(np.array(scores), strange)
    assert found["log"] is log
    assert (sum(found["normal"]), sum(found["anomalies"])) == (3, 3)
    assert len(found["edges"]) == len(found["normal"]) + 1
    assert (np.diff(found["edges"]) > 0).all()
    assert found["edges"][-1] >= max(scores)


def test_what_a_threshold_does():
    strange = np.array([True, True, True, False, False])
    found = decision_shares(np.array([True, True, False, True, False]), strange)
    assert (found["found"]["value"], found["found"]["samples"]) == (2 / 3, 3)
    assert (found["false_alarms"]["value"], found["false_alarms"]["samples"]) == (0.5, 2)
    assert found["false_alarms"]["interval"][0] < 0.5 < found["false_alarms"]["interval"][1]


def test_simple_scores_see_normal_training_samples_only(data: Dataset):
    scores = simple_scores(data, "c1")
    x, own = data.part("test")[0], data.x[(data.y == 1) & (data.split == 0)]
    expected = [sum(abs(v - own[:, i].mean()) / (own[:, i].std() + 0.5) for i, v in enumerate(row)) for row in x]
    np.testing.assert_allclose(scores["distance to the normal mean"], expected)
    for values in scores.values():
        assert anomaly_metrics(values, anomalous(data, "c1"))["value"] > 0.8
    others = data.x.copy()
    others[((data.y != 1) | (data.split == 1)) & (data.split < 2)] = 0
    blind = simple_scores(replace(data, x=others), "c1")
    assert all(np.array_equal(blind[name], values) for name, values in scores.items())
