"""Many elastic cores in one simulation: a fork of the input, a join of the results, every channel watched."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gatewright.ir import Interpreter, Program
from gatewright.lower.dataflow import Dataflow
from gatewright.rtl.leaves import leaf_sources
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.rtl.shell import StreamPort, axis_shell, initiation_interval
from gatewright.sim import (
    Device,
    SimReport,
    Trial,
    Vectors,
    channel_probes,
    channel_values,
    simulate,
    watch_probes,
    watched_values,
)
from tests.lowering import lower_for
from tests.programs import codes
from tests.rtl.batch import files_of, merged, wide


def simulate_elastic_batch(
    programs: Sequence[Program],
    *,
    out: Path,
    family: str,
    clock_mhz: float,
    vectors: int,
    reuse: Sequence[int] = (),
    stream_bits: int = 0,
) -> SimReport:
    """Simulate all programs at once: every output, every layer's every element, each transfer of every channel.

    A core takes a vector when all can, and a result leaves when all have one: the fork and join of whole designs.
    """
    made: list[Dataflow] = []
    inputs, names = [], [dataclasses.replace(p, name=f"p{number}") for number, p in enumerate(programs)]
    for number, program in enumerate(names):
        inputs.append(codes(program, vectors, seed=number))
        factor = reuse[number] if reuse else 1
        made.append(
            lower_for(
                program, inputs[-1], family=family, clock_mhz=clock_mhz, reuse=factor, boundaries="elastic"
            )
        )  # fmt: skip
    latest = max(dataflow.latency_cycles for dataflow in made)
    manifests = [
        write_design(waiting(dataflow, latest), program_hash="0" * 64, stream_bits=0, folder=out / f"p{number}")
        for number, dataflow in enumerate(made)
    ]
    source, result = (wide([getattr(m, end) for m in manifests], stream_bits) for end in ("source", "result"))
    interval = max(m.claims.initiation_interval for m in manifests)
    (out / "batch_core.v").write_text(wrapper(manifests, source, result))
    (out / "batch.v").write_text(
        axis_shell(
            name="batch",
            core="batch_core",
            latency_cycles=latest,
            source=source,
            result=result,
            core_interval=interval,
            elastic=True,
        )
    )
    for name, text in leaf_sources("gw_pace").items():
        (out / name).write_text(text)
    folders = [out / f"p{number}" for number in range(len(manifests))]
    sources = merged([out / name for name in leaf_sources("gw_pace")], *files_of(manifests, folders))
    traces = [Interpreter(program).trace(x) for program, x in zip(names, inputs, strict=True)]
    probes, channels, layer_values, beats = [], [], {}, {}
    for n, (program, m, trace, x, dataflow) in enumerate(zip(names, manifests, traces, inputs, made, strict=True)):
        path = ("u_core", f"u_p{n}")
        probes += watch_probes(m.watch, layers=[f"p{n}.{w.layer}" for w in m.watch], path=path)
        layer_values |= {f"p{n}.{k}": v for k, v in watched_values(program, trace, m).items()}
        named = [dataclasses.replace(c, channel=f"p{n}.{c.channel}") for c in m.channels]
        channels += channel_probes(named, module=m.core, path=path)
        beats |= channel_values(named, Interpreter(dataflow.program).trace(x))
    driven = Vectors(
        x=np.concatenate(inputs, axis=1),
        expected=np.concatenate([t[p.output] for p, t in zip(names, traces, strict=True)], axis=1),
        layers=layer_values,
        channels=beats,
    )
    device = Device(
        sources=(*sources, out / "batch_core.v", out / "batch.v"),
        top="batch",
        source=source,
        result=result,
        probes=tuple(probes),
        layers=driven.layer_sizes,
        channels=tuple(channels),
    )
    trial = Trial(
        latency_cycles=latest,
        initiation_interval=initiation_interval(source, result, interval),
        stall_fraction=0.2,
        seed=1,
    )
    return simulate(device, driven, trial, out=out / "sim")


def waiting(dataflow: Dataflow, latest: int) -> Dataflow:
    """Let results wait until a design of `latest` cycles has its own, too."""
    more = -(-(latest - dataflow.latency_cycles) // dataflow.initiation_interval)
    channels = [dataclasses.replace(c, depth=c.depth + more * (c.consumer is None)) for c in dataflow.channels]
    return dataclasses.replace(dataflow, channels=tuple(channels))


def wrapper(manifests: Sequence[RtlManifest], source: StreamPort, result: StreamPort) -> str:
    """Return the module that holds all cores: x_valid comes only where all are ready, y_ready where all are valid."""
    count, xs, ys = len(manifests), source.width_bits, result.width_bits
    lines = [
        "module batch_core (",
        "    input  wire clk, input wire rst_n,",
        f"    input  wire [{source.packed_bits - 1}:0] x,",
        "    input  wire x_valid, input wire [1:0] x_last, output wire x_ready,",
        f"    output wire [{result.packed_bits - 1}:0] y,",
        "    output wire y_valid, output wire [1:0] y_last, input wire y_ready",
        ");",
        f"    wire [{count - 1}:0] ready, valid;",
        f"    wire [1:0] last [0:{count - 1}];",
        "    assign x_ready = &ready;",
        "    assign y_valid = &valid;",
        "    assign y_last = last[0];",
    ]
    at, to = 0, 0
    for n, m in enumerate(manifests):
        parts = [f"x[{(at + i) * xs} +: {m.source.width_bits}]" for i in range(m.source.elements)]
        lines.append(f"    wire [{m.source.packed_bits - 1}:0] x{n} = {{{', '.join(reversed(parts))}}};")
        lines.append(f"    wire [{m.result.packed_bits - 1}:0] y{n};")
        lines.append(
            f"    {m.core} u_p{n} (.clk(clk), .rst_n(rst_n), .x(x{n}), .x_valid(x_valid), .x_last(x_last), "
            f".x_ready(ready[{n}]), .y(y{n}), .y_valid(valid[{n}]), .y_last(last[{n}]), .y_ready(y_valid && y_ready));"
        )
        for i in range(m.result.elements):
            w = m.result.width_bits
            sign = f"y{n}[{i * w + w - 1}]" if m.result.signed else "1'b0"
            lines.append(f"    assign y[{to * ys} +: {ys}] = {{{{{ys - w}{{{sign}}}}}, y{n}[{i * w} +: {w}]}};")
            to += 1
        at += m.source.elements
    return "\n".join([*lines, "endmodule"]) + "\n"
