"""A run whose stages are done in, its results.json, history.json, config.json and report.html out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.tools import write_json

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.config import Config
    from gatewright.deploy import Board


def write_run_report(
    config: Config,
    run: Path,
    *,
    part: Part,
    board: Board | None,
    families: Sequence[str],
    kept: Collection[str] = (),
) -> dict[str, Any]:
    """Write the run's files that show it, and return the content of results.json. kept: stages of an earlier call."""
    from gatewright.report.collect import collect
    from gatewright.report.page import write_report
    from gatewright.report.schema import validate_results

    collected = collect(config, run, part, board, families, kept)
    validate_results(collected.results)
    write_json(run / "history.json", collected.history)
    write_json(run / "config.json", config.model_dump(mode="json"))
    write_json(run / "results.json", collected.results)
    write_report(
        run,
        collected.results,
        history=collected.history,
        examples=collected.examples,
        stages=collected.stages,
        ranges=collected.ranges,
        judged=collected.judged,
        command="gatewright run config.json",
    )
    return collected.results
