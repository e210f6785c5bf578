"""What a family builds truth tables of: the inputs of its LUTs and the multiplexers behind them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Luts:
    """The look-up tables of one family.

    inputs: of a LUT; free_levels: levels of multiplexers behind LUTs that cost none.
    sites: of one LUT that uses every input, in the family's unit; one with an input less takes a site.
    pairs: whether one LUT holds two functions of the same inputs, one fewer than it has.
    """

    inputs: int
    free_levels: int
    sites: int = 1
    pairs: bool = False


LUT6 = Luts(6, 2, pairs=True)  # MUXF7, MUXF8; LUT6_2
LUT4 = Luts(4, 0)
LUT4_MUX7 = Luts(4, 3)  # PFUMX or WIDEFN9, two levels of L6MUX21
LUT4_MUX8 = Luts(4, 4)  # MUX2_LUT5 .. MUX2_LUT8
ALM = Luts(6, 0, sites=2)
