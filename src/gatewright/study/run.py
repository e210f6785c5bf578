"""A configuration and seeds in; all cells trained, in parallel and resumable; study.json, study.md, study.svg out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.config import Config
from gatewright.errors import ConfigError, GatewrightError
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.study.cells import COMBINATIONS, Combination, Seed, check, name_of
from gatewright.study.gains import Summary, summarise
from gatewright.study.plot import svg
from gatewright.study.text import markdown
from gatewright.tools import WorkerPool, write_atomic, write_json

if TYPE_CHECKING:
    from gatewright.chips import Part

Task = tuple[dict[str, Any], Path, int, "Part", Combination | None]  # None: the seed's data and teacher


def unheard(_name: str, _status: str) -> None:
    """Nobody listens."""


def run_study(
    config: Config,
    out: Path,
    *,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    jobs: int = 1,
    notify: Callable[[str, str], None] = unheard,
) -> Summary:
    """Train every combination with every seed in the directory `out` and write study.json, study.md and study.svg.

    Each cell is a folder that is written whole and skipped while nothing it depends on changed, so a killed study
    resumes. jobs: processes at once; results do not depend on it. notify(cell, "done" or "cached") hears of each.
    Raises ConfigError where the configuration leaves nothing to compare; the error of a cell that fails.
    """
    from gatewright.flow.lowering import chip_of

    check(config)
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 1 or jobs < 1:
        raise ConfigError(f"a study needs different seeds from 1 and at least one job, not {list(seeds)!r}, {jobs}")
    part, _ = chip_of(config)
    directory = RunDirectory(out)
    plain = config.model_dump(mode="json")
    bases: list[Task] = [(plain, out, seed, part, None) for seed in seeds]
    cells: list[Task] = [(plain, out, seed, part, chosen) for seed in seeds for chosen in COMBINATIONS]
    with directory.locked():
        directory.work("study").mkdir(parents=True, exist_ok=True)  # so that no cell's end removes the others' parent
        for tasks in (bases, cells):
            for name, status in _all(tasks, jobs):
                notify(name, status)
        shutil.rmtree(directory.work("study").parent)
        summary = _summary(config, directory, seeds, part)
        write_json(out / "config.json", plain)
        write_atomic(out / "study.svg", svg(summary, config.name))
        write_atomic(out / "study.md", markdown(summary, config.name))
        write_json(out / "study.json", summary.to_json())
    return summary


def _all(tasks: list[Task], jobs: int) -> Iterator[tuple[str, str]]:
    """Carry the tasks out and yield (name, status) as they end."""
    if jobs == 1:
        for task in tasks:
            yield from _carry_out(task)
        return
    workers = WorkerPool(min(jobs, len(tasks)))
    try:
        futures: list[Future[list[tuple[str, str]]]] = [workers.pool.submit(_carry_out, task) for task in tasks]
        for future in as_completed(futures):
            yield from future.result()
    finally:
        workers.end()


def _carry_out(task: Task) -> list[tuple[str, str]]:
    plain, out, number, part, chosen = task
    heard: list[tuple[str, str]] = []

    def note(stage: Stage, status: str) -> None:
        if status != "running":
            heard.append((stage.name, status))

    directory = RunDirectory(out, note)
    seed = Seed(config=Config.model_validate(plain), seed=number, directory=directory, part=part)
    for stage in seed.base_stages() if chosen is None else [seed.stage(chosen)]:
        try:
            directory.execute(stage)
        except GatewrightError as error:
            raise type(error)(f"{stage.name}: {error}") from error
    return heard


def _summary(config: Config, directory: RunDirectory, seeds: Sequence[int], part: Part) -> Summary:
    of = [Seed(config=config, seed=seed, directory=directory, part=part) for seed in seeds]
    data = [seed.results("data") for seed in of]
    return summarise(
        seeds=seeds,
        samples=data[0]["samples"],
        resplit=len({row["split"] for row in data}) > 1,
        teacher=[seed.results("teacher") for seed in of],
        cells={chosen: [seed.results(name_of(chosen)) for seed in of] for chosen in COMBINATIONS},
    )
