"""A run's results and a vendor's HLS reports of the same network in, one table of both out, as text or as a page.

What C synthesis prints under resources are sums of a library's figures for operators, before any logic was synthesized:
it neither shares nor removes what logic synthesis does, and knows no routing. So its columns are named estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.report.hardware import family
from gatewright.report.hls_reports import HlsReports
from gatewright.report.page import render_template
from gatewright.tools import write_atomic

WHY = (
    "The estimates of C synthesis are no resources: they add up figures of a library for each operator of the "
    "schedule, before logic synthesis, which merges and removes logic and maps it. Run logic synthesis of the exported "
    "RTL (`vivado_synth.rpt`) for figures that compare with ours."
)
BRAM_NOTE = "BRAM: blocks of 18 kbit (HLS), the family's smallest (gatewright)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A run beside the reports. header, rows: the table; notes: where its figures come from."""

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def text(self) -> str:
        """Return the table, its notes, and why the two do not compare as they stand."""
        table = (self.header, *self.rows)
        widths = [max(len(row[at]) for row in table) for at in range(len(self.header))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join([*lines, "", *self.notes, WHY])

    def page(self) -> str:
        """Return the same as one self-contained HTML page."""
        return render_template(
            "hls.html",
            name=self.name,
            summary=WHY.replace("`", ""),
            cards=(),
            header=self.header,
            rows=self.rows,
            notes=self.notes,
        )

    def write_page(self, path: Path) -> None:
        """Write the page, atomically."""
        write_atomic(path, self.page())


def beside_hls(results: Mapping[str, Any], reports: HlsReports) -> Beside:
    """Return what the run and the reports say of latency, clock and resources."""
    estimate, simulated = reports.estimate, reports.simulated
    hardware, own = results["hardware"], results["synthesis"].get(family(results))
    counts = own or results["estimate"]
    clock_ns = 1000 / float(hardware["clock_mhz"])
    resources = estimate.resources
    rows = [
        ("LUT", f"{int(counts.get('sites', counts['lut'])):,}", _count(resources.get("LUT")), ""),
        ("FF", f"{int(counts['ff']):,}", _count(resources.get("FF")), ""),
        ("DSP", f"{int(counts['dsp']):,}", _count(resources.get("DSP")), ""),
        ("BRAM", f"{float(counts['bram']):g}", _count(resources.get("BRAM_18K")), ""),
        ("URAM", "0", _count(resources.get("URAM")), ""),
        (
            "latency, cycles",
            f"{int(hardware['latency_cycles']):,}",
            _range(estimate.latency_cycles),
            _range(simulated.latency_cycles) if simulated else "",
        ),
        (
            "interval, cycles",
            f"{int(hardware['initiation_interval']):,}",
            _range(estimate.interval_cycles),
            _range(simulated.interval_cycles) if simulated else "",
        ),
        ("clock, ns", f"{clock_ns:g}", f"{estimate.estimated_ns:g} of {estimate.target_ns:g}", ""),
        ("part", str(hardware["part"]), estimate.part, ""),
    ]
    basis = f"logic synthesis, {own['tool']}" if own else "our estimate"
    notes = [f"{BRAM_NOTE}; latency and interval of gatewright: measured in {_simulator(hardware)}"]
    if simulated and not simulated.passed:
        notes.append(f"the cosimulation of the {simulated.rtl} did not pass: its cycles are those of a failed run")
    version = f" {estimate.version}" if estimate.version else ""
    notes.append(f"HLS{version}: top {estimate.top!r}, {reports.file.name}")
    header = ("", f"gatewright ({basis})", "HLS estimate (C synthesis)", "HLS cosimulation")
    columns = len(header) if simulated else len(header) - 1
    return Beside(
        name=str(results["name"]),
        header=header[:columns],
        rows=tuple(row[:columns] for row in rows),
        notes=tuple(notes),
    )


def _simulator(hardware: Mapping[str, Any]) -> str:
    return str(hardware.get("simulator") or "simulation")


def _count(value: int | None) -> str:
    return "not in the report" if value is None else f"{value:,}"


def _range(values: tuple[int | None, int | None]) -> str:
    low, high = values
    if low is None or high is None:
        return "not known"
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"
