"""The delays of one family, in ns, and the carry chains it builds of adders: types of the rows in families.py."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gatewright.chips.luts import LUT4, Luts

UNCALIBRATED = "estimate, not calibrated"
NETLISTS = f"{UNCALIBRATED} with placed designs; compared with static timing of netlists"
NETLISTS_BELOW = (0.55, 1.1)
GUESSED = (0.6, 1.3)
PLACED_BELOW = (1.0, 1.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Delays in ns of one family. ternary: whether its LUTs add three numbers in one carry chain.

    block_ns: more for what comes out of a block RAM than for what comes out of a register. start_ns: from the credit
    that lets a vector enter to every register that takes it, in a design whose units wait for their start. table_ns:
    more for a table of more index bits than LUTs with their multiplexers hold: each bit then drives about a hundred
    LUTs. luts: what its tables are built of. dsp_ns: register, multiplier block, register; an estimate. keep_sums:
    whether yosys is kept from merging adders: without that it turns sums of sums between two registers into carry-save
    logic, which takes more LUTs than the carry chains that it saves. basis: what the numbers rest on, printed beside
    every clock that comes of them. spread: the lowest and the highest clock to expect of a design, as factors of the
    model's: GUESSED where nobody has compared it, PLACED_BELOW where the model stays below what nextpnr reaches (by 12
    to 74 % in the designs of docs/timing).
    """

    register_ns: float
    carry_base_ns: float
    carry_per_bit_ns: float
    logic_ns: float
    dsp_ns: float = 4.5
    table_ns: float = 0.0
    block_ns: float = 2.0
    start_ns: float = 0.0
    ternary: bool = False
    keep_sums: bool = False
    luts: Luts = LUT4
    basis: str = UNCALIBRATED
    spread: tuple[float, float] = GUESSED

    def clock_range_mhz(self, period_ns: float) -> tuple[int, int]:
        """Return the lowest and the highest clock to expect, in whole MHz, for a longest path by the model."""
        low, high = (factor * 1e3 / period_ns for factor in self.spread)
        return math.floor(low), math.ceil(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adders:
    """The sites that yosys 0.70 takes for an adder of two numbers, measured on single ones.

    short, short_constant: sites by the length of the chain, where short ones become LUTs instead of carry cells; with a
    constant operand. paired: whether a carry cell is of two bits and two sites; head: sites that lead into a chain.
    inverters: whether a LUT must invert a subtracted operand, because no carry cell does.
    """

    short: tuple[int, ...] = ()
    short_constant: tuple[int, ...] = ()
    paired: bool = False
    head: int = 0
    inverters: bool = False
