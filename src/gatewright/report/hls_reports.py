"""Reports of Vivado HLS and Vitis HLS in (csynth XML, cosim text); what they say of a design out.

Tags and columns are those that hls4ml 1.3 reads (hls4ml/report/vivado_report.py). A project holds one
csynth XML for each function; its top's is TOP_csynth.xml, which Vitis writes once more as csynth.xml.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gatewright.errors import DataError

RESOURCES = ("LUT", "FF", "DSP", "BRAM_18K", "URAM")
_SPELLED = {"DSP48E": "DSP"}  # Vivado HLS' word
_UNKNOWN = ("", "?", "undef", "-", "x", "NA", "N/A")
_MOST_BYTES = 64 << 20
_COSIM = ("RTL", "Status", "latency min", "avg", "max", "interval min", "avg", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsEstimate:
    """What C synthesis expects of a design.

    latency_cycles, interval_cycles: least and greatest, None where the tool does not know one; resources, available:
    by RESOURCES, as far as the report has them.
    """

    top: str
    part: str
    version: str
    target_ns: float
    estimated_ns: float
    latency_cycles: tuple[int | None, int | None]
    interval_cycles: tuple[int | None, int | None]
    resources: Mapping[str, int]
    available: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsSimulated:
    """What cosimulation of the generated RTL measured; cycles as in HlsEstimate.

    passed: its bench found no difference.
    """

    rtl: str
    passed: bool
    latency_cycles: tuple[int | None, int | None]
    interval_cycles: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsReports:
    """The reports of one solution; simulated: None where nothing was cosimulated."""

    file: Path
    estimate: HlsEstimate
    simulated: HlsSimulated | None


def read_hls_reports(folder: Path) -> HlsReports:
    """Return the reports of the one solution in a folder: an hls4ml project, an HLS project, a solution.

    Raises DataError where there is none, or more than one, and for what is no such report.
    """
    if folder.is_file():
        return HlsReports(file=folder, estimate=read_csynth(folder), simulated=None)
    files = sorted(folder.rglob("*_csynth.xml"))
    tops = [file for file in files if (found := read_csynth(file)).top and file.stem == f"{found.top}_csynth"]
    tops = tops or sorted(folder.rglob("csynth.xml"))
    if not tops:
        raise DataError(
            f"{folder} holds no report of C synthesis (syn/report/TOP_csynth.xml): run csynth_design there, or name "
            "the project's or the solution's folder"
        )
    if len(tops) > 1:
        names = ", ".join(str(file.relative_to(folder)) for file in tops)
        raise DataError(f"{folder} holds the reports of {len(tops)} designs, {names}: name the folder of one solution")
    estimate = read_csynth(tops[0])
    solution = tops[0].parent.parent.parent
    cosim = solution / "sim" / "report" / f"{estimate.top}_cosim.rpt"
    return HlsReports(file=tops[0], estimate=estimate, simulated=read_cosim(cosim) if cosim.is_file() else None)


def read_csynth(path: Path) -> HlsEstimate:
    """Return what a csynth XML says. Raises DataError for what is damaged, cut off or another file."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} has more than {_MOST_BYTES:,} bytes, which no report of C synthesis has")
        root = ET.parse(path).getroot()  # expat bounds what entities grow to, and fetches nothing
    except (OSError, ET.ParseError) as error:
        raise DataError(
            f"{path} is no XML that can be read ({error}); a report that was cut off? Run C synthesis again"
        ) from None
    overall = "PerformanceEstimates/SummaryOfOverallLatency"
    return HlsEstimate(
        top=_text(root, "UserAssignments/TopModelName", path),
        part=_text(root, "UserAssignments/Part", path),
        version=(root.findtext("ReportVersion/Version") or "").strip(),
        target_ns=_number(root, "UserAssignments/TargetClockPeriod", path),
        estimated_ns=_number(root, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod", path),
        latency_cycles=_pair(root, overall, ("Best-caseLatency", "Worst-caseLatency"), path),
        interval_cycles=_pair(root, overall, ("Interval-min", "Interval-max"), path),
        resources=_counts(root, "AreaEstimates/Resources", path),
        available=_counts(root, "AreaEstimates/AvailableResources", path),
    )


def read_cosim(path: Path) -> HlsSimulated | None:
    """Return the row of the RTL that was simulated, None where none was. Raises DataError for what is no such report.

    Its table has a row for VHDL and one for Verilog: status, then least, mean and greatest latency and interval.
    """
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error}") from None
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    rows = [row for row in rows if row[0] in ("VHDL", "Verilog")]
    if not rows:
        raise DataError(
            f"{path} has no row for VHDL or Verilog; expected the report of a cosimulation, a table with the columns "
            f"{', '.join(_COSIM)}. A report that was cut off? Run cosim_design again"
        )
    for row in rows:
        if len(row) < len(_COSIM):
            raise DataError(
                f"{path}: the row {' | '.join(row)!r} has {len(row)} columns of {len(_COSIM)} ({', '.join(_COSIM)}); "
                "a report that was cut off? Run cosim_design again"
            )
        if row[1] not in _UNKNOWN:
            cycles = [_cycles(cell, path, "the row of " + row[0]) for cell in row[2:8]]
            return HlsSimulated(
                rtl=row[0],
                passed=row[1].lower() == "pass",
                latency_cycles=(cycles[0], cycles[2]),
                interval_cycles=(cycles[3], cycles[5]),
            )
    return None


def _text(root: ET.Element, tag: str, path: Path) -> str:
    found = root.findtext(tag)
    if found is None:
        raise DataError(
            f"{path} has no {tag}; expected a report of C synthesis by Vivado HLS or Vitis HLS (its first tag is "
            f"<profile>, this one's <{root.tag}>)"
        )
    return found.strip()


def _number(root: ET.Element, tag: str, path: Path) -> float:
    text = _text(root, tag, path)
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise DataError(f"{path}: {tag} must be a number, not {text!r}")
    return float(text)


def _pair(root: ET.Element, where: str, tags: tuple[str, str], path: Path) -> tuple[int | None, int | None]:
    first, second = (_cycles(_text(root, f"{where}/{tag}", path), path, tag) for tag in tags)
    return first, second


def _cycles(text: str, path: Path, where: str) -> int | None:
    if text in _UNKNOWN:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise DataError(f"{path}: {where} must be a number of cycles, not {text!r}")
    return round(float(text))


def _counts(root: ET.Element, where: str, path: Path) -> dict[str, int]:
    group = root.find(where)
    if group is None:
        raise DataError(f"{path} has no {where}; a report that was cut off? Run C synthesis again")
    found: dict[str, int] = {}
    for entry in group:
        name, text = _SPELLED.get(entry.tag, entry.tag), (entry.text or "").strip()
        if name not in RESOURCES or text in _UNKNOWN:
            continue
        if not text.isdecimal():
            raise DataError(f"{path}: {where}/{entry.tag} must be a count, not {text!r}")
        found[name] = int(text)
    return found
