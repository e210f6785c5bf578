"""The table [trees]: what trees are grown from, what libraries make of it, its graph on integers, what is refused."""

import importlib.util

import numpy as np
import pytest

from gatewright.config import Config, parse_config
from gatewright.errors import ConfigError, FitError, MissingToolError
from gatewright.export import check_graph_export, export_graph
from gatewright.export.vectors import graph_outputs, samples
from gatewright.fit import trees as fitting
from gatewright.fit.anomaly.autoencoder import check_anomaly, export_anomaly, threshold_at
from gatewright.fit.anomaly.isolation import train_isolation
from gatewright.fit.tree_graphs import rounded
from gatewright.flow.stages.trees import grown_graph
from gatewright.graph import Graph
from gatewright.graph.nodes import Trees
from gatewright.graph.trees import census, on_grid, sum_trees
from gatewright.importers.trees import load_sklearn
from tests.fit.conftest import make_data

BASE = {"name": "t", "data": {"source": "d.csv"}}


def configured(**tables) -> Config:
    return parse_config({**BASE, "trees": {"rounds": 3, "depth": 3}, **tables})


def trees_of(graph: Graph) -> Trees:
    (node,) = (node for node in graph.nodes if isinstance(node, Trees))
    return node


# ---- what they are grown from


def test_labels_alone_are_samples_of_no_weight():
    data = make_data()
    x, y = data.part("train")
    taught = fitting.lesson(configured(), data)
    assert taught.weight is None
    assert (taught.x == x / 4).all()
    assert (taught.y == y).all()


def test_a_teacher_adds_its_share_of_every_class():
    data = make_data()
    config = configured(trees={"teacher_weight": 0.5}, distill={"temperature": 2.0})
    shares = np.array([0.5, 0.4996, 0.0004])  # the last is less than what becomes a sample
    soft = np.tile(2 * np.log(shares), (len(data.x), 1))
    taught = fitting.lesson(config, data, soft)
    _, y = data.part("train")
    assert taught.weight is not None
    found = np.zeros((len(y), 3))
    rows = np.flatnonzero(np.concatenate([[True], (taught.x[1:] != taught.x[:-1]).any(axis=1)]))
    found[np.repeat(np.arange(len(rows)), np.diff(np.append(rows, len(taught.x)))), taught.y] = taught.weight
    want = 0.5 * np.eye(3)[y] + 0.5 * shares
    want[want < fitting.LEAST_SHARE] = 0
    assert np.abs(found - want).max() < 1e-12


def test_classes_have_their_weights_and_targets_are_mixed():
    data = make_data()
    taught = fitting.lesson(configured(class_weights={"c1": 3.0}), data)
    assert taught.weight is not None
    assert (taught.weight == np.where(taught.y == 1, 3.0, 1.0)).all()
    data = make_data(classes=0)
    config = configured(task="regression", trees={"teacher_weight": 0.25})
    mixed = fitting.lesson(config, data, np.zeros_like(data.y)).y
    assert (mixed == 0.75 * data.part("train")[1]).all()


# ---- what is grown


@pytest.mark.parametrize("kind", ["boosted", "forest", "extra"])
def test_the_program_is_the_graph_and_the_graph_the_library_but_for_rounding(kind):
    data = make_data()
    config = configured(trees={"rounds": 3, "depth": 3, "kind": kind, "leaf_bits": 5})
    (estimator,) = fitting.grow(config, data)
    graph = grown_graph(config, data)
    assert graph.classes == data.classes
    x = samples(graph, data.x, data.format)
    assert (graph_outputs(graph, data.x, data.format).argmax(axis=1) == estimator.predict(x)).all()
    small = rounded(graph, data.format, 5)
    made = export_graph(small, name="t")
    assert check_graph_export(made, x) == len(data.x)
    node = trees_of(small)
    assert (np.ldexp(node.thresholds, data.format.frac_bits) % 1 == 0).all()
    assert census(node)["comparators"] <= census(trees_of(graph))["comparators"]


def test_two_targets_are_two_sums_side_by_side():
    data = make_data(classes=0)
    config = configured(task="regression", trees={"rounds": 1, "depth": 3, "learning_rate": 1.0})
    estimators = fitting.grow(config, data)
    graph = grown_graph(config, data)
    assert trees_of(graph).bias.shape == (2,)
    x = samples(graph, data.x, data.format)
    want = np.stack([each.predict(x) for each in estimators], axis=1)
    assert (graph_outputs(graph, data.x, data.format) == want).all()


def test_a_teacher_alone_decides_where_its_weight_is_1():
    data = make_data()
    config = configured(trees={"rounds": 3, "depth": 3, "teacher_weight": 1.0}, distill={"temperature": 1.0})
    soft = 20.0 * np.eye(3)[data.x[:, 0] // 22]
    graph = grown_graph(config, data, soft)
    x, _ = data.part("train")
    assert (graph_outputs(graph, x, data.format).argmax(axis=1) == x[:, 0] // 22).all()


@pytest.mark.skipif(importlib.util.find_spec("xgboost") is None, reason="needs xgboost, of the extra [dev]")
def test_xgboost_grows_them_too():
    data = make_data()
    config = configured(trees={"library": "xgboost", "rounds": 3, "depth": 2, "least_samples": 1})
    (estimator,) = fitting.grow(config, data)
    graph = grown_graph(config, data)
    x = samples(graph, data.x, data.format)
    assert (graph_outputs(graph, data.x, data.format).argmax(axis=1) == estimator.predict(x)).all()
    assert trees_of(graph).roots.size == 9


def test_thresholds_on_the_grid_answer_alike():
    data = make_data()
    node = trees_of(grown_graph(configured(), data))
    x = data.x / 4
    assert (sum_trees(on_grid(node, 2), x) == sum_trees(node, x)).all()
    assert (on_grid(node, 2).thresholds != node.thresholds).any()


def test_an_isolation_forest_is_exact_and_ranks_as_scikit_learn():
    data = make_data(n=400)
    config = configured(trees={"kind": "isolation", "rounds": 8, "depth": 4, "leaf_bits": 10})
    found = train_isolation(config, data, "c0", read=load_sklearn)
    program = export_anomaly(found, name="t")
    assert check_anomaly(found, program, data.x) == 400
    assert found.describe() | {"splits": 0, "comparators": 0, "path_length_scale": 0} == {
        "trees": 8,
        "splits": 0,
        "comparators": 0,
        "tree_samples": 16,
        "leaf_bits": 10,
        "path_length_scale": 0,
    }
    own = data.x[(data.split == 0) & (data.y == 0)] / 4
    assert config.trees is not None
    forest = fitting.isolated(config.trees, config.seed, own)
    theirs = -forest.score_samples(data.x / 4)
    ours = 2 ** (found.scores(data.x) / found.scale)
    assert np.abs(ours - theirs).max() < 8 * 2**-10 * 16  # of eight leaves each, rounded to 10 bits
    threshold = threshold_at(found, data, "c0", 0.1)
    assert (found.scores(data.x[(data.split == 1) & (data.y == 0)]) >= threshold).mean() <= 0.1


# ---- what is refused


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"trees": {"leaves": 1}}, "trees: leaves must be 0 (as many as depth allows) or at least 2, not 1"),
        (
            {"trees": {"library": "xgboost", "kind": "extra"}},
            'trees: library "xgboost" grows kind "boosted", not "extra"; use "scikit-learn"',
        ),
        ({"trees": {"kind": "forest", "learning_rate": 0.1}}, 'learning_rate is of kind "boosted", not of "forest"'),
        ({"trees": {"kind": "isolation", "leaves": 8}}, 'leaves has no effect on kind "isolation"; leave it out'),
        ({"trees": {"depht": 3}}, "unknown key 'trees.depht'. Did you mean 'depth'?"),
        ({"student": {"hidden": [8]}}, "trees and student both say what becomes hardware; leave one of the tables out"),
        ({"model": {"file": "m.onnx"}}, "model.file teaches the trees with trees.teacher_weight above 0, not 0"),
        (
            {"model": {"file": "m.onnx", "quantize": "exact"}, "trees": {"teacher_weight": 0.5}},
            'model.quantize "exact" builds the model itself, and trees take its place; leave one of the two out',
        ),
        ({"distill": {"hint_weight": 1.0}}, "distill.hint_weight needs hidden layers, which trees have not"),
        (
            {"hardware": {"architecture": "stream"}},
            'trees take a sample every cycle; set hardware.architecture = "parallel" or "auto", not "stream"',
        ),
        (
            {"task": "regression", "trees": {"kind": "isolation"}},
            'trees.kind "isolation" gives an anomaly score, no regression; use "boosted" or a forest',
        ),
    ],
)
def test_what_a_configuration_may_not_say(tables, said):
    with pytest.raises(ConfigError) as caught:
        configured(**tables)
    assert said in str(caught.value)


def test_a_class_without_samples_and_a_library_that_is_absent(monkeypatch):
    data = make_data()
    data.y[data.split == 0] = 0
    with pytest.raises(FitError, match="trees need samples of every class in the training split, there are none of "):
        fitting.lesson(configured(), data)
    with pytest.raises(
        FitError, match=r"leave no sample of c1, c2; lower trees\.teacher_weight, or weigh these classes more"
    ):
        fitting.lesson(configured(trees={"teacher_weight": 1.0}), make_data(), 90.0 * np.eye(3)[np.zeros(240, int)])
    monkeypatch.setattr(fitting, "find_spec", lambda _: None)
    with pytest.raises(MissingToolError, match="pip install xgboost-cpu, or set "):
        fitting.grow(configured(trees={"library": "xgboost"}), make_data())
