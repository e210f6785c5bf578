"""Stages in order in, those that had to run out: one after another, or side by side where programs do their work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import groupby

from gatewright.errors import MissingToolError
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.tools import end_tools

_AGAIN_S = 0.2  # a stage that was told to stop may just have started its next program


def execute(
    directory: RunDirectory,
    stages: Sequence[Stage],
    warn: Callable[[str], None],
    *,
    look_ahead: bool = True,
    jobs: int = 1,
) -> tuple[str, ...]:
    """Run stages; return the names of those that were not cached.

    look_ahead: raise MissingToolError before any work for what any of them lacks, not where it is needed. jobs: how
    many stages that are `outside` run at once; where one fails, its neighbours are stopped and the error is raised.
    """
    ran: list[str] = []
    at = 0
    with directory.locked():
        checked = not look_ahead
        for outside, group in groupby(stages, key=lambda stage: stage.outside and jobs > 1):
            together = list(group)
            for number, stage in enumerate(together, start=at):
                current = not checked and directory.is_current(stage)
                if not checked and not current:
                    check_tools(directory, stages[number:])
                    checked = True
                if not outside:
                    ran += _one(directory, stage, warn, current=current)
            if outside:
                ran += _side_by_side(directory, together, warn, jobs)
            at += len(together)
    return tuple(ran)


def _one(directory: RunDirectory, stage: Stage, warn: Callable[[str], None], *, current: bool = False) -> list[str]:
    """Run a stage; return its name unless it was cached. current: it was found so just now."""
    if directory.execute(stage, current=current):
        return [stage.name]
    if edited := directory.edited(stage.name):
        warn(f"{directory.folder(stage.name)}: {', '.join(edited)} edited by hand, used as they are")
    return []


def _side_by_side(
    directory: RunDirectory, stages: Sequence[Stage], warn: Callable[[str], None], jobs: int
) -> list[str]:
    """Run stages that need nothing of each other, so many at a time; return the names of those not cached, in order."""
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(_one, directory, stage, warn) for stage in stages]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
            failed = next((f for f in running if f.done() and f.exception() is not None), None)
            if failed is not None:
                _stop(running)
                failed.result()
        except BaseException:  # Ctrl-C as well: a thread hears nothing of it
            _stop(running)
            raise
    return [name for found in running for name in found.result()]


def _stop(running: Sequence[Future[list[str]]]) -> None:
    """Stop what has not begun, and end the programs of the rest until nothing runs."""
    for future in running:
        future.cancel()
    while wait(running, timeout=_AGAIN_S).not_done:
        end_tools()


def check_tools(directory: RunDirectory, stages: Sequence[Stage]) -> None:
    """Raise MissingToolError before any work where stages that are not done need what is not installed."""
    missing: dict[str, str] = {}
    for stage in stages:
        if stage.check is not None and not directory.is_current(stage):
            try:
                stage.check()
            except MissingToolError as error:
                missing.setdefault(str(error), stage.name)
    if missing:
        lines = "".join(f"\n  stage {name}: {text}" for text, name in missing.items())
        done = stages[0].name if stages[0].name not in missing.values() else ""
        hint = f"; `--until STAGE` stops before, e.g. at {done}" if done else ""
        raise MissingToolError(f"not everything that this needs is installed{hint}:{lines}")
