"""Our compiler on a baseline: a number of pipeline stages in, Verilog of the core, times and estimate out."""

from __future__ import annotations

import gc
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.netlist import Lane
from benchmarks.networks import Baseline
from gatewright.ir.text import print_program
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.estimate import Estimate, estimate
from gatewright.lower.pipeline.schedule import schedule
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.rtl.shell import StreamPort
from gatewright.tools import digest
from tests.lowering import lower_for, only

REPLAYED = 100  # vectors that the timed compilation replays after every pass; the untimed one replays all
_LOWEST_MHZ, _HIGHEST_MHZ, _STEPS = 20.0, 1500.0, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class OurDesign:
    """stages: register stages, the last one at the output; the input is not registered. seconds: CPU, median."""

    lowered: Dataflow
    manifest: RtlManifest
    sources: tuple[Path, ...]
    stages: int
    clock_mhz: float
    seconds: float
    estimate: Estimate

    @property
    def inputs(self) -> tuple[Lane, ...]:
        """How the core's input port is packed."""
        return _lanes(self.manifest.source)

    @property
    def outputs(self) -> tuple[Lane, ...]:
        """How the core's output port is packed."""
        return _lanes(self.manifest.result)


def _lanes(port: StreamPort) -> tuple[Lane, ...]:
    return (Lane(width=port.width_bits, signed=port.signed),) * port.elements


def compile_design(baseline: Baseline, *, family: str, stages: int, folder: Path, repeats: int = 3) -> OurDesign:
    """Compile at the highest clock whose pipeline has at most `stages` stages; every test vector is replayed."""
    program = baseline.program
    lowered = lower_for(program, baseline.x, family=family, clock_mhz=_LOWEST_MHZ)
    clock_mhz = fastest_clock(lowered, family=family, stages=stages)
    seconds: list[float] = []
    gc.collect()
    gc.freeze()  # what this process read before costs each collection time; the peers run in a fresh child process
    for _ in range(repeats):
        start = time.process_time()
        lowered = lower_for(program, baseline.x[:REPLAYED], family=family, clock_mhz=clock_mhz)
        program_hash = digest(print_program(program))
        manifest = write_design(lowered, program_hash=program_hash, stream_bits=0, folder=folder)
        seconds.append(time.process_time() - start)
    gc.unfreeze()
    return OurDesign(
        lowered=lowered,
        manifest=manifest,
        sources=tuple(manifest.sources(folder)),
        stages=only(lowered).schedule.latency_cycles,
        clock_mhz=clock_mhz,
        seconds=statistics.median(seconds),
        estimate=estimate(lowered),
    )


def fastest_clock(lowered: Dataflow, *, family: str, stages: int) -> float:
    """Return the highest clock target in MHz at which the pipeline still has at most `stages` stages."""
    low, high = _LOWEST_MHZ, _HIGHEST_MHZ
    for _ in range(_STEPS):
        middle = (low + high) / 2
        fits = schedule(only(lowered).circuit, family=family, clock_mhz=middle).latency_cycles <= stages
        low, high = (middle, high) if fits else (low, middle)
    return math.floor(low * 10) / 10
