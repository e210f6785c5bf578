"""Samples in, the input format that they need out: what `data.input_format = "auto"` takes, and why.

Without scaling the format is exact for every sample where that takes EXACT_BITS or fewer; else it is the narrowest,
of at most MOST_BITS, whose rounding stays SNR_DB below each feature's own spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.data.dataset import MAX_FRAC_BITS
from gatewright.errors import FormatError
from gatewright.fixedpoint import Fixed
from gatewright.fixedpoint.dyadic import frac_bits

EXACT_BITS = 12
MOST_BITS = 16
SNR_DB = 48.0
SCALED = {"range": "ufixed<8,8>", "standard": "fixed<8,4>"}
"""What scaled features take: 256 levels of the training range, or 16 levels to a deviation, eight of them each way."""


def auto_format(values: NDArray[Any], scaling: str) -> tuple[Fixed, str]:
    """Return the format of samples, and the reason in words. values: (n, features) int64 or float64, all rows.

    Raises FormatError where no format of MOST_BITS reaches from the least to the greatest value with SNR_DB.
    """
    if scaling in SCALED:
        return Fixed.parse(SCALED[scaling]), f'data.scaling = "{scaling}" maps every feature to it'
    low, high = values.min(), values.max()
    fraction = min(max(frac_bits(values.astype(np.float64)), -MAX_FRAC_BITS), MAX_FRAC_BITS)
    exact = _holding(low, high, fraction)
    if exact is not None and exact.width_bits <= EXACT_BITS:
        return exact, f"exact for all {len(values):,} samples, {low:g} to {high:g}"
    spread = values.std(axis=0, dtype=np.float64)
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


def _holding(low: Any, high: Any, fraction: int) -> Fixed | None:
    """Return the narrowest format of so many fraction bits from low to high, one step more for rounding; or None."""
    far = max(abs(float(low)), abs(float(high)))
    if far >= 2.0**40 or far * 2.0**fraction >= 2.0**30:
        return None
    lowest, highest = (int(np.floor(np.ldexp(float(end), fraction) + 0.5)) for end in (low, high))
    return Fixed.holding(lowest, highest, fraction)
