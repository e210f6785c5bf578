"""External programs: argv list in, finished run with a complete log out. They end when this process does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatewright.errors import MissingToolError, ToolError
from gatewright.tools.files import no_room, write_atomic

KEEPER = Path(__file__).with_name("keeper.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """One finished external command. seconds: CPU seconds (user + system) of the child and its children."""

    argv: tuple[str, ...]
    log: Path
    stdout: str
    seconds: float


class _Leash:
    """A pipe that a keeper watches: closing its end here ends the command and all that it started."""

    def __init__(self) -> None:
        self.keeper, self._own = os.pipe()
        _held.add(self)

    def close(self) -> None:
        """End what is still running; does nothing the second time."""
        if self in _held:
            _held.discard(self)
            os.close(self._own)


_held: set[_Leash] = set()


def end_tools() -> None:
    """End every command that run_tool is waiting for, in all threads: they then fail there with a ToolError."""
    for leash in list(_held):
        leash.close()


def run_tool(
    argv: Sequence[str],
    *,
    cwd: Path,
    log: Path,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> ToolRun:
    """Run argv in cwd and keep everything it prints in `log`.

    It runs in a process group of its own beside a small keeper (tools/keeper.py), which kills the group when the
    command has ended, when the time is over, and when this process ends in any way, by SIGKILL too.
    Raises MissingToolError when argv[0] cannot be started, ToolError (with the log's tail and path) when it
    exits non-zero or runs past timeout_s.
    """
    environment = {**os.environ, **(env or {})}
    _require(argv[0], cwd, environment)
    code, output, seconds = _kept(argv, cwd, environment, timeout_s)
    text = output.decode(errors="replace")
    if code is None:
        write_atomic(log, text)
        raise ToolError(f"{Path(argv[0]).name} ran past {timeout_s:g} s; its log so far: {log}")
    whole = f"$ {' '.join(argv)}\n{text}"
    if code != 0:
        tail = "\n".join(text.splitlines()[-15:])
        full = no_room(cwd)
        if not full:
            write_atomic(log, whole)
        raise ToolError(f"{' '.join(argv)[:200]}\nexited with {code}, expected 0. {full}Last lines of {log}:\n{tail}")
    write_atomic(log, whole)
    return ToolRun(argv=tuple(argv), log=log, stdout=text, seconds=seconds)


def _kept(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout_s: float | None
) -> tuple[int | None, bytes, float]:
    """Return the exit code, None where the time was over, all that was printed, and the CPU seconds."""
    leash = _Leash()
    told, tell = os.pipe()
    try:
        with subprocess.Popen(
            [sys.executable, "-I", "-S", str(KEEPER), str(leash.keeper), str(tell), *argv],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(leash.keeper, tell),
            start_new_session=True,  # a terminal's Ctrl-C is for us; we end the command
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                leash.close()
                return None, process.communicate()[0], 0.0
            except BaseException:
                leash.close()
                raise
        os.close(tell)
        tell = -1
        return process.returncode, output, float(os.read(told, 64) or 0)
    finally:
        leash.close()
        for end in (leash.keeper, told, tell):
            if end >= 0:
                os.close(end)


def _require(program: str, cwd: Path, environment: Mapping[str, str]) -> None:
    """Raise MissingToolError where there is no such program to start."""
    path = cwd / program if "/" in program else shutil.which(program, path=environment.get("PATH"))
    if path is None or not Path(path).is_file():
        raise MissingToolError(f"cannot start {program!r}: No such file or directory; run `gatewright doctor`")
    if not os.access(path, os.X_OK):
        raise MissingToolError(f"cannot start {program!r}: it is no program; mend its rights (chmod +x)")
