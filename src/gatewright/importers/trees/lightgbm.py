"""A LightGBM model file, text, in; a Graph of one Trees node, and the function of its objective, out.

LightGBM compares float64: x <= t goes left. Missing values do not exist in fixed point, so their side does not matter;
zeros do, and a split that takes them for missing is refused. Source: LightGBM 4.7's GBDT::SaveModelToString.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import ModelError, nearest
from gatewright.graph.nodes import Floats, Graph
from gatewright.importers.trees.collect import Forest, Split, after, model, one_of

HEADER = b"tree\n"
OBJECTIVES = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "multiclass": "softmax",
    "multiclassova": "sigmoid",
    **dict.fromkeys(
        ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "none"), ""
    ),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "exp"),
}
_CATEGORICAL, _MISSING_ZERO = 1, 1  # bit 0 of decision_type, and bits 2 and 3


def load_lightgbm(path: Path) -> Graph:
    """Return the model of a file that Booster.save_model("model.txt") wrote; the function of margins comes last.

    Raises ModelError naming the tree, the node and the reason for categorical splits, zeros that count as missing,
    linear leaves, unknown objectives and damaged files.
    """
    try:
        return _convert(path.read_text(encoding="utf-8"), path.stem)
    except (ValueError, KeyError, IndexError, OSError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f'{path}: not a complete LightGBM model ({what}); write it with booster.save_model("model.txt")'
        ) from None
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _convert(text: str, name: str) -> Graph:
    if "\nend of trees" not in text:
        raise ModelError("it ends before its trees do; copy the file again")
    head, *blocks = text.split("\nend of trees", maxsplit=1)[0].split("\nTree=")
    settings = _pairs(head)
    objective, *options = settings.get("objective", "none").split()
    if objective not in OBJECTIVES:
        raise ModelError(f"the objective {objective!r} is not known.{nearest(objective, list(OBJECTIVES))}")
    function = OBJECTIVES[objective]
    said = dict(option.split(":", 1) for option in options if ":" in option)
    outputs = int(settings["num_tree_per_iteration"])
    if outputs != int(settings["num_class"]):
        raise ModelError(f"it has {settings['num_class']} classes and {outputs} trees for each round; both must agree")
    forest = Forest(outputs)
    for number, block in enumerate(blocks):
        _add(forest, number, _pairs(block))
    averaged = any(line.strip() == "average_output" for line in head.splitlines())
    slope = float(said.get("sigmoid", 1.0)) if function == "sigmoid" else 1.0
    scale = slope / (len(blocks) // outputs if averaged else 1)
    notes = [f"left out: exp of {objective}; the graph gives the margin before it"] if function == "exp" else []
    if "sqrt" in options:
        notes.append("left out: the square (reg_sqrt); the graph gives the signed root before it")
    return model(
        forest,
        name=name,
        format="lightgbm",
        features=int(settings["max_feature_idx"]) + 1,
        bias=np.zeros(outputs),
        origin=f"LightGBM, {objective}, {len(blocks)} trees",
        scale=scale,
        function="" if function == "exp" else function,
        notes=notes,
        metadata={"objective": settings.get("objective", ""), "margin": "trees"},
    )


def _pairs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _add(forest: Forest, number: int, tree: dict[str, str]) -> None:
    if int(tree.get("is_linear", "0")):
        raise ModelError(f"tree {number} has linear leaves; train without linear_tree")
    values = [float(v) for v in tree["leaf_value"].split()]
    group = number % forest.outputs
    if int(tree["num_leaves"]) == 1:
        forest.add(-1, lambda _: one_of(forest.outputs, group, values[0]))
        return
    columns: dict[str, list[Any]] = {
        key: [kind(v) for v in tree[key].split()]
        for key, kind in (
            ("split_feature", int),
            ("threshold", float),
            ("decision_type", int),
            ("left_child", int),
            ("right_child", int),
        )
    }

    def at(node: int) -> Split | Floats:
        if node < 0:
            return one_of(forest.outputs, group, values[~node])
        feature, kind = columns["split_feature"][node], columns["decision_type"][node]
        if kind & _CATEGORICAL:
            raise ModelError(
                f"tree {number}, node {node}: a categorical split of feature {feature}; encode categories as numbers "
                "(one-hot) before training, without categorical_feature"
            )
        if kind >> 2 & 3 == _MISSING_ZERO:
            raise ModelError(
                f"tree {number}, node {node}: feature {feature} counts 0 as missing; train with zero_as_missing = false"
            )
        return Split(
            feature, after(columns["threshold"][node]), columns["left_child"][node], columns["right_child"][node]
        )

    forest.add(0, at)
