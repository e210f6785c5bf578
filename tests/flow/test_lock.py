"""A run directory belongs to one process at a time, however often others ask for it, and its lock is only a mark."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from gatewright.errors import GatewrightError
from gatewright.flow.lock import locked
from gatewright.flow.rundir import RunDirectory


def test_a_refused_run_leaves_the_others_lock(tmp_path):
    with RunDirectory(tmp_path / "run").locked():
        for _ in range(2):
            with (
                pytest.raises(GatewrightError, match="is in use by another gatewright run"),
                RunDirectory(tmp_path / "run").locked(),
            ):
                pass
        (tmp_path / "run" / "kept").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["kept"]
    with RunDirectory(tmp_path / "run").locked():
        pass


def hold_often(folder: Path) -> int:
    """Take the lock again and again; return how often another was found inside."""
    clashes, held, inside = 0, 0, folder / "inside"
    while held < 100:
        try:
            with locked(folder):
                held += 1
                try:
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    clashes += 1
                os.sched_yield()
                inside.unlink(missing_ok=True)
        except GatewrightError:
            continue
    return clashes


def test_the_lock_has_one_holder_though_each_removes_its_file(tmp_path):
    (tmp_path / "kept").touch()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=spawn) as pool:
        assert list(pool.map(hold_often, [tmp_path] * 3)) == [0, 0, 0]


def test_a_file_removed_between_opening_and_locking_is_not_the_lock(tmp_path, monkeypatch):
    """The race of two holders, made certain: the first gives the lock up while the second waits at flock."""
    import fcntl

    first = locked(tmp_path)
    (tmp_path / "kept").touch()
    first.__enter__()
    flock, calls = fcntl.flock, []

    def late(handle: int, how: int) -> None:
        if not calls:
            first.__exit__(None, None, None)  # and its file with it
        calls.append(os.fstat(handle).st_ino)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path):
        assert len(calls) == 2, "the removed file was taken for the lock"
        assert (tmp_path / ".lock").stat().st_ino == calls[1]
        with pytest.raises(GatewrightError, match="is in use"), locked(tmp_path):
            pass


def test_a_link_in_the_locks_place_is_refused_and_its_target_kept(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "run").mkdir()
    for make in (lambda path: path.symlink_to(target), Path.mkdir, os.mkfifo):
        lock = tmp_path / "run" / ".lock"
        make(lock)
        with (
            pytest.raises(GatewrightError, match=r"run/\.lock must be a plain file, .* not a link, a folder or a dev"),
            locked(tmp_path / "run"),
        ):
            pass
        assert target.read_text() == "precious"
        lock.rmdir() if lock.is_dir() else lock.unlink()


def test_a_lock_that_holds_something_is_not_emptied(tmp_path):
    (tmp_path / "other").write_text("precious")
    os.link(tmp_path / "other", tmp_path / ".lock")
    with locked(tmp_path):
        pass
    assert (tmp_path / "other").read_text() == "precious"
