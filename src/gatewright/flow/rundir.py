"""A run directory: stages as folders, each written whole or not at all, skipped when nothing it depends on changed.

A stage's key is the hash of its configuration, its tools, the code of its step (flow/steps.py finds it) and the
*present content* of the stages it reads. So a file edited by hand is used as it is, and everything downstream runs
again.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from gatewright.errors import GatewrightError
from gatewright.flow.lock import locked
from gatewright.flow.steps import step_digest
from gatewright.tools import digest, file_digest, new_directory, no_room, package_version, require_folder, write_json

_VOLATILE_SUFFIXES = {".log"}
_VOLATILE_NAMES = {"stage.json", "timing.json", "speed.json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the flow. run(folder) writes its results into an empty folder.

    needs: stages whose files it reads. settings: JSON-like values it depends on. packages: distributions whose
    versions matter. root_files: files at the run's root that it writes besides its folder. check(): raises
    MissingToolError where a program or package that it starts is not installed. outside: its work is done by programs
    that it starts, and it needs nothing of its neighbours that are so too. expects(): how long it may take, in words.
    """

    name: str
    title: str
    run: Callable[[Path], None]
    needs: tuple[str, ...] = ()
    settings: Any = None
    packages: tuple[str, ...] = ()
    root_files: tuple[str, ...] = ()
    check: Callable[[], None] | None = None
    outside: bool = False
    expects: Callable[[], str] | None = None


def unheard(_stage: Stage, _status: str) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class RunDirectory:
    """One directory of stage folders; `notify(stage, status)` is told "cached", "running" and "done".

    And, of a stage that may take long, any other text: how long. kept: stages that were found as they should be.
    """

    path: Path
    notify: Callable[[Stage, str], None] = unheard
    kept: list[str] = field(default_factory=list[str])

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Hold the directory for one process; leaves nothing behind where no stage was finished.

        Raises GatewrightError where the directory cannot be written or another run holds it.
        """
        with locked(self.path):
            for name in (".work", "failed"):  # what is removed below them must be ours
                require_folder(self.path / name)
            yield

    def folder(self, stage: str) -> Path:
        """Return a stage's folder."""
        return self.path / stage

    def work(self, stage: str) -> Path:
        """Return the stage's scratch folder, which survives a kill and goes when the stage is done."""
        return self.path / ".work" / stage

    def is_current(self, stage: Stage) -> bool:
        """Say whether a stage's results are there and made of what there is now."""
        return self._is_current(stage, self.key(stage))

    def execute(self, stage: Stage, *, current: bool = False) -> bool:
        """Run a stage unless its results are there and current; returns whether it ran.

        current: `is_current` was asked just now, and said so.
        """
        key, versions = ("", {}) if current else (self.key(stage), self._versions(stage))
        if current or self._is_current(stage, key):
            self.kept.append(stage.name)
            self.notify(stage, "cached")
            return False
        self.notify(stage, "running")
        if stage.expects is not None:
            self.notify(stage, stage.expects())
        began = time.monotonic()
        for above in list(Path(stage.name).parents)[:-1]:
            require_folder(self.path / above)
        with new_directory(self.folder(stage.name)) as out:
            try:
                stage.run(out)
            except GatewrightError as error:
                kept = self._keep_logs(stage, out)
                text = str(error).replace(str(out), str(kept))
                raise type(error)(f"{text}{self._doubts(stage)}") from error
            except Exception as error:
                self._explain(stage, out, error)
                raise
            record = {
                "key": key,
                "title": stage.title,
                "packages": versions,
                "seconds": round(time.monotonic() - began, 2),
                "files": self._files(out),
            }
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
        versions = self._versions(stage)
        return digest(stage.name, stage.settings, versions, upstream, step_digest(stage.run))

    def _versions(self, stage: Stage) -> dict[str, str | None]:
        """Return the versions of the stage's packages; of one that is not installed, that which made what is there.

        So results of a training serve on a machine without torch, which could not make them anew.
        """
        record: Any = _read(self.folder(stage.name) / "stage.json").get("packages")
        made: Mapping[str, str] = cast("Mapping[str, str]", record) if isinstance(record, dict) else {}
        return {name: package_version(name) or made.get(name) for name in stage.packages}

    def seconds(self, stage: str) -> float | None:
        """Return how long a stage took when it ran, None where that is not known."""
        found = _read(self.folder(stage) / "stage.json").get("seconds")
        return found if isinstance(found, float) else None

    def edited(self, stage: str) -> list[str]:
        """Return the stage's files that differ from what the stage wrote."""
        folder = self.folder(stage)
        recorded = _recorded(_read(folder / "stage.json"))
        present = self._files(folder)
        return sorted(name for name in recorded if name in present and present[name] != recorded[name])

    def _doubts(self, stage: Stage) -> str:
        """Return what is to be said of a failed stage's inputs: those that are not as their stages wrote them."""
        changed = {name: files for name in stage.needs if (files := self.edited(name))}
        return "".join(
            f"\n{self.folder(name)}: {', '.join(files)} changed since this stage was written; if that was not meant, "
            f"delete the folder {self.folder(name)} and run again, which writes it anew"
            for name, files in changed.items()
        )

    def _explain(self, stage: Stage, out: Path, error: Exception) -> None:
        """Raise the GatewrightError of a failure that is no fault of the stage: memory, a full disk, changed input."""
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # as torch says it
            raise GatewrightError(
                f"stage {stage.name} needs more memory than there is ({type(error).__name__}: {error}); take fewer "
                "samples, smaller layers, or a machine with more"
            ) from error
        if full := no_room(out):
            raise GatewrightError(f"stage {stage.name} failed ({type(error).__name__}: {error}). {full}") from error
        if doubts := self._doubts(stage):
            raise GatewrightError(
                f"stage {stage.name} cannot use what it reads ({type(error).__name__}: {error}){doubts}"
            ) from error

    def _keep_logs(self, stage: Stage, out: Path) -> Path:
        """Save a failed stage's logs under failed/, for its error names them; nothing else of it stays."""
        kept = self.path / "failed" / stage.name
        with contextlib.suppress(OSError):  # a full disk: the error is the stage's own, which says more
            for log in out.rglob("*.log"):
                target = kept / log.relative_to(out)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(log, target)
        return kept

    def _is_current(self, stage: Stage, key: str) -> bool:
        record = _read(self.folder(stage.name) / "stage.json")
        files: Sequence[str] = list(_recorded(record))
        complete = all((self.folder(stage.name) / name).is_file() for name in files)
        return record.get("key") == key and complete and all((self.path / name).is_file() for name in stage.root_files)

    def _content(self, stage: str) -> str:
        return digest(sorted(self._files(self.folder(stage)).items()))

    def _files(self, folder: Path) -> dict[str, str]:
        found = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {
            str(path.relative_to(folder)): file_digest(path)
            for path in found
            if path.name not in _VOLATILE_NAMES and path.suffix not in _VOLATILE_SUFFIXES
        }


def _read(path: Path) -> dict[str, Any]:
    """Return a stage's record; nothing, so that the stage runs again, where it is missing or damaged."""
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _recorded(record: Mapping[str, Any]) -> Mapping[str, str]:
    files = record.get("files")
    return cast("Mapping[str, str]", files) if isinstance(files, dict) else {}
