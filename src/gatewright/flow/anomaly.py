"""A configuration and the normal classes in; an anomaly score as simulated, synthesized hardware out."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gatewright.config import Config
from gatewright.data import load_dataset
from gatewright.errors import ConfigError, DataError
from gatewright.flow.build import build_program
from gatewright.flow.lock import locked
from gatewright.flow.lowering import chip_of
from gatewright.flow.rundir import Stage, unheard
from gatewright.flow.stages.networks import program_cost
from gatewright.flow.stages.output import output_stage
from gatewright.report.anomaly_page import write_anomaly_page
from gatewright.report.collect import data_part, origin
from gatewright.tools import write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gatewright.data import Dataset
    from gatewright.fit.anomaly.autoencoder import Autoencoder, Scored, Weighting
    from gatewright.graph.figures import Layer
    from gatewright.ir import OutputStage

Kind = Literal["autoencoder", "vae", "isolation"]
RESULTS = "anomaly.json"
SHARES = (0.01, 0.05, 0.1)  # of false alarms, for which thresholds are stated
_PICTURES = 6


def run_anomaly(
    config: Config,
    normal: tuple[str, ...],
    out: Path,
    *,
    kind: Kind | None = None,
    false_alarms: float | None = None,
    weighting: Weighting | None = None,
    beta: float | None = None,
    jobs: int = 1,
    notify: Callable[[Stage, str], None] = unheard,
    warn: Callable[[str], None] = warnings.warn,
    progress: bool = False,
) -> dict[str, Any]:
    """Train config.student, or config.trees, on the normal classes, export its score, build it, return anomaly.json.

    normal: class names; the other classes of the test split are the anomalies, those of the other splits serve at most
    the statistics of data.scaling. kind: "autoencoder", whose `weighting` (None: "laplace") is of `train_autoencoder`;
    "vae", whose `beta` (None: 1) is of `train_variational`; or "isolation", the isolation forest of config.trees; None:
    the last where there is that table, else the first. An option of another kind is a ConfigError.
    With student.precision "learned" an autoencoder is a front of them, of which student.learned.point or drop chooses.
    false_alarms: the output is 1 where the score reaches the threshold that at most this share of the normal
    validation samples reaches; None: the score, or what config.hardware.output = "threshold" says.
    `out` receives network/, program.txt, hardware/ (as `gatewright build` makes it), anomaly.json, history.json,
    config.json and report.html; checkpoints of training lie in work/. Every test sample is compared: float64 with
    program, program with simulated Verilog.
    Raises what the data, the fit, and the build raise; ConfigError for a task or output that gives no score.
    """
    from gatewright.fit import (
        anomalous,
        check_anomaly,
        export_anomaly,
        threshold_at,
        train_autoencoder,
        train_autoencoder_front,
        train_isolation,
        train_variational,
    )
    from gatewright.fit.anomaly.autoencoder import check_share
    from gatewright.graph import save_graph
    from gatewright.graph.figures import figures
    from gatewright.ir import OutputStage, save_program

    stage = output_stage(config) if "output" in config.hardware.model_fields_set else OutputStage(kind="scores")
    if config.task != "classification" or stage.kind not in ("scores", "threshold"):
        raise ConfigError(
            'an anomaly score needs task = "classification", whose labels tell normal from strange, and '
            f'hardware.output = "scores" or "threshold", not {config.task!r} and {stage.kind!r}'
        )
    if config.frontend is not None:
        raise ConfigError("an anomaly score is built without a unit in front; leave [frontend] out")
    kind = kind or ("autoencoder" if config.trees is None else "isolation")
    _check_kind(config, kind, weighting, beta)
    if false_alarms is not None:
        check_share(false_alarms)
    with locked(out):
        data = load_dataset(config)
        strange = anomalous(data, normal)
        if strange.all() or not strange.any():
            raise DataError(
                f"the test split must have normal samples ({', '.join(normal)}) and others; change the split"
            )
        x = data.part("test")[0]
        work, weighting, front = out / "work", weighting or "laplace", None
        if kind == "isolation":
            from gatewright.importers.trees import load_sklearn

            scored = train_isolation(config, data, normal, read=load_sklearn)
        elif kind == "vae":
            scored = train_variational(
                config, data, normal, work=work, beta=1.0 if beta is None else beta, progress=progress
            )
        elif config.student.precision == "learned":
            points = train_autoencoder_front(config, data, normal, work=work, weighting=weighting, progress=progress)
            rows, chosen = _front(config, points, data, normal)
            front, scored = {"chosen": chosen, "points": rows}, points[chosen][0]
        else:
            scored = train_autoencoder(config, data, normal, work=work, weighting=weighting, progress=progress)
        if false_alarms is not None:
            stage = OutputStage(kind="threshold", threshold=threshold_at(scored, data, normal, false_alarms))
        program = export_anomaly(scored, name=config.name, output=stage)
        checked = check_anomaly(scored, program, x)
        for name in (RESULTS, "report.html"):
            (out / name).unlink(missing_ok=True)
        save_graph(scored.network, out / "network" / "graph.npz")
        save_program(program, out / "program.txt")
        tables = {
            name: getattr(config, name).model_dump(exclude_unset=True)
            for name in ("hardware", "synthesis", "simulation")
        }
        hardware = build_program(
            out / "program.txt", out / "hardware", codes=x, jobs=jobs, notify=notify, warn=warn, **tables
        )
        hardware["hardware"]["output"] = stage.kind
        scores = scored.scores(x)
        results = {
            **origin(config),
            "normal": list(normal),
            "kind": kind,
            "data": data_part(data),
            **scored.describe(),
            "network": [_row(layer) for layer in figures(scored.network).layers],
            **_figures(scored, scores, data, normal, stage),
            "front": front,
            "export": {"samples_compared": checked, "mismatches": 0},  # a single one would have ended the run
            **hardware,
        }
        history = {kind: [dict(row) for row in scored.history]}
        write_json(out / "history.json", history)
        write_json(out / "config.json", config.model_dump(mode="json", exclude_unset=True))
        write_json(out / RESULTS, results)
        words = ["gatewright", "anomaly", "config.json", *(word for name in normal for word in ("--normal", name))]
        given = [("--kind", kind), ("--false-alarms", false_alarms), ("--beta", beta)]
        given += [("--weighting", weighting)] if kind == "autoencoder" else []
        words += [str(word) for option in given if option[1] is not None for word in option]
        examples = _extremes(data.samples("test"), scores, strange)
        write_anomaly_page(out, results, history=history, examples=examples, command=shlex.join(words))
        return results


def _check_kind(config: Config, kind: Kind, weighting: Weighting | None, beta: float | None) -> None:
    """Raise ConfigError for options or a table [trees] that the kind of score does not have."""
    if (weighting is not None and kind != "autoencoder") or (beta is not None and kind != "vae"):
        raise ConfigError(
            'weighting is a choice of kind "autoencoder", beta one of kind "vae"; leave out the one that is not of '
            f"kind {kind!r}"
        )
    if config.trees is not None and (kind != "isolation" or config.trees.kind != "isolation"):
        raise ConfigError(
            f'an anomaly score of trees is that of an isolation forest: set trees.kind = "isolation", not '
            f"{config.trees.kind!r}, and leave --kind out; or take the table trees out"
        )


def _row(layer: Layer) -> dict[str, Any]:
    row = layer.row()
    return {"layer": row.pop("name"), **row}


def _front(
    config: Config, points: Sequence[tuple[Autoencoder, dict[str, float]]], data: Dataset, normal: tuple[str, ...]
) -> tuple[list[dict[str, Any]], int]:
    """Return every point's figures, and which is taken: as student.learned says, of "score" and the estimated LUTs.

    "auc" and "interval" are of the test split and have no part in the choice.
    """
    from gatewright.fit import anomalous, anomaly_metrics, choose

    (x, _), strange, part = data.part("test"), anomalous(data, normal), chip_of(config)[0]
    rows: list[dict[str, Any]] = []
    for index, (found, row) in enumerate(points):
        cost = program_cost(found.program("point"), data, config, part)
        judged = anomaly_metrics(found.scores(x), strange)
        rows.append({"point": index, **row, **cost, "auc": judged["value"], "interval": judged["interval"]})
    return rows, choose(rows, config.model_copy(update={"task": "regression"}))


def _figures(
    scored: Scored, scores: NDArray[np.float64], data: Dataset, normal: tuple[str, ...], stage: OutputStage
) -> dict[str, Any]:
    """Return how well scores of the test split tell anomalies, beside scores without a network and at thresholds."""
    from gatewright.fit import (
        anomalous,
        anomaly_metrics,
        auc_difference,
        decision_shares,
        roc_points,
        score_histogram,
        simple_scores,
        threshold_at,
    )

    strange = anomalous(data, normal)

    def at(threshold: float) -> dict[str, Any]:
        return {"threshold": threshold, **decision_shares(scores >= threshold, strange)}

    return {
        **anomaly_metrics(scores, strange),
        "roc": roc_points(scores, strange),
        "scores": score_histogram(scores, strange),
        "thresholds": [{"share": share, **at(threshold_at(scored, data, normal, share))} for share in SHARES],
        "decision": at(np.atleast_1d(stage.threshold).item()) if stage.kind == "threshold" else None,
        "baselines": {
            name: {
                **{
                    key: value for key, value in anomaly_metrics(other, strange).items() if key in ("value", "interval")
                },
                "difference": auc_difference(scores, other, strange),
                "roc": roc_points(other, strange),
            }
            for name, other in simple_scores(data, normal).items()
        },
    }


def _extremes(
    x: NDArray[np.integer[Any]], scores: NDArray[np.float64], strange: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Return a few samples from either end of the scores of normal samples and of anomalies. x: (n, *shape)."""
    order = np.argsort(scores, kind="stable")
    shown: dict[str, NDArray[Any]] = {}
    for name, rows in (("normal", order[~strange[order]]), ("anomalies", order[strange[order]])):
        shown[f"{name}, least strange"] = x[rows[:_PICTURES]]
        shown[f"{name}, strangest"] = x[rows[::-1][:_PICTURES]]
    return shown
