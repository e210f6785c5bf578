"""An XGBoost model file, JSON, in; a Graph of one Trees node, and the function of its objective, out.

XGBoost compares float32: x < t goes left. Missing values, for which each split has a default side, do not exist in
fixed point, so the sides do not matter. Source: XGBoost's doc/model.schema, versions 1.0 to 3.2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import ModelError, nearest
from gatewright.graph.nodes import Floats, Graph
from gatewright.importers.trees.collect import Forest, Split, model, one_of

# objective -> (what the base score's margin is, what follows the sum); "exp" is left to the host
_LOGIT, _SAME, _LOG = (lambda p: log(p / (1 - p))), float, log
OBJECTIVES: dict[str, tuple[Callable[[float], float], str]] = {
    **dict.fromkeys(("binary:logistic", "reg:logistic"), (_LOGIT, "sigmoid")),
    "binary:logitraw": (_LOGIT, ""),
    **dict.fromkeys(("multi:softprob", "multi:softmax"), (_SAME, "softmax")),
    **dict.fromkeys(
        ("reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror"),
        (_SAME, ""),
    ),
    **dict.fromkeys(("reg:quantileerror", "binary:hinge", "rank:pairwise", "rank:ndcg", "rank:map"), (_SAME, "")),
    **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie"), (_LOG, "exp")),
}


def load_xgboost(path: Path) -> Graph:
    """Return the model of a file that Booster.save_model("model.json") wrote; the function of margins comes last.

    Raises ModelError naming the tree, the node and the reason for categorical splits, linear boosters, unknown
    objectives and damaged files.
    """
    try:
        said = json.loads(path.read_bytes())
        return _convert(said, path.stem)
    except (ValueError, KeyError, TypeError, IndexError, OSError, RecursionError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f'{path}: not a complete XGBoost model ({what}); write it with booster.save_model("model.json")'
        ) from None
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _convert(said: Any, name: str) -> Graph:
    learner = said["learner"]
    booster, settings = learner["gradient_booster"], learner["learner_model_param"]
    kind = booster["name"]
    if kind == "gblinear":
        raise ModelError("the booster is gblinear, a linear model without trees; use a Dense layer, or booster gbtree")
    weights: list[float] | None = None
    if kind == "dart":
        weights, booster = [float(w) for w in booster["weight_drop"]], booster["gbtree"]
    objective = learner["objective"]["name"]
    if objective not in OBJECTIVES:
        raise ModelError(f"the objective {objective!r} is not known.{nearest(objective, list(OBJECTIVES))}")
    margin, function = OBJECTIVES[objective]
    outputs = max(int(settings["num_class"]), int(settings.get("num_target", 1)), 1)
    bases = [float(v) for v in re.findall(r"[^\[\],\s]+", settings["base_score"])]
    bias = np.array([_float32(margin(v)) for v in bases])
    trees, groups = booster["model"]["trees"], booster["model"]["tree_info"]
    forest = Forest(outputs)
    for number, (tree, group) in enumerate(zip(trees, groups, strict=True)):
        weight = 1.0 if weights is None else weights[number]
        _add(forest, number, tree, int(group), weight)
    notes = [_note(objective)] if function == "exp" or objective == "binary:hinge" else []
    return model(
        forest,
        name=name,
        format="xgboost",
        features=int(settings["num_feature"]),
        bias=np.broadcast_to(bias, (outputs,)),
        origin=f"XGBoost, {objective}, {len(trees)} trees",
        function="" if function == "exp" else function,
        notes=notes,
        metadata={"version": ".".join(map(str, said.get("version", []))), "objective": objective, "margin": "trees"},
    )


def _note(objective: str) -> str:
    what = "the step at 0" if objective == "binary:hinge" else "exp"
    return f"left out: {what} of {objective}; the graph gives the margin before it, which has the same order"


def _add(forest: Forest, number: int, tree: Any, group: int, weight: float) -> None:
    size = int(tree["tree_param"].get("size_leaf_vector", "1") or 1)
    if size not in (0, 1, forest.outputs):
        raise ModelError(f"tree {number} has leaves of {size} values for {forest.outputs} outputs; copy the file again")
    left, right, feature = tree["left_children"], tree["right_children"], tree["split_indices"]
    value, kinds = tree["split_conditions"], tree.get("split_type") or [0] * len(left)

    def at(node: int) -> Split | Floats:
        if not 0 <= node < len(left):
            raise ModelError(f"tree {number}: node {node} of {len(left)} does not exist; copy the file again")
        if left[node] == -1:
            if size > 1:  # multi_strategy "multi_output_tree": leaves are numbered where their right child would be
                row = np.array(tree["leaf_weights"][right[node] * size : (right[node] + 1) * size], dtype=np.float32)
                return (row * np.float32(weight)).astype(np.float64)
            return one_of(forest.outputs, group, _float32(_float32(value[node]) * _float32(weight)))
        if kinds[node]:
            raise ModelError(
                f"tree {number}, node {node}: a categorical split of feature {feature[node]}; encode categories as "
                "numbers (one-hot) before training, without enable_categorical"
            )
        return Split(feature[node], _float32(value[node]), left[node], right[node])

    forest.add(0, at)


def _float32(value: float) -> float:
    return float(np.float32(value))
