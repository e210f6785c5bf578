"""A run directory: stages as folders, each written whole or not at all, skipped when nothing it depends on changed.

A stage's key is the hash of its configuration, its tools, the code of its step (flow/steps.py finds it) and the
*present content* of the stages it reads. So a file edited by hand is used as it is, and everything downstream runs
again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.errors import GatewrightError
from gatewright.flow.steps import step_digest
from gatewright.tools import digest, new_directory, package_version, unwritable, write_json

_VOLATILE_SUFFIXES = {".log"}
_VOLATILE_NAMES = {"stage.json", "timing.json", "speed.json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the flow. run(folder) writes its results into an empty folder.

    needs: stages whose files it reads. settings: JSON-like values it depends on. packages: distributions whose
    versions matter. root_files: files at the run's root that it writes besides its folder.
    """

    name: str
    title: str
    run: Callable[[Path], None]
    needs: tuple[str, ...] = ()
    settings: Any = None
    packages: tuple[str, ...] = ()
    root_files: tuple[str, ...] = ()


def unheard(_stage: Stage, _status: str) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class RunDirectory:
    """One directory of stage folders; `notify(stage, status)` is told "cached", "running" and "done"."""

    path: Path
    notify: Callable[[Stage, str], None] = unheard

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Hold the directory for one process; leaves nothing behind where no stage was finished.

        Raises GatewrightError where the directory cannot be written or another run holds it.
        """
        fresh = [p for p in (self.path, *self.path.parents) if not p.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = (self.path / ".lock").open("w")
        except OSError as error:
            raise unwritable(self.path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()  # and leave the file, which is the other's
            raise GatewrightError(
                f"{self.path} is in use by another gatewright run; wait for it or choose another --out"
            ) from None
        try:
            yield
        finally:
            handle.close()
            with contextlib.suppress(FileNotFoundError):
                (self.path / ".lock").unlink()
            for folder in fresh:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def folder(self, stage: str) -> Path:
        """Return a stage's folder."""
        return self.path / stage

    def work(self, stage: str) -> Path:
        """Return the stage's scratch folder, which survives a kill and goes when the stage is done."""
        return self.path / ".work" / stage

    def execute(self, stage: Stage) -> bool:
        """Run a stage unless its results are there and current; returns whether it ran."""
        key = self.key(stage)
        if self._is_current(stage, key):
            self.notify(stage, "cached")
            return False
        self.notify(stage, "running")
        with new_directory(self.folder(stage.name)) as out:
            try:
                stage.run(out)
            except GatewrightError as error:
                kept = self._keep_logs(stage, out)
                raise type(error)(str(error).replace(str(out), str(kept))) from error
            versions = {name: package_version(name) for name in stage.packages}
            record = {"key": key, "title": stage.title, "packages": versions, "files": self._files(out)}
            write_json(out / "stage.json", record)
        shutil.rmtree(self.path / "failed" / stage.name, ignore_errors=True)
        shutil.rmtree(self.work(stage.name), ignore_errors=True)
        for empty in ("failed/synth", "failed", ".work"):
            with contextlib.suppress(OSError):
                (self.path / empty).rmdir()
        self.notify(stage, "done")
        return True

    def key(self, stage: Stage) -> str:
        """Return the hash of everything the stage depends on."""
        upstream = {name: self._content(name) for name in stage.needs}
        versions = {name: package_version(name) for name in stage.packages}
        return digest(stage.name, stage.settings, versions, upstream, step_digest(stage.run))

    def edited(self, stage: str) -> list[str]:
        """Return the stage's files that differ from what the stage wrote."""
        folder = self.folder(stage)
        recorded: Mapping[str, str] = _read(folder / "stage.json").get("files", {})
        present = self._files(folder)
        return sorted(name for name in recorded if name in present and present[name] != recorded[name])

    def _keep_logs(self, stage: Stage, out: Path) -> Path:
        """Save a failed stage's logs under failed/, for its error names them; nothing else of it stays."""
        kept = self.path / "failed" / stage.name
        for log in out.rglob("*.log"):
            target = kept / log.relative_to(out)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, target)
        return kept

    def _is_current(self, stage: Stage, key: str) -> bool:
        record = _read(self.folder(stage.name) / "stage.json")
        files: Sequence[str] = list(record.get("files", {}))
        complete = all((self.folder(stage.name) / name).is_file() for name in files)
        return record.get("key") == key and complete and all((self.path / name).is_file() for name in stage.root_files)

    def _content(self, stage: str) -> str:
        return digest(sorted(self._files(self.folder(stage)).items()))

    def _files(self, folder: Path) -> dict[str, str]:
        found = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {
            str(path.relative_to(folder)): digest(path)
            for path in found
            if path.name not in _VOLATILE_NAMES and path.suffix not in _VOLATILE_SUFFIXES
        }


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
