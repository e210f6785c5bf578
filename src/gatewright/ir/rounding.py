"""Requant's arithmetic: integers and a format in, integers out; on int64 and object arrays and Python ints alike."""

from __future__ import annotations

from typing import Any, TypeVar, assert_never

import numpy as np

from gatewright.fixedpoint import Ints, Overflow, Rounding
from gatewright.ir.ops import Requant

_T = TypeVar("_T")


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


def requant(q: Ints, frac_bits: int, op: Requant) -> Ints:
    """Apply one Requant to integers at frac_bits. q: (n, *shape), same shape out."""
    shape = q.shape[1:]
    keep = per_element(op.keep_frac_bits, shape)
    kept = rounded(q, frac_bits - keep, op.rounding)
    bottom, top = ends(op, shape)
    match op.overflow:
        case Overflow.SATURATE | Overflow.SATURATE_SYMMETRIC:
            np.clip(kept, bottom, top, out=kept)
        case Overflow.WRAP:
            kept -= bottom
            kept &= top - bottom
            kept += bottom
        case _:
            assert_never(op.overflow)
    if np.any(keep != op.frac_bits):
        kept <<= op.frac_bits - keep
    return kept


def rounded(q: Ints, drop: Any, rounding: Rounding) -> Ints:
    """Return q * 2**-drop rounded to integers, a new array; where drop < 0 q is shifted up. drop broadcasts over q."""
    if np.all(drop <= 0):
        return q << -drop
    if np.all(drop >= 0):
        return round_shift(q, drop, rounding)
    return round_shift(q << np.maximum(-drop, 0), np.maximum(drop, 0), rounding)


def ends(op: Requant, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Return the lowest and highest integer of each element's format (at its own keep_frac_bits); 0, 0 for width 0."""
    width, signed = per_element(op.width_bits, shape), per_element(op.signed, shape)
    top = (1 << np.maximum(width - signed, 0)) - 1
    match op.overflow:
        case Overflow.SATURATE | Overflow.WRAP:
            return -signed * ((1 << width) >> 1), top
        case Overflow.SATURATE_SYMMETRIC:
            return -signed * top, top
        case _:
            assert_never(op.overflow)


def per_element(values: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Return one value for all, one per channel (last axis) or one per element as what broadcasts over `shape`."""
    if len(values) == 1:
        return np.int64(values[0])
    array = np.array(values, dtype=np.int64)
    return array if array.size == shape[-1] else array.reshape(shape)


def spread(values: tuple[_T, ...], size: int) -> tuple[_T, ...]:
    """Return one value per element, row-major, of values given once, per channel or per element."""
    return values * (size // len(values))
