"""Normal samples in; anomaly scores without a network out: what an autoencoder must beat to earn its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import IsolationForest

from gatewright.fit.anomaly.autoencoder import normal_samples
from gatewright.graph.nodes import Floats

if TYPE_CHECKING:
    from gatewright.data import Dataset


def simple_scores(data: Dataset, normal: str | tuple[str, ...]) -> dict[str, Floats]:
    """Return by name the scores of the test samples, greater is stranger: (n,) each. Only normal training samples fit.

    "distance to the normal mean": sum over features of |x - mean| / (deviation + half an LSB), of input codes.
    "isolation forest": scikit-learn's defaults (Liu, Ting, Zhou 2008), random_state 0.
    """
    own, x = normal_samples(data, normal).part("train")[0], data.part("test")[0]
    distance = (np.abs(x - own.mean(axis=0)) / (own.std(axis=0) + 0.5)).sum(axis=1)
    forest = IsolationForest(random_state=0).fit(own)
    return {"distance to the normal mean": distance, "isolation forest": -forest.score_samples(x)}
