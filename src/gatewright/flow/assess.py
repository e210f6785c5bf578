"""A finished run or build in; its design measured behind a processor, in its results and its report, out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.report.built import ASSESSED
from gatewright.tools import digest, new_directory, write_atomic, write_json

if TYPE_CHECKING:
    from gatewright.flow.instrument import Instrument

_SCRATCH = ("model", "firmware/firmware.bin")


def assess_run(run: Path, *, out: Path | None = None) -> dict[str, Any]:
    """Put the design of `run` behind a simulated processor, run its stored vectors there, and return what was measured.

    What is returned is the key `assessment` of results.json (docs/results.md). It is written to RUN/assess with the
    system itself, and into the run's results and report; with `out` to that folder, and the run stays as it is.
    Raises MissingToolError with all that is not installed before any
    work, GatewrightError where there is no design yet, MismatchError where a result differs from the program's.
    """
    from gatewright.assess.firmware import build_firmware
    from gatewright.assess.measured import measured
    from gatewright.assess.simulate import build_system, run_system
    from gatewright.assess.system import system_files
    from gatewright.assess.tools import check_tools
    from gatewright.flow.instrument import read_instrument
    from gatewright.flow.rundir import RunDirectory
    from gatewright.instrument.bundle import kept_vectors

    check_tools()
    found = read_instrument(run, registers=0)
    kept = kept_vectors(found.x, found.y)
    with RunDirectory(run).locked(), new_directory(out or run / ASSESSED) as folder:
        for name, data in system_files(found.made, x=found.x, y=found.y).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / name, data)
        firmware = build_firmware(folder / "firmware")
        system = build_system(folder, firmware)
        said = run_system(system, folder)
        results = {
            **measured(said.text, vectors=kept).part(),
            **_design(run, found),
            **_score(run, found, kept),
            "processor": "PicoRV32, RV32IM",
            "compiler": firmware.compiler,
            "firmware_bytes": firmware.bytes,
            "ram_bytes": 4 * firmware.ram_words,
            "simulated_cycles": said.cycles,
        }
        for name in _SCRATCH:
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).unlink(missing_ok=True)
        write_json(folder / "speed.json", {"build_seconds": system.build_seconds, "run_seconds": said.seconds})
        write_json(folder / "assessment.json", {"design": digest(run / "rtl" / "design.json"), "results": results})
    if out is None:
        _show(run, results)
    return results


def _design(run: Path, found: Instrument) -> dict[str, Any]:
    """Return what the simulation of the bare core says, to stand beside the bus."""
    from gatewright.sim import SimReport

    file = run / "sim" / "report.json"
    simulated = SimReport.load(file) if file.is_file() else None
    claims, block = found.manifest.claims, found.made.block
    assert block.x is not None, "a block with a core has frames"
    assert block.y is not None, "a block with a core has frames"
    return {
        "clock_mhz": claims.clock_mhz,
        "core_interval_cycles": claims.initiation_interval,
        "core_latency_cycles": claims.latency_cycles if simulated is None else simulated.latency_cycles,
        **({} if simulated is None else {"stream_latency_cycles": simulated.transfer_latency_cycles}),
        "input_words": block.x.words,
        "output_words": block.y.words,
    }


def _score(run: Path, found: Instrument, kept: int) -> dict[str, Any]:
    """Return the score of the stored vectors that are test samples; nothing of a build, which has no labels."""
    from gatewright.config import load_config
    from gatewright.data import Dataset
    from gatewright.report.collect import on_chip, output_scale

    if not (run / "data" / "dataset.json").is_file() or not (run / "config.json").is_file():
        return {}
    data = Dataset.load(run / "data")
    x, y = (part[:kept] for part in data.part("test"))
    answered = on_chip(load_config(run / "config.json"), found.program, x, y, data.classes, output_scale(run))
    return {"test_vectors": len(x), **{key: answered[key] for key in _SCORES if key in answered}}


_SCORES = ("test_accuracy", "test_rmse")


def _show(run: Path, results: Mapping[str, Any]) -> None:
    """Write the measurement into build.json, or into the run's results and page, where these are there."""
    from gatewright.config import load_config
    from gatewright.flow.lowering import chip_of, families_of
    from gatewright.flow.reporting import write_run_report

    build = run / "build.json"
    if build.is_file():
        write_json(build, {**json.loads(build.read_text()), "assessment": results})
    if (run / "results.json").is_file() and (run / "config.json").is_file():
        config = load_config(run / "config.json")
        part, board = chip_of(config)
        written = write_run_report(config, run, part=part, board=board, families=families_of(config, part))
        write_json(run / "report" / "results.json", written)
