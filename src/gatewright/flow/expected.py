"""A design's estimated cells and the stages that are done in, a guess of how long a synthesis takes out."""

from __future__ import annotations

import json
from pathlib import Path

from gatewright.flow.rundir import RunDirectory

# CPU seconds of yosys and nextpnr, as fitted to some twenty designs of 100 to 4,000 LUTs: (fixed, of 1,000 LUTs)
YOSYS = {"xc7": (8.0, 4.0), "xcup": (8.0, 4.0)}
YOSYS_OTHER = (3.0, 5.0)
ROUTING = (5.0, 12.0)


def expected_text(directory: RunDirectory, family: str, *, placed: bool) -> str:
    """Return how long synthesis for a family, and placing, may take; in words, with what the guess comes from.

    It comes from the LUTs that were estimated, and from how long the syntheses took that are done in this run.
    """
    lut = int(json.loads((directory.folder("rtl") / "estimate.json").read_text())["lut"])
    factor, basis = _measured(directory, family, lut)
    seconds = _synthesis_s(family, lut) * factor + (_line_s(ROUTING, lut) if placed else 0.0)
    return f"about {duration(seconds)}, a guess from {lut:,} estimated LUTs{basis}"


def duration(seconds: float) -> str:
    """Return a time as one says it: 7 s, 40 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds < 10 else f"{round(seconds / 5) * 5} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _measured(directory: RunDirectory, family: str, lut: int) -> tuple[float, str]:
    """Return by how much this machine is slower than the guess, and from which of the run's stages that is known."""
    for folder in sorted(Path(directory.folder("synth")).glob("*/stage.json")):
        other = folder.parent.name
        seconds = directory.seconds(f"synth/{other}")
        if other != family and seconds and not (folder.parent / "place.json").exists():
            return seconds / _synthesis_s(other, lut), f" and from the {duration(seconds)} of synth/{other}"
    return 1.0, " on an idle core"


def _synthesis_s(family: str, lut: int) -> float:
    return _line_s(YOSYS.get(family, YOSYS_OTHER), lut)


def _line_s(line: tuple[float, float], lut: int) -> float:
    return line[0] + line[1] * lut / 1000
