"""Files and folders that appear whole or not at all, and what is said where they cannot."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from gatewright.errors import GatewrightError
from gatewright.tools import new_directory, remove_leftovers, write_array, write_atomic, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), sync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("name"), replace(a, b))[1])
    write_atomic(tmp_path / "a", "text")
    assert done == ["sync", "name", "sync"]  # the content, the name, the folder that holds it
    done.clear()
    with new_directory(tmp_path / "d") as work:
        (work / "plain").write_text("written by a tool")
    assert done == ["sync", "sync", "name", "sync"]  # the file, its folder, the name, the folder that holds it
    assert names(tmp_path) == ["a", "d"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space left on device; make room on its disk and run again, what is finished is kept"),
        (errno.EDQUOT, "Disk quota exceeded; make room on its disk"),
        (errno.EACCES, "Permission denied; choose another directory with --out or mend its rights"),
        (errno.EIO, "Input/output error; choose another directory"),
    ],
)
def test_a_failed_write_keeps_the_old_file_and_says_what_helps(tmp_path, monkeypatch, number, said):
    write_atomic(tmp_path / "a", "old")

    def fail(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(GatewrightError, match=f"cannot write {tmp_path}/a: {said}"):
        write_atomic(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def fill(folder: Path) -> None:
    with new_directory(folder) as work, (work / "a").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.fixture
def small_files():
    """Let no file of this process grow beyond 4 KiB."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_file_larger_than_the_limit(tmp_path, small_files):
    with pytest.raises(GatewrightError, match=r"File too large; raise the limit of a file's size \(ulimit -f\)"):
        write_array(tmp_path / "a.npy", np.zeros(1000))
    assert names(tmp_path) == []


def test_a_full_disk_within_a_folder_leaves_the_old_one(tmp_path, small_files):
    with new_directory(tmp_path / "d") as work:
        write_atomic(work / "a", "old")
    with pytest.raises(GatewrightError, match=f"cannot write {tmp_path}/d: File too large"):
        fill(tmp_path / "d")
    assert (tmp_path / "d" / "a").read_text() == "old"
    assert names(tmp_path) == ["d"]


def test_something_else_in_a_files_place(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(GatewrightError, match=r"Is a directory; something else stands in its place: move that away"):
        write_atomic(tmp_path / "a", "text")
    assert names(tmp_path) == ["a"]
    target = tmp_path / "target"
    target.write_text("kept")
    (tmp_path / "link").symlink_to(target)
    write_atomic(tmp_path / "link", "new")
    assert target.read_text() == "kept"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "pipe"])
def test_something_else_in_a_folders_place_is_refused_before_any_work(tmp_path, kind):
    path, elsewhere = tmp_path / "d", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    match kind:
        case "file":
            path.write_text("text")
        case "link":
            path.symlink_to(elsewhere)
        case "dangling":
            path.symlink_to("nothing")
        case _:
            os.mkfifo(path)
    with (
        pytest.raises(
            GatewrightError, match=r"d must be a folder that gatewright makes, not a .*; move it away, or choose"
        ),
        new_directory(path),
    ):
        pytest.fail("it was begun")
    assert names(elsewhere) == ["kept"]
    assert names(tmp_path) == ["d", "elsewhere"]


@pytest.mark.parametrize("word", ["new", "old"])
def test_what_a_kill_left_in_the_way_is_removed_links_not_followed(tmp_path, word):
    elsewhere, left = tmp_path / "elsewhere", tmp_path / f".d.{word}"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    for leave in (
        lambda: left.symlink_to(elsewhere),
        lambda: left.write_text(""),
        lambda: (left / "deep").mkdir(parents=True),
    ):
        leave()
        with new_directory(tmp_path / "d") as work:
            (work / "a").touch()
        assert names(tmp_path) == ["d", "elsewhere"]
        assert names(tmp_path / "d") == ["a"]
    assert names(elsewhere) == ["kept"]


def test_leftovers_of_killed_writes_go_and_nothing_else(tmp_path):
    for name in (".results.json.abcd_123.part", ".part", "a.part", ".mine.part", ".lock"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".lock", ".mine.part", ".part", "a.part"]


def test_json_holds_no_number_that_json_lacks(tmp_path):
    write_json(tmp_path / "a.json", {"b": [float("inf"), 1.5], "a": (float("nan"), {"c": -float("inf")})})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [None, {"c": None}], "b": [None, 1.5]}
