"""SynthReport: cell counts and clock of one synthesized design, in and out of JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gatewright.chips import Family, Part
from gatewright.errors import GatewrightError
from gatewright.tools import write_json

FmaxSource = Literal["place and route", "static timing", "estimate"]

COUNTS: tuple[str, ...] = ("lut", "inv", "lutram", "srl", "mux", "carry", "ff", "dsp", "bram", "sites")
"""The keys of every count: see SynthReport."""


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """Cells of a design after synthesis, before placement.

    lut: logic LUT cells; inv: inverters (Vivado absorbs most of them into LUTs, so they are listed apart);
    lutram, srl: LUT *sites* used as RAM and as shift registers; mux: wide multiplexers (MUXF7/8, PFUMX, L6MUX21);
    carry: carry cells (CARRY4: 4 bits, which yosys 0.70 uses on xcup too; CARRY8: 8 bits; CCU2C, CCU2: 2 bits; else 1);
    ff: flip-flops and latches;
    dsp: multiplier blocks; bram: the family's smallest blocks (18 kbit halves on Xilinx: a RAMB36 counts 2);
    sites: what competes for the part's LUTs, in the unit of chips.FamilyData.site: lut + lutram + srl, and the carry
    cells where they take LUTs' places (2 per CCU2). Estimated from below where nextpnr packs: it adds cells that lead
    into and out of carry chains, and on iCE40, Gowin and GateMate a flip-flop without its LUT takes a place too.
    other: cells of no known kind by name (PLLs, I/O buffers, black boxes).
    modules: the same counts, sub-modules included, of the top and of one instance of each module that was kept
    apart; name(parameters) where it occurs with several parameter sets.
    fmax_mhz comes with fmax_source; both None where nobody has timed the design. fmax_range_mhz: of a design that was
    not placed, the lowest (fmax_mhz of static timing) and the highest clock to expect; fmax_basis: what it rests on.
    """

    family: Family
    part: str
    tool: str
    lut: int
    inv: int
    lutram: int
    srl: int
    mux: int
    carry: int
    ff: int
    dsp: int
    bram: int
    sites: int
    other: Mapping[str, int] = field(default_factory=dict[str, int])
    modules: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    fmax_mhz: float | None = None
    fmax_source: FmaxSource | None = None
    fmax_range_mhz: tuple[int, int] | None = None
    fmax_basis: str = ""

    def __post_init__(self) -> None:
        if self.fmax_range_mhz is not None:
            low, high = self.fmax_range_mhz  # a list in JSON
            object.__setattr__(self, "fmax_range_mhz", (low, high))
        if (self.fmax_mhz is None) != (self.fmax_source is None):
            raise ValueError(f"fmax_mhz {self.fmax_mhz!r} must come with its source, not {self.fmax_source!r}")

    def with_fmax(self, fmax_mhz: float | None, source: FmaxSource) -> SynthReport:
        """Return the report with a clock and where it comes from."""
        return dataclasses.replace(
            self,
            fmax_mhz=fmax_mhz,
            fmax_source=None if fmax_mhz is None else source,
            fmax_range_mhz=None,
            fmax_basis="",
        )

    def with_range(self, fmax_mhz: float, source: FmaxSource, range_mhz: tuple[int, int], basis: str) -> SynthReport:
        """Return the report with a clock that no placement has checked, its range, and what both rest on."""
        return dataclasses.replace(
            self, fmax_mhz=fmax_mhz, fmax_source=source, fmax_range_mhz=range_mhz, fmax_basis=basis
        )

    def utilisation(self, part: Part) -> dict[str, float]:
        """Return the share of the part in per cent for lut (sites), ff, dsp and bram."""
        if part.family != self.family:
            raise GatewrightError(
                f"{part.name} is of family {part.family!r}, but the report counts cells of {self.family!r}; "
                f"synthesize for {part.family!r} first"
            )
        pairs = {
            "lut": (self.sites, part.lut),
            "ff": (self.ff, part.ff),
            "dsp": (self.dsp, part.dsp),
            "bram": (self.bram, part.bram),
        }
        return {kind: 100.0 * used / available for kind, (used, available) in pairs.items()}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like dict: deterministic, no times, no paths."""
        return {
            **{item.name: getattr(self, item.name) for item in dataclasses.fields(self)},
            "other": dict(self.other),
            "modules": {name: dict(counts) for name, counts in self.modules.items()},
        }

    def save(self, path: Path) -> None:
        """Write the report as JSON, atomically."""
        write_json(path, self.to_json())

    @staticmethod
    def load(path: Path) -> SynthReport:
        """Read what save wrote. Raises GatewrightError where the file is no such report."""
        try:
            return SynthReport(**json.loads(path.read_text()))
        except FileNotFoundError:
            raise GatewrightError(f"no synthesis report {path}; run the synthesis stage first") from None
        except (ValueError, TypeError) as error:
            raise GatewrightError(
                f"{path} must be a synthesis report of this version: {error}; delete {path.parent} and run again"
            ) from None


def record_cpu(out: Path, step: str, seconds: float) -> None:
    """Note a step's CPU seconds in out/timing.json, apart from the reports: they differ from run to run."""
    path = out / "timing.json"
    known: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
    write_json(path, {**known, f"{step}_cpu_seconds": round(seconds, 2)})
