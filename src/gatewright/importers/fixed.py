"""A precision as hls4ml's users write it (`ap_fixed<16,6,AP_RND,AP_SAT>`) in, format with its modes out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import FormatError, nearest
from gatewright.fixedpoint import Fixed, Overflow, Rounding, round_to_integers

# AMD UG1399, "Arbitrary Precision Fixed-Point": quantization and overflow modes, without their AP_.
ROUNDING = {
    "TRN": "truncate",
    "RND": "half_up",
    "RND_CONV": "half_even",
    "TRN_ZERO": "zero",
    "RND_ZERO": "half_zero",
    "RND_MIN_INF": "half_down",
    "RND_INF": "half_away",
}
OVERFLOW = {"WRAP": Overflow.WRAP, "SAT": Overflow.SATURATE, "SAT_SYM": Overflow.SATURATE}


@dataclass(frozen=True, slots=True)
class Precision:
    """A format, how values are rounded into it, and what happens to those outside; symmetric: lowest is -highest."""

    text: str
    format: Fixed
    rounding: Rounding
    overflow: Overflow
    symmetric: bool

    @property
    def lo(self) -> int:
        """Lowest code."""
        return -self.format.hi if self.symmetric and self.format.signed else self.format.lo

    @property
    def step(self) -> float:
        """The value of one code."""
        return 2.0**-self.format.frac_bits

    def cast(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values as the format holds them."""
        codes: NDArray[Any] = round_to_integers(values / self.step, self.rounding)
        lo, hi = float(self.lo), float(self.format.hi)
        codes = np.mod(codes - lo, hi - lo + 1) + lo if self.overflow is Overflow.WRAP else np.clip(codes, lo, hi)
        return codes * self.step


def parse(text: str, where: str) -> Precision:
    """Return a precision; modes default to truncation and wrapping, as AMD's types do."""
    compact = text.replace(" ", "")
    if hit := re.fullmatch(r"(?:ap_)?(u?)int<(\d+)>", compact):
        compact = f"{hit[1]}fixed<{hit[2]},{hit[2]}>"
    hit = re.fullmatch(r"((?:ap_)?u?fixed<\d+,-?\d+)((?:,\w+){0,3})>", compact)
    if not hit:
        raise FormatError(
            f"{where}: precision {text!r} is not understood; write ap_fixed<W,I>, ap_ufixed<W,I> or ap_int<W>"
        )
    modes = [mode.removeprefix("AP_") for mode in hit[2].split(",") if mode]
    if len(modes) == 3 and modes[2] != "0":
        raise FormatError(f"{where}: precision {text!r}: saturation bits must be 0, not {modes[2]}")
    rounding, overflow = [*modes[:2], *("TRN", "WRAP")[len(modes[:2]) :]]
    for mode, table, what in ((rounding, ROUNDING, "rounding"), (overflow, OVERFLOW, "overflow")):
        if mode not in table:
            raise FormatError(
                f"{where}: precision {text!r}: {what} mode AP_{mode} is not supported.{nearest(mode, list(table))}"
            )
    base = Fixed.parse(hit[1] + ">")
    return Precision(text, base, Rounding(ROUNDING[rounding]), OVERFLOW[overflow], overflow == "SAT_SYM")
