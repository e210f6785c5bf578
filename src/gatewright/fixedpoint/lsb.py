"""Numbers and a width in, the LSB out at which rounding and clipping them to it costs least."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEGLIGIBLE = 2.0**-64  # numbers whose largest is below this are taken as zero
SEARCH_BITS = 6  # powers of two tried below the range-covering one


def least_error_frac(
    values: NDArray[Any], width_bits: int, *, signed: bool, quantize: Callable[[NDArray[np.float64], int], NDArray[Any]]
) -> int:
    """Return the frac_bits at which the mean squared error of `quantize(values, frac_bits)` is least.

    values: finite, any shape. Powers of two from one above the LSB that covers the largest magnitude down to
    SEARCH_BITS below it are compared, the coarsest wins a tie. Values that are all (nearly) zero give width_bits - 1.
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    peak = float(np.abs(flat).max(initial=0.0)) if signed else float(flat.max(initial=0.0))
    if peak < NEGLIGIBLE:
        return width_bits - 1
    cover = width_bits - signed - int(np.frexp(peak)[1])
    errors = {
        frac: float(np.mean((quantize(flat, frac) - flat) ** 2)) for frac in range(cover - 1, cover + SEARCH_BITS + 1)
    }
    return min(errors, key=lambda frac: (errors[frac], frac))
