"""An integer program from anywhere in; Verilog, simulation, synthesis and bitstream out: the flow without training."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.config import parse_config
from gatewright.errors import ConfigError, DataError
from gatewright.flow import Flow, execute
from gatewright.ir import Ints, Program
from gatewright.lower.fold import join_layers
from gatewright.rundir import Stage, unheard
from gatewright.tools import digest, write_json

HARDWARE = ("rtl", "sim", "synth", "bitstream")


@dataclass(slots=True)
class ProgramFlow(Flow):
    """The hardware stages of the flow on a given program and given input codes."""

    source: Program | None = None
    codes: Ints | None = None

    def stages(self) -> list[Stage]:
        """Return the steps: the program as it is, then what the flow does with any program."""
        assert self.source is not None
        assert self.codes is not None
        given = Stage(
            name="program",
            title="take the program and its input codes",
            run=self._program,
            settings=[_text(self.source), digest(np.ascontiguousarray(self.codes).tobytes())],
            code=("ir",),
        )
        steps = [stage for stage in Flow.stages(self) if stage.name.split("/")[0] in HARDWARE]
        return [given, *(replace(stage, needs=tuple(n for n in stage.needs if n != "data")) for stage in steps)]

    def _program(self, out: Path) -> None:
        assert self.source is not None
        assert self.codes is not None
        self.source.save(out / "program.txt")
        np.save(out / "codes.npy", self.codes)

    def _vectors(self) -> Ints:
        return np.load(self.directory.folder("program") / "codes.npy")


def build_program(
    program: Path,
    out: Path,
    *,
    codes: Ints | None = None,
    hardware: Mapping[str, Any] | None = None,
    synthesis: Mapping[str, Any] | None = None,
    simulation: Mapping[str, Any] | None = None,
    notify: Callable[[Stage, str], None] = unheard,
    warn: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Compile, simulate and synthesize a saved program in the directory `out`; return what is in its build.json.

    codes: (n, elements) input integers, every one of which is simulated and compared; None draws
    simulation.vectors random ones. hardware, synthesis, simulation: the configuration's tables of these names.
    Stages are cached as in `run`. Raises ProgramError, DataError for codes that do not fit, ConfigError, and from the
    stage that failed.
    """
    loaded = join_layers(Program.load(program))
    config = parse_config(
        {
            "name": _identifier(loaded.name),
            "data": {"source": str(program)},
            "hardware": dict(hardware or {}),
            "synthesis": dict(synthesis or {}),
            "simulation": dict(simulation or {}),
        },
        where=f"build of {program}",
    )
    checked = _checked(codes, loaded, config.simulation.vectors, config.simulation.seed)
    prepared = Flow.prepare(config, out, progress=False, notify=notify)
    flow = ProgramFlow(prepared.config, prepared.directory, prepared.part, prepared.board, False, loaded, checked)
    execute(flow, HARDWARE[-1], warn)
    results = _results(flow, out)
    write_json(out / "build.json", results)
    return results


def _results(flow: ProgramFlow, out: Path) -> dict[str, Any]:
    simulated, estimated = (json.loads((out / name).read_text()) for name in ("sim/report.json", "rtl/estimate.json"))
    counts = {family: json.loads((out / "synth" / family / "report.json").read_text()) for family in flow.families}
    return {
        "name": flow.config.name,
        "part": flow.part.name,
        "vectors": simulated["vectors"],
        "mismatches": simulated["mismatches"],
        "latency_cycles": simulated["latency_cycles"],
        "initiation_interval": simulated["initiation_interval"],
        "estimate": {key: estimated[key] for key in ("lut", "ff", "dsp", "bram", "fmax_mhz")},
        "synthesis": {
            family: {key: report[key] for key in ("lut", "ff", "dsp", "bram", "sites")}
            for family, report in counts.items()
        },
        "bitstream": f"bitstream/{flow.config.name}.bit" if flow.board else None,
    }


def _checked(codes: Ints | None, program: Program, count: int, seed: int) -> Ints:
    fixed, shape = program.input.format, program.input.shape
    if len(shape) != 1:
        raise ConfigError(
            f"hardware is built for programs with inputs of one axis, not {shape}; run it in the interpreter"
        )
    if codes is None:
        return np.random.default_rng(seed).integers(fixed.lo, fixed.hi, (count, *shape), endpoint=True)
    if codes.ndim != 2 or codes.shape[1:] != shape or not len(codes) or not np.issubdtype(codes.dtype, np.integer):
        raise DataError(
            f"input codes must be integers of shape (n, {shape[0]}), not {codes.dtype} {codes.shape}; "
            "encode samples as the model's export does"
        )
    if codes.min() < fixed.lo or codes.max() > fixed.hi:
        raise DataError(
            f"input codes must lie in {fixed.lo}..{fixed.hi} ({fixed}), not {codes.min()}..{codes.max()}; "
            "encode samples as the model's export does"
        )
    return codes.astype(np.int64)


def _identifier(name: str) -> str:
    word = re.sub(r"\W", "_", name)[:40]
    return word if word[:1].isalpha() else f"net_{word}"[:40]


def _text(program: Program) -> str:
    from gatewright.ir.text import print_program

    return print_program(program)
