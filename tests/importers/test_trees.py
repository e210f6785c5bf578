"""Models of trees: files as the libraries write them, live estimators; against a walk of their own, or the library."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from threadpoolctl import threadpool_limits

from gatewright.cli.main import main
from gatewright.errors import ModelError
from gatewright.export import Calibration, calibrate, check_graph_export, export_graph
from gatewright.fixedpoint import Fixed
from gatewright.graph import evaluate, load_graph, save_graph
from gatewright.graph.nodes import Graph, Trees
from gatewright.graph.trees import forest, with_leaf_bits
from gatewright.importers import load_model
from gatewright.importers.trees import load_sklearn

FIXED = Fixed.parse("fixed<8,3>")


def grid(count: int, features: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(FIXED.lo, FIXED.hi, (count, features), endpoint=True) / 32


def exported(graph: Graph, x: np.ndarray, bits: int = 6) -> np.ndarray:
    """Return the scores of the program with leaves of a few bits, which equals its graph."""
    quantized = calibrate(graph, x, Calibration(weight_bits=bits, input_format=FIXED))
    made = export_graph(quantized, name="m")
    assert check_graph_export(made, x) == len(x)
    return np.ldexp(made.run(x).astype(float), -made.frac_bits) * made.output_scale


# ---- XGBoost


def xgboost_file(path, *, objective="binary:logistic", base="5E-1", classes="0", groups=(0, 0), **changes):
    """Two trees of splits 0.5, -1 and 0.7, of which the first two lie on the grid of the samples."""
    tree = {
        "left_children": [1, 3, -1, -1, -1],
        "right_children": [2, 4, -1, -1, -1],
        "split_indices": [0, 1, 0, 0, 0],
        "split_conditions": [0.5, -1.0, 0.25, -0.375, 0.1],
        "split_type": [0, 0, 0, 0, 0],
        "default_left": [1, 0, 0, 0, 0],
        "tree_param": {"size_leaf_vector": "1"},
    } | changes
    other = tree | {"split_conditions": [0.7, 0.7, -2.0, 1.0, 0.3], "split_indices": [1, 1, 0, 0, 0]}
    booster = {"name": "gbtree", "model": {"trees": [tree, other], "tree_info": list(groups)}}
    learner = {
        "learner_model_param": {"base_score": base, "num_class": classes, "num_feature": "2", "num_target": "1"},
        "objective": {"name": objective},
        "gradient_booster": booster,
    }
    path.write_text(json.dumps({"learner": learner, "version": [3, 2, 0]}))
    return path


def walked(conditions, feature, x: np.ndarray) -> np.ndarray:
    """Return what one such tree adds, in float32 as XGBoost compares."""
    at = np.array(conditions, dtype=np.float32)
    left = x[:, feature[0]].astype(np.float32) < at[0]
    inner = np.where(x[:, feature[1]].astype(np.float32) < at[1], at[3], at[4])
    return np.where(left, inner, at[2]).astype(np.float64)


def test_xgboost_is_the_sum_of_its_trees(tmp_path):
    x = grid(500, 2)
    x[:4, 0], x[4:8, 1] = 0.5, -1.0  # on the thresholds: not below them
    first = walked([0.5, -1.0, 0.25, -0.375, 0.1], (0, 1), x)
    second = walked([0.7, 0.7, -2.0, 1.0, 0.3], (1, 1), x)
    graph = load_model(xgboost_file(tmp_path / "m.json"))
    margins = evaluate(graph, x, precision="single")[:, 0]
    assert (margins == 1 / (1 + np.exp(-(first + second).astype(np.float32)))).mean() > 0.5
    made = export_graph(graph, name="m", input_format=FIXED)
    assert check_graph_export(made, x) == 500
    assert (np.ldexp(made.run(x)[:, 0].astype(float), -made.frac_bits) == first + second).all()
    assert made.notes[-1].startswith("The sigmoid 'sigmoid' at the end is left to the host")
    several = load_model(
        xgboost_file(tmp_path / "c.json", objective="multi:softprob", base="[1E0,2E0]", classes="2", groups=(0, 1))
    )
    want = np.stack([first + 1, second + 2], axis=1)
    made = export_graph(several, name="m", input_format=FIXED, output="argmax")
    assert (made.run(x)[:, 0] == want.argmax(axis=1)).all()
    classes = export_graph(several, name="m", input_format=FIXED)
    assert (np.ldexp(classes.run(x).astype(float), -classes.frac_bits) == want).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split_type": [0, 1, 0, 0, 0]}, "tree 0, node 1: a categorical split of feature 1; encode categories"),
        ({"left_children": [1, 0, -1, -1, -1]}, "tree 0: node 0 is reached twice"),
        ({"left_children": [1, 9, -1, -1, -1]}, "tree 0: node 9 of 5 does not exist"),
        ({"split_indices": [0, 7, 0, 0, 0]}, "feature must be 0..1"),
        ({"tree_param": {"size_leaf_vector": "3"}}, "tree 0 has leaves of 3 values for 1 outputs"),
        ({"split_conditions": [0.5]}, "not a complete XGBoost model"),
    ],
)
def test_xgboost_trees_that_are_refused(tmp_path, changes, message):
    with pytest.raises(ModelError, match=message):
        export_graph(load_model(xgboost_file(tmp_path / "m.json", **changes)), name="m", input_format=FIXED)


def test_xgboost_models_that_are_refused(tmp_path):
    path = xgboost_file(tmp_path / "m.json", objective="binary:logit")
    with pytest.raises(ModelError, match="objective 'binary:logit' is not known"):
        load_model(path)
    said = json.loads(path.read_text())
    said["learner"]["gradient_booster"]["name"] = "gblinear"
    path.write_text(json.dumps(said))
    with pytest.raises(ModelError, match="gblinear, a linear model without trees"):
        load_model(path)
    path.write_bytes(b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{")
    with pytest.raises(ModelError, match="XGBoost's binary JSON; save the model as text"):
        load_model(path)


# ---- LightGBM

LIGHTGBM = """tree
version=v4
num_class=1
num_tree_per_iteration=1
max_feature_idx=1
objective=binary sigmoid:1

Tree=0
num_leaves=3
num_cat=0
split_feature=0 1
threshold=0.5 -1
decision_type=2 {kind}
left_child=1 -1
right_child=-2 -3
leaf_value=-0.375 0.25 0.10000000000000001
is_linear={linear}

Tree=1
num_leaves=1
num_cat=0
leaf_value=0.5

end of trees
"""


def test_lightgbm_goes_left_on_its_threshold(tmp_path):
    path = tmp_path / "m.txt"
    path.write_text(LIGHTGBM.format(kind=8, linear=0))
    x = grid(300, 2)
    x[:4, 0], x[4:8, 1] = 0.5, -1.0
    want = 0.5 + np.where(x[:, 0] <= 0.5, np.where(x[:, 1] <= -1, -0.375, 0.1), 0.25)
    graph = load_model(path)
    assert (evaluate(graph, x, precision="double")[:, 0] == 1 / (1 + np.exp(-want))).all()
    got = exported(graph, x, bits=3)[:, 0]  # steps of 1/8
    assert set(zip(want, got, strict=True)) == {(0.125, 0.125), (0.6, 0.625), (0.75, 0.75)}
    for kind, linear, message in (
        (1, 0, "tree 0, node 1: a categorical split of feature 1"),
        (4, 0, "tree 0, node 1: feature 1 counts 0 as missing; train with zero_as_missing = false"),
        (2, 1, "tree 0 has linear leaves; train without linear_tree"),
    ):
        path.write_text(LIGHTGBM.format(kind=kind, linear=linear))
        with pytest.raises(ModelError, match=message):
            load_model(path)
    path.write_text(LIGHTGBM[:300])
    with pytest.raises(ModelError, match="ends before its trees do"):
        load_model(path)


# ---- scikit-learn


def labelled(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    x = grid(count, 5, seed=1)
    return x, (x[:, 0] * x[:, 1] > x[:, 2]).astype(int) + (x[:, 3] > 2)


@pytest.mark.parametrize("kind", ["forest", "extra", "boosted", "histogram", "two", "values"])
def test_estimators_of_scikit_learn(kind, tmp_path):
    ensemble = pytest.importorskip("sklearn.ensemble")
    x, y = labelled()
    made = {
        "forest": ensemble.RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0),
        "extra": ensemble.ExtraTreesRegressor(n_estimators=4, max_depth=4, random_state=0),
        "boosted": ensemble.GradientBoostingClassifier(n_estimators=4, random_state=0),
        "histogram": ensemble.HistGradientBoostingClassifier(max_iter=4, random_state=0),
        "two": ensemble.GradientBoostingClassifier(n_estimators=4, random_state=0),
        "values": ensemble.GradientBoostingRegressor(n_estimators=4, random_state=0),
    }[kind]
    with threadpool_limits(1):
        made.fit(x, y > 0 if kind == "two" else y)
    graph = load_sklearn(made)
    want = made.predict_proba(x) if hasattr(made, "classes_") else made.predict(x)[:, None]
    want = want[:, 1:] if kind == "two" else want
    assert np.abs(evaluate(graph, x) - want).max() < 1e-12
    save_graph(graph, tmp_path / "g.npz")
    assert (evaluate(load_graph(tmp_path / "g.npz"), x) == evaluate(graph, x)).all()
    exported(graph, x)


def test_isolation_forest_leaves_the_host_one_function():
    ensemble = pytest.importorskip("sklearn.ensemble")
    x, _ = labelled()
    made = ensemble.IsolationForest(n_estimators=10, max_features=3, random_state=0).fit(x)
    graph = load_sklearn(made)
    assert graph.metadata is not None
    lengths = evaluate(graph, x)[:, 0]
    score = -(2 ** (-lengths / graph.metadata["path_length_scale"]))
    assert np.abs(score - made.score_samples(x)).max() < 1e-12
    assert "score_samples" in graph.notes[0]
    order = np.argsort(exported(graph, x, bits=10)[:, 0])
    assert np.mean(np.sort(lengths)[:40]) == pytest.approx(np.mean(lengths[order[:40]]), rel=0.01)


def test_other_estimators_are_refused():
    ensemble, linear = pytest.importorskip("sklearn.ensemble"), pytest.importorskip("sklearn.linear_model")
    x, y = labelled(60)
    with pytest.raises(ModelError, match="RandomForestClassifier is not fitted; call fit first"):
        load_sklearn(ensemble.RandomForestClassifier())
    with pytest.raises(ModelError, match="LinearRegression is none of DecisionTree, RandomForest"):
        load_sklearn(linear.LinearRegression().fit(x, y))
    pair = ensemble.RandomForestRegressor(n_estimators=1).fit(x, np.stack([y, y], axis=1))
    with pytest.raises(ModelError, match="has 2 outputs; fit one estimator for each"):
        load_sklearn(pair)
    history = ensemble.HistGradientBoostingRegressor(max_iter=1, categorical_features=[0], min_samples_leaf=1)
    history.fit(np.repeat([[0.0], [1.0], [2.0]], 20, axis=0), np.repeat([0.0, 5.0, 1.0], 20))
    with pytest.raises(ModelError, match="a categorical split of feature 0"):
        load_sklearn(history)


# ---- ONNX


def onnx_file(path, *, mode: object = "BRANCH_LEQ", transform: object = "LOGISTIC", **changes: object):
    """Return a classifier of one tree and two classes, as skl2onnx writes it: one score, with its label before it."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    settings = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [1, 0, 0],
        "nodes_modes": [mode, "LEAF", "LEAF"],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "class_treeids": [0, 0],
        "class_nodeids": [1, 2],
        "class_ids": [0, 0],
        "class_weights": [-0.75, 1.25],
        "classlabels_int64s": [0, 1],
        "base_values": [0.25],
        "post_transform": transform,
    } | changes
    trees = helper.make_node("TreeEnsembleClassifier", ["X"], ["label", "p"], domain="ai.onnx.ml", **settings)
    graph = helper.make_graph(
        [trees],
        "g",
        [helper.make_tensor_value_info("X", kinds.FLOAT, [None, 2])],
        [
            helper.make_tensor_value_info("label", kinds.INT64, [None]),
            helper.make_tensor_value_info("p", kinds.FLOAT, [None, 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


@pytest.mark.parametrize(
    ("mode", "right"),
    [
        ("BRANCH_LEQ", np.greater),
        ("BRANCH_LT", np.greater_equal),
        ("BRANCH_GTE", np.less),
        ("BRANCH_GT", np.less_equal),
    ],
)
def test_onnx_modes(tmp_path, mode, right):
    x = grid(100, 2)
    x[:3, 1] = 0.5
    graph = load_model(onnx_file(tmp_path / "m.onnx", mode=mode))
    margin = 0.25 + np.where(right(x[:, 1], 0.5), 1.25, -0.75)
    assert (exported(graph, x, bits=4)[:, 1] == margin).all()
    p = 1 / (1 + np.exp(-margin))
    assert np.abs(evaluate(graph, x) - np.stack([1 - p, p], axis=1)).max() < 1e-12


def test_onnx_probabilities_and_refusals(tmp_path):
    x = grid(50, 2)
    graph = load_model(onnx_file(tmp_path / "m.onnx", transform="NONE", class_weights=[0.25, 0.5], base_values=[0.125]))
    p = np.where(x[:, 1] > 0.5, 0.625, 0.375)
    assert (evaluate(graph, x) == np.stack([1 - p, p], axis=1)).all()
    for changes, message in (
        ({"mode": "BRANCH_EQ"}, "tree 0, node 0: a split of mode 'BRANCH_EQ', as of categories"),
        ({"transform": "PROBIT"}, "post_transform = 'PROBIT' is not supported; NONE, LOGISTIC or SOFTMAX"),
        ({"nodes_featureids": [2, 0, 0]}, "reads feature 2 of 2"),
        ({"class_ids": [0, 3]}, "a leaf adds to result 3 of 2"),
        ({"class_ids": [0]}, "do not have the same lengths"),
        ({"nodes_falsenodeids": [8, 0, 0]}, "tree 0 has no node 8"),
    ):
        with pytest.raises(ModelError, match=message):
            load_model(onnx_file(tmp_path / "m.onnx", **changes))


# ---- leaves, and the command line


def test_leaves_of_few_bits_are_near_and_count_from_each_trees_least():
    pytest.importorskip("sklearn")
    from sklearn.ensemble import GradientBoostingRegressor

    x, y = labelled()
    trees = load_sklearn(GradientBoostingRegressor(n_estimators=6, random_state=0).fit(x, y)).nodes[1]
    assert isinstance(trees, Trees)
    few = with_leaf_bits(trees, 4)
    step = np.abs(few.leaves[few.leaves != 0]).min()
    for own in forest(trees).leaves_by_tree():
        assert few.leaves[own].min() == 0
        assert few.leaves[own].max() <= 15 * step
    error = np.abs(forest(few)(x) - forest(trees)(x))
    assert 0 < error.max() <= 3.5 * step  # six leaves and the bias, half a step each


def test_import_writes_a_program(tmp_path):
    path, out = xgboost_file(tmp_path / "m.json"), tmp_path / "p.txt"
    words = ["import", str(path), "--program", str(out), "--input-format", str(FIXED), "--leaf-bits"]
    done = CliRunner().invoke(main, [*words, "5"])
    assert done.exit_code == 0, done.output
    assert "equal to the model on 64 samples" in done.output
    assert "= trees layer=trees source=%x" in out.read_text()
    refused = CliRunner().invoke(main, [*words, "40"])
    assert "--leaf-bits must be 1..24, not 40" in refused.output


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_verify_against_the_library(tmp_path, library):
    """On a model that the library itself trained and wrote: margins within a float32 sum's rounding."""
    made = pytest.importorskip(library)
    x = np.ldexp(np.random.default_rng(5).integers(FIXED.lo, FIXED.hi + 1, (300, 3)), -FIXED.frac_bits)
    settings = {"n_estimators": 8, "max_depth": 3, "random_state": 1, "n_jobs": 1}
    if library == "xgboost":
        path, model = tmp_path / "m.json", made.XGBClassifier(**settings)
        model.fit(x, x @ (1, -2, 1) > 0).save_model(path)
    else:
        path, model = tmp_path / "m.txt", made.LGBMClassifier(**settings, min_child_samples=5, verbose=-1)
        model.fit(x, x @ (1, -2, 1) > 0).booster_.save_model(path)
    done = CliRunner().invoke(main, ["verify", str(path), "--samples", "200", "--input-format", str(FIXED)])
    assert done.exit_code == 0, done.output
    assert f"agrees with {library}" in done.output
