"""Verilog and probes in, a compiled test bench (Bench) out."""

from __future__ import annotations

import importlib.resources
import resource
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gatewright.errors import GatewrightError
from gatewright.sim.design import PREFIX, check_members, check_probes, design_header, public_signals
from gatewright.sim.objects import compile_objects, library_objects
from gatewright.sim.toolchain import (
    find_compiler,
    find_verilator,
    link_argv,
    lint_argv,
    verilate_argv,
)
from gatewright.sim.trial import Device
from gatewright.tools import run_tool, write_atomic

_UNIT_BYTES = 400_000  # a larger model is compiled as several units of about this size, in parallel


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A compiled test bench of a device."""

    program: Path
    device: Device
    simulator: str
    build_cpu_seconds: float


def build_bench(device: Device, *, out: Path, level: int = 1) -> Bench:
    """Compile a device with the test bench into the directory `out`; one build serves any vectors and stalls.

    level: the compiler's -O level; 0 builds a little faster and runs several times slower.
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
    for name in ("bench.cpp", "bus.h"):
        write_atomic(out / name, (importlib.resources.files("gatewright.sim") / name).read_text())
    argv = verilate_argv(
        verilator, top=top, sources=[path.resolve() for path in device.sources], config=out / "probes.vlt", out=model
    )
    run_tool(argv, cwd=out, log=out / "verilator.log", env=verilator.env)
    header = (model / f"{PREFIX}___024root.h").read_text()
    check_members(top, device.probes, header, device.channels)

    files = [out / "bench.cpp", *sorted(model.glob("*.cpp"))]
    program = compile_model(files, out=out, includes=[f"-I{out}", f"-I{model}"], level=level)
    return Bench(
        program=program,
        device=device,
        simulator=f"Verilator {verilator.version}",
        build_cpu_seconds=children_seconds() - before,
    )


def compile_model(files: Sequence[Path], *, out: Path, includes: Sequence[str], level: int = 1) -> Path:
    """Compile a model's C++ files with their bench's and Verilator's library to a program in `out`; return its path.

    level: as in build_bench. Raises MissingToolError without a C++ compiler, ToolError where it fails.
    """
    verilator, compiler = find_verilator(), find_compiler()
    objects = [
        *compile_objects(compiler, _units(files, out), out=out, includes=[*includes, *verilator.includes], level=level),
        *library_objects(verilator, compiler, out=out),
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


def children_seconds() -> float:
    """CPU seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
