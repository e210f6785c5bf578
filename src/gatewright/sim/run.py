"""A bench, inputs and the program's values in, a SimReport out."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import GatewrightError
from gatewright.fixedpoint import Ints
from gatewright.rtl.beats import checked, pack
from gatewright.sim.build import Bench, build_bench
from gatewright.sim.design import check_channels
from gatewright.sim.judge import Recording, judge, listing
from gatewright.sim.report import PHASES, SimReport, Speed
from gatewright.sim.trial import Device, Trial, Vectors
from gatewright.tools import run_tool, write_atomic, write_json

_FEW_CYCLES = 80_000  # at full rate: for fewer, compiling without optimisation costs less than it saves
_PACKET = 0.25  # share of vectors that end a packet


def simulate(device: Device, vectors: Vectors, trial: Trial, *, out: Path) -> SimReport:
    """Build the device with its test bench in `out`, run every vector twice and compare everything.

    Writes report.json and speed.json to `out`.
    Raises GatewrightError for arguments that do not fit together, MissingToolError, ToolError. Differences are no
    error here: see require_match.
    """
    few = len(vectors.x) * trial.initiation_interval < _FEW_CYCLES
    return run_bench(build_bench(device, out=out / "build", level=0 if few else 1), vectors, trial, out=out)


def run_bench(bench: Bench, vectors: Vectors, trial: Trial, *, out: Path) -> SimReport:
    """Run a compiled bench; arguments and result as for simulate."""
    device, vectors = bench.device, _checked(bench.device, vectors)
    x = vectors.x
    random = np.random.default_rng(trial.seed)
    last = random.random((len(PHASES), len(x))) < _PACKET
    last[:, -1] = True
    work = (out / "run").resolve()
    shutil.rmtree(work, ignore_errors=True)
    _write(work / "source.bin", pack(device.source, x, noise=random))
    _write(work / "last.bin", last.astype(np.uint8))
    for number, array in enumerate(vectors.layers.values()):
        _write(work / f"layer_{number}.bin", array)
    for number, array in enumerate(vectors.channels.values()):
        transfers = array.reshape(-1, array.shape[2])
        _write(work / f"channel_{number}.bin", np.concatenate([transfers.shape, transfers.ravel()]))
    settings = (len(x), repr(float(trial.stall_fraction)), trial.seed % 2**64, trial.latency_cycles)
    argv = [str(bench.program), *map(str, settings)]
    run = run_tool(argv, cwd=work, log=out / "sim.log")
    speed = Speed(
        build_cpu_seconds=round(bench.build_cpu_seconds, 2),
        run_cpu_seconds=round(run.seconds, 3),
        vectors_per_second=round(len(PHASES) * len(x) / max(run.seconds, 1e-6), 1),
    )
    recording = Recording.read(work, device.result, len(x))
    report = judge(bench, recording, vectors.expected, last, trial, log=run.log, speed=speed)
    with run.log.open("a") as log:
        log.writelines(f"{problem}\n" for problem in report.problems)
        log.write(listing(device.result, recording, vectors.expected))
    report.save(out / "report.json")
    write_json(out / "speed.json", dataclasses.asdict(speed))
    return report


def _checked(device: Device, vectors: Vectors) -> Vectors:
    """Return the vectors as int64, layers and channels in the device's order; a single one twice.

    Raises GatewrightError where they do not fit the device.
    """
    x, expected = checked(device.source, vectors.x), checked(device.result, vectors.expected)
    if len(x) < 1 or len(x) != len(expected):
        raise GatewrightError(
            f"x and expected must have the same number of vectors, at least 1, not {len(x)} and {len(expected)}"
        )
    layers: dict[str, Ints] = {}
    for name, elements in device.layers:
        array = vectors.layers.get(name)
        if array is None or array.shape != (len(x), elements):
            got = "none" if array is None else str(array.shape)
            raise GatewrightError(f"values of layer {name!r} must have the shape ({len(x)}, {elements}), got {got}")
        layers[name] = np.ascontiguousarray(array, np.int64)
    check_channels(device.channels, {name: array.shape[-1] for name, array in vectors.channels.items()})
    channels: dict[str, Ints] = {}
    for probe in device.channels:
        array = vectors.channels[probe.channel]
        if array.ndim != 3 or len(array) != len(x):
            raise GatewrightError(
                f"values of channel {probe.channel!r} must have the shape ({len(x)}, beats, lanes), got {array.shape}"
            )
        channels[probe.channel] = array.astype(np.int64)
    times = 2 if len(x) == 1 else 1  # the initiation interval takes two vectors
    return Vectors(
        x=np.repeat(x, times, 0),
        expected=np.repeat(expected, times, 0),
        layers={name: np.repeat(array, times, 0) for name, array in layers.items()},
        channels={name: np.repeat(array, times, 0) for name, array in channels.items()},
    )


def _write(path: Path, array: NDArray[Any]) -> None:
    write_atomic(path, np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
