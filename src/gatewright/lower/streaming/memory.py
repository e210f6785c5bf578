"""A memory's words, bits and family in; the kind that a chip makes of it, and what that takes, out.

LUT RAM where words are few, block RAM else: iCE40 and GateMate have no LUT RAM and read by a clock only.
"""

from __future__ import annotations

from gatewright.lower.cost.cells import LUT_RAM, Cost, block_rams

_FEW_WORDS = {"xc7": 64, "xcup": 64, "intel": 32, "ecp5": 32, "gowin": 32}
_FEW_BITS = 1024


def in_blocks(depth: int, width_bits: int, family: str) -> bool:
    """Tell whether a memory belongs into block RAM, which is read by a clock."""
    return depth > _FEW_WORDS.get(family, 0) and not (family in _FEW_WORDS and depth * width_bits <= _FEW_BITS)


def memory_cost(depth: int, width_bits: int, family: str) -> Cost:
    """Return the estimated cells of a memory of one write and one read port, its addresses apart."""
    if in_blocks(depth, width_bits, family):
        return Cost(bram=block_rams(depth, width_bits, family))
    deep, wide, sites = LUT_RAM[family]
    return Cost(lut=-(-depth // deep) * -(-width_bits // wide) * sites)
