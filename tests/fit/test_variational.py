"""A variational autoencoder's anomaly score: exact from float64 to program, and learnt from normal samples only."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.data import Dataset
from gatewright.errors import ExportError, FitError
from gatewright.fit import (
    Variational,
    anomalous,
    anomaly_metrics,
    check_anomaly,
    export_anomaly,
    threshold_at,
    train_variational,
)
from gatewright.fit.variational import check_differs
from gatewright.ir import Constant, OutputStage, run
from gatewright.lower.support import check_supported
from tests.fit.conftest import make_config, make_data
from tests.fit.test_export import random_network

pytestmark = pytest.mark.torch


def random_encoder(seed: int = 0, **options) -> Variational:
    return Variational(network=random_network(np.random.default_rng(seed), (6, 5, 4), classes=False, **options))


def some_codes(encoder: Variational, n: int = 300) -> np.ndarray:
    source = encoder.network.input
    x = np.random.default_rng(1).integers(source.lo, source.hi + 1, (n, 6))
    return np.vstack((x, np.full(6, source.lo), np.full(6, source.hi)))


@pytest.mark.parametrize("per", ["tensor", "channel", "weight"])
@pytest.mark.parametrize("seed", range(4))
def test_program_is_the_divergence_from_the_prior(seed: int, per: str):
    """Against the definition, written here once more: sixteenths, 8 and 7 bits, parts in 1/256."""
    encoder = random_encoder(seed, per=per)
    program = export_anomaly(encoder, name="a")
    x = some_codes(encoder)
    assert check_anomaly(encoder, program, x) == len(x)
    check_supported(program)
    latent = np.floor(encoder.network.evaluate(x) * 16 + 0.5).astype(np.int64)
    means, log_variances = latent[:, :2].clip(-128, 127), latent[:, 2:].clip(-64, 63)
    spread = [[math.floor((math.exp(v / 16) - v / 16 - 1) * 256 + 0.5) for v in row] for row in log_variances]
    expected = (means**2).sum(axis=1) + np.array(spread).sum(axis=1)
    np.testing.assert_array_equal(run(program, x)[:, 0], expected)
    np.testing.assert_array_equal(encoder.scores(x), expected * encoder.step)
    assert len(np.unique(expected)) > 3


def test_threshold_and_a_changed_table():
    encoder = random_encoder()
    x = some_codes(encoder)
    scores = encoder.scores(x)
    at_least = float(np.median(scores))
    program = export_anomaly(encoder, name="a", output=OutputStage(kind="threshold", threshold=at_least))
    assert check_anomaly(encoder, program, x) == len(x)
    np.testing.assert_array_equal(run(program, x)[:, 0], scores >= at_least)
    table = program.constants["parts.table"]
    wrong = replace(program, constants={**program.constants, "parts.table": Constant(table.q + 1, table.frac_bits)})
    with pytest.raises(ExportError, match="op 'parts', sample 0, element 0"):
        check_anomaly(encoder, wrong, x)
    with pytest.raises(FitError, match="a mean and a log-variance per latent, not one with 3 outputs"):
        Variational(network=random_network(np.random.default_rng(0), (6, 5, 3), classes=False))


def test_training_finds_other_classes(tmp_path):
    data = make_data(n=600, features=8, seed=3)
    config = make_config(student={"hidden": (8, 2, 8), "weight_bits": 6, "activation_bits": 6, "epochs": 30})
    encoder = train_variational(config, data, "c0", work=tmp_path / "a")
    assert encoder.describe()["latents"] == 2
    x, strange = data.part("test")[0], anomalous(data, "c0")
    assert check_anomaly(encoder, export_anomaly(encoder, name="a"), x) == len(x)
    assert anomaly_metrics(encoder.scores(x), strange)["value"] > 0.9
    normal = encoder.scores(data.x[(data.y == 0) & (data.split == 1)])
    at_least = threshold_at(encoder, data, "c0", 0.1)
    assert (normal >= at_least).mean() <= 0.1 < (normal >= at_least - encoder.step).mean()
    others = data.x.copy()
    others[(data.y != 0) | (data.split == 2)] = 0
    blind = train_variational(config, replace(data, x=others), "c0", work=tmp_path / "b")
    assert blind.network.checksum == encoder.network.checksum


def test_settings_that_find_nothing(data: Dataset, tmp_path):
    with pytest.raises(FitError, match=r"student.hidden must have a layer narrower than the 6 inputs, not \[8\]"):
        train_variational(make_config(), data, "c0", work=tmp_path)
    narrow = make_config(student={"hidden": (3,)})
    with pytest.raises(FitError, match="beta, the weight of the divergence, must be positive and finite, not 0"):
        train_variational(narrow, data, "c0", work=tmp_path, beta=0.0)
    assert not list(tmp_path.iterdir())
    check_differs(random_encoder(), data)
    with pytest.raises(FitError, match="the latents say nothing; lower beta"):
        check_differs(random_encoder(sparsity=1.0), data)
