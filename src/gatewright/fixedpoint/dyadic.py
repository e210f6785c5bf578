"""Numbers in, how they are built of powers of two out: fractional bits, spans of bits, signed digits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint.formats import Ints


def frac_bits(values: NDArray[Any]) -> int:
    """Return the least frac at which every value is an integer (0 where all are zero)."""
    kept = values[values != 0]
    if not kept.size:
        return 0
    mantissa, exponent = np.frexp(kept)
    whole = np.abs(mantissa * 2.0**53).astype(np.int64)
    zeros = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return int((53 - exponent - zeros).max())


def span_bits(values: NDArray[Any]) -> Ints:
    """Return the bits from the highest to the lowest set bit of each dyadic number, 0 for 0. Any shape, same out."""
    mantissa, _ = np.frexp(np.abs(values))
    whole = (mantissa * 2.0**53).astype(np.int64)
    low = np.log2((whole & -whole).clip(min=1).astype(np.float64)).astype(np.int64)
    return np.where(whole > 0, 53 - low, 0)


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Return the canonical signed digits of an integer as (power, sign), lowest power first.

    Of neighbours one is 0, and there are as few non-zero digits as possible (Reitwiesner 1960).
    """
    digits: list[tuple[int, int]] = []
    power = 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)
            digits.append((power, digit))
            value -= digit
        value >>= 1
        power += 1
    return digits


def digit_count(q: Ints) -> Ints:
    """Return how many canonical signed digits each integer has: popcount(n ^ 3n) for n = |q|. Any shape, same out."""
    n = np.abs(np.asarray(q, dtype=np.int64))
    return np.bitwise_count(n ^ (3 * n)).astype(np.int64)
