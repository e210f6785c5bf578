"""A run's results and a vendor's HLS reports of the same network in, one table of both out.

What C synthesis prints under resources are sums of a library's figures for operators, before any logic was synthesized:
it neither shares nor removes what logic synthesis does, and knows no routing. So its columns are named estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatewright.report.hardware import family
from gatewright.report.hls_reports import HlsReports

WHY = (
    "The estimates of C synthesis are no resources: they add up figures of a library for each operator of the "
    "schedule, before logic synthesis, which merges and removes logic and maps it. Run logic synthesis of the exported "
    "RTL (`vivado_synth.rpt`) for figures that compare with ours."
)
BRAM_NOTE = "BRAM: blocks of 18 kbit (HLS), the family's smallest (gatewright)"


def beside_hls(results: Mapping[str, Any], reports: HlsReports) -> str:
    """Return the table, where its figures come from, and why the two do not compare as they stand."""
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
    head = ("", f"gatewright ({basis})", "HLS estimate (C synthesis)", "HLS cosimulation" if simulated else "")
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
    lines += ["", f"{BRAM_NOTE}; latency and interval of gatewright: measured in {_simulator(hardware)}"]
    if simulated and not simulated.passed:
        lines.append(f"the cosimulation of the {simulated.rtl} did not pass: its cycles are those of a failed run")
    version = f" {estimate.version}" if estimate.version else ""
    lines.append(f"HLS{version}: top {estimate.top!r}, {reports.file.name}")
    return "\n".join([*lines, WHY])


def _simulator(hardware: Mapping[str, Any]) -> str:
    return str(hardware.get("simulator") or "simulation")


def _count(value: int | None) -> str:
    return "not in the report" if value is None else f"{value:,}"


def _range(values: tuple[int | None, int | None]) -> str:
    low, high = values
    if low is None or high is None:
        return "not known"
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"
