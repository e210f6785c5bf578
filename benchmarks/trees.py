"""Table `trees`: boosted trees of XGBoost and LightGBM on MAGIC and MNIST, exact against them, in LUTs by yosys.

Inputs are rounded to a few bits before training. The model comes in through its own file; leaves are rounded; the
rounded leaves go back into a file of XGBoost, whose margins on the whole test split must equal the program's with ==.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import boosted_luts, cells, datasets
from benchmarks.tables import BUILD, publish
from gatewright.export import export_graph
from gatewright.fixedpoint import Fixed
from gatewright.graph import Graph, evaluate
from gatewright.graph.nodes import Trees
from gatewright.graph.trees import with_leaf_bits
from gatewright.importers import load_model
from gatewright.importers.reference import VARIABLE
from gatewright.ir.text import print_program
from gatewright.lower.estimate import estimate
from gatewright.rtl.manifest import write_design
from gatewright.tools import digest, write_json
from tests.lowering import lower_for, only

CLOCK_MHZ = 250.0
LUT_ROUNDS = (
    70,
    150,
)  # of boosted_luts; the first passes 97.2 % of the images held out for validation, the second 97.9 %
REPLAYED = 256
NOTES = (
    "trees: of all classes; splits: all, and how many comparators differ. library %: of the test split, by the library",
    "with its own leaves; test %: by the program, argmax included. exact: test samples whose margins, all of them, are",
    "those of XGBoost with the same leaves (==); of LightGBM, which adds up doubles, within 1e-9 before rounding.",
    "rounds: of benchmarks/boosted_luts.py, whose trees of six one-bit pixels and leaves of one bit are a LUT each.",
    "LUT: LUT1..LUT6 and LUT6_2 cells by yosys, core only, comparators, adders and argmax included; MHz by our model.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model to train. bits: of an input; leaf_bits: of a leaf."""

    data: str
    library: str
    bits: int
    leaf_bits: int
    rounds: int
    settings: dict[str, Any]


CASES = (
    Case(
        data="magic",
        library="xgboost",
        bits=8,
        leaf_bits=5,
        rounds=100,
        settings={"objective": "binary:logistic", "max_depth": 5, "eta": 0.2},
    ),
    Case(
        data="magic",
        library="lightgbm",
        bits=8,
        leaf_bits=5,
        rounds=100,
        settings={"objective": "binary", "max_depth": 5, "num_leaves": 24, "learning_rate": 0.15},
    ),
    Case(
        data="mnist",
        library="xgboost",
        bits=4,
        leaf_bits=4,
        rounds=10,
        settings={"objective": "multi:softprob", "num_class": 10, "max_depth": 6, "eta": 0.6, "colsample_bynode": 0.3},
    ),
    Case(
        data="mnist",
        library="lightgbm",
        bits=1,
        leaf_bits=2,
        rounds=30,
        settings={
            "objective": "multiclass",
            "num_class": 10,
            "max_depth": 6,
            "num_leaves": 16,
            "learning_rate": 0.4,
            "feature_fraction_bynode": 0.3,
        },
    ),
)


def run() -> None:
    """Train what is not trained yet, measure all and publish the table."""
    rows = [_row(case) for case in CASES] + [_luts_row(rounds) for rounds in LUT_ROUNDS]
    publish("trees", "trees: boosted trees, exact against their libraries, xc7", rows, NOTES)


def codes(name: str, bits: int) -> dict[str, NDArray[Any]]:
    """Return x, y and test, test_y of a data set: samples as integers of so many bits, the training split's range."""
    data = datasets.magic() if name == "magic" else datasets.mnist()
    x, test = data["x"].reshape(len(data["x"]), -1).astype(np.float64), data["split"] == "test"
    if name == "mnist":
        q = (x.astype(np.int64) >> (8 - bits)).astype(np.float64)
    else:
        low, high = np.quantile(x[~test], 0.005, axis=0), np.quantile(x[~test], 0.995, axis=0)
        q = np.clip(np.floor((x - low) / (high - low) * (1 << bits)), 0, (1 << bits) - 1)
    return {"x": q[~test], "y": data["y"][~test], "test": q[test], "test_y": data["y"][test]}


def _row(case: Case) -> dict[str, Any]:
    text = json.dumps([case.data, case.library, case.bits, case.rounds, case.settings])
    folder = BUILD / "trees" / f"{case.data}_{case.library}_{digest(text)[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    data = codes(case.data, case.bits)
    np.savez(folder / "data.npz", x=data["x"], y=data["y"], test=data["test"])
    file = folder / ("model.json" if case.library == "xgboost" else "model.txt")
    margin = _margins(case, folder, file)
    graph = load_model(file)
    few = _rounded(graph, case.leaf_bits)
    source = Fixed(width_bits=case.bits, frac_bits=0, signed=False)
    scores = export_graph(few, name="trees", input_format=source)
    got = np.ldexp(scores.run(data["test"]).astype(np.float64), -scores.frac_bits)
    if case.library == "xgboost":
        back = folder / f"rounded{case.leaf_bits}.json"
        write_back(file, trees_of(few), back)
        exact = int((got == _margins(case, folder, back)).all(axis=1).sum())
    else:
        sums = evaluate(replace(graph, output="trees"), data["test"])
        exact = int((np.abs(sums - margin) <= 1e-9).all(axis=1).sum())
    measured = _measured(few, source, data["test"], data["test_y"], folder)
    return {
        "data": case.data,
        "made by": case.library,
        "bits": case.bits,
        "leaf bits": case.leaf_bits,
        "library %": _percent(_classes(margin), data["test_y"]),
        "exact": f"{exact:,} of {len(got):,}",
        **measured,
    }


def _luts_row(rounds: int) -> dict[str, Any]:
    """Return the row of trees that are one LUT each."""
    boosted = boosted_luts.trained(BUILD / "trees" / "boosted_luts.npz")
    _, _, test, labels = boosted_luts.images()
    graph = boosted_luts.graph_of(boosted, rounds)
    source = Fixed(width_bits=1, frac_bits=0, signed=False)
    folder = BUILD / "trees" / f"luts_{rounds}"
    measured = _measured(graph, source, (test >= 128).astype(np.float64), labels, folder)
    held = round(100 * float(boosted.validation[rounds - 1]), 2)
    return {"data": "mnist", "made by": f"{rounds} rounds", "bits": 1, "leaf bits": 1, "validation %": held, **measured}


def _measured(graph: Graph, source: Fixed, test: NDArray[Any], labels: NDArray[Any], folder: Path) -> dict[str, Any]:
    """Return what the program with its argmax, and its hardware, come to."""
    made = export_graph(graph, name="trees", input_format=source, output="argmax")
    lowered = lower_for(made.program, test[:REPLAYED].astype(np.int64), family="xc7", clock_mhz=CLOCK_MHZ)
    manifest = write_design(
        lowered, program_hash=digest(print_program(made.program)), stream_bits=0, folder=folder / "rtl"
    )
    found = cells.count(manifest.sources(folder / "rtl"), top=manifest.core, family="xc7", out=folder / "synth")
    tables, pipeline = trees_of(graph), only(lowered).schedule
    return {
        "trees": int(tables.roots.size),
        "splits": int(tables.feature.size),
        "comparators": len(set(zip(tables.feature.tolist(), np.ceil(tables.thresholds).tolist(), strict=True))),
        "test %": _percent(made.run(test)[:, 0], labels),
        "LUT": found.lut,
        "estimate": estimate(lowered).lut,
        "FF": found.ff,
        "cycles": pipeline.latency_cycles,
        "MHz": round(pipeline.fmax_mhz),
    }


def trees_of(graph: Graph) -> Trees:
    """Return the trees of a graph that has one such node."""
    (node,) = (node for node in graph.nodes if isinstance(node, Trees))
    return node


def _rounded(graph: Graph, bits: int) -> Graph:
    nodes = (with_leaf_bits(node, bits) if isinstance(node, Trees) else node for node in graph.nodes)
    return replace(graph, nodes=tuple(nodes))


def _classes(margin: NDArray[Any]) -> NDArray[Any]:
    """Return the class of each row of margins; of a single one, whether it is not negative."""
    return (margin[:, 0] >= 0).astype(np.int64) if margin.shape[1] == 1 else margin.argmax(axis=1)


def _percent(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    return round(100 * float((found == wanted).mean()), 2)


def _margins(case: Case, folder: Path, file: Path) -> NDArray[Any]:
    request = {
        "library": case.library,
        "settings": case.settings,
        "rounds": case.rounds,
        "data": str(folder / "data.npz"),
        "model": str(file),
        "answer": str(folder / f"{file.stem}.npz"),
    }
    write_json(folder / "request.json", request)
    python = os.environ.get(VARIABLE, sys.executable)
    worker = Path(__file__).parent / "trees_worker.py"
    subprocess.run([python, str(worker), str(folder / "request.json")], check=True, env={"OMP_NUM_THREADS": "1"})
    return np.load(folder / f"{file.stem}.npz")["margin"].astype(np.float64)


def write_back(file: Path, trees: Trees, out: Path) -> None:
    """Write an XGBoost file again with the leaves and the bias of `trees`, which were read from it.

    Leaves are met in the importer's order, left before right; the bias joins the leaves of each class's first tree.
    """
    said = json.loads(file.read_text())
    model, place, seen = said["learner"]["gradient_booster"]["model"], 0, set[int]()
    for tree, group in zip(model["trees"], model["tree_info"], strict=True):
        offset = 0.0 if group in seen else float(trees.bias[group])
        seen.add(group)
        pending = [0]
        while pending:
            node = pending.pop()
            if tree["left_children"][node] == -1:
                value = float(trees.leaves[place, group]) + offset
                tree["split_conditions"][node] = tree["base_weights"][node] = value
                place += 1
            else:
                pending += [tree["right_children"][node], tree["left_children"][node]]
    settings = said["learner"]["learner_model_param"]
    settings["base_score"] = "5E-1" if settings["num_class"] == "0" else "[" + ",".join(["0E0"] * len(seen)) + "]"
    out.write_text(json.dumps(said))
