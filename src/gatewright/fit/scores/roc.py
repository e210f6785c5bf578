"""Anomaly scores and which samples are anomalies in; AUC, ROC curve, histograms, and what a threshold does, out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from gatewright.errors import FitError
from gatewright.intervals import CONFIDENCE, wilson

NORMAL_QUANTILE = float(norm.ppf((1.0 + CONFIDENCE) / 2.0))
BINS = 40
CURVE_POINTS = 300  # the most points of a ROC curve that are kept: more than a page or a printer shows


def anomaly_metrics(scores: NDArray[Any], strange: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the AUC of anomaly scores: the chance that an anomaly scores higher than a normal sample, ties half.

    scores: (n,) or (n, 1), of anything, e.g. the hardware; strange: (n,), True for an anomaly. "interval" (95 %) is
    Hanley and McNeil's (1982, Radiology 143, 29-36): normal, its variance from the AUC and both counts.
    """
    values, strange = np.asarray(scores).reshape(-1), np.asarray(strange, dtype=bool)
    if values.shape != strange.shape:
        raise FitError(f"as many scores as labels are needed, not {values.size} and {strange.size}")
    found, rest = int(strange.sum()), int((~strange).sum())
    if not found or not rest:
        raise FitError(f"the AUC needs anomalies and normal samples, not {found} and {rest}")
    auc = float(roc_auc_score(strange, values))
    pair, double = auc / (2.0 - auc), 2.0 * auc**2 / (1.0 + auc)
    spread = auc * (1.0 - auc) + (found - 1) * (pair - auc**2) + (rest - 1) * (double - auc**2)
    half = NORMAL_QUANTILE * max(spread / (found * rest), 0.0) ** 0.5
    return {
        "metric": "auc",
        "value": auc,
        "interval": [max(auc - half, 0.0), min(auc + half, 1.0)],
        "samples": values.size,
        "anomalies": found,
    }


def auc_difference(scores: NDArray[Any], others: NDArray[Any], strange: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the AUC of `scores` less that of `others`, of the same samples; all (n,).

    "interval" (95 %) is that of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44, 837-845), which knows that
    both judge the same samples; None where there are fewer than two anomalies or two normal samples.
    """
    own, rest = (_placements(np.asarray(v, dtype=np.float64), strange) for v in (scores, others))
    moved = [a - b for a, b in zip(own, rest, strict=True)]
    value = float(moved[0].mean())
    if min(part.size for part in moved) < 2:
        return {"value": value, "interval": None}
    half = NORMAL_QUANTILE * sum(float(part.var(ddof=1)) / part.size for part in moved) ** 0.5
    return {"value": value, "interval": [max(value - half, -1.0), min(value + half, 1.0)]}


def _placements(scores: NDArray[np.float64], strange: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Return each anomaly's share of normal samples below it, each normal sample's of anomalies above it, in order."""
    found, rest = scores[strange], scores[~strange]

    def below(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
        among = np.sort(others)
        return (among.searchsorted(values, "left") + among.searchsorted(values, "right")) / (2.0 * among.size)

    return below(found, rest), 1.0 - below(rest, found)


def roc_points(scores: NDArray[Any], strange: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Return the ROC curve, both shares rising from 0 to 1, thinned to CURVE_POINTS points."""
    false_alarms, found, _ = roc_curve(strange, np.asarray(scores).reshape(-1))
    kept = np.unique(np.linspace(0, len(found) - 1, CURVE_POINTS).round().astype(np.int64))
    return {"false_alarms": false_alarms[kept].tolist(), "found": found[kept].tolist()}


def score_histogram(scores: NDArray[Any], strange: NDArray[np.bool_]) -> dict[str, Any]:
    """Return counts of normal samples and anomalies in BINS bins of the score, and the bins' edges.

    "log": the edges are a geometric sequence, as scores of 0 or more that lie far apart ask for; scores of 0 are then
    counted in the first bin.
    """
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    positive = values[values > 0]
    low, high = float(values.min()), float(values.max())
    log = low >= 0 and positive.size > 0 and high > 20 * float(np.median(positive))
    log |= low > 0 and high > 20 * low
    if log:
        edges = np.geomspace(float(positive.min()), high, BINS + 1)
    else:
        edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    inside = values.clip(edges[0], edges[-1])
    counts = {
        key: np.histogram(inside[rows], edges)[0].tolist()
        for key, rows in (("normal", ~strange), ("anomalies", strange))
    }
    return {"log": bool(log), "edges": edges.tolist(), **counts}


def decision_shares(called: NDArray[np.bool_], strange: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the shares of anomalies found and of false alarms among samples called strange, with Wilson intervals."""
    shares: dict[str, Any] = {}
    for key, rows in (("found", strange), ("false_alarms", ~strange)):
        hits, count = int(called[rows].sum()), int(rows.sum())
        shares[key] = {"value": hits / count, "interval": list(wilson(hits, count)), "samples": count}
    return shares
