"""Ops that only move elements: arrays (n, *shape) of any dtype in, the same elements in another place out."""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.ir.op_moves import Fill, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.windows import padded, upsample

Array = NDArray[Any]
Wires = Reshape | Transpose | Slice | Pad | Upsample


def moved(op: Wires, x: Array, zero: Any = 0) -> Array:
    """Return the op's result. x: (n, *shape); zero: what Upsample puts between elements."""
    match op:
        case Reshape():
            return x.reshape(len(x), *op.shape)
        case Transpose():
            return x.transpose(0, *(axis + 1 for axis in op.axes))
        case Slice():
            # a stop below 0 with a negative step means "past element 0", which Python spells None
            parts = zip(op.starts, op.stops, op.steps, strict=True)
            return x[(slice(None), *(slice(a, None if b < 0 else b, step) for a, b, step in parts))]
        case Pad():
            return padded(x, op.pads, op.value)
        case Upsample(fill=Fill.REPEAT):
            return upsample(x, op.factors)
        case Upsample():
            shape = tuple(size * factor for size, factor in zip(x.shape[1:], op.factors, strict=True))
            result = np.full((len(x), *shape), zero, dtype=x.dtype)
            result[(slice(None), *(slice(None, None, factor) for factor in op.factors))] = x
            return result
        case _:
            assert_never(op)


def aligned(x: Array, rank: int) -> Array:
    """Return x with axes of size 1 after the sample axis, so that shapes of `rank` axes broadcast."""
    return x.reshape(len(x), *(1,) * (rank + 1 - x.ndim), *x.shape[1:])
