"""C++ files in, objects out; those of Verilator's own library are compiled once on a machine.

The library takes half of a small build's time and is the same for every design, so its objects are kept in the user's
cache (tools/cache.py) under a name that says what they were made of and with.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gatewright.errors import GatewrightError
from gatewright.sim.toolchain import Verilator, compile_argv
from gatewright.tools import cache_folder, digest, run_tool, write_atomic

_FILES = ("verilated.cpp", "verilated_threads.cpp")


def compile_objects(
    compiler: Sequence[str], files: Sequence[Path], *, out: Path, includes: Sequence[str], level: int
) -> list[Path]:
    """Compile the files in parallel, at the compiler's -O level; return their objects, which lie in `out`."""

    def one(file: Path) -> Path:
        target = out / f"{file.stem}.o"
        argv = compile_argv(compiler, source=file, target=target, includes=includes, level=level)
        run_tool(argv, cwd=out, log=out / f"{file.stem}.log")
        return target

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(one, files))


def library_objects(verilator: Verilator, compiler: Sequence[str], *, out: Path) -> list[Path]:
    """Return the objects of Verilator's library: the cache's, else compiled in `out` and kept for the next build.

    Compiled without optimisation: the library does no work in the clock loop. A cache that cannot be written costs
    time and nothing else. Raises ToolError where the compiler fails.
    """
    place = cache_folder() / f"verilated-{_key(verilator, compiler)}"
    kept = [place / f"{Path(name).stem}.o" for name in _FILES]
    if all(path.is_file() for path in kept):
        return kept
    files = [verilator.root / "include" / name for name in _FILES]
    built = compile_objects(compiler, files, out=out, includes=verilator.includes, level=0)
    try:
        for path, made in zip(kept, built, strict=True):
            write_atomic(path, made.read_bytes())
    except GatewrightError:
        return built
    return kept


def _key(verilator: Verilator, compiler: Sequence[str]) -> str:
    """Return a name for what the objects depend on: sources, options, and the compiler's path and version."""
    said = subprocess.run([*compiler, "--version"], capture_output=True, stdin=subprocess.DEVNULL, check=False).stdout
    sources = [(verilator.root / "include" / name).read_text() for name in _FILES]
    options = compile_argv([], source=Path("a.cpp"), target=Path("a.o"), includes=[], level=0)
    return digest(verilator.version, sources, options, list(compiler), said.decode(errors="replace"))[:16]
