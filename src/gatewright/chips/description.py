"""The type of a part, and the families that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Family = Literal["xc7", "xcup", "ecp5", "nexus", "ice40", "gowin", "gatemate", "intel", "generic"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One chip and what it holds.

    lut: look-up tables with lut_inputs inputs, in the unit of the family's `sites` (see synth/families.py: half ALMs,
    half CPEs); ff: flip-flops; dsp: multiplier blocks (DSP48, 18x18 or 16x16 multipliers, variable-precision blocks);
    bram: block RAMs of bram_kbit kbit; nextpnr: nextpnr's options for the device, empty where none can place it.
    """

    name: str
    family: Family
    lut: int
    ff: int
    dsp: int
    bram: int
    lut_inputs: Literal[4, 6]
    bram_kbit: int = 18
    package: str = ""
    speed: str = ""
    nextpnr: tuple[str, ...] = ()
