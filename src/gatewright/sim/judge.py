"""What the bench recorded and the program's results in, the SimReport out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Ints
from gatewright.lower.streaming.tokens import steady
from gatewright.rtl.beats import Words, pack, unpack
from gatewright.rtl.shell import StreamPort
from gatewright.sim.build import Bench
from gatewright.sim.report import OUTPUT, PHASES, ChannelReport, Mismatch, SimReport, Speed
from gatewright.sim.trial import Device, Trial

Bools = NDArray[np.bool_]

_FIRST_IN, _CORE_IN, _CORE_OUT, _LAST_OUT = range(4)  # columns of Phase.cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase: results (whole vectors, beats, words), tlast (beats that came out), cycles (n, 4; -1 = never)."""

    results: Words
    tlast: NDArray[np.uint8]
    cycles: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What bench.cpp wrote: run.json, and one Phase for each of PHASES."""

    summary: Mapping[str, Any]
    phases: tuple[Phase, ...]

    @staticmethod
    def read(folder: Path, port: StreamPort, vectors: int) -> Recording:
        """Read the files of a run whose results left through `port`."""
        words_per_beat = -(-port.beat_bits // 32)

        def phase(number: int) -> Phase:
            words = np.fromfile(folder / f"result_{number}.bin", "<u4").astype(np.uint32)
            whole = words.size // (port.beats * words_per_beat)
            return Phase(
                results=words[: whole * port.beats * words_per_beat].reshape(whole, port.beats, words_per_beat),
                tlast=np.fromfile(folder / f"beatlast_{number}.bin", np.uint8),
                cycles=np.fromfile(folder / f"cycles_{number}.bin", "<i8").astype(np.int64).reshape(vectors, 4),
            )

        return Recording(
            summary=json.loads((folder / "run.json").read_text()),
            phases=tuple(phase(number) for number in range(len(PHASES))),
        )


def judge(
    bench: Bench, recording: Recording, expected: Ints, last: Bools, trial: Trial, *, log: Path, speed: Speed | None
) -> SimReport:
    """Compare and measure. expected: (n, elements) codes; last: (phases, n) TLAST; trial: the claims."""
    device = bench.device
    wanted = pack(device.result, expected)
    summary, full_rate = recording.summary, recording.phases[0]
    wrong = np.array([_wrong_vectors(phase, wanted) for phase in recording.phases])
    first = _probe_mismatch(device, summary["first"]) or _output_mismatch(
        device.result, recording.phases, wrong, expected
    )
    faults = [_fault(item) for item in summary["faults"]]
    for name, phase, packet_ends in zip(PHASES, recording.phases, last, strict=True):
        faults += _tlast_faults(phase, name, packet_ends, device.result.beats)
    came_out = full_rate.cycles[full_rate.cycles[:, _CORE_OUT] >= 0]
    latencies = came_out[:, _CORE_OUT] - came_out[:, _CORE_IN]
    if not device.channels and latencies.size and latencies.min() != latencies.max():
        faults.append(f"the core's latency varies: {latencies.min()}..{latencies.max()} cycles")
    begin, end = full_rate.cycles[0, [_FIRST_IN, _LAST_OUT]]
    return SimReport(
        vectors=len(expected),
        mismatches=int(wrong.any(0).sum()),
        latency_cycles=int(latencies[0]) if latencies.size else -1,
        initiation_interval=_interval(full_rate.cycles[:, _LAST_OUT], waits=bool(device.channels)),
        claimed_latency_cycles=trial.latency_cycles,
        claimed_initiation_interval=trial.initiation_interval,
        transfer_latency_cycles=int(end - begin) if end >= 0 else -1,
        probes=len(device.probes) + sum(len(channel.lanes) for channel in device.channels),
        probes_compared=summary["probes_compared"],
        wrong_probes=summary["wrong_probes"],
        simulator=bench.simulator,
        stall_fraction=trial.stall_fraction,
        seed=trial.seed,
        first_mismatch=first,
        faults=tuple(faults),
        hint=_shift_hint(full_rate, wanted) if wrong.any() else "",
        log=str(log),
        speed=speed,
        channels=tuple(
            ChannelReport(channel=probe.channel, depth=probe.depth, greatest_fill=seen[-1], transfers=tuple(seen[:-1]))
            for probe, seen in zip(device.channels, summary["channels"], strict=True)
        ),
        greatest_latency_cycles=int(latencies.max()) if device.channels and latencies.size else -1,
    )


def listing(port: StreamPort, recording: Recording, expected: Ints, *, at_most: int = 20) -> str:
    """Return the first wrong vectors of each phase, one per line with expected and got codes: the log's text."""
    wanted = pack(port, expected)
    lines: list[str] = []
    for name, phase in zip(PHASES, recording.phases, strict=True):
        for vector in np.flatnonzero(_wrong_vectors(phase, wanted))[:at_most]:
            if vector < len(phase.results):
                got = str(unpack(port, phase.results[vector : vector + 1])[0].tolist())
            else:
                got = "nothing"
            cycle = phase.cycles[vector, _LAST_OUT]
            lines.append(f"{name}, cycle {cycle}, vector {vector}: expected {expected[vector].tolist()}, got {got}\n")
    return "".join(lines)


def _wrong_vectors(phase: Phase, wanted: Words) -> Bools:
    wrong = np.ones(len(wanted), bool)  # a result that did not come out is wrong
    whole = len(phase.results)
    wrong[:whole] = (phase.results != wanted[:whole]).any((1, 2))
    return wrong


def _output_mismatch(port: StreamPort, phases: Sequence[Phase], wrong: Bools, expected: Ints) -> Mismatch | None:
    for name, phase, bad in zip(PHASES, phases, wrong, strict=True):
        vectors = np.flatnonzero(bad[: len(phase.results)])
        if not vectors.size:
            continue
        vector = int(vectors[0])
        got = unpack(port, phase.results[vector : vector + 1])[0]
        differs = np.flatnonzero(got != expected[vector])
        element = int(differs[0]) if differs.size else 0  # none: only the filling of the lanes is wrong
        return Mismatch(
            layer=OUTPUT,
            element=element,
            phase=name,
            cycle=int(phase.cycles[vector, _LAST_OUT]),
            vector=vector,
            expected=int(expected[vector, element]),
            got=int(got[element]),
        )
    return None


def _probe_mismatch(device: Device, first: Mapping[str, int] | None) -> Mismatch | None:
    if first is None:
        return None
    if first["channel"] >= 0:
        channel = device.channels[first["channel"]]
        layer, element, name = "", channel.lanes[first["probe"]].lane, channel.channel
    else:
        probe = device.probes[first["probe"]]
        layer, element, name = probe.layer, probe.element, ""
    return Mismatch(
        layer=layer,
        element=element,
        phase=PHASES[first["phase"]],
        cycle=first["cycle"],
        vector=first["vector"],
        expected=first["expected"],
        got=first["got"],
        channel=name,
    )


def _fault(item: Mapping[str, Any]) -> str:
    where = f"cycle {item['cycle']} {PHASES[item['phase']]}" if item["cycle"] >= 0 else "reset"
    return f"{item['rule']} ({_times(item['count'])}, first in {where})"


def _tlast_faults(phase: Phase, name: str, packet_ends: Bools, beats: int) -> list[str]:
    wanted = np.zeros((len(packet_ends), beats), bool)
    wanted[:, -1] = packet_ends
    bad = np.flatnonzero(wanted.ravel()[: len(phase.tlast)] != phase.tlast.astype(bool))
    if not bad.size:
        return []
    vector, beat = divmod(int(bad[0]), beats)
    where = f"first on beat {beat} of vector {vector}"
    difference = f"expected {int(wanted[vector, beat])}, got {int(phase.tlast[bad[0]])}"
    return [f"m_axis_tlast is wrong {_times(len(bad))} {name}, {where}: {difference}"]


def _interval(out_cycles: Ints, *, waits: bool) -> int:
    """Cycles per vector, rounded up, so that a single bubble shows; of units that wait, the most in steady state."""
    done = out_cycles[out_cycles >= 0]
    if len(done) < 2:
        return 0
    if waits:
        return max(steady(np.diff(done).tolist()))
    return -(-int(done[-1] - done[0]) // (len(done) - 1))


def _shift_hint(phase: Phase, wanted: Words) -> str:
    """Say so if the results are right but belong to a neighbouring vector: at one vector per cycle a latency fault."""
    got = phase.results
    whole = len(got)
    if whole <= 8:
        return ""
    for shift in (1, -1, 2, -2, 3, -3, 4, -4):
        inner = slice(max(0, shift), whole + min(0, shift))
        other = slice(max(0, -shift), whole + min(0, -shift))
        if (got[inner] == wanted[other]).all() and (wanted[inner] != wanted[other]).any():
            side = "before" if shift > 0 else "after"
            return f"every result is that of the vector {abs(shift)} {side}: check the core's latency"
    return ""


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
