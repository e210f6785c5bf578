"""The results of several runs in, one table of what they reach and cost, and a picture of it, out."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.errors import GatewrightError
from gatewright.report.hardware import family
from gatewright.tools import write_atomic

COLUMNS = ("run", "score", "interval", "LUT", "FF", "DSP", "BRAM", "cycles", "MHz", "part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One run: its score on the test split (accuracy, or RMSE where less is better), and what it costs."""

    name: str
    regression: bool
    score: float
    low: float | None
    high: float | None
    lut: int
    ff: int
    dsp: int
    bram: float
    cycles: int
    clock_mhz: float
    part: str
    measured: bool


def read_runs(paths: Sequence[Path]) -> list[Compared]:
    """Return the runs' figures, in the order given. Raises GatewrightError for what is no finished run."""
    return [_compared(path, read_results(path)) for path in paths]


def compare_text(runs: Sequence[Compared]) -> str:
    """Return the runs as an aligned table, the best score and the fewest LUTs marked with *."""
    score = min(r.score for r in runs) if runs[0].regression else max(r.score for r in runs)
    fewest = min(r.lut for r in runs)
    rows = [COLUMNS, *(_row(run, best=run.score == score, least=run.lut == fewest) for run in runs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(
            cell.ljust(w) if i in (0, 9) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if not all(run.measured for run in runs):
        lines.append("~ estimated: this run synthesized nothing for its part")
    return "\n".join(lines)


def compare_plot(runs: Sequence[Compared], path: Path) -> None:
    """Draw score over LUTs, .svg or .png by the path's suffix."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes: Any = figure.subplots()
    for run in runs:
        low, high = (run.score if end is None else end for end in (run.low, run.high))
        error = [[max(run.score - low, 0)], [max(high - run.score, 0)]]
        axes.errorbar([run.lut], [run.score], yerr=error, fmt="o", capsize=3, label=run.name)
    axes.set_xlabel("LUT")
    axes.set_ylabel("RMSE, test" if runs[0].regression else "accuracy, test")
    axes.margins(0.15)
    figure.legend(loc="outside upper left", ncols=4, fontsize=8)  # beside the points, never on one
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    kind = path.suffix.lstrip(".").lower() or "svg"
    if kind not in ("svg", "png", "pdf"):
        raise GatewrightError(f"--plot must end in .svg, .png or .pdf, not {path.name!r}")
    figure.savefig(buffer, format=kind, dpi=150)
    write_atomic(path, buffer.getvalue())


def read_results(path: Path) -> dict[str, Any]:
    """Return a finished run's results. Raises GatewrightError for what is none."""
    file = path / "results.json" if path.is_dir() else path
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        raise GatewrightError(
            f"{path} must be a finished run, with results.json, which is not there; `gatewright run` ends it"
        ) from None
    except (OSError, ValueError) as error:
        raise GatewrightError(
            f"{path} must be a finished run, with results.json: {error}; `gatewright run` ends it"
        ) from None


def _compared(path: Path, results: Mapping[str, Any]) -> Compared:
    hardware, own = results["hardware"], results["synthesis"].get(family(results))
    regression = results["task"] == "regression"
    score = hardware if "test_rmse" in hardware or "test_accuracy" in hardware else results["student"]
    counts = own or results["estimate"]
    return Compared(
        name=path.name if path.is_dir() else results["name"],
        regression=regression,
        score=score["test_rmse"] if regression else score["test_accuracy"],
        low=None if regression else score.get("test_accuracy_low"),
        high=None if regression else score.get("test_accuracy_high"),
        lut=int(counts.get("sites", counts["lut"])),
        ff=int(counts["ff"]),
        dsp=int(counts["dsp"]),
        bram=float(counts["bram"]),
        cycles=int(hardware["latency_cycles"]),
        clock_mhz=float(hardware["clock_mhz"]),
        part=str(hardware["part"]),
        measured=own is not None,
    )


def _row(run: Compared, *, best: bool, least: bool) -> tuple[str, ...]:
    score = f"{run.score:.4g}" if run.regression else f"{run.score:.2%}"
    interval = "" if run.low is None or run.high is None else f"{run.low:.1%}..{run.high:.1%}"
    lut = f"{'*' if least else ''}{'' if run.measured else '~'}{run.lut:,}"
    return (
        run.name, f"{'*' if best else ''}{score}", interval, lut, f"{run.ff:,}", f"{run.dsp:,}", f"{run.bram:g}",
        f"{run.cycles:,}", f"{run.clock_mhz:g}", run.part,
    )  # fmt: skip
