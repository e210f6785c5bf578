"""Samples in, the input format that they need out: what `data.input_format = "auto"` takes, and why.

Without scaling the format is exact for every sample where that takes EXACT_BITS or fewer; else it is the narrowest,
of at most MOST_BITS, whose rounding stays SNR_DB below each feature's own spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.data.dataset import MAX_FRAC_BITS
from gatewright.data.pieces import Rows
from gatewright.errors import FormatError
from gatewright.fixedpoint import Fixed
from gatewright.fixedpoint.dyadic import frac_bits

EXACT_BITS = 12
MOST_BITS = 16
SNR_DB = 48.0
SCALED = {"range": "ufixed<8,8>", "standard": "fixed<8,4>"}
"""What scaled features take: 256 levels of the training range, or 16 levels to a deviation, eight of them each way."""


def auto_format(values: NDArray[Any] | Rows, scaling: str) -> tuple[Fixed, str]:
    """Return the format of samples, and the reason in words. values: (n, features) of any number type, all rows.

    Raises FormatError where no format of MOST_BITS reaches from the least to the greatest value with SNR_DB.
    """
    if scaling in SCALED:
        return Fixed.parse(SCALED[scaling]), f'data.scaling = "{scaling}" maps every feature to it'
    rows = values if isinstance(values, Rows) else Rows(x=values, features=values.shape[1])
    lows, highs = rows.ends()
    low, high = lows.min(), highs.max()
    fraction = min(max(_frac_bits(rows), -MAX_FRAC_BITS), MAX_FRAC_BITS)
    exact = _holding(low, high, fraction)
    if exact is not None and exact.width_bits <= EXACT_BITS:
        return exact, f"exact for all {len(values):,} samples, {low:g} to {high:g}"
    spread = rows.deviation()
    least = spread[spread > 0].min(initial=np.inf)
    needed = np.log2(10 ** (SNR_DB / 20) / (least * np.sqrt(12))) if np.isfinite(least) else 0.0
    found = _holding(low, high, int(np.ceil(needed)))
    if found is None or found.width_bits > MOST_BITS:
        if exact is not None and exact.width_bits <= MOST_BITS:
            return exact, f"exact for all {len(values):,} samples, {low:g} to {high:g}"
        raise FormatError(
            f'data.input_format = "auto" finds no format of at most {MOST_BITS} bits: features reach from {low:g} to '
            f'{high:g}, and the narrowest has a deviation of {least:g}; set data.scaling = "range", or a format'
        )
    return found, f"{SNR_DB:g} dB or more between each feature's spread and its rounding, {low:g} to {high:g}"


def _frac_bits(rows: Rows) -> int:
    """Return the least frac at which every value is an integer (0 where all are zero)."""
    return max((frac_bits(piece.astype(np.float64)) for piece in rows if piece.any()), default=0)


def _holding(low: Any, high: Any, fraction: int) -> Fixed | None:
    """Return the narrowest format of so many fraction bits from low to high, one step more for rounding; or None."""
    far = max(abs(float(low)), abs(float(high)))
    if far >= 2.0**40 or far * 2.0**fraction >= 2.0**30:
        return None
    lowest, highest = (int(np.floor(np.ldexp(float(end), fraction) + 0.5)) for end in (low, high))
    return Fixed.holding(lowest, highest, fraction)
