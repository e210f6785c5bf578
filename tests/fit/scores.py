"""What an anomaly score of either kind must do, whatever trained it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatewright.data import Dataset
from gatewright.errors import ExportError
from gatewright.export.vectors import input_format
from gatewright.fit import (
    Autoencoder,
    Variational,
    anomalous,
    anomaly_metrics,
    check_anomaly,
    export_anomaly,
    normal_samples,
    threshold_at,
)
from gatewright.graph.store import checksum
from gatewright.ir import Constant, OutputStage, run
from tests.fit.conftest import make_data

Scored = Autoencoder | Variational


def every_code(scored: Scored, n: int = 300) -> np.ndarray:
    """Return random input codes, then the least and the greatest of all: (n + 2, 6)."""
    source = input_format(scored.network)
    x = np.random.default_rng(1).integers(source.lo, source.hi + 1, (n, 6))
    return np.vstack((x, np.full(6, source.lo), np.full(6, source.hi)))


def assert_threshold_is_reached_or_not(scored: Scored) -> None:
    x = every_code(scored)
    scores = scored.scores(x)
    at_least = float(np.median(scores))
    program = export_anomaly(scored, name="a", output=OutputStage(kind="threshold", threshold=at_least))
    assert check_anomaly(scored, program, x) == len(x)
    np.testing.assert_array_equal(run(program, x)[:, 0], scores >= at_least)


def assert_change_is_found(scored: Scored, constant: str, text: str) -> None:
    """Assert that a program with 1 LSB more in the first row of a constant is told from the score."""
    program = export_anomaly(scored, name="a")
    q = program.constants[constant].q.copy()
    q[0] += 1
    changed = Constant(q, program.constants[constant].frac_bits)
    wrong = replace(program, constants={**program.constants, constant: changed})
    with pytest.raises(ExportError, match=text):
        check_anomaly(scored, wrong, every_code(scored))


def assert_finds_classes_unseen(train: Callable[[Dataset, Path], Scored], work: Path) -> Scored:
    """Assert that what `train` learns of class c0 finds the others, and never saw them or the test split."""
    data = make_data(n=600, features=8, seed=3)
    scored = train(data, work / "a")
    x, strange = data.part("test")[0], anomalous(data, "c0")
    assert check_anomaly(scored, export_anomaly(scored, name="a"), x) == len(x)
    assert anomaly_metrics(scored.scores(x), strange)["value"] > 0.9
    normal = scored.scores(normal_samples(data, "c0").part("validation")[0])
    for share in (0.0, 0.1, 0.5):
        at_least = threshold_at(scored, data, "c0", share)
        assert (normal >= at_least).mean() <= share
        assert (normal >= at_least - scored.step).mean() > share
    others = data.x.copy()
    others[(data.y != 0) | (data.split == 2)] = 0
    blind = train(replace(data, x=others), work / "b")
    assert checksum(blind.network) == checksum(scored.network)
    return scored
