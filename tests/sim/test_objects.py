"""Verilator's library is compiled once on a machine, again when anything that it depends on changes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gatewright.sim.objects import library_objects
from gatewright.sim.toolchain import Verilator
from gatewright.tools import cache_folder

COMPILER = """#!/bin/sh
if [ "$1" = --version ]; then echo "compiler {version}"; exit; fi
for last; do :; done
echo compiled >> {calls}
echo object {version} > "$last"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with Verilator's two sources, an empty cache and a place for builds."""
    monkeypatch.setenv("GATEWRIGHT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "include").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("verilated.cpp", "verilated_threads.cpp"):
        (tmp_path / "include" / name).write_text("// a library\n")
    return tmp_path


def objects(folder: Path, *, version: str = "1", verilator: str = "5.48") -> tuple[list[Path], int]:
    """Return the objects, and how many files were compiled for them."""
    calls, compiler = folder / "calls", folder / "cc"
    calls.write_text("")
    compiler.write_text(COMPILER.format(version=version, calls=calls))
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    tool = Verilator(program="verilator_bin", root=folder, version=verilator)
    found = library_objects(tool, [str(compiler)], out=folder / "out")
    return found, len(calls.read_text().splitlines())


def test_the_second_build_compiles_nothing(folder: Path):
    first, compiled = objects(folder)
    assert compiled == 2
    assert [path.name for path in first] == ["verilated.o", "verilated_threads.o"]
    assert {path.parent.parent for path in first} == {cache_folder()} == {folder / "cache"}
    assert objects(folder) == (first, 0)
    first[1].unlink()  # someone cleared up
    assert objects(folder) == (first, 2)


def test_what_it_depends_on_has_its_own(folder: Path):
    found = [objects(folder), objects(folder, version="2"), objects(folder, verilator="5.50")]
    (folder / "include" / "verilated.cpp").write_text("// another library\n")
    found.append(objects(folder))
    assert len({tuple(paths) for paths, _ in found}) == 4
    assert [compiled for _, compiled in found] == [2, 2, 2, 2]
    assert found[1][0][0].read_text() == "object 2\n"


def test_a_cache_that_cannot_be_written_costs_time_only(folder: Path):
    (folder / "cache").write_text("a file in the way")
    for _ in range(2):
        found, compiled = objects(folder)
        assert ({path.parent for path in found}, compiled) == ({folder / "out"}, 2)


def test_the_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("GATEWRIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "gatewright"
