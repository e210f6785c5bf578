"""An autoencoder's anomaly score: exact from float64 to program, and an AUC that means what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.config import Learned
from gatewright.data import Dataset
from gatewright.errors import ExportError, FitError
from gatewright.export.vectors import graph_outputs, input_format
from gatewright.fit import (
    Autoencoder,
    anomalous,
    anomaly_metrics,
    check_anomaly,
    export_anomaly,
    normal_samples,
    train_autoencoder,
    train_autoencoder_front,
)
from gatewright.fit.anomaly.autoencoder import MOST_SHIFT
from gatewright.graph.store import checksum
from gatewright.ir import OutputStage, run
from gatewright.lower.build.support import check_supported
from tests.fit.conftest import make_config, make_data
from tests.fit.networks import random_network
from tests.fit.scores import (
    assert_change_is_found,
    assert_finds_classes_unseen,
    assert_threshold_is_reached_or_not,
    every_code,
)

pytestmark = pytest.mark.torch


def random_autoencoder(seed: int = 0, **options) -> Autoencoder:
    rng = np.random.default_rng(seed)
    network = random_network(rng, (6, 5, 3, 6), classes=False, **options)
    return Autoencoder(network=network, shifts=(0, *rng.integers(0, MOST_SHIFT + 1, 5).tolist()))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("per", ["tensor", "channel", "weight"])
@pytest.mark.parametrize("seed", range(4))
def test_program_is_the_sum_of_absolute_errors(seed: int, per: str, signed: bool):
    """Against the definition, written here once more, on integers only."""
    autoencoder = random_autoencoder(seed, per=per, signed=signed)
    program = export_anomaly(autoencoder, name="a")
    x = every_code(autoencoder)
    assert check_anomaly(autoencoder, program, x) == len(x)
    check_supported(program)
    unit = 2.0 ** -input_format(autoencoder.network).frac_bits
    rounded = np.floor(graph_outputs(autoencoder.network, x) / unit + 0.5).astype(np.int64)
    expected = (np.abs(rounded - x) << np.array(autoencoder.shifts)).sum(axis=1)
    np.testing.assert_array_equal(run(program, x)[:, 0], expected)
    np.testing.assert_array_equal(autoencoder.scores(x), expected * unit)


@pytest.mark.parametrize("signed", [False, True])
def test_a_network_that_cuts_its_inputs_is_judged_by_whole_ones(signed: bool):
    reads_all = random_autoencoder(per="weight", signed=signed)
    width = input_format(reads_all.network).width_bits
    bits = (width, width - 1, 2, 1, 0, 0)
    autoencoder = random_autoencoder(per="weight", signed=signed, input_bits=bits)
    program, x = export_anomaly(autoencoder, name="a"), every_code(autoencoder)
    assert check_anomaly(autoencoder, program, x) == len(x)
    check_supported(program)
    unit, drop = autoencoder.step, width - np.array(bits)
    given = graph_outputs(reads_all.network, np.where(drop < width, x >> drop << drop, 0))
    rounded = np.floor(given / unit + 0.5).astype(np.int64)
    expected = (np.abs(rounded - x) << np.array(autoencoder.shifts)).sum(axis=1)
    np.testing.assert_array_equal(run(program, x)[:, 0], expected)
    whole = export_anomaly(reads_all, name="a")
    assert (expected != run(whole, x)[:, 0]).any()


def test_threshold_is_reached_or_not():
    assert_threshold_is_reached_or_not(random_autoencoder())


def test_a_changed_program_is_found():
    assert_change_is_found(random_autoencoder(), "score.weight", r"op 'score', sample \d+, element 0")


def test_what_cannot_be_an_autoencoder():
    network = random_network(np.random.default_rng(0), (6, 5, 3), classes=False)
    with pytest.raises(FitError, match=r"as many outputs and shifts as features, 6, not 3 and 6"):
        Autoencoder(network=network, shifts=(0,) * 6)
    with pytest.raises(FitError, match="the least shift must be 0, not 1"):
        replace(random_autoencoder(), shifts=(1,) * 6)
    with pytest.raises(ExportError, match=r'leaves as "scores" or as "threshold", not \'argmax\''):
        export_anomaly(random_autoencoder(), name="a", output=OutputStage())
    with pytest.raises(ExportError, match="formats that saturate"):
        export_anomaly(random_autoencoder(wrap=True), name="a")


def test_only_normal_training_samples_are_learnt_from(data: Dataset):
    own = normal_samples(data, "c1")
    kept = (data.y == 1) & (data.split < 2)
    np.testing.assert_array_equal(own.x, data.x[kept])
    np.testing.assert_array_equal(own.y, data.x[kept] / 4.0)
    assert own.task == "regression"
    np.testing.assert_array_equal(anomalous(data, ("c1", "c2")), data.part("test")[1] == 0)
    with pytest.raises(FitError, match=r"among \['c0', 'c1', 'c2'\], not \['c7'\]"):
        normal_samples(data, "c7")


def test_training_finds_other_classes(tmp_path):
    config = make_config(
        teacher={"hidden": (16, 2, 16), "epochs": 20},
        student={"hidden": (4,), "weight_bits": 6, "activation_bits": 6, "epochs": 30},
    )
    found = assert_finds_classes_unseen(lambda data, work: train_autoencoder(config, data, "c0", work=work), tmp_path)
    assert isinstance(found, Autoencoder)
    assert min(found.shifts) == 0


def test_front_of_learnt_widths(tmp_path):
    data = make_data(n=600, features=8, seed=3)
    learned = {"precision": "learned", "learned": {"points": 4}, "epochs": 160, "batch_size": 16}
    config = make_config(distill={"weight": 0.0}, student={"hidden": (4,), **learned})
    front = train_autoencoder_front(config, data, "c0", work=tmp_path / "a")
    assert len(front) > 1
    x, strange = data.part("test")[0], anomalous(data, "c0")
    for scored, row in front:
        program = export_anomaly(scored, name="a")
        assert check_anomaly(scored, program, x) == len(x)
        assert program.op("read.act")
        assert min(scored.shifts) == 0
        reconstruction = graph_outputs(scored.network, normal_samples(data, "c0").part("validation")[0])
        own = normal_samples(data, "c0").part("validation")[1]
        assert row["score"] == pytest.approx(-(((reconstruction - own) ** 2).mean() ** 0.5))
        assert anomaly_metrics(scored.scores(x), strange)["value"] > 0.9
    for key in ("score", "cost"):
        assert [row[key] for _, row in front] == sorted(row[key] for _, row in front)
    others = data.x.copy()
    others[(data.y != 0) | (data.split == 2)] = 0
    blind = train_autoencoder_front(config, replace(data, x=others), "c0", work=tmp_path / "b")
    checksums = [checksum(scored.network) for scored, _ in front]
    assert [checksum(scored.network) for scored, _ in blind] == checksums
    student = config.student.model_copy(update={"learned": Learned(points=4, point=1)})
    other = config.model_copy(update={"student": student})
    again = train_autoencoder_front(other, data, "c0", work=tmp_path / "a")  # another point is of the same front
    assert [checksum(scored.network) for scored, _ in again] == checksums


def test_front_that_learns_nothing(data: Dataset, tmp_path):
    student = {"hidden": (3,), "precision": "learned", "epochs": 1}
    with pytest.raises(FitError, match="no student that is better on validation than the best constant answer; raise"):
        train_autoencoder_front(make_config(distill={"weight": 0.0}, student=student), data, "c0", work=tmp_path)


def test_settings_that_find_nothing(data: Dataset, tmp_path):
    with pytest.raises(FitError, match=r"student.hidden must have a layer narrower than the 6 inputs, not \[8\]"):
        train_autoencoder(make_config(), data, "c0", work=tmp_path)
    with pytest.raises(FitError, match=r"teacher.hidden must have a layer narrower"):
        train_autoencoder(make_config(student={"hidden": (3,)}), data, "c0", work=tmp_path)
    lines = make_config(student={"hidden": (32,), "layers": ["dense 3"]})
    with pytest.raises(
        FitError, match=r"made of dense layers; write their sizes in student.hidden, not student.layers"
    ):
        train_autoencoder(lines, data, "c0", work=tmp_path)
    signs = make_config(student={"hidden": (3,), "activation": "sign"})
    with pytest.raises(FitError, match=r'student.activation = "relu"'):
        train_autoencoder(signs, data, "c0", work=tmp_path)
    learned = {"hidden": (3,), "precision": "learned"}
    with pytest.raises(FitError, match=r'student.precision = "fixed", not \'relu\' and \'learned\''):
        train_autoencoder(make_config(student=learned), data, "c0", work=tmp_path)
    with pytest.raises(FitError, match=r'student.precision = "learned", not \'relu\' and \'fixed\''):
        train_autoencoder_front(make_config(student={"hidden": (3,)}), data, "c0", work=tmp_path)
    wraps = make_config(student={**learned, "learned": {"overflow": "wrap"}})
    with pytest.raises(FitError, match=r'student.learned.overflow = "saturate", not "wrap"'):
        train_autoencoder_front(wraps, data, "c0", work=tmp_path)
    assert not list(tmp_path.iterdir())
