"""A written hls4ml project and a C++ compiler in; every layer's every result compared with the program's by == out."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import MismatchError, ToolError
from gatewright.fixedpoint import Ints
from gatewright.hls.emulate import copy_quick
from gatewright.hls.layers import Backend, HlsLayer
from gatewright.hls.write import NAME, HlsProject, bench_file
from gatewright.ir import Interpreter
from gatewright.tools import run_tool

# of the back ends whose C++ g++ compiles; oneAPI's is SYCL
INCLUDES: dict[Backend, tuple[str, ...]] = {
    Backend.VITIS: ("firmware/ap_types",),
    Backend.VIVADO: ("firmware/ap_types",),
    Backend.QUARTUS: ("firmware/ac_types",),
    Backend.CATAPULT: (
        "firmware/ac_types/include",
        "firmware/ac_math/include",
        "firmware/ac_simutils/include",
        "firmware/nnet_utils",
    ),
}

RECORDED = 1 << 22  # numbers of every layer that are on the disk at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was found equal. layers: the program's operations whose results were, in order; values: how many numbers."""

    vectors: int
    layers: tuple[str, ...]
    values: int


def compile_argv(compiler: Sequence[str], backend: Backend, source: Path, out: Path, *, level: int = 1) -> list[str]:
    """Return the command that compiles an emulation and its bench to `out`, to be run in the source's folder."""
    includes = [f"-I{folder}" for folder in INCLUDES[backend]]
    return [*compiler, "-std=c++17", f"-O{level}", "-w", *includes, source.name, "-o", str(out)]


def build(project: HlsProject, compiler: Sequence[str], *, level: int = 1, timeout_s: float = 3600.0) -> None:
    """Compile the emulation and the bench to ./bench in the project's folder. Raises ToolError of the compiler.

    level: of optimization; 0 compiles quicker and runs slower.
    """
    folder, backend = project.folder, project.settings.backend
    with tempfile.TemporaryDirectory(prefix="gatewright-hls-") as quick:
        source = copy_quick(folder, bench_file(backend), f"firmware/{NAME}.cpp", Path(quick))
        argv = compile_argv(compiler, backend, source, folder.resolve() / "bench", level=level)
        run_tool(argv, cwd=Path(quick), log=folder / "compile.log", timeout_s=timeout_s)


def compare(project: HlsProject, codes: Ints, *, timeout_s: float = 3600.0) -> Compared:
    """Run the emulation that was built on the codes that the project was written with; compare with the interpreter.

    codes: (n, *input shape). Every layer that hls4ml keeps is compared, the last of which is the project's output.
    Raises MismatchError that names the first layer, element and value that differ.
    """
    folder = project.folder
    interpreter = Interpreter(project.network.program)
    known = interpreter.ranges
    output = next(layer for layer in project.network.layers if layer.op == project.network.program.output)
    columns = [output, *project.traced]
    sizes = [prod(known[layer.op].lo.shape) for layer in columns]
    starts = np.cumsum([0, *sizes])
    order = [*range(1, len(columns)), 0]  # the layers as they come, then the output as the caller gets it
    at_once = max(1, RECORDED // sum(sizes))
    for first in range(0, len(codes), at_once):
        part = codes[first : first + at_once]
        argv = ["./bench", "record.bin", str(first), str(len(part))]
        run_tool(argv, cwd=folder, log=folder / "bench.log", timeout_s=timeout_s)
        record, trace = _record(folder / "record.bin", len(part), sum(sizes)), interpreter.trace(part)
        for at in order:
            layer = columns[at]
            found = record[:, starts[at] : starts[at + 1]] * 2.0 ** known[layer.op].frac_bits
            _equal(layer, found, trace[layer.op].reshape(len(part), -1), first)
    (folder / "record.bin").unlink()
    layers = tuple(layer.op for layer in project.traced)
    return Compared(vectors=len(codes), layers=layers, values=len(codes) * sum(sizes))


def _record(path: Path, vectors: int, columns: int) -> NDArray[np.float64]:
    values = np.fromfile(path, dtype=np.float64)
    if values.size != vectors * columns:
        raise ToolError(
            f"{path} must hold {vectors} x {columns} numbers, not {values.size}; "
            f"its log is {path.with_name('bench.log')}"
        )
    return values.reshape(vectors, columns)


def _equal(layer: HlsLayer, found: NDArray[np.float64], wanted: Ints, first: int) -> None:
    wrong = np.argwhere(found != wanted)  # doubles of integers of at most 53 bits: exact
    if not len(wrong):
        return
    vector, element = map(int, wrong[0])
    raise MismatchError(
        f"layer {layer.layer!r} (%{layer.op}), element {element} of vector {first + vector}: hls4ml's C++ computes "
        f"{found[vector, element]:g}, the program {wanted[vector, element]}; {len(wrong):,} of {wanted.size:,} values "
        "differ. Nothing was handed over; please report it with the program"
    )
