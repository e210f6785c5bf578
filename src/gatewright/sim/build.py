"""Verilog and probes in, a compiled test bench (Bench) out."""

from __future__ import annotations

import importlib.resources
import os
import resource
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gatewright.errors import GatewrightError
from gatewright.sim.design import PREFIX, check_members, check_probes, design_header, public_signals
from gatewright.sim.toolchain import (
    Verilator,
    compile_argv,
    find_compiler,
    find_verilator,
    link_argv,
    lint_argv,
    verilate_argv,
)
from gatewright.sim.trial import Device
from gatewright.tools import digest, new_directory, run_tool, write_atomic

_UNIT_BYTES = 400_000  # a larger model is compiled as several units of about this size, in parallel
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A compiled test bench of a device."""

    program: Path
    device: Device
    simulator: str
    build_cpu_seconds: float


def build_bench(device: Device, *, out: Path, cache: Path | None = None, level: int = 1) -> Bench:
    """Compile a device with the test bench into the directory `out`; one build serves any vectors and stalls.

    cache: where Verilator's compiled runtime is kept between builds (it takes half of a small build's time); without
    one it is compiled in `out`. level: the compiler's -O level; 0 builds a little faster and runs several times slower.
    Raises MissingToolError without Verilator or a C++ compiler, ToolError where one fails.
    """
    top = device.top
    for path in device.sources:
        if not path.is_file():
            raise GatewrightError(f"no Verilog file {path}; {top!r} cannot be simulated without it")
    check_probes(device.probes, device.layers)
    verilator = find_verilator()
    find_compiler()
    before = children_seconds()
    out = out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    model = out / "model"
    model.mkdir(parents=True)
    write_atomic(out / "probes.vlt", public_signals(top, device.probes, device.channels))
    ports, watched = (device.source, device.result), (device.probes, device.layers, device.channels)
    header = design_header(top, *ports, *watched, framed=device.framed, core_beats=device.core_beats)
    write_atomic(out / "design.h", header)
    write_atomic(out / "bench.cpp", (importlib.resources.files("gatewright.sim") / "bench.cpp").read_text())
    argv = verilate_argv(
        verilator, top=top, sources=[path.resolve() for path in device.sources], config=out / "probes.vlt", out=model
    )
    run_tool(argv, cwd=out, log=out / "verilator.log", env=verilator.env)
    header = (model / f"{PREFIX}___024root.h").read_text()
    check_members(top, device.probes, header, device.channels)

    files = [out / "bench.cpp", *sorted(model.glob("*.cpp"))]
    program = compile_model(files, out=out, includes=[f"-I{out}", f"-I{model}"], cache=cache, level=level)
    return Bench(
        program=program,
        device=device,
        simulator=f"Verilator {verilator.version}",
        build_cpu_seconds=children_seconds() - before,
    )


def compile_model(
    files: Sequence[Path], *, out: Path, includes: Sequence[str], cache: Path | None = None, level: int = 1
) -> Path:
    """Compile a model's C++ files with their bench's and Verilator's library to a program in `out`; return its path.

    cache and level: as in build_bench. Raises MissingToolError without a C++ compiler, ToolError where it fails.
    """
    verilator, compiler = find_verilator(), find_compiler()
    objects = [
        *_compile(compiler, _units(files, out), out, [*includes, *verilator.includes], level=level),
        *_runtime(verilator, compiler, cache or out / "runtime"),
    ]
    run_tool(link_argv(compiler, objects=objects, target=out / "bench"), cwd=out, log=out / "link.log")
    return out / "bench"


def lint(*, sources: Sequence[Path], top: str, out: Path) -> None:
    """Check Verilog with all of Verilator's warnings. Raises ToolError (with the messages) where there is any."""
    verilator = find_verilator()
    out.mkdir(parents=True, exist_ok=True)
    argv = lint_argv(verilator, top=top, sources=[path.resolve() for path in sources])
    run_tool(argv, cwd=out, log=out / "lint.log", env=verilator.env)


def _units(files: Sequence[Path], out: Path) -> list[Path]:
    """Write units that include the files in groups: the headers are parsed once per unit, not once per file."""
    sizes = {file: file.stat().st_size for file in files}
    count = -(-sum(sizes.values()) // _UNIT_BYTES)
    groups: list[list[Path]] = [[] for _ in range(count)]
    for file in sorted(files, key=lambda file: (-sizes[file], file.name)):  # the largest first, to the smallest group
        min(groups, key=lambda group: sum(sizes[member] for member in group)).append(file)
    units: list[Path] = []
    for number, group in enumerate(filter(None, groups)):
        units.append(out / f"unit_{number}.cpp")
        write_atomic(units[-1], "".join(f'#include "{file.name}"\n' for file in sorted(group)))
    return units


def _runtime(verilator: Verilator, compiler: Sequence[str], folder: Path) -> list[Path]:
    """Return the objects of Verilator's own library, compiled unless `folder` has them.

    Without optimisation: the library does no work in the clock loop.
    """
    key = digest(verilator.version, str(verilator.root), list(compiler))[:16]
    place = (folder / f"verilated-{key}").resolve()
    objects = [place / f"{Path(name).stem}.o" for name in _RUNTIME]
    if not all(path.is_file() for path in objects):
        with new_directory(place) as work:
            files = [verilator.root / "include" / name for name in _RUNTIME]
            _compile(compiler, files, work, verilator.includes, level=0)
    return objects


def _compile(
    compiler: Sequence[str], files: Sequence[Path], out: Path, includes: Sequence[str], *, level: int
) -> list[Path]:
    """Compile the files in parallel; return their objects."""

    def one(file: Path) -> Path:
        target = out / f"{file.stem}.o"
        argv = compile_argv(compiler, source=file, target=target, includes=includes, level=level)
        run_tool(argv, cwd=out, log=out / f"{file.stem}.log")
        return target

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(one, files))


def children_seconds() -> float:
    """CPU seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
