"""An integer program from anywhere in; Verilog, simulation, synthesis and bitstream out: the flow without training."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.config import parse_config
from gatewright.fixedpoint import Ints
from gatewright.flow.clocks import warn_unreachable
from gatewright.flow.codes import checked_codes
from gatewright.flow.lowering import chip_of, choices_of, taken
from gatewright.flow.rundir import RunDirectory, Stage, unheard
from gatewright.flow.schedule import execute
from gatewright.flow.stages.hardware import Hardware
from gatewright.ir import Program, load_program, save_program
from gatewright.ir.text import print_program
from gatewright.report.built import built
from gatewright.tools import digest, load_npy, write_array, write_json


def build_program(
    program: Path,
    out: Path,
    *,
    codes: Ints | None = None,
    hardware: Mapping[str, Any] | None = None,
    synthesis: Mapping[str, Any] | None = None,
    simulation: Mapping[str, Any] | None = None,
    jobs: int = 1,
    notify: Callable[[Stage, str], None] = unheard,
    warn: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Compile, simulate and synthesize a saved program in the directory `out`; return what is in its build.json.

    Keys: name, and as in results.json hardware, estimate, synthesis, bitstream, board.
    codes: (n, *input shape) input integers, every one of which is simulated and compared; None draws
    simulation.vectors random ones. hardware, synthesis, simulation: the configuration's tables of these names.
    Stages are cached, and run side by side with jobs, as in `run`. Raises ProgramError, DataError for codes that do not
    fit, ConfigError, and from the stage that failed.
    """
    given = load_program(program)
    config = parse_config(
        {
            "name": _identifier(given.name),
            "data": {"source": str(program)},
            "hardware": dict(hardware or {}),
            "synthesis": dict(synthesis or {}),
            "simulation": dict(simulation or {}),
        },
        where=f"build of {program}",
    )
    loaded = taken(given, choices_of(config))
    checked = checked_codes(codes, loaded, config.simulation.vectors, seed=config.simulation.seed)
    part, board = chip_of(config)
    directory = RunDirectory(out, notify)
    folder = directory.folder("program")
    stages = Hardware(
        config=config,
        directory=directory,
        part=part,
        board=board,
        vectors=lambda: load_npy(folder / "codes.npy"),
        reads=("program",),
    )
    take = Stage(
        name="program",
        title="take the program and its input codes",
        run=lambda folder: _take(loaded, checked, folder),
        settings=[print_program(loaded), digest(np.ascontiguousarray(checked).tobytes())],
    )
    execute(
        directory, [take, *stages.stages()], warn, look_ahead=False, jobs=jobs
    )  # what comes before a missing tool: Verilog
    warn_unreachable(directory.folder("rtl"), warn)
    results = {"name": config.name, **built(out, part, board, stages.families)}
    write_json(out / "build.json", results)
    return results


def _take(program: Program, codes: Ints, out: Path) -> None:
    save_program(program, out / "program.txt")
    write_array(out / "codes.npy", codes)


def _identifier(name: str) -> str:
    word = re.sub(r"\W", "_", name, flags=re.ASCII)[:40]
    return word if word[:1].isalpha() else f"net_{word}"[:40]
