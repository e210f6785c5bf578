"""Results in, the clock of a family as a range with what it rests on, and latencies in ns at it, as text out.

A clock is printed in whole MHz, as a range wherever it is not that of a routed design, and "not known" where nobody has
timed the design. A latency in ns is printed at the clock asked for, or at what is reached where that is lower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gatewright.report.numbers import THIN, count, fixed, significant, unit

Results = Mapping[str, Any]
NOT_KNOWN = "not known"


def clock_range_mhz(synthesis: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the lowest and the highest clock of a family in MHz, the same for a routed design; None: not known."""
    if synthesis["fmax_mhz"] is None:
        return None
    if "fmax_range_mhz" in synthesis:
        low, high = synthesis["fmax_range_mhz"]
        return low, high
    return (math.floor(synthesis["fmax_mhz"]),) * 2


def clock_text(synthesis: Mapping[str, Any]) -> str:
    """Return the clock of a family."""
    found = clock_range_mhz(synthesis)
    return NOT_KNOWN if found is None else range_text(found, "MHz")


def range_text(ends: tuple[float, float], name: str) -> str:
    """Return "117 to 207 MHz", or one number where both ends are the same."""
    low, high = ends
    return unit(count(low) if low == high else f"{count(low)} to {count(high)}", name)


def source_text(synthesis: Mapping[str, Any]) -> str:
    """Return where a clock comes from, in words that never sell an estimate as a measurement."""
    words = {
        "place and route": "placed and routed",
        "vivado": "placed and routed by Vivado",
        "static timing": "static timing of the netlist before placement",
        "estimate": "estimate, not a measurement",
    }
    basis = f" ({synthesis['fmax_basis']})" if "fmax_basis" in synthesis else ""
    return words.get(synthesis["fmax_source"], "not timed") + basis


def misses(synthesis: Mapping[str, Any], clock_mhz: float) -> bool:
    """Whether even the highest clock to expect is below the one asked for."""
    found = clock_range_mhz(synthesis)
    highest = synthesis["fmax_mhz"] if found is None or found[0] == found[1] else found[1]
    return highest is not None and highest < clock_mhz


def usable_mhz(results: Results, own: Mapping[str, Any] | None) -> tuple[float, float]:
    """Return the slowest and the fastest clock at which a latency may be stated, never above the one asked for.

    own: the synthesis of the chosen part's family. Where the design was not timed, the delay model's own figure counts.
    """
    asked: float = results["hardware"]["clock_mhz"]
    modelled = min(asked, results.get("estimate", {}).get("reachable_mhz", asked))
    if own is None or own["fmax_source"] in {None, "estimate"}:
        return modelled, modelled
    if own["fmax_source"] == "static timing":
        low, high = own["fmax_range_mhz"]
        return min(asked, low), min(asked, high)
    reached = min(asked, own["fmax_mhz"])
    return reached, reached


def ns_text(cycles: int, clock_mhz: tuple[float, float], *, exact: bool = False) -> str:
    """Return a number of cycles in ns at the slowest and the fastest clock, the shorter time first."""
    slow, fast = (1e3 * cycles / mhz for mhz in clock_mhz)
    texts = [fixed(ns) if exact else significant(ns) for ns in (fast, slow)]
    return unit(texts[0] if texts[0] == texts[1] else " to ".join(texts), "ns")


def mhz_text(clock_mhz: tuple[float, float]) -> str:
    """Return a clock, or the range of one."""
    slow, fast = (significant(mhz).removesuffix(".0") for mhz in clock_mhz)
    return f"{slow if slow == fast else f'{slow} to {fast}'}{THIN}MHz"
