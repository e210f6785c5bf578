"""A configuration and the normal classes in; an anomaly score as simulated, synthesized hardware out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gatewright.build import build_program
from gatewright.config import Config
from gatewright.data import load_dataset
from gatewright.errors import ConfigError, DataError
from gatewright.rundir import Stage, unheard
from gatewright.stages.networks import output_stage
from gatewright.tools import write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gatewright.fit.anomaly import Weighting

Kind = Literal["autoencoder", "vae"]
RESULTS = "anomaly.json"


def run_anomaly(
    config: Config,
    normal: tuple[str, ...],
    out: Path,
    *,
    kind: Kind = "autoencoder",
    false_alarms: float | None = None,
    weighting: Weighting | None = None,
    beta: float | None = None,
    notify: Callable[[Stage, str], None] = unheard,
    warn: Callable[[str], None] = warnings.warn,
    progress: bool = False,
) -> dict[str, Any]:
    """Train config.student on the normal classes, export its score, build it, and return what is in anomaly.json.

    normal: class names; the other classes of the test split are the anomalies, those of the other splits serve at most
    the statistics of data.scaling. kind: "autoencoder", whose `weighting` (None: "laplace") is of `train_autoencoder`,
    or "vae", whose `beta` (None: 1) is of `train_variational`; one of these with the other kind is a ConfigError.
    false_alarms: the output is 1 where the score reaches the threshold that at most this share of the normal
    validation samples reaches; None: the score, or what config.hardware.output = "threshold" says.
    `out` receives network/, program.txt, hardware/ (as `gatewright build` makes it) and anomaly.json; checkpoints of
    training lie in work/. Every test sample is compared: float64 with program, program with simulated Verilog.
    Raises what the data, the fit, and the build raise; ConfigError for a task or output that gives no score.
    """
    from gatewright.fit import (
        anomalous,
        anomaly_metrics,
        check_anomaly,
        export_anomaly,
        threshold_at,
        train_autoencoder,
        train_variational,
    )
    from gatewright.fit.anomaly import check_share
    from gatewright.ir import OutputStage

    stage = output_stage(config) if "output" in config.hardware.model_fields_set else OutputStage(kind="scores")
    if config.task != "classification" or stage.kind not in ("scores", "threshold"):
        raise ConfigError(
            'an anomaly score needs task = "classification", whose labels tell normal from strange, and '
            f'hardware.output = "scores" or "threshold", not {config.task!r} and {stage.kind!r}'
        )
    if (weighting if kind == "vae" else beta) is not None:
        raise ConfigError(
            'weighting is a choice of kind "autoencoder", beta one of kind "vae"; leave out the one that is not of '
            f"kind {kind!r}"
        )
    if false_alarms is not None:
        check_share(false_alarms)
    data = load_dataset(config)
    strange = anomalous(data, normal)
    if strange.all() or not strange.any():
        raise DataError(f"the test split must have normal samples ({', '.join(normal)}) and others; change the split")
    x = data.part("test")[0]
    scored = (
        train_variational(
            config, data, normal, work=out / "work", beta=1.0 if beta is None else beta, progress=progress
        )
        if kind == "vae"
        else train_autoencoder(
            config, data, normal, work=out / "work", weighting=weighting or "laplace", progress=progress
        )
    )
    if false_alarms is not None:
        stage = OutputStage(kind="threshold", threshold=threshold_at(scored, data, normal, false_alarms))
    program = export_anomaly(scored, name=config.name, output=stage)
    checked = check_anomaly(scored, program, x)
    (out / RESULTS).unlink(missing_ok=True)
    scored.network.save(out / "network")
    program.save(out / "program.txt")
    scores = scored.scores(x)
    tables = {
        name: getattr(config, name).model_dump(exclude_unset=True) for name in ("hardware", "synthesis", "simulation")
    }
    results = {
        "name": config.name,
        "normal": list(normal),
        **anomaly_metrics(scores, strange),
        "kind": kind,
        **scored.describe(),
        "network": scored.network.describe(),
        "checked": checked,
        "decision": _decision(scores >= stage.threshold, strange, stage.threshold)
        if stage.kind == "threshold"
        else None,
        "hardware": build_program(out / "program.txt", out / "hardware", codes=x, notify=notify, warn=warn, **tables),
    }
    write_json(out / RESULTS, results)
    return results


def _decision(called: NDArray[np.bool_], strange: NDArray[np.bool_], threshold: Any) -> dict[str, Any]:
    """Return what a threshold does on the test split: shares with 95 % Wilson intervals."""
    from gatewright.fit.metrics import wilson

    shares = {}
    for key, rows in (("found", strange), ("false_alarms", ~strange)):
        hits, count = int(called[rows].sum()), int(rows.sum())
        shares[key] = {"value": hits / count, "interval": wilson(hits, count), "samples": count}
    return {"threshold": threshold, **shares}
