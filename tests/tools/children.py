"""Processes of the tests: who of them still runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LEFT_S = 2.0  # how long a child may outlive the process that started it


def running() -> list[tuple[int, str, list[str]]]:
    """Return (id, working directory, command) of every process that runs."""
    found: list[tuple[int, str, list[str]]] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
                found.append((int(folder.name), str((folder / "cwd").readlink()), command))
            except OSError:  # it has just ended
                continue
    return found


def sleepers(seconds: str, folder: Path) -> list[int]:
    """Return the ids of processes `sleep SECONDS` in a folder."""
    return [pid for pid, cwd, command in running() if command == ["sleep", seconds] and cwd == str(folder)]


def below(folder: Path) -> list[tuple[int, list[str]]]:
    """Return the processes that work in a folder or name a file in it."""
    text = str(folder)
    return [
        (pid, command)
        for pid, cwd, command in running()
        if pid != os.getpid() and (cwd.startswith(text) or any(text in word for word in command))
    ]


def gone(who: Callable[[], Sequence[object]]) -> bool:
    """Say whether there is nobody left within LEFT_S."""
    end = time.monotonic() + LEFT_S
    while who():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def note_and_sleep(path: Path) -> None:
    """Write this process's id to a file, and stay."""
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    time.sleep(60)
