"""A run or a program in; an hls4ml project, found equal to it on real vectors, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import ConfigError, nearest
from gatewright.fixedpoint import Ints
from gatewright.flow.codes import checked_codes
from gatewright.hls import Backend, Compared, HlsNetwork, Settings, compare, translate, write_project
from gatewright.ir import Interpreter, Program, load_program
from gatewright.sim.toolchain import find_compiler
from gatewright.tools import need, new_directory, write_json

VECTORS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsResult:
    """A project, what of the program is in it, and what was compared. drawn: the vectors were random ones."""

    folder: Path
    network: HlsNetwork
    compared: Compared
    drawn: bool


def hls_project(
    source: Path,
    out: Path,
    *,
    backend: str = "vitis",
    codes: Ints | None = None,
    part: str = "",
    clock_ns: float = 5.0,
    compiler: Sequence[str] | None = None,
) -> HlsResult:
    """Write the hls4ml project of a program.txt or a run directory into `out`, compile its C++, and compare.

    codes: (n, *input shape) input integers; None takes at most VECTORS samples of the run, or random ones of a file.
    compiler: the start of a C++ compiler's command line; None looks for one. `out` is replaced whole or not at all.
    Raises LowerError with every operation that has no exact counterpart, MismatchError, MissingToolError, DataError.
    """
    names = {kind.name.lower(): kind for kind in Backend}
    if backend.lower() not in names:
        raise ConfigError(f"no HLS back end {backend!r}.{nearest(backend, list(names))}")
    program = load_program(source / "program" / "program.txt" if source.is_dir() else source)
    network = translate(program, names[backend.lower()])
    need("hls4ml", "an HLS project", "hls")
    own = _samples(source, program) if codes is None and source.is_dir() else codes
    x = checked_codes(own, program, VECTORS)
    settings = Settings(backend=names[backend.lower()], part=part, clock_ns=clock_ns)
    found = list(compiler) if compiler is not None else find_compiler()
    with new_directory(out) as folder:
        project = write_project(network, settings, x, Interpreter(network.program).run(x), folder)
        compared = compare(project, x, found)
        write_json(folder / "compared.json", _record(network, settings, compared, own is None))
    return HlsResult(folder=out, network=network, compared=compared, drawn=own is None)


def _samples(run: Path, program: Program) -> Ints | None:
    """Return the input codes of a run's samples, those of the test first, None where it keeps none."""
    from gatewright.data import Dataset

    if not (run / "data" / "dataset.json").is_file():
        return None
    data = Dataset.load(run / "data")
    order = np.argsort(-data.split.astype(np.int64), kind="stable")[:VECTORS]
    return data.x[order].reshape(len(order), *program.input.shape)


def _record(network: HlsNetwork, settings: Settings, compared: Compared, drawn: bool) -> dict[str, Any]:
    return {
        "program": network.program.name,
        "backend": settings.backend.name.lower(),
        "vectors": compared.vectors,
        "drawn": drawn,
        "values": compared.values,
        "layers": list(compared.layers),
        "host": list(network.host),
        "mismatches": 0,
    }
