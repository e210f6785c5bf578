"""Cost: the cells that a part of a design takes on a family, as one value that adds up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """lut: LUT cells (xc7, xcup), else sites in the family's unit; ff: flip-flops; adders: additions in hardware."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    adders: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            lut=self.lut + other.lut,
            ff=self.ff + other.ff,
            dsp=self.dsp + other.dsp,
            bram=self.bram + other.bram,
            adders=self.adders + other.adders,
        )
