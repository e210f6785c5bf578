"""Results in, the last lines that `gatewright run` prints out: headline figures and where the files are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gatewright.report import view


def headline(results: Mapping[str, Any], run: Path) -> str:
    """Return the headline figures as aligned lines, then the paths of bitstream and report."""
    lines = [
        (card.label, f"{card.value}  ({card.note})" if card.note else card.value)
        for card in view.headline_cards(results)
    ]
    if results["bitstream"]:
        lines.append(("Bitstream", str(run / results["bitstream"])))
    elif results["board"] is None:
        lines.append(("Bitstream", "none: hardware.board is not set"))
    lines.append(("Report", str(run / "report.html")))
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label:<{width}}  {text}" for label, text in lines).replace("\u202f", " ")


def times_line(times: Mapping[str, float], ran: Collection[str]) -> str:
    """Return one line of how long each stage took, and how long those that ran now took together.

    times: wall-clock seconds by stage. ran: those that ran; the others are said to be unchanged.
    """
    said = ", ".join(f"{name} {seconds:.1f}{'' if name in ran else ' (unchanged)'}" for name, seconds in times.items())
    return f"Seconds per stage: {said}; {sum(times[name] for name in ran if name in times):.1f} this time"
