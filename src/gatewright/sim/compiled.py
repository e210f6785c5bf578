"""A program and the Verilog compiled from it in, every output and layer compared, a SimReport out."""

from __future__ import annotations

from pathlib import Path

from gatewright.fixedpoint import Ints
from gatewright.ir import Interpreter, Program, load_program
from gatewright.rtl.manifest import LOWERED, RtlManifest
from gatewright.sim.report import SimReport
from gatewright.sim.run import simulate
from gatewright.sim.trial import Device, Trial, Vectors
from gatewright.sim.watch import channel_probes, channel_values, watch_probes, watched_values


def simulate_compiled(
    program: Program,
    manifest: RtlManifest,
    x: Ints,
    *,
    folder: Path,
    stall_fraction: float,
    seed: int,
    out: Path,
) -> SimReport:
    """Simulate what `manifest` says of the files in `folder` on codes x, (n, *input shape), against the interpreter.

    Every output and every watched signal of every layer is compared, and each transfer on every channel of an elastic
    core with the trace of the lowered program, which lies beside the files. Else, and what is raised: see `simulate`.
    """
    trace = Interpreter(program).trace(x)
    vectors = Vectors(
        x=x.reshape(len(x), -1),
        expected=trace[program.output].reshape(len(x), -1),
        layers=watched_values(program, trace, manifest),
        channels=_channel_values(manifest, folder, x),
    )
    device = Device(
        sources=tuple(manifest.sources(folder)),
        top=manifest.top,
        source=manifest.source,
        result=manifest.result,
        probes=tuple(watch_probes(manifest.watch)),
        layers=vectors.layer_sizes,
        channels=tuple(channel_probes(manifest.channels, module=manifest.core)),
        framed=manifest.framed,
        core_beats=manifest.core_beats,
    )
    trial = Trial(
        latency_cycles=manifest.claims.latency_cycles,
        initiation_interval=manifest.stream_interval,
        stall_fraction=stall_fraction,
        seed=seed,
    )
    return simulate(device, vectors, trial, out=out)


def _channel_values(manifest: RtlManifest, folder: Path, x: Ints) -> dict[str, Ints]:
    if not manifest.channels:
        return {}
    lowered = load_program(folder / LOWERED)
    return channel_values(manifest.channels, Interpreter(lowered).trace(x.reshape(len(x), *lowered.input.shape)))
