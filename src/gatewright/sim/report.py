"""What a simulation found: SimReport in memory and as JSON; require_match turns a bad one into an error."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatewright.errors import GatewrightError, MismatchError
from gatewright.tools import write_json

OUTPUT = "output"  # the layer named where the stream's result differs and no probe does
PHASES = ("at full rate", "with stalls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """The first wrong value. cycle: from the first one after reset. phase: one of PHASES.

    channel: empty, or the one on which it was seen; element is then its lane, and vector the number of its transfer.
    """

    layer: str
    element: int
    phase: str
    cycle: int
    vector: int
    expected: int
    got: int
    channel: str = ""

    @property
    def difference_lsb(self) -> int:
        """Got minus expected."""
        return self.got - self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReport:
    """What was seen of a channel: transfers in each phase, and the most words that its FIFO of `depth` ever held."""

    channel: str
    depth: int
    greatest_fill: int
    transfers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How long it took, on this machine today: kept out of the report, which must not change from run to run."""

    build_cpu_seconds: float
    run_cpu_seconds: float
    vectors_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimReport:
    """Result of a simulation.

    vectors: each run twice, at full rate and with stalls. mismatches: vectors with a wrong result (in either phase).
    latency_cycles: core input to core output, measured; of an elastic core that of the first vector, for there it may
    vary, up to greatest_latency_cycles at full rate. initiation_interval: cycles per vector in steady state, measured
    at the output, 0 where too few results came out. transfer_latency_cycles: first beat in to last beat out.
    -1: never came out. probes: probed signals; probes_compared: comparisons made; wrong_probes: those that failed.
    faults: broken bus rules, time-outs and wrong TLASTs, each a sentence with its first cycle.
    channels: of an elastic core; empty for a rigid one. hint: a likely cause, or "".
    """

    vectors: int
    mismatches: int
    latency_cycles: int
    initiation_interval: int
    claimed_latency_cycles: int
    claimed_initiation_interval: int
    transfer_latency_cycles: int
    probes: int
    probes_compared: int
    wrong_probes: int
    simulator: str
    stall_fraction: float
    seed: int
    first_mismatch: Mismatch | None
    faults: tuple[str, ...]
    hint: str
    log: str
    speed: Speed | None = field(default=None, compare=False)
    channels: tuple[ChannelReport, ...] = ()
    greatest_latency_cycles: int = -1

    def save(self, path: Path) -> None:
        """Write the report as JSON, without the speed and the log's place, and without what a rigid core lacks."""
        record = dataclasses.asdict(self)
        del record["speed"], record["log"]
        if not self.elastic:
            del record["channels"], record["greatest_latency_cycles"]
        write_json(path, record)

    @staticmethod
    def load(path: Path) -> SimReport:
        """Read a report that save wrote. Raises GatewrightError where the file is something else."""
        try:
            record = json.loads(path.read_text())
            first = record["first_mismatch"]
            record["first_mismatch"] = None if first is None else Mismatch(**first)
            record["faults"] = tuple(record["faults"])
            rows = record.pop("channels", [])
            channels = tuple(_channel(row) for row in rows)
            return SimReport(**record, channels=channels, log=str(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GatewrightError(
                f"{path} is no simulation report: {error}; delete the folder {path.parent} and run again"
            ) from None

    @property
    def elastic(self) -> bool:
        """Whether the core waits for both of its ends, so that its latency is measured and not claimed."""
        return bool(self.channels)

    @property
    def problems(self) -> tuple[str, ...]:
        """All that keeps this report from being a match, the most telling first; empty: hardware == program."""
        found: list[str] = []
        if self.first_mismatch is not None:
            found.append(_describe(self.first_mismatch))
        if self.mismatches:
            found.append(f"{self.mismatches} of {self.vectors} vectors wrong")
        elif self.first_mismatch is not None:
            found.append(f"{self.wrong_probes} of {self.probes_compared} probed values wrong, all results right")
        if self.hint:
            found.append(self.hint)
        if self.latency_cycles < 0 or self.initiation_interval < 1:
            found.append("too few results came out to measure latency and initiation interval")
        if not self.elastic and self.latency_cycles not in (self.claimed_latency_cycles, -1):
            found.append(f"latency is {self.latency_cycles} cycles, claimed {self.claimed_latency_cycles}")
        if self.initiation_interval not in (self.claimed_initiation_interval, 0):
            found.append(
                f"initiation interval is {self.initiation_interval} cycles, claimed {self.claimed_initiation_interval}"
            )
        return (*found, *self.faults)


def _channel(row: dict[str, Any]) -> ChannelReport:
    fields: dict[str, Any] = {**row, "transfers": tuple(row["transfers"])}
    return ChannelReport(**fields)


def require_match(report: SimReport) -> None:
    """Raise MismatchError unless hardware and program agreed in every respect."""
    if report.problems:
        raise MismatchError(f"hardware != program: {'; '.join(report.problems)}; log {report.log}")


def _describe(mismatch: Mismatch) -> str:
    where = f"layer {mismatch.layer!r}, element {mismatch.element}"
    number = f"vector {mismatch.vector}"
    if mismatch.channel:
        where, number = f"channel {mismatch.channel!r}, lane {mismatch.element}", f"transfer {mismatch.vector}"
    return (
        f"{where}, cycle {mismatch.cycle} {mismatch.phase} ({number}): "
        f"expected {mismatch.expected}, got {mismatch.got} (difference {mismatch.difference_lsb:+d} LSB)"
    )
