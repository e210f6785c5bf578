"""What synthesis needs to know of a chip. The table of chips is target/parts.py; only the type lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Family = Literal["xc7", "xcup", "ecp5"]
"""Xilinx 7 series, Xilinx UltraScale+, Lattice ECP5."""

FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One chip and what it holds.

    lut: look-up tables with lut_inputs inputs; ff: flip-flops; dsp: multiplier blocks (DSP48, or 18x18 multipliers);
    bram: block RAMs of 18 kbit; nextpnr: the device options of nextpnr, empty where no open router exists.
    """

    name: str
    family: Family
    lut: int
    ff: int
    dsp: int
    bram: int
    lut_inputs: Literal[4, 6]
    package: str = ""
    speed: str = ""
    nextpnr: tuple[str, ...] = ()
