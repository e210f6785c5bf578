"""A variational autoencoder's anomaly score: exact from float64 to program, and learnt from normal samples only."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.data import Dataset
from gatewright.errors import FitError
from gatewright.export.vectors import graph_outputs
from gatewright.fit import (
    Variational,
    check_anomaly,
    export_anomaly,
    train_variational,
)
from gatewright.fit.anomaly.variational import check_differs
from gatewright.ir import run
from gatewright.lower.build.support import check_supported
from tests.fit.conftest import make_config
from tests.fit.networks import random_network
from tests.fit.scores import (
    assert_change_is_found,
    assert_finds_classes_unseen,
    assert_threshold_is_reached_or_not,
    every_code,
)

pytestmark = pytest.mark.torch


def random_encoder(seed: int = 0, **options) -> Variational:
    return Variational(network=random_network(np.random.default_rng(seed), (6, 5, 4), classes=False, **options))


@pytest.mark.parametrize("per", ["tensor", "channel", "weight"])
@pytest.mark.parametrize("seed", range(4))
def test_program_is_the_divergence_from_the_prior(seed: int, per: str):
    """Against the definition, written here once more: sixteenths, 8 and 7 bits, parts in 1/256."""
    encoder = random_encoder(seed, per=per)
    program = export_anomaly(encoder, name="a")
    x = every_code(encoder)
    assert check_anomaly(encoder, program, x) == len(x)
    check_supported(program)
    latent = np.floor(graph_outputs(encoder.network, x) * 16 + 0.5).astype(np.int64)
    means, log_variances = latent[:, :2].clip(-128, 127), latent[:, 2:].clip(-64, 63)
    spread = [[math.floor((math.exp(v / 16) - v / 16 - 1) * 256 + 0.5) for v in row] for row in log_variances]
    expected = (means**2).sum(axis=1) + np.array(spread).sum(axis=1)
    np.testing.assert_array_equal(run(program, x)[:, 0], expected)
    np.testing.assert_array_equal(encoder.scores(x), expected * encoder.step)
    assert len(np.unique(expected)) > 3


def test_threshold_is_reached_or_not():
    assert_threshold_is_reached_or_not(random_encoder())


def test_a_changed_table_is_found():
    assert_change_is_found(random_encoder(), "parts.table", r"op 'parts', sample \d+, element 0")


def test_what_cannot_be_an_encoder():
    with pytest.raises(FitError, match="a mean and a log-variance per latent, not one with 3 outputs"):
        Variational(network=random_network(np.random.default_rng(0), (6, 5, 3), classes=False))


def test_training_finds_other_classes(tmp_path):
    # Of 600 samples the value is 0.81 to 0.98 by seed, whatever the size of a step: one that finds them.
    settings = {"hidden": (8, 2, 8), "weight_bits": 6, "activation_bits": 6, "epochs": 30, "batch_size": 64}
    config = make_config(student=settings)
    found = assert_finds_classes_unseen(lambda data, work: train_variational(config, data, "c0", work=work), tmp_path)
    assert found.describe()["latents"] == 2


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
