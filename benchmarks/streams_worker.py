"""Child process that measures one case of table `streams`: `python -m benchmarks.streams_worker NAME FOLDER`.

It leaves program.txt, rtl/, sim/ and answer.json, the case's row, in the folder.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imports_keras import MODELS
from benchmarks.streams import CASES, CLOCK_MHZ, FAMILY, Case
from gatewright.export import Calibration, Exported, calibrate, check_graph_export, export_graph
from gatewright.fixedpoint import Fixed, Ints
from gatewright.graph import Graph
from gatewright.graph.nodes import Input
from gatewright.importers import load_model
from gatewright.ir import Program, load_program, save_program
from gatewright.lower.compile import lower
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.target import Choices, Room, Target
from gatewright.lower.tensor.depths import sized
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.sim import SimReport, require_match, simulate_compiled
from gatewright.tools import digest, write_json

CALIBRATED = 32  # samples at the least
STALL = 0.3
ROOM = Room(lut=303_600, ff=607_200, dsp=2_800, bram=2_060)  # XC7VX485T


def imported(case: Case) -> Graph:
    """Return a file's graph, its frame cropped."""
    graph = load_model(MODELS / case.file)
    if not case.crop:
        return graph
    first = graph.nodes[0]
    assert isinstance(first, Input)
    return replace(graph, nodes=(replace(first, shape=(*case.crop, first.shape[-1])), *graph.nodes[1:]))


def exported(case: Case) -> tuple[Exported, Any]:
    """Return a case's program, compared with its graph on samples of a normal distribution, and those samples."""
    graph = imported(case)
    first = graph.nodes[0]
    assert isinstance(first, Input)
    count = max(case.frames, CALIBRATED) if case.bits else max(case.frames, 1)
    x = np.random.default_rng(0).normal(size=(count, *first.shape))
    if not case.given:
        return _checked(export_graph(graph, name="net"), x)
    fixed = Fixed.parse(case.given)
    x = np.rint(np.clip(x * 2.0**fixed.frac_bits, fixed.lo, fixed.hi)) * 2.0**-fixed.frac_bits
    if case.bits:
        settings = Calibration(weight_bits=case.bits, activation_bits=case.bits, input_format=fixed)
        return _checked(export_graph(calibrate(graph, x, settings), name="net"), x)
    return _checked(export_graph(graph, name="net", input_format=fixed), x)


def _checked(made: Exported, x: Any) -> tuple[Exported, Any]:
    check_graph_export(made, x)
    return made, x


def _child(name: str, work: Path) -> None:
    """Measure one case."""
    case = CASES[name]
    made, samples = exported(case)
    save_program(made.program, work / "program.txt")
    program = load_program(work / "program.txt")
    codes = made.encode(samples).reshape(-1, *program.input.shape)
    began = time.process_time()
    dataflow = _lowered(program, codes, case.interval)
    manifest = write_design(dataflow, program_hash=digest(work / "program.txt"), stream_bits=0, folder=work / "rtl")
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    began = time.process_time()
    assert sized(dataflow).channels == dataflow.channels, "sizing is no function of the design"
    sizing = time.process_time() - began
    fifo, maps = memory_bits(dataflow)
    cost = dataflow.cost
    row = {
        "frame": ("~" if case.crop else "") + "x".join(map(str, program.input.shape)),
        "exact": case.frames or None,
        "cycles": dataflow.initiation_interval,
        "latency": dataflow.latency_cycles,
        "FIFO bits": fifo,
        "FIFO / maps": round(fifo / maps, 3),
        "sizing s": round(sizing, 2),
        "Verilog s": round(seconds, 1),
        "MiB": peak,
        "LUT": cost.lut,
        "FF": cost.ff,
        "DSP": cost.dsp,
        "BRAM": cost.bram,
    }
    write_json(work / "compiled.json", row)
    if case.frames:
        found = _simulated(program, manifest, np.resize(codes, (case.frames, *codes.shape[1:])), work)
        assert (found.initiation_interval, found.latency_cycles) == (row["cycles"], row["latency"])
    write_json(work / "answer.json", row)


def _lowered(program: Program, codes: Ints, interval: int) -> Dataflow:
    target = Target(family=FAMILY, clock_mhz=CLOCK_MHZ, room=ROOM, max_latency_cycles=0, max_latency_ns=0.0)
    choices = Choices(
        reuse=1, multiplier="auto", truth_tables=True, boundaries="rigid", stream="always", interval=interval
    )
    return lower(program, codes, target, choices)


def _simulated(program: Program, manifest: RtlManifest, codes: Ints, work: Path) -> SimReport:
    """Return the report of a simulation with stalls; MismatchError where any channel differs from the interpreter."""
    report = simulate_compiled(
        program, manifest, codes, folder=work / "rtl", stall_fraction=STALL, seed=0, out=work / "sim"
    )
    require_match(report)
    return report


def memory_bits(dataflow: Dataflow) -> tuple[int, int]:
    """Return the bits of all FIFOs of a design, and those of the whole frames that pass through them."""
    waiting = [channel for channel in dataflow.channels if channel.depth]
    fifo = sum(channel.depth * dataflow.word_bits(channel) for channel in waiting)
    return fifo, sum(channel.stream.beats * dataflow.word_bits(channel) for channel in waiting)


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
