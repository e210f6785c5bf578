"""A bench, inputs and the program's values in, a SimReport out."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import GatewrightError
from gatewright.fixedpoint import Ints
from gatewright.rtl.shell import StreamPort
from gatewright.sim.beats import checked, pack
from gatewright.sim.build import Bench, build_bench
from gatewright.sim.design import ChannelProbe, Probe, check_channels
from gatewright.sim.judge import Recording, judge, listing
from gatewright.sim.report import PHASES, SimReport, Speed
from gatewright.tools import run_tool, write_atomic, write_json

_PACKET = 0.25  # share of vectors that end a packet


def simulate(
    *,
    sources: Sequence[Path],
    top: str,
    source: StreamPort,
    result: StreamPort,
    x: Ints,
    expected: Ints,
    probes: Sequence[Probe] = (),
    layer_values: Mapping[str, Ints] | None = None,
    channels: Sequence[ChannelProbe] = (),
    channel_values: Mapping[str, Ints] | None = None,
    latency_cycles: int,
    initiation_interval: int,
    stall_fraction: float,
    seed: int,
    out: Path,
    cache: Path | None = None,
) -> SimReport:
    """Build the shell `top` with its test bench in `out`, run every vector twice and compare everything.

    x: (n, source.elements) codes; expected: (n, result.elements) codes. layer_values: layer name -> (n, elements)
    codes, in layer order, for the probes. channels: of an elastic core, see build_bench; channel_values: channel ->
    (n, beats, lanes), what it must carry. latency_cycles: compared where there are no channels. cache: see build_bench.
    Writes report.json and speed.json to `out`.
    Raises GatewrightError for arguments that do not fit together, MissingToolError, ToolError. Differences are no
    error here: see require_match.
    """
    values = dict(layer_values or {})
    layers = [(name, array.shape[1] if array.ndim == 2 else 0) for name, array in values.items()]
    bench = build_bench(
        sources=sources,
        top=top,
        source=source,
        result=result,
        probes=probes,
        layers=layers,
        channels=channels,
        out=out / "build",
        cache=cache,
    )
    return run_bench(
        bench,
        x=x,
        expected=expected,
        layer_values=values,
        channel_values=channel_values,
        latency_cycles=latency_cycles,
        initiation_interval=initiation_interval,
        stall_fraction=stall_fraction,
        seed=seed,
        out=out,
    )


def run_bench(
    bench: Bench,
    *,
    x: Ints,
    expected: Ints,
    layer_values: Mapping[str, Ints] | None = None,
    channel_values: Mapping[str, Ints] | None = None,
    latency_cycles: int,
    initiation_interval: int,
    stall_fraction: float,
    seed: int,
    out: Path,
) -> SimReport:
    """Run a compiled bench; arguments and result as for simulate."""
    x, expected, values = _inputs(bench, x, expected, layer_values or {}, stall_fraction)
    beats = _beats(bench, channel_values or {}, len(x))
    random = np.random.default_rng(seed)
    last = random.random((len(PHASES), len(x))) < _PACKET
    last[:, -1] = True
    work = (out / "run").resolve()
    shutil.rmtree(work, ignore_errors=True)
    _write(work / "source.bin", pack(bench.source, x, noise=random))
    _write(work / "last.bin", last.astype(np.uint8))
    for number, array in enumerate(values):
        _write(work / f"layer_{number}.bin", array)
    for number, array in enumerate(beats):
        _write(work / f"channel_{number}.bin", np.concatenate([array.shape, array.ravel()]))
    argv = [str(bench.program), str(len(x)), repr(float(stall_fraction)), str(seed % 2**64), str(latency_cycles)]
    run = run_tool(argv, cwd=work, log=out / "sim.log")
    speed = Speed(
        build_cpu_seconds=round(bench.build_cpu_seconds, 2),
        run_cpu_seconds=round(run.seconds, 3),
        vectors_per_second=round(len(PHASES) * len(x) / max(run.seconds, 1e-6), 1),
    )
    recording = Recording.read(work, bench.result, len(x))
    report = judge(
        bench,
        recording=recording,
        expected=expected,
        last=last,
        latency_cycles=latency_cycles,
        initiation_interval=initiation_interval,
        stall_fraction=stall_fraction,
        seed=seed,
        log=run.log,
        speed=speed,
    )
    with run.log.open("a") as log:
        log.writelines(f"{problem}\n" for problem in report.problems)
        log.write(listing(bench.result, recording, expected))
    report.save(out / "report.json")
    write_json(out / "speed.json", dataclasses.asdict(speed))
    return report


def _inputs(
    bench: Bench, x: Ints, expected: Ints, layer_values: Mapping[str, Ints], stall_fraction: float
) -> tuple[Ints, Ints, list[Ints]]:
    if not 0.0 <= stall_fraction < 1.0:
        raise GatewrightError(f"stall_fraction must be at least 0 and less than 1, not {stall_fraction!r}")
    x, expected = checked(bench.source, x), checked(bench.result, expected)
    if len(x) < 1 or len(x) != len(expected):
        raise GatewrightError(
            f"x and expected must have the same number of vectors, at least 1, not {len(x)} and {len(expected)}"
        )
    values: list[Ints] = []
    for name, elements in bench.layers:
        array = layer_values.get(name)
        if array is None or array.shape != (len(x), elements):
            got = "none" if array is None else str(array.shape)
            raise GatewrightError(f"values of layer {name!r} must have the shape ({len(x)}, {elements}), got {got}")
        values.append(np.ascontiguousarray(array, np.int64))
    if len(x) == 1:  # the initiation interval takes two
        return np.repeat(x, 2, 0), np.repeat(expected, 2, 0), [np.repeat(array, 2, 0) for array in values]
    return x, expected, values


def _beats(bench: Bench, channel_values: Mapping[str, Ints], vectors: int) -> list[Ints]:
    """Return what each channel must carry, in order: (transfers, lanes)."""
    check_channels(bench.channels, {name: array.shape[-1] for name, array in channel_values.items()})
    found: list[Ints] = []
    for probe in bench.channels:
        array = channel_values[probe.channel]
        if len(array) == 1 < vectors:  # see _inputs
            array = np.repeat(array, vectors, 0)
        if array.ndim != 3 or len(array) != vectors:
            raise GatewrightError(
                f"values of channel {probe.channel!r} must have the shape ({vectors}, beats, lanes), got {array.shape}"
            )
        found.append(array.reshape(-1, array.shape[2]).astype(np.int64))
    return found


def _write(path: Path, array: NDArray[Any]) -> None:
    write_atomic(path, np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
