"""Exact products with constants: the narrowest number type that holds every partial sum is chosen and proven.

IEEE 754-2019 binary32 holds every integer up to 2**24 and binary64 up to 2**53, so BLAS is exact below these bounds
in whatever order it adds; above them int64 is, and above that Python's integers (ranges that rule overflow out).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Ints
from gatewright.ir.moves import aligned
from gatewright.ir.ops import Conv, Dense
from gatewright.ir.program import Constant, Program
from gatewright.ir.windows import convolve

Array = NDArray[Any]
INT64_BITS = 63
FLOAT32, FLOAT64 = 1 << 24, 1 << 53
"""Below these, the type of that name holds every integer."""


def narrowest(bound: float) -> type[Any] | None:
    """Return the floats that hold every integer up to a bound, None where only int64 does."""
    return np.float32 if bound < FLOAT32 else np.float64 if bound < FLOAT64 else None


def product(op: Dense | Conv, x: Array, weight: Array) -> Array:
    """Return the op's sums of products, without bias, in the dtype of the operands. x: (n, *shape)."""
    if isinstance(op, Conv):
        return convolve(x, weight, op.strides, op.dilation, op.pads, op.groups)
    return x @ weight


def carrier(op: Dense | Conv, magnitude: Array, weight: Array) -> type[Any]:
    """Return the number type in which the products of |x| <= magnitude, (1, *shape), with weight are exact."""
    # float64 sums of non-negative terms err by less than a part in 2**20 for fewer than 2**32 terms
    bound = product(op, magnitude.astype(np.float64), np.abs(weight.astype(np.float64))).max() * (1 + 2**-20)
    return narrowest(bound) or (np.int64 if bound < 2.0**INT64_BITS else object)


def matmul(left: Array, right: Array) -> Array:
    """Return the products of matrices, (n, ..., a, k) @ (n, ..., k, b), in the dtype of the operands.

    The axes between the samples' and the last two broadcast, aligned at the last.
    """
    rank = max(left.ndim, right.ndim) - 1
    return aligned(left, rank) @ aligned(right, rank)


def matmul_carrier(left: Array, right: Array) -> type[Any]:
    """Return the number type in which the products of two values of at most these magnitudes, (*shape), are exact.

    Ranges that the verifier has proven to fit need nothing wider than int64.
    """
    bound = (left.astype(np.float64) @ right.astype(np.float64)).max() * (1 + 2**-20)
    return narrowest(bound) or np.int64


@dataclass(frozen=True, slots=True)
class Linear:
    """A Dense or Conv made ready: weight in its carrier, the bias at the result's frac_bits."""

    op: Dense | Conv
    weight: Array
    bias: Ints
    up: int

    @staticmethod
    def ready(op: Dense | Conv, program: Program, magnitude: Array, source_frac: int, frac: int) -> Linear:
        """Return the op ready for inputs of at most `magnitude`, (1, *shape); frac: the result's frac_bits."""
        weight, bias = program.constants[op.weight], program.constants[op.bias]
        kind = carrier(op, magnitude, weight.q)
        kind = np.int64 if kind is object else kind  # the verified result fits, so int64 wraps back to it
        up = frac - source_frac - weight.frac_bits
        return Linear(op, weight.q.astype(kind), bias.q << (frac - bias.frac_bits), up)

    def __call__(self, x: Ints) -> Ints:
        """Return the op's result. x: (n, *shape), int64 in and out."""
        total = product(self.op, x.astype(self.weight.dtype), self.weight).astype(np.int64)
        if self.up:
            total <<= self.up
        total += self.bias
        return total


def result_frac(source_frac: int, weight: Constant, bias: Constant) -> int:
    """Return the frac_bits of a Dense or Conv."""
    return max(source_frac + weight.frac_bits, bias.frac_bits)
