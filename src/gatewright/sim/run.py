"""A bench, inputs and the program's values in, a SimReport out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import GatewrightError
from gatewright.ir.formats import Ints
from gatewright.rtl.shell import StreamPort
from gatewright.sim.beats import Words, checked, pack, unpack
from gatewright.sim.build import Bench, build_bench
from gatewright.sim.design import Probe
from gatewright.sim.report import OUTPUT, PHASES, Mismatch, SimReport, Speed
from gatewright.tools import run_tool, write_atomic, write_json

_PACKET = 0.25  # share of vectors that end a packet


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phase:
    """What the bench recorded. words (beats, words), tlast (beats), cycles (n, 4): see bench.cpp; -1 = never."""

    words: Words
    tlast: NDArray[np.uint8]
    cycles: Ints


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
    latency_cycles: int,
    initiation_interval: int,
    stall_fraction: float,
    seed: int,
    out: Path,
    cache: Path | None = None,
) -> SimReport:
    """Build the shell `top` with its test bench in `out`, run every vector twice and compare everything.

    x: (n, source.elements) codes; expected: (n, result.elements) codes. layer_values: layer name -> (n, elements)
    codes, in layer order, for the probes. cache: see build_bench. Writes report.json and speed.json to `out`.
    Raises GatewrightError for arguments that do not fit together, MissingToolError, ToolError. Differences are no
    error here: see require_match.
    """
    values = dict(layer_values or {})
    layers = [(name, array.shape[1] if array.ndim == 2 else 0) for name, array in values.items()]
    bench = build_bench(
        sources=sources, top=top, source=source, result=result, probes=probes, layers=layers, out=out / "build", cache=cache
    )
    return run_bench(
        bench,
        x=x,
        expected=expected,
        layer_values=values,
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
    latency_cycles: int,
    initiation_interval: int,
    stall_fraction: float,
    seed: int,
    out: Path,
) -> SimReport:
    """Run a compiled bench; arguments and result as for simulate."""
    x, expected, values = _inputs(bench, x, expected, layer_values or {}, stall_fraction)
    random = np.random.default_rng(seed)
    last = random.random((len(PHASES), len(x))) < _PACKET
    last[:, -1] = True
    work = (out / "run").resolve()
    _write(work / "source.bin", pack(bench.source, x, noise=random))
    _write(work / "last.bin", last.astype(np.uint8))
    for number, array in enumerate(values):
        _write(work / f"layer_{number}.bin", array)
    for stale in work.glob("*_[01].bin"):
        if not stale.name.startswith("layer"):
            stale.unlink()
    (work / "run.json").unlink(missing_ok=True)
    argv = [str(bench.program), str(len(x)), repr(float(stall_fraction)), str(seed % 2**64), str(latency_cycles)]
    run = run_tool(argv, cwd=work, log=out / "sim.log")
    summary: dict[str, Any] = json.loads((work / "run.json").read_text())
    phases = [_read(work, number, bench.result, len(x)) for number in range(len(PHASES))]
    report = _judge(
        bench,
        summary,
        phases,
        expected,
        last,
        claimed=(latency_cycles, initiation_interval),
        stall_fraction=stall_fraction,
        seed=seed,
        log=run.log,
        speed=Speed(
            build_cpu_seconds=round(bench.build_cpu_seconds, 2),
            run_cpu_seconds=round(run.seconds, 3),
            vectors_per_second=round(len(PHASES) * len(x) / max(run.seconds, 1e-6), 1),
        ),
    )
    report.save(out / "report.json")
    assert report.speed is not None
    write_json(
        out / "speed.json", {name: getattr(report.speed, name) for name in ("build_cpu_seconds", "run_cpu_seconds", "vectors_per_second")}
    )
    return report


def _inputs(
    bench: Bench, x: Ints, expected: Ints, layer_values: Mapping[str, Ints], stall_fraction: float
) -> tuple[Ints, Ints, list[Ints]]:
    if not 0.0 <= stall_fraction < 1.0:
        raise GatewrightError(f"stall_fraction must be at least 0 and less than 1, not {stall_fraction!r}")
    x, expected = checked(bench.source, x), checked(bench.result, expected)
    if len(x) < 1 or len(x) != len(expected):
        raise GatewrightError(f"x and expected must have the same number of vectors, at least 1, not {len(x)} and {len(expected)}")
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


def _write(path: Path, array: NDArray[Any]) -> None:
    write_atomic(path, np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())


def _read(work: Path, number: int, port: StreamPort, count: int) -> _Phase:
    words_per_beat = -(-port.beat_bits // 32)
    return _Phase(
        words=np.fromfile(work / f"result_{number}.bin", "<u4").astype(np.uint32).reshape(-1, words_per_beat),
        tlast=np.fromfile(work / f"beatlast_{number}.bin", np.uint8),
        cycles=np.fromfile(work / f"cycles_{number}.bin", "<i8").astype(np.int64).reshape(count, 4),
    )


def _judge(
    bench: Bench,
    summary: Mapping[str, Any],
    phases: Sequence[_Phase],
    expected: Ints,
    last: NDArray[np.bool_],
    *,
    claimed: tuple[int, int],
    stall_fraction: float,
    seed: int,
    log: Path,
    speed: Speed,
) -> SimReport:
    """Compare what came out with what should have, and measure."""
    wanted = pack(bench.result, expected)
    wrong = np.zeros(len(expected), bool)
    faults = [f"{item['rule']} ({_count(item['count'])}, first in cycle {item['cycle']} {PHASES[item['phase']]})" for item in summary["faults"]]
    first_output: Mismatch | None = None
    for number, phase in enumerate(phases):
        bad = _wrong_vectors(phase, wanted)
        wrong |= bad
        if first_output is None and bad[: _complete(phase, wanted)].any():
            first_output = _output_mismatch(bench.result, phase, number, int(np.flatnonzero(bad)[0]), expected, wanted)
        faults += _tlast_faults(phase, number, last[number], bench.result.beats)
    first = _probe_mismatch(bench.probes, summary["first"]) or first_output
    core = phases[0].cycles[:, 2] - phases[0].cycles[:, 1]
    core = core[(phases[0].cycles[:, 1:3] >= 0).all(1)]
    if core.size and (core != core[0]).any():
        faults.append(f"latency is not constant: {core.min()}..{core.max()} cycles from core_in_valid to core_out_valid")
    begin, end = phases[0].cycles[0, 0], phases[0].cycles[0, 3]
    return SimReport(
        vectors=len(expected),
        mismatches=int(wrong.sum()),
        latency_cycles=int(core[0]) if core.size else -1,
        initiation_interval=_interval(phases[0].cycles[:, 3]),
        claimed_latency_cycles=claimed[0],
        claimed_initiation_interval=claimed[1],
        transfer_latency_cycles=int(end - begin) if end >= 0 else -1,
        probes=len(bench.probes),
        probes_compared=summary["probes_compared"],
        wrong_probes=summary["wrong_probes"],
        simulator=bench.simulator,
        stall_fraction=stall_fraction,
        seed=seed,
        first_mismatch=first,
        faults=tuple(faults),
        hint=_shift_hint(phases[0], wanted) if wrong.any() else "",
        log=str(log),
        speed=speed,
    )


def _complete(phase: _Phase, wanted: Words) -> int:
    """Vectors whose result came out whole."""
    return len(phase.words) // wanted.shape[1]


def _wrong_vectors(phase: _Phase, wanted: Words) -> NDArray[np.bool_]:
    whole = _complete(phase, wanted)
    wrong = np.ones(len(wanted), bool)  # what did not come out is wrong
    got = phase.words[: whole * wanted.shape[1]].reshape(whole, *wanted.shape[1:])
    wrong[:whole] = (got != wanted[:whole]).any((1, 2))
    return wrong


def _output_mismatch(port: StreamPort, phase: _Phase, number: int, vector: int, expected: Ints, wanted: Words) -> Mismatch:
    beats = phase.words[vector * port.beats : (vector + 1) * port.beats]
    got = unpack(port, beats[None])[0]
    differs = np.flatnonzero(got != expected[vector])
    element = int(differs[0]) if differs.size else 0  # none: only the lanes' rests differ
    return Mismatch(
        layer=OUTPUT,
        element=element,
        phase=PHASES[number],
        cycle=int(phase.cycles[vector, 3]),
        vector=vector,
        expected=int(expected[vector, element]),
        got=int(got[element]),
    )


def _probe_mismatch(probes: Sequence[Probe], first: Mapping[str, int] | None) -> Mismatch | None:
    if first is None:
        return None
    probe = probes[first["probe"]]
    return Mismatch(
        layer=probe.layer,
        element=probe.element,
        phase=PHASES[first["phase"]],
        cycle=first["cycle"],
        vector=first["vector"],
        expected=first["expected"],
        got=first["got"],
    )


def _tlast_faults(phase: _Phase, number: int, last: NDArray[np.bool_], beats: int) -> list[str]:
    wanted = np.zeros((len(last), beats), bool)
    wanted[:, -1] = last
    bad = np.flatnonzero(wanted.ravel()[: len(phase.tlast)] != phase.tlast.astype(bool))
    if not bad.size:
        return []
    vector, beat = divmod(int(bad[0]), beats)
    return [
        f"m_axis_tlast is wrong in {_count(len(bad))} {PHASES[number]}, first on beat {beat} of vector {vector}: "
        f"expected {int(wanted[vector, beat])}, got {int(phase.tlast[bad[0]])}"
    ]


def _interval(out_cycles: Ints) -> int:
    done = out_cycles[out_cycles >= 0]
    if len(done) < 2:
        return 0
    return -(-int(done[-1] - done[0]) // (len(done) - 1))


def _shift_hint(phase: _Phase, wanted: Words) -> str:
    """Say so if the results are right but belong to a neighbouring vector: at one vector per cycle, a latency fault."""
    whole = _complete(phase, wanted)
    got = phase.words[: whole * wanted.shape[1]].reshape(whole, *wanted.shape[1:])
    for shift in (1, -1, 2, -2, 3, -3, 4, -4):
        inner = slice(max(0, shift), whole + min(0, shift))
        other = slice(max(0, -shift), whole + min(0, -shift))
        if whole > 8 and (got[inner] == wanted[other]).all() and not (wanted[other] == wanted[inner]).all():
            return f"the results are those of the vector {abs(shift)} {'before' if shift > 0 else 'after'}: check the latency"
    return ""


def _count(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
