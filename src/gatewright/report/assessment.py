"""What was measured behind a processor in; rows, and the picture of single vectors, out."""

# pyright: reportUnknownMemberType=false
# (matplotlib's own annotations are partial)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatewright.report.figures import STUDENT, Picture, axes_of, svg_of
from gatewright.report.numbers import THIN, count, percent, significant

Assessment = Mapping[str, Any]


def sections(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what assessment.html reads; nothing to show of a run that was not assessed."""
    found: Assessment | None = results.get("assessment")
    if found is None:
        return {"assessment": None}
    return {"assessment": {"facts": facts(found), "pictures": [one_vector_picture(found)]}}


def facts(found: Assessment) -> list[tuple[str, str]]:
    """Return (what, value) of an assessment, the key of results.json."""

    def throughput(key: str) -> str:
        cycles, clock = found[key], found["clock_mhz"]
        rate = f"{significant(1e6 * clock / max(1, cycles))} vectors/s at {significant(clock)}{THIN}MHz"
        return f"{_cycles(cycles)} a vector, {rate}"

    rows = [
        ("vectors", count(found["vectors"])),
        ("differences from the program", count(found["mismatches"])),
    ]
    if "test_accuracy" in found:
        rows.append((f"accuracy on the {count(found['test_vectors'])} test samples", percent(found["test_accuracy"])))
    if "test_rmse" in found:
        rows.append((f"RMSE on the {count(found['test_vectors'])} test samples", significant(found["test_rmse"])))
    stream = found.get("stream_latency_cycles")
    return [
        *rows,
        ("latency, core", _cycles(found["core_latency_cycles"])),
        *([] if stream is None else [("latency with the stream of its shell", _cycles(stream))]),
        ("latency with bus and client, one vector", _cycles(found["bus_latency_cycles"])),
        ("a word written in bulk", _cycles(found["write_cycles_per_word"])),
        ("a word read in bulk", _cycles(found["read_cycles_per_word"])),
        ("throughput, core", throughput("core_interval_cycles")),
        ("throughput, packed words", throughput("words_cycles_per_vector")),
        ("throughput, codes", throughput("client_cycles_per_vector")),
        ("energy per inference", "not estimated: no published coefficients of switching are at hand"),
        ("processor", f"{found['processor']}, {count(found['ram_bytes'] // 1024)}{THIN}KiB, {found['compiler']}"),
        ("simulated", f"{count(found['simulated_cycles'])} cycles"),
    ]


def _cycles(number: float) -> str:
    whole = number == int(number)
    return f"{count(number) if whole else significant(number)} cycle{'' if number == 1 else 's'}"


def one_vector_picture(found: Assessment) -> Picture:
    """Return how many vectors took how many cycles, each alone."""
    cycles: list[int] = found["one_vector_cycles"]
    figure, axes = axes_of(4.2, 2.0)
    low, high = min(cycles), max(cycles)
    axes.hist(cycles, bins=min(40, max(1, high - low + 1)), range=(low - 0.5, high + 0.5), color=STUDENT)
    if low == high:
        axes.set_xlim(low - 10, low + 10)
    axes.set_xlabel("cycles from the first word written to the result in the processor's memory")
    title = "One vector at a time"
    alt = f"{len(cycles)} vectors, each alone, take {low} to {high} cycles with bus and client."
    return Picture(title=title, alt=alt, html=svg_of(figure, title, alt))
