"""A program, a configuration and a part in; nothing out, or at once the error that the design is far too large."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gatewright.errors import BudgetError
from gatewright.flow.lowering import choices_of

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.config import Config
    from gatewright.ir import Program
    from gatewright.lower.least import Least

ROM_SHARE = 0.5  # of the LUTs that may hold weights instead


def check_room(program: Program, config: Config, part: Part) -> None:
    """Raise BudgetError where an unrolled program is thought to need more LUTs than the part has, by lower/least.py.

    Before anything is compiled: a second is enough for a million weights. What passes may still be too large.
    """
    from gatewright.lower.compile import without_windows
    from gatewright.lower.least import least
    from gatewright.lower.tensor.compile import streams

    choices = choices_of(config)
    if choices.reuse != 1 or streams(program, choices):
        return
    found = least(without_windows(program, choices))
    if found.lut > part.lut:
        raise BudgetError(
            f"{program.name!r} does not fit {part.name} with logic of its own for each of its {found.weights:,} "
            f"weights: they are estimated to take at least {_round(found.lut):,} LUT, and the part has {part.lut:,}, "
            f"{found.lut / part.lut:.1f} times too few; {_advice(found, part)}"
        )


def _advice(found: Least, part: Part) -> str:
    """Return what would fit: the same part with multipliers that take turns, or a larger one."""
    from gatewright.chips import PARTS

    storage = part.bram * part.bram_kbit * 1024 + int(ROM_SHARE * part.lut) * (1 << part.lut_inputs)
    if found.weight_bits <= storage and part.dsp:
        turns = math.ceil(found.weights / part.dsp)
        return (
            f'let its {part.dsp} multiplier blocks take turns: hardware.architecture = "folded" and '
            f"hardware.reuse_factor of {turns:,} or more"
        )
    larger = sorted((other for other in PARTS.values() if other.lut >= found.lut), key=lambda other: other.lut)
    where = f"; the smallest part of the table with so many LUTs is {larger[0].name}" if larger else ""
    return (
        f"folded, its weights alone take {found.weight_bits / 1024:,.0f} kbit, and the part holds about "
        f"{storage / 1024:,.0f}: prune it, give weights fewer bits, or choose a larger hardware.part{where}"
    )


def _round(lut: float) -> int:
    """Return two digits of a number, downwards."""
    unit = 10 ** max(int(math.log10(lut)) - 1, 0)
    return int(lut // unit * unit)
