"""A disk that fills up in each stage: exit code 2, a message that helps, and a rerun that completes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from tests.flow.test_kill import CALL_TOOLS, STAGES

pytestmark = [pytest.mark.slow, pytest.mark.torch, pytest.mark.sim, pytest.mark.synth, pytest.mark.place]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, Path]:
    """Return a configuration and a finished run of it."""
    from tests.flow.conftest import SMALL

    folder = tmp_path_factory.mktemp("finished")
    config = folder / "small.toml"
    text = SMALL.replace("epochs = 40", "epochs = 4").replace("epochs = 60", "epochs = 4")
    config.write_text(text.replace("checkpoint_seconds = 0.0", "checkpoint_seconds = 60"))
    assert call(config, folder / "run") == (0, "")
    return config, folder / "run"


def call(config: Path, out: Path) -> tuple[int, str]:
    """Run in this process; return the exit code and what went to stderr."""
    done = CliRunner().invoke(main, ["run", str(config), "--out", str(out)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr


def until(run: Path, out: Path, stage: str) -> None:
    """Copy a finished run without one of its stages."""
    shutil.copytree(run, out)
    shutil.rmtree(out / stage)


def same_results(out: Path, run: Path) -> None:
    assert (out / "results.json").read_bytes() == (run / "results.json").read_bytes()
    assert not [path.name for path in out.iterdir() if path.name.startswith(".") or path.name == "failed"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_first_write_of_a_stage_fails(finished, tmp_path, monkeypatch, stage):
    config, run = finished
    out = tmp_path / "run"
    until(run, out, stage)
    sync, failed = os.fsync, []

    def full(handle: int) -> None:
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        if f".{stage.split('/')[-1]}.new/" in path:
            failed.append(path)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, said = call(config, out)
    assert failed
    assert code == 2, said
    assert "No space left on device; make room on its disk and run again, what is finished is kept" in said
    assert not (out / stage).exists()
    assert call(config, out) == (0, "")
    same_results(out, run)


@pytest.fixture
def small_disk(tmp_path):
    """Yield a folder that is a disk of its own, of 32 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m,nr_inodes=4k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        pytest.skip(f"no tmpfs can be mounted here ({done.stderr.strip() if done else 'no mount'}): needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


# The stages of our own writers are all above: one of them here, and those whose tools write for themselves.
@pytest.mark.parametrize(
    ("stage", "left"),
    [("teacher", 0), *((stage, left) for stage in sorted(CALL_TOOLS) for left in (0, 8192))],
)
def test_a_disk_without_room(finished, small_disk, stage, left):
    """The tools fail in their own ways on it, and some write half a file without a word."""
    config, run = finished
    out = small_disk / "run"
    until(run, out, stage)
    filler = small_disk / "filler"
    room = os.statvfs(small_disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - left)
    argv = [sys.executable, "-m", "gatewright", "run", str(config), "--out", str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if left and done.returncode == 0:
        return  # what the stage writes fits
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "make room" in done.stderr, done.stderr
    filler.unlink()
    again = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    same_results(out, run)
