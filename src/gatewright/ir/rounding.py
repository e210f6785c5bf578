"""Requant's arithmetic: integers and the op in, integers in its format out."""

from __future__ import annotations

from typing import Any, TypeVar, assert_never

import numpy as np

from gatewright.fixedpoint import Ints, Overflow, rounded
from gatewright.ir.ops import Requant

_T = TypeVar("_T")


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
