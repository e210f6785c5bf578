"""External programs: argv list in, finished run with a complete log out. Also atomic file writing and hashing."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.errors import GatewrightError, MissingToolError, ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """One finished external command. seconds: CPU seconds (user + system) of the child and its children."""

    argv: tuple[str, ...]
    log: Path
    stdout: str
    seconds: float


def run_tool(
    argv: Sequence[str],
    *,
    cwd: Path,
    log: Path,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> ToolRun:
    """Run argv in cwd and keep everything it prints in `log`.

    Raises MissingToolError when argv[0] cannot be started, ToolError (with the log's tail and path) when it
    exits non-zero or runs past timeout_s.
    """
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise MissingToolError(f"cannot start {argv[0]!r}: {error.strerror}; run `gatewright doctor`") from error
    except subprocess.TimeoutExpired as error:
        log.write_bytes(error.output or b"")
        raise ToolError(f"{Path(argv[0]).name} ran past {timeout_s:g} s; its log so far: {log}") from error
    text = done.stdout.decode(errors="replace")
    log.write_text(f"$ {' '.join(argv)}\n{text}")
    if done.returncode != 0:
        tail = "\n".join(text.splitlines()[-15:])
        raise ToolError(
            f"{' '.join(argv)[:200]}\nexited with {done.returncode}, expected 0. Last lines of {log}:\n{tail}"
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return ToolRun(argv=tuple(argv), log=log, stdout=text, seconds=seconds)


def end_with_parent() -> None:
    """End this process when the one that started it by multiprocessing does, killed too: nothing works on unseen."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def package_version(package: str) -> str | None:
    """Return the installed version of a Python distribution, or None where it is absent."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def digest(*parts: Any) -> str:
    """Return the SHA-256 (hex) of JSON-like values, bytes and paths (their content); order matters."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            data = part.read_bytes()
        elif isinstance(part, bytes):
            data = part
        else:
            data = json.dumps(part, sort_keys=True, default=str).encode()
        sha.update(str(len(data)).encode() + b":" + data)
    return sha.hexdigest()


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new one, never half."""
    raw = data.encode() if isinstance(data, str) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON with sorted keys, atomically."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


@contextlib.contextmanager
def new_directory(path: Path) -> Generator[Path]:
    """Yield an empty sibling directory that replaces `path` when the block ends well, and vanishes when it does not."""
    work = path.with_name(f".{path.name}.new")
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield work
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(path, ignore_errors=True)
    os.replace(work, path)


def unwritable(path: Path, error: OSError) -> GatewrightError:
    """Return the error for a place that cannot be written."""
    return GatewrightError(
        f"cannot write {path}: {error.strerror}; choose another directory with --out or mend its rights"
    )
