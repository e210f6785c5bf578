"""Stages as they begin in, lines for who reads them out: where there is no terminal, one every half minute as well."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gatewright.flow.rundir import Stage

EVERY_S = 30.0


class Heard:
    """What `notify` of a run calls. As a context, it says every `every_s` seconds which stages are still running.

    So the log of a job on a cluster tells that it lives. every_s: 0 for never; None: EVERY_S without a terminal.
    """

    def __init__(self, every_s: float | None = None) -> None:
        self._every_s = every_s if every_s is not None else 0.0 if sys.stderr.isatty() else EVERY_S
        self._since: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __call__(self, stage: Stage, status: str) -> None:
        """Print that a stage begins, or is unchanged, or how long it may take."""
        if status == "running":
            self._since[stage.name] = time.monotonic()
            click.echo(f"[{stage.name}] {stage.title}")
        elif status == "cached":
            click.echo(f"[{stage.name}] unchanged")
        elif status == "done":
            self._since.pop(stage.name, None)
        else:
            click.echo(f"  {stage.name}: {status}")

    def __enter__(self) -> Heard:
        """Begin to say what is running."""
        if self._every_s:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Say no more."""
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(self._every_s):
            now = time.monotonic()
            for name, since in list(self._since.items()):
                if now - since < self._every_s / 2:  # has only begun
                    continue
                click.echo(f"[{name}] still running, {now - since:.0f} s", err=True)
