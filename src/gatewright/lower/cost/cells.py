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


# family -> (words, bits, sites) of one LUT RAM, as yosys 0.70 counts; elsewhere words are flip-flops
LUT_RAM = {"xc7": (32, 6, 4), "xcup": (32, 6, 4), "ecp5": (16, 4, 6), "gowin": (16, 4, 6), "intel": (32, 20, 20)}


# family -> (words, bits) that one block RAM holds: of 18 kbit where the family is not named
_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
_BLOCK_RAM = {
    "ice40": ((256, 16), (512, 8), (1024, 4), (2048, 2)),
    "gatemate": ((512, 40), (1024, 20), (2048, 10), (4096, 5), (8192, 2), (16384, 1)),
    "intel": ((256, 40), (512, 20), (1024, 10), (2048, 5), (4096, 2), (8192, 1)),
}
_NO_LUT_RAM = frozenset({"ice40", "gatemate"})
_BLOCK_SAVES_BITS = 256


def block_rams(words: int, width_bits: int, family: str) -> int:
    """Return how many block RAMs hold a memory, in the shape that takes the fewest."""
    shapes = _BLOCK_RAM.get(family, _SHAPES)
    return min(-(-words // deep) * -(-width_bits // wide) for deep, wide in shapes)


def fifo_in_block(family: str, width_bits: int, depth: int) -> bool:
    """Tell whether gw_fifo belongs into block RAM: without LUT RAM, where that saves some hundred flip-flops.

    Two words then wait in flip-flops behind it.
    """
    words = 1 << max((depth - 1).bit_length(), 1)
    return family in _NO_LUT_RAM and width_bits * (words - 2) >= _BLOCK_SAVES_BITS


def fifo_cost(depth: int, width_bits: int, family: str) -> Cost:
    """Return the estimated cells of gw_channel: two counters, two pointers, and the next power of two of words."""
    log2 = max((depth - 1).bit_length(), 1)
    words = 1 << log2
    control = Cost(lut=4 * log2 + 8, ff=4 * log2 + 4)
    if fifo_in_block(family, width_bits, depth):
        behind = Cost(lut=2 * width_bits + 8, ff=2 * width_bits + 3)
        return control + behind + Cost(bram=block_rams(words, width_bits, family))
    if family not in LUT_RAM:
        return control + Cost(lut=width_bits * words // 2 + words, ff=width_bits * words)
    deep, wide, sites = LUT_RAM[family]
    return control + Cost(lut=-(-words // deep) * -(-width_bits // wide) * sites)
