"""Class weights: their numbers, the loss with them, what they change, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from gatewright.config import parse_config
from gatewright.data import class_weights, dataset_from_arrays
from gatewright.errors import ConfigError, FitError

Y = np.array([0, 0, 0, 1, 0, 1, 2, 0])


def test_balanced_is_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    weights = class_weights("balanced", Y, ("a", "b", "c"))
    assert weights is not None
    assert weights.tolist() == compute_class_weight("balanced", classes=np.arange(3), y=Y).tolist()
    named = class_weights({"c": 4.0}, Y, ("a", "b", "c"))
    assert named is not None
    assert named.tolist() == [1.0, 1.0, 4.0]
    assert class_weights("none", Y, ("a", "b", "c")) is None


def test_what_is_refused():
    with pytest.raises(ConfigError, match=r"class_weights has no class 'gama'\. Did you mean 'gamma'\?"):
        class_weights({"gama": 2.0}, Y, ("gamma", "neutron", "muon"))
    with pytest.raises(ConfigError, match="must leave a class of the training split a weight above 0, not 0 for all"):
        class_weights({"a": 0.0, "b": 0.0}, Y[:4], ("a", "b"))
    with pytest.raises(ConfigError, match="class_weights are a classification's, a regression has no classes"):
        parse_config({"name": "t", "task": "regression", "class_weights": "balanced", "data": {"source": "d.csv"}})


@pytest.mark.torch
def test_the_loss_of_a_sample_is_multiplied_by_its_class():
    torch = pytest.importorskip("torch", reason="needs torch (extra [fit])")
    from gatewright.fit.training.distill import classification_loss, soft_labels

    scores, labels = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 0.0]]), torch.tensor([0, 1, 1])
    soft = soft_labels(torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), 2.0)
    weights = torch.tensor([3.0, 0.5])
    one = [classification_loss(scores[i : i + 1], labels[i : i + 1], soft[i : i + 1], temperature=2.0, weight=0.25)
           for i in range(3)]  # fmt: skip
    got = classification_loss(scores, labels, soft, temperature=2.0, weight=0.25, by_class=weights)
    assert float(got) == pytest.approx(float(one[0] * 3 + one[1] * 0.5 + one[2] * 0.5) / 3, rel=1e-6)


@pytest.mark.torch
def test_a_rare_class_is_answered(tmp_path: Path):
    pytest.importorskip("torch", reason="needs torch (extra [fit])")
    from gatewright.export.vectors import graph_outputs
    from gatewright.fit.train import train_teacher

    rng = np.random.default_rng(5)
    y = (np.arange(600) % 10 == 0).astype(int)
    x = (rng.normal(size=(600, 2)) + 1.5 * y[:, None]).round(3)
    data = dataset_from_arrays(x, y, scaling="standard", input_format="fixed<10,4>")
    teacher = {"hidden": [8], "epochs": 8, "learning_rate": 0.02}
    raw = {"name": "t", "data": {"source": "-"}, "teacher": teacher}
    with pytest.raises(FitError, match="answers '0' for every one of 90 validation samples"):
        train_teacher(parse_config(raw), data, work=tmp_path / "none")
    balanced = train_teacher(parse_config(raw | {"class_weights": "balanced"}), data, work=tmp_path / "balanced")
    codes, truth = data.part("test")
    right = graph_outputs(balanced.network, codes).argmax(axis=1) == truth
    assert min(right[truth == 0].mean(), right[truth == 1].mean()) > 0.6
