"""Teachers of every kind, hints, targets that are a teacher's values, and teachers that were trained before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")
import torch

from gatewright.config import Config, load_config
from gatewright.data import Dataset
from gatewright.errors import ConfigError, FitError
from gatewright.export.vectors import graph_outputs
from gatewright.fit import (
    hidden_features,
    teacher_outputs,
    train_front,
    train_student,
    train_teacher,
    with_targets,
)
from gatewright.fit.frozen import dense_layers, is_quantized
from gatewright.fit.modules.stacks import dense_stack
from gatewright.fit.training.hint import Hint
from gatewright.fit.training.teach import lesson
from gatewright.fixedpoint import Fixed
from gatewright.graph import Graph
from gatewright.graph.store import checksum
from tests.graphs import chain, dense

from .conftest import make_config
from .networks import proved, saved

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def teacher(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return train_teacher(make_config(), data, work=tmp_path_factory.mktemp("teacher")).network


def correct(network: Graph, data: Dataset) -> float:
    x, y = data.part("test")
    return float((graph_outputs(network, x).argmax(axis=1) == y).mean())


def test_network_function_and_array_teach_the_same(teacher: Graph, data: Dataset, tmp_path: Path) -> None:
    def function(values: Any) -> Any:
        assert values.dtype == np.float64
        return graph_outputs(teacher, (values * 4).astype(np.int64))  # two fractional bits

    sums = {
        checksum(train_student(make_config(), data, kind, work=tmp_path / str(index)).network)
        for index, kind in enumerate([teacher, function, teacher_outputs(teacher, data)])
    }
    assert len(sums) == 1


def test_a_front_takes_any_teacher_too(teacher: Graph, data: Dataset, tmp_path: Path) -> None:
    config = make_config(student={"precision": "learned", "learned": {"points": 1}, "epochs": 4})
    a = train_front(config, data, teacher, work=tmp_path / "a")
    b = train_front(config, data, teacher_outputs(teacher, data), work=tmp_path / "b")
    assert [checksum(p.network) for p in a.points] == [checksum(p.network) for p in b.points]


def test_probabilities_and_other_classes_are_refused(teacher: Graph, data: Dataset, tmp_path: Path) -> None:
    scores = teacher_outputs(teacher, data)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    with pytest.raises(FitError, match=r"raw scores, not probabilities: a second softmax.*or np.log of the probabilit"):
        train_student(make_config(), data, shares, work=tmp_path)
    assert lesson(np.log(shares.clip(1e-9)), data, make_config()).outputs.shape == (240, 3)
    other = replace(teacher, classes=("c0", "c2", "c1"))
    with pytest.raises(FitError, match=r"the teacher must know the data's classes \['c0', 'c1', 'c2'\], in this order"):
        train_student(make_config(), data, other, work=tmp_path)
    with pytest.raises(FitError, match=r"outputs must be \(240, 3\).*not \(240, 2\)"):
        train_student(make_config(), data, lambda x: x[:, :2], work=tmp_path)


def test_hint_loss_is_the_mean_square_of_what_the_projection_misses() -> None:
    generator = torch.Generator().manual_seed(0)
    source = Fixed(width_bits=6, frac_bits=2)
    module = dense_stack([3, 4, 2], source=source, widths=None, dropout=0.0, generator=generator)
    features = np.array([[1.0, 5.0, 7.0], [3.0, 5.0, 1.0]])  # the second is constant and left out
    settings = make_config(distill={"hint_weight": 0.5}).distill
    hint = Hint(module, settings, features)
    _, hidden = module.with_hidden(torch.ones(2, 3))
    assert [h.shape for h in hidden] == [(2, 4)]
    want = torch.tensor([[-1.0, 1.0], [1.0, -1.0]]) - module.project(hidden[0])
    assert float(hint.loss(hidden, torch.tensor([0, 1])).detach()) == pytest.approx(
        0.5 * float(want.square().mean().detach())
    )
    assert any(weight is module.projection for weight in module.decayed())
    with pytest.raises(FitError, match="features must vary over the training samples; choose another hidden layer"):
        Hint(module, settings, np.ones((2, 3)))


def test_a_hint_makes_the_hidden_layer_predict_the_features(teacher: Graph, data: Dataset, tmp_path: Path) -> None:
    """How much of features that classes do not ask for a linear map of the student's hidden layer explains."""
    features = np.abs(data.x[:, :3] - data.x[:, :3].mean(axis=0))

    def explained(weight: float) -> float:
        student = {"epochs": 80, "hidden": (10,), "sparsity": 0.2, "weight_bits": 6, "activation_bits": 6}
        config = make_config(distill={"hint_weight": weight}, student=student)
        network = train_student(config, data, teacher, work=tmp_path / str(weight), features=features).network
        proved(network, data.x, "argmax")
        assert correct(network, data) > 0.6
        h = np.column_stack([hidden_features(network, data, 0), np.ones(len(data.x))])
        residual = features - h @ np.linalg.lstsq(h, features, rcond=None)[0]
        return 1.0 - float(residual.var(axis=0).sum() / features.var(axis=0).sum())

    assert explained(3.0) > explained(0.0) + 0.1


def test_hints_need_features_and_layers_that_exist(teacher: Graph, data: Dataset, tmp_path: Path) -> None:
    config = make_config(distill={"hint_weight": 1.0})
    scores = teacher_outputs(teacher, data)
    with pytest.raises(FitError, match=r"hint_weight needs a teacher's features; give train_student features= or a G"):
        train_student(config, data, scores, work=tmp_path)
    with pytest.raises(FitError, match=r"features must be finite and \(240, k\), one row per sample, not \(239, 2\)"):
        train_student(config, data, scores, features=np.ones((239, 2)), work=tmp_path)
    features = np.random.default_rng(0).normal(size=(240, 5))
    assert is_quantized(train_student(config, data, scores, features=features, work=tmp_path).network)
    with pytest.raises(FitError, match=r"hint_layers\[0\] must name one of the teacher's 1 hidden layers, not 3"):
        hidden_features(teacher, data, 3)
    with pytest.raises(ConfigError, match=r"hint_layers must name hidden layers; the student has 1, .* not 1"):
        make_config(distill={"hint_weight": 1.0, "hint_layers": (-1, 1)})
    with pytest.raises(ConfigError, match=r'no effect with student.precision "learned"; set it to 0'):
        make_config(distill={"hint_weight": 1.0}, student={"precision": "learned"})


def test_latent_and_reconstruction_of_an_autoencoder_are_targets(data: Dataset, tmp_path: Path) -> None:
    """A float autoencoder teaches an encoder (its latent vector) and a whole student (its reconstruction)."""
    values = data.x * 0.25
    whole = with_targets(data, values)
    wide = {"hidden": (16, 3, 16), "epochs": 60, "batch_size": 32, "learning_rate": 0.01}
    student = {"epochs": 80, "batch_size": 16, "weight_bits": 8, "activation_bits": 8, "sparsity": 0.2}
    config = make_config("regression", teacher=wide, student=student, distill={"weight": 1.0})
    auto = train_teacher(config, whole, work=tmp_path).network
    assert dense_layers(auto)[-1].bias.size == data.x.shape[1]
    latent, again = hidden_features(auto, whole, 1), graph_outputs(auto, data.x)
    for name, targets in (("latent", latent), ("reconstruction", again)):
        network = train_student(config, with_targets(data, targets), targets, work=tmp_path / name).network
        test = data.split == 2
        missed = (graph_outputs(network, data.x) - targets)[test]
        assert missed.var() < 0.25 * (targets - targets.mean(axis=0))[test].var(), name
    with pytest.raises(FitError, match=r"targets must be finite and \(240, k\), one row per sample, not \(240,\)"):
        with_targets(data, latent[:, 0])


def pretrained(folder: Path, **teacher: Any) -> Config:
    return make_config(teacher={"pretrained": str(folder), **teacher})


def test_a_trained_teacher_is_taken_or_trained_further(teacher: Graph, data: Dataset, tmp_path: Path) -> None:
    saved(teacher, tmp_path / "run" / "teacher")
    for folder in ("run", "run/teacher"):
        taken = train_teacher(pretrained(tmp_path / folder, epochs=0), data, work=tmp_path)
        assert np.array_equal(graph_outputs(taken.network, data.x), graph_outputs(teacher, data.x))
        assert taken.history == ()
    config = pretrained(tmp_path / "run", epochs=1, learning_rate=1e-6, hidden=(5,))
    further = train_teacher(config, data, work=tmp_path / "further")
    assert [layer.weight.shape for layer in dense_layers(further.network)] == [(6, 16), (16, 3)]
    assert np.abs(graph_outputs(further.network, data.x) - graph_outputs(teacher, data.x)).max() < 1e-2
    assert further.history[0]["validation_accuracy"] > 0.9

    finer = replace(data, x=data.x * 4, format=replace(data.format, width_bits=8, frac_bits=4))
    finest = train_teacher(pretrained(tmp_path / "run", epochs=0), finer, work=tmp_path).network
    values = graph_outputs(finest, finer.x)
    assert np.array_equal(values, graph_outputs(teacher, data.x))


def test_a_trained_teacher_that_does_not_suit_is_refused(teacher: Graph, data: Dataset, tmp_path: Path) -> None:
    saved(teacher, tmp_path / "t")
    with pytest.raises(FitError, match=r"teacher.pretrained .*t must know the data's classes \['a', 'b', 'c'\]"):
        train_teacher(pretrained(tmp_path / "t"), replace(data, classes=("a", "b", "c")), work=tmp_path)
    less = replace(data, x=data.x[:, :5], shape=(5,), feature_names=data.feature_names[:5])
    with pytest.raises(FitError, match=r"must read the data's 5 features, not 6"):
        train_teacher(pretrained(tmp_path / "t"), less, work=tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "network.json").write_text("{}")
    with pytest.raises(FitError, match=r"old holds network.json, which versions before this one wrote; train it again"):
        train_teacher(pretrained(tmp_path / "old"), data, work=tmp_path)
    saved(chain((6,), dense("a", np.ones((6, 3)))), tmp_path / "other")
    with pytest.raises(FitError, match=r"must know the data's classes"):
        train_teacher(pretrained(tmp_path / "other"), data, work=tmp_path)
    foreign = replace(chain((6,), dense("a", np.ones((6, 3)))), classes=data.classes)
    saved(foreign, tmp_path / "foreign")
    with pytest.raises(FitError, match=r"foreign must be a network that gatewright trained, not an imported model"):
        train_teacher(pretrained(tmp_path / "foreign"), data, work=tmp_path)
    with pytest.raises(FitError, match=r"teacher.pretrained .*nowhere.graph.npz must be a graph that gatewright saved"):
        train_teacher(pretrained(tmp_path / "nowhere"), data, work=tmp_path)
    saved(train_student(make_config(), data, teacher, work=tmp_path).network, tmp_path / "small")
    with pytest.raises(FitError, match=r"must be a float network to be trained further, not one on grids; set teacher"):
        train_teacher(pretrained(tmp_path / "small"), data, work=tmp_path)
    with pytest.raises(ConfigError, match=r"epochs 0 takes a trained teacher as it is; name it in pretrained"):
        make_config(teacher={"epochs": 0})


def test_a_relative_path_is_the_configurations_own_folder(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('name = "c"\n[data]\nsource = "x.csv"\n[teacher]\npretrained = "runs/a"\n')
    assert load_config(tmp_path / "c.toml").teacher.pretrained == str(tmp_path / "runs" / "a")
    (tmp_path / "c.toml").write_text('name = "c"\n[data]\nsource = "x.csv"\n')
    assert load_config(tmp_path / "c.toml").teacher.pretrained == ""
