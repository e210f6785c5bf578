"""Constants folded as the source would compute them: reshapes that keep a quantized weight's scale, arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.importers.builder import MAX_ELEMENTS, Builder, Const

Array = NDArray[Any]


def folded(b: Builder, compute: Callable[[], Any]) -> Const:
    """Run a NumPy computation on constants; its complaints become refusals that name the node."""
    try:
        with np.errstate(all="ignore"):
            return Const(value=np.asarray(compute()))
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        b.fail(f"its constant operands do not fit together: {error}")


def rearranged(b: Builder, const: Const, move: Callable[[Array], Array]) -> Const:
    """Apply a pure rearrangement (reshape, transpose, slice) to the value and to the scale that belongs to it."""
    value = folded(b, lambda: move(const.value)).value
    if const.scale is None:
        return Const(value=value, bits=const.bits)
    return Const(value=value, scale=_compressed(move(np.broadcast_to(const.scale, const.value.shape))))


def _compressed(scale: Array) -> Array:
    """Drop the axes along which nothing changes to size 1."""
    for axis in range(scale.ndim):
        first = scale.take([0], axis)
        if (scale == first).all():
            scale = first
    return np.array(scale)


def broadcast(b: Builder, value: Array, shape: tuple[int, ...]) -> Array:
    """Broadcast a constant; refuse a size that cannot be meant."""
    if prod(shape) > MAX_ELEMENTS or any(size < 0 for size in shape):
        b.fail(f"makes a constant of the shape {shape}; at most {MAX_ELEMENTS:,} elements are taken")
    return folded(b, lambda: np.broadcast_to(value, np.broadcast_shapes(value.shape, shape)).copy()).value


def divide(left: Array, right: Array) -> Array:
    """ONNX Div: integers truncate towards zero."""
    if np.issubdtype(np.result_type(left, right), np.integer):
        return (np.sign(left) * np.sign(right) * (np.abs(left) // np.abs(right))).astype(left.dtype)
    return left / right


def remainder(left: Array, right: Array, *, fmod: bool) -> Array:
    """ONNX Mod: the sign is the divisor's, with fmod (as C defines it, the only one of floats) the dividend's."""
    return np.fmod(left, right) if fmod else np.mod(left, right)
