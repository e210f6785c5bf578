"""Tree ensembles of ONNX's ml domain in, a Trees node and the function behind it out.

Splits that ask for equality, other sums than SUM and AVERAGE, and PROBIT or SOFTMAX_ZERO are refused. Values that are
missing do not exist in fixed point, so the branch that they take does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from gatewright.graph.nodes import Activation, Floats, Softmax, Trees
from gatewright.importers.builder import Builder, Missing, Tensor
from gatewright.importers.onnx.arithmetic import Handler
from gatewright.importers.onnx.op import Op
from gatewright.importers.onnx.reader import to_array
from gatewright.importers.trees.collect import Forest, Split, after

# mode -> (whether the true branch is that of the greater values, whether the threshold itself belongs to the lesser)
MODES = {
    "BRANCH_LEQ": (False, True),
    "BRANCH_LT": (False, False),
    "BRANCH_GTE": (True, False),
    "BRANCH_GT": (True, True),
}
_NODES = ("featureids", "truenodeids", "falsenodeids", "treeids", "nodeids")


def _classifier(b: Builder, op: Op) -> list[Any]:
    labels = op.raw("classlabels_int64s") or op.raw("classlabels_strings") or []
    forest, base = _forest(op, "class", len(labels))
    transform = op.get("post_transform", "NONE")
    single = len(labels) == 2 and not any(row[1] for row in forest.leaves) and base.size < 2
    if single:  # one score, of the second class
        sums = np.array([row[0] for row in forest.leaves])
        others = -sums if transform == "NONE" else 0 * sums
        forest.leaves = list(np.stack([others, sums], axis=1))
        score = float(base[0]) if base.size else 0.0
        base = np.array([1.0 - score if transform == "NONE" else 0.0, score])
        transform = "SOFTMAX" if transform == "LOGISTIC" else transform  # of (0, s): 1 - sigmoid(s) and sigmoid(s)
    return [Missing("the label; take the class with the greatest score"), _scores(b, op, forest, base, transform)]


def _regressor(b: Builder, op: Op) -> list[Any]:
    forest, base = _forest(op, "target", op.get("n_targets", 1))
    how = op.get("aggregate_function", "SUM")
    if how not in ("SUM", "AVERAGE"):
        op.fail(f"aggregate_function = {how!r} is not supported; SUM or AVERAGE is expected")
    if how == "AVERAGE":
        forest.leaves = [row / len(forest.roots) for row in forest.leaves]
    return [_scores(b, op, forest, base, op.get("post_transform", "NONE"))]


def _forest(op: Op, kind: str, outputs: int) -> tuple[Forest, Floats]:
    """Return the trees, and the base values: as many as outputs, or fewer."""
    op.ignore("nodes_hitrates", "nodes_hitrates_as_tensor", "nodes_missing_value_tracks_true")
    columns: dict[str, list[int]] = {key: list(op.ints(f"nodes_{key}") or ()) for key in _NODES}
    modes = [mode.decode() for mode in op.raw("nodes_modes") or []]
    values, base = _floats(op, "nodes_values"), _floats(op, "base_values")
    weights = _floats(op, f"{kind}_weights")
    owners = {key: list(op.ints(f"{kind}_{key}") or ()) for key in ("treeids", "nodeids", "ids")}
    sizes = {len(modes), len(values), *map(len, columns.values())}
    if len(sizes) != 1 or outputs < 1 or len({len(weights), *map(len, owners.values())}) != 1:
        op.fail("its lists of nodes, weights or classes do not have the same lengths; export the model again")
    if base.size not in (0, 1, outputs):
        op.fail(f"it has {base.size} base_values for {outputs} results")
    rows: dict[tuple[int, int], Floats] = defaultdict(lambda: np.zeros(outputs))
    for tree, node, at, weight in zip(*owners.values(), weights.tolist(), strict=True):
        if not 0 <= at < outputs:
            op.fail(f"a leaf adds to result {at} of {outputs}")
        rows[tree, node][at] += weight
    place = {(tree, node): i for i, (tree, node) in enumerate(zip(columns["treeids"], columns["nodeids"], strict=True))}
    forest = Forest(outputs)
    for tree in dict.fromkeys(columns["treeids"]):

        def at_node(node: int, tree: int = tree) -> Split | Floats:
            if (tree, node) not in place:
                op.fail(f"tree {tree} has no node {node}; export the model again")
            i = place[tree, node]
            if modes[i] == "LEAF":
                return rows[tree, node]
            if modes[i] not in MODES:
                op.fail(
                    f"tree {tree}, node {node}: a split of mode {modes[i]!r}, as of categories, is not supported; "
                    f"expected {', '.join(MODES)}"
                )
            greater, belongs = MODES[modes[i]]
            yes, no = columns["truenodeids"][i], columns["falsenodeids"][i]
            yes, no = (yes, no) if greater else (no, yes)
            value = float(values[i])
            return Split(columns["featureids"][i], after(value) if belongs else value, no, yes)

        forest.add(next(n for t, n in place if t == tree), at_node)
    return forest, base


def _floats(op: Op, name: str) -> Floats:
    """Return a list of numbers, which doubles have as a tensor."""
    given, tensor = op.raw(name), op.raw(f"{name}_as_tensor")
    found = to_array(tensor) if tensor is not None else np.array(given or [], dtype=np.float32)
    if not np.isfinite(found).all():
        op.fail(f"{name} holds NaN or infinity; train the model again")
    return found.astype(np.float64).ravel()


def _scores(b: Builder, op: Op, forest: Forest, base: Floats, transform: str) -> Tensor:
    if transform not in ("NONE", "LOGISTIC", "SOFTMAX"):
        op.fail(f"post_transform = {transform!r} is not supported; NONE, LOGISTIC or SOFTMAX is expected")
    x = op.tensor(0)
    if x.rank != 2:
        op.fail(f"its input has the shape {x.shape}; samples of a vector (n, features) are expected")
    bias = np.broadcast_to(base if base.size else np.zeros(1), (forest.outputs,))
    if not forest.roots or max(forest.feature, default=0) >= x.shape[1 - x.sample_axis]:
        op.fail(f"it reads feature {max(forest.feature, default=0)} of {x.shape[1 - x.sample_axis]}, or has no trees")
    result = b.emit(Trees, b.stored_in(x, x.order), **forest.tables(bias))
    if transform == "LOGISTIC":
        result = b.emit(Activation, result, kind="sigmoid")
    elif transform == "SOFTMAX":
        result = b.emit(Softmax, result)
    return b.tensor(result, (x.shape[x.sample_axis], forest.outputs))


def _zip_map(_: Builder, op: Op) -> list[Any]:
    """Give the probabilities that become a dictionary."""
    op.ignore("classlabels_int64s", "classlabels_strings")
    return [op.tensor(0)]


HANDLERS: dict[str, Handler] = {
    "TreeEnsembleClassifier": _classifier,
    "TreeEnsembleRegressor": _regressor,
    "ZipMap": _zip_map,
}
