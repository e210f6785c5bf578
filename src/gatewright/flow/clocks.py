"""The clock asked for and the one that the delay model reaches in, a warning where they differ out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def unreachable(clock_mhz: float, reachable_mhz: float, family: str) -> str:
    """Return what to tell of a clock above the delay model's highest; "" where it is not."""
    if clock_mhz <= reachable_mhz:
        return ""
    return (
        f"hardware.clock_mhz {clock_mhz:g} is out of reach on {family}: by its delay model one operation between two "
        f"registers allows {int(reachable_mhz)} MHz. Nanoseconds are given at that clock; lower hardware.clock_mhz"
    )


def warn_unreachable(rtl: Path, warn: Callable[[str], None]) -> None:
    """Warn of a clock out of reach, if the folder of the stage rtl is there and holds such a design."""
    try:
        claims = json.loads((rtl / "design.json").read_text())["claims"]
        text = unreachable(claims["clock_mhz"], claims["reachable_mhz"], claims["family"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if text:
        warn(text)
