"""A run or a program in; an hls4ml project, found equal to it on real vectors, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gatewright.config.hardware import Hardware
from gatewright.errors import ConfigError, nearest
from gatewright.fixedpoint import Ints
from gatewright.flow.codes import checked_codes
from gatewright.hls import (
    INCLUDES,
    Backend,
    Compared,
    HlsNetwork,
    HlsProject,
    Io,
    Settings,
    Strategy,
    build,
    compare,
    translate,
    write_project,
)
from gatewright.ir import Interpreter, Program, load_program
from gatewright.rtl.manifest import RtlManifest
from gatewright.sim.toolchain import find_compiler
from gatewright.tools import need, new_directory, write_json

VECTORS = 2000
Choice = TypeVar("Choice", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsResult:
    """A project and what of the program is in it.

    compared: what was, None where g++ does not compile the back end's C++. drawn: the vectors were random ones. depths:
    of the streams between layers, the words that hls4ml gives each and those that it has.
    """

    folder: Path
    network: HlsNetwork
    compared: Compared | None
    drawn: bool
    depths: Mapping[str, tuple[int, int]]


def hls_project(
    source: Path,
    out: Path,
    *,
    backend: str = "vitis",
    io: str = "parallel",
    strategy: str | None = None,
    reuse_factor: int | tuple[int, ...] | None = None,
    hardware: Hardware | None = None,
    codes: Ints | None = None,
    part: str = "",
    clock_ns: float | None = None,
    compiler: Sequence[str] | None = None,
) -> HlsResult:
    """Write the hls4ml project of a program.txt or a run directory into `out`, compile its C++, and compare.

    io: "parallel", or "stream" for a pixel at a time. strategy, reuse_factor: hls4ml's, one number for
    every layer or one for each that has weights; it takes the nearest factor that a layer can have. hardware: of the
    run's configuration, for the clock and the reuse factor that are None; strategy: None for "resource" where it shares
    multipliers, else "latency". clock_ns: None without `hardware` for the clock of the run's design, 5 ns where there
    is none.

    codes: (n, *input shape) input integers; None takes at most VECTORS samples of the run, or random ones of a file.
    compiler: the start of a C++ compiler's command line; None looks for one. `out` is replaced whole or not at all.
    Raises LowerError with every operation that has no exact counterpart, MismatchError, MissingToolError, DataError.
    """
    target = _chosen(backend, Backend, "HLS back end")
    streams = _chosen(io, Io, "io type")
    factors = (1 if hardware is None else hardware.reuse_factor) if reuse_factor is None else reuse_factor
    shares = reuse_factor is None and factors != 1
    plan = _chosen(strategy or ("resource" if shares else "latency"), Strategy, "strategy")
    if min([factors] if isinstance(factors, int) else factors, default=1) < 1:
        raise ConfigError(f"reuse factors must be 1 or more, not {factors!r}")
    program = load_program(source / "program" / "program.txt" if source.is_dir() else source)
    network = translate(program, target, streams)
    need("hls4ml", "an HLS project", "hls")
    own = _samples(source, program) if codes is None and source.is_dir() else codes
    x = checked_codes(own, program, VECTORS)
    settings = Settings(
        backend=target,
        io=streams,
        part=part,
        clock_ns=clock_ns if clock_ns is not None else _period_ns(source, hardware),
        strategy=plan,
        reuse_factor=factors,
    )
    with new_directory(out) as folder:
        project = write_project(network, settings, x, Interpreter(network.program).run(x), folder)
        compared: Compared | None = None
        if target in INCLUDES:
            build(project, list(compiler) if compiler is not None else find_compiler())
            compared = compare(project, x)
        write_json(folder / "compared.json", _record(project, compared, own is None))
    return HlsResult(folder=out, network=network, compared=compared, drawn=own is None, depths=project.depths)


def _chosen(word: str, choices: type[Choice], what: str) -> Choice:
    """Return the member of that name. Raises ConfigError."""
    names = {choice.name.lower(): choice for choice in choices}
    if word.lower() not in names:
        raise ConfigError(f"no {what} {word!r}.{nearest(word, list(names))}")
    return names[word.lower()]


def _period_ns(source: Path, hardware: Hardware | None) -> float:
    """Return the clock period that is configured, else that of a run's design, 5 where it has none."""
    if hardware is not None and hardware.clock_mhz:
        return 1000 / hardware.clock_mhz
    if not (source / "rtl" / "design.json").is_file():
        return 5.0
    return 1000 / RtlManifest.load(source / "rtl").claims.clock_mhz


def _samples(run: Path, program: Program) -> Ints | None:
    """Return the input codes of a run's samples, those of the test first, None where it keeps none."""
    from gatewright.data import Dataset

    if not (run / "data" / "dataset.json").is_file():
        return None
    data = Dataset.load(run / "data")
    order = np.argsort(-data.split.astype(np.int64), kind="stable")[:VECTORS]
    return data.x[order].astype(np.int64).reshape(len(order), *program.input.shape)


def _record(project: HlsProject, compared: Compared | None, drawn: bool) -> dict[str, Any]:
    settings, network = project.settings, project.network
    return {
        "program": network.program.name,
        "backend": settings.backend.name.lower(),
        "io": settings.io.name.lower(),
        "strategy": settings.strategy.name.lower(),
        "reuse_factor": settings.reuse_factor,
        "stream_depths": {name: ours for name, (_, ours) in project.depths.items()},
        "vectors": compared.vectors if compared else 0,
        "drawn": drawn,
        "values": compared.values if compared else 0,
        "layers": list(compared.layers) if compared else [],
        "host": list(network.host),
        "mismatches": 0 if compared else None,
    }
