"""Integers and bits to drop, or floats, and a mode in, rounded integers out; on int64, object arrays and ints alike."""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint.formats import Ints, Rounding


def round_shift(q: Any, drop: Any, rounding: Rounding) -> Any:
    """Return q * 2**-drop rounded to integers. q: ints of any kind; drop >= 0: an int, or an array that broadcasts.

    floor((q + offset) / 2**drop), where the offset depends on the mode; every mode is monotonic in q.
    """
    some = drop > 0
    half = (1 << drop) >> 1
    match rounding:
        case Rounding.TRUNCATE:
            return q >> drop
        case Rounding.CEIL:
            return (q + (1 << drop) - 1) >> drop
        case Rounding.ZERO:
            return (q + (q < 0) * ((1 << drop) - 1)) >> drop
        case Rounding.HALF_UP:
            return (q + half) >> drop
        case Rounding.HALF_DOWN:
            return (q + half - 1 * some) >> drop
        case Rounding.HALF_AWAY:
            return (q + half - 1 * (some & (q < 0))) >> drop
        case Rounding.HALF_ZERO:
            return (q + half - 1 * (some & (q >= 0))) >> drop
        case Rounding.HALF_EVEN:
            return (q + half - some * (1 - ((q >> drop) & 1))) >> drop
        case _:
            assert_never(rounding)


def rounded(q: Ints, drop: Any, rounding: Rounding) -> Ints:
    """Return q * 2**-drop rounded to integers, a new array; where drop < 0 q is shifted up. drop broadcasts over q."""
    if np.all(drop <= 0):
        return q << -drop
    if np.all(drop >= 0):
        return round_shift(q, drop, rounding)
    return round_shift(q << np.maximum(-drop, 0), np.maximum(drop, 0), rounding)


def round_to_integers(v: NDArray[Any], rounding: Rounding) -> NDArray[Any]:
    """Return v rounded to integers; exact for every finite v."""
    match rounding:
        case Rounding.TRUNCATE:
            return np.floor(v)
        case Rounding.HALF_EVEN:
            return np.rint(v)
        case Rounding.CEIL:
            return np.ceil(v)
        case Rounding.ZERO:
            return np.trunc(v)
        case Rounding.HALF_UP:
            return _nearest(v, v > 0)
        case Rounding.HALF_DOWN:
            return _nearest(v, v < 0)
        case Rounding.HALF_AWAY:
            return _nearest(v, True)
        case Rounding.HALF_ZERO:
            return _nearest(v, False)
        case _:
            assert_never(rounding)


def _nearest(v: NDArray[Any], ties_away: Any) -> NDArray[Any]:
    """Round to nearest; a tie leaves zero where ties_away. The fraction of |v| is exact in floating point."""
    size = np.abs(v)
    low = np.floor(size)
    part = size - low
    return np.copysign(low + ((part > 0.5) | ((part == 0.5) & ties_away)), v)
