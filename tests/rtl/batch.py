"""Many programs in one simulation: cores side by side in one wrapper, outputs delayed to a common latency."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir import Interpreter, Program
from gatewright.rtl.leaves import leaf_sources
from gatewright.rtl.manifest import RtlManifest, stream_port, write_design
from gatewright.rtl.netlist import Assign, Binary, Design, Instance, Item
from gatewright.rtl.shell import StreamPort, axis_shell, initiation_interval
from gatewright.sim import Device, SimReport, Trial, Vectors, simulate, watch_probes, watched_values
from tests.lowering import lower_for
from tests.programs import codes


def simulate_batch(
    programs: Sequence[Program],
    *,
    out: Path,
    family: str,
    clock_mhz: float,
    vectors: int,
    reuse: Sequence[int] = (),
    stream_bits: int = 0,
) -> SimReport:
    """Simulate all programs at once on their own random codes; every output and every layer is compared.

    reuse: a factor for each program, for the folded architecture; all vectors then keep the longest interval apart.
    """
    manifests: list[RtlManifest] = []
    inputs: list[Ints] = []
    for number, program in enumerate(programs):
        program = dataclasses.replace(program, name=f"p{number}")
        x = codes(program, vectors, seed=number)
        factor = reuse[number] if reuse else 1
        item = lower_for(program, x, family=family, clock_mhz=clock_mhz, reuse=factor, multiplier="lut")
        manifests.append(write_design(item, program_hash="0" * 64, stream_bits=0, folder=out / f"p{number}"))
        inputs.append(x)
    folders = [out / f"p{number}" for number in range(len(manifests))]
    return simulate_together(programs, manifests, inputs, folders=folders, out=out, stream_bits=stream_bits)


def simulate_together(
    programs: Sequence[Program],
    manifests: Sequence[RtlManifest],
    inputs: Sequence[Ints],
    *,
    folders: Sequence[Path],
    out: Path,
    stream_bits: int = 0,
) -> SimReport:
    """Simulate rigid designs, each written in its folder, in one model: files of one name must be the same."""
    traces = [Interpreter(program).trace(x) for program, x in zip(programs, inputs, strict=True)]
    latency = max(m.claims.latency_cycles for m in manifests)
    interval = max(m.claims.initiation_interval for m in manifests)
    source = wide([m.source for m in manifests], stream_bits)
    result = wide([m.result for m in manifests], stream_bits)
    core = wrapper(manifests, latency, source, result)
    out.mkdir(parents=True, exist_ok=True)
    (out / "batch_core.v").write_text(core)
    shell = axis_shell(
        name="batch",
        core="batch_core",
        latency_cycles=latency,
        source=source,
        result=result,
        core_interval=interval,
    )
    (out / "batch.v").write_text(shell)
    for name, text in leaf_sources("gw_pace").items():
        (out / name).write_text(text)
    sources = merged([out / name for name in leaf_sources("gw_pace")], *files_of(manifests, folders))
    probes, layer_values = [], {}
    for number, (program, manifest, trace) in enumerate(zip(programs, manifests, traces, strict=True)):
        names = [f"p{number}.{w.layer}" for w in manifest.watch]
        probes += watch_probes(manifest.watch, layers=names, path=("u_core", f"u_p{number}"))
        layer_values |= {f"p{number}.{k}": v for k, v in watched_values(program, trace, manifest).items()}
    driven = Vectors(
        x=np.concatenate(inputs, axis=1),
        expected=np.concatenate([t[p.output] for p, t in zip(programs, traces, strict=True)], axis=1),
        layers=layer_values,
    )
    device = Device(
        sources=(*sources, out / "batch_core.v", out / "batch.v"),
        top="batch",
        source=source,
        result=result,
        probes=tuple(probes),
        layers=driven.layer_sizes,
    )
    trial = Trial(
        latency_cycles=latency,
        initiation_interval=initiation_interval(source, result, interval),
        stall_fraction=0.2,
        seed=1,
    )
    return simulate(device, driven, trial, out=out / "sim")


def files_of(manifests: Sequence[RtlManifest], folders: Sequence[Path]) -> list[list[Path]]:
    """Return each design's files but its shell."""
    return [
        [path for path in m.sources(folder) if path.stem != m.top] for m, folder in zip(manifests, folders, strict=True)
    ]


def merged(*lists: Sequence[Path]) -> list[Path]:
    """Return all files, those of one name once: their texts must be the same."""
    found: dict[str, Path] = {}
    for path in (path for paths in lists for path in paths):
        assert found.setdefault(path.name, path).read_text() == path.read_text(), f"two files {path.name}"
    return list(found.values())


def wide(ports: Sequence[StreamPort], stream_bits: int) -> StreamPort:
    """Return one port that holds the elements of all: signed, and a bit wider than the widest."""
    fixed = Fixed(width_bits=max(p.width_bits for p in ports) + 1, frac_bits=0)
    return stream_port(fixed, sum(p.elements for p in ports), stream_bits)


def wrapper(manifests: Sequence[RtlManifest], latency: int, source: StreamPort, result: StreamPort) -> str:
    """Return the module that holds all cores: narrows x for each, delays and widens each y."""
    started = any(m.claims.initiation_interval > 1 for m in manifests)
    lines = [
        "module batch_core (",
        f"    input  wire clk, {'input wire rst_n, input wire start, ' * started}",
        f"    input  wire [{source.packed_bits - 1}:0] x, output wire [{result.packed_bits - 1}:0] y",
        ");",
    ]
    at, to = 0, 0
    for n, m in enumerate(manifests):
        parts = [f"x[{(at + i) * source.width_bits} +: {m.source.width_bits}]" for i in range(m.source.elements)]
        lines.append(f"    wire [{m.source.packed_bits - 1}:0] x{n} = {{{', '.join(reversed(parts))}}};")
        lines.append(f"    wire [{m.result.packed_bits - 1}:0] y{n};")
        control = ".rst_n(rst_n), .start(start), " * (m.claims.initiation_interval > 1)
        lines.append(f"    {m.core} u_p{n} (.clk(clk), {control}.x(x{n}), .y(y{n}));")
        late = f"y{n}"
        for delay in range(latency - m.claims.latency_cycles):
            lines.append(f"    reg [{m.result.packed_bits - 1}:0] y{n}_d{delay};")
            lines.append(f"    always @(posedge clk) y{n}_d{delay} <= {late};")
            late = f"y{n}_d{delay}"
        for i in range(m.result.elements):
            w, extra = m.result.width_bits, result.width_bits - m.result.width_bits
            sign = f"{late}[{i * w + w - 1}]" if m.result.signed else "1'b0"
            target = f"y[{to * result.width_bits} +: {result.width_bits}]"
            lines.append(f"    assign {target} = {{{{{extra}{{{sign}}}}}, {late}[{i * w} +: {w}]}};")
            to += 1
        at += m.source.elements
    return "\n".join([*lines, "endmodule"]) + "\n"


def mutated(design: Design, rng: np.random.Generator) -> tuple[Design, str]:
    """Return the design with one random adder changed: the sign of an operand flipped; and what was done."""
    places = [
        (m, i)
        for m, module in enumerate(design.modules)
        for i, item in enumerate(module.items)
        if (isinstance(item, Assign) and isinstance(item.value, Binary))
        or (isinstance(item, Instance) and item.module == "gw_add3")
    ]
    m, i = places[int(rng.integers(len(places)))]
    module = design.modules[m]
    changed, what = _flipped(module.items[i])
    items = (*module.items[:i], changed, *module.items[i + 1 :])
    modules = (*design.modules[:m], dataclasses.replace(module, items=items), *design.modules[m + 1 :])
    return dataclasses.replace(design, modules=modules), f"{module.name}: {what}"


def _flipped(item: Item) -> tuple[Item, str]:
    if isinstance(item, Instance):
        (size, minus_b, (name, minus_c), *rest) = item.parameters
        assert isinstance(minus_c, int)
        return dataclasses.replace(item, parameters=(size, minus_b, (name, 1 - minus_c), *rest)), f"{item.name}.{name}"
    assert isinstance(item, Assign)
    assert isinstance(item.value, Binary)
    operator = {"+": "-", "-": "+"}[item.value.op]
    return dataclasses.replace(
        item, value=dataclasses.replace(item.value, op=operator)
    ), f"{item.target.name} {operator}"
