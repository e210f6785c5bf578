"""Values and a Grid (widths, fractional bits) in, values on that grid out; gradients pass straight through."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewright.errors import FitError
from gatewright.fit.device import CPU
from gatewright.fixedpoint import Grid, least_error_frac

GridTensors = tuple[Tensor, Tensor, Tensor, Tensor | None]


def grid_tensors(grid: Grid, dtype: torch.dtype, device: torch.device = CPU) -> GridTensors:
    """Return (scale, lo, hi, levels) = (2**frac_bits, lo, hi, allowed integers or None for all) as tensors."""
    scale = np.exp2(grid.frac_bits.astype(np.float64))
    scale_t, lo, hi = (torch.tensor(v, dtype=torch.float64).to(device, dtype) for v in (scale, grid.lo, grid.hi))
    levels = grid.levels
    return scale_t, lo, hi, None if levels is None else torch.tensor(levels, dtype=torch.float64).to(device, dtype)


def round_half_up(v: Tensor) -> Tensor:
    """Return floor(v + 1/2) computed without the rounding error of the addition. Any shape, same shape out.

    `v - floor(v)` is exact or rounds to 1, hence the comparison is right for every finite v.
    """
    low = torch.floor(v)
    return low + (v - low >= 0.5)


def nearest_level(v: Tensor, levels: Tensor) -> Tensor:
    """Return the nearest of ascending levels, the upper one at a tie. Any shape, same shape out."""
    if len(levels) == 1:
        return levels.expand_as(v)
    return levels[torch.bucketize(v, (levels[1:] + levels[:-1]) / 2, right=True)]


class _FakeQuantize(torch.autograd.Function):
    """q = clamp(floor(x 2^f + 1/2), lo, hi) 2^-f; dq/dx = 1 where lo <= x 2^f <= hi, else 0 (Bengio et al. 2013)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, lo: Tensor, hi: Tensor, levels: Tensor | None) -> Tensor:
        v = x * scale
        clipped = v.clamp(lo.item(), hi.item()) if _plain(lo, hi) else v.clamp(lo, hi)
        ctx.save_for_backward(clipped == v)
        if levels is not None:
            return nearest_level(clipped, levels) / scale
        low = torch.floor(clipped)
        return low.add_(clipped.sub_(low).ge_(0.5)).div_(scale)  # as round_half_up, in place

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (inside,) = ctx.saved_tensors
        return grads[0] * inside, None, None, None, None


def _plain(lo: Tensor, hi: Tensor) -> bool:
    """Tell whether ends are two numbers at hand: with these a clamp takes a fraction of its time."""
    return lo.ndim == hi.ndim == 0 and lo.device.type == "cpu"


def fake_quantize(x: Tensor, scale: Tensor, lo: Tensor, hi: Tensor, levels: Tensor | None = None) -> Tensor:
    """Quantize x to the grid (scale = 2**frac, integers lo..hi or some of them) with straight-through gradients.

    x: any shape, same shape out; scale, lo, hi broadcast over it.
    """
    return _FakeQuantize.apply(x, scale, lo, hi, levels)  # type: ignore[no-any-return]


def fit_grid(values: NDArray[Any], width_bits: int, *, signed: bool, digits: int = 0) -> Grid:
    """Return the per-tensor grid of a width whose mean squared rounding + clipping error over `values` is least.

    values: any shape; pruned weights may be left out by the caller. The LSB is a power of two: from one above the one
    that covers the largest magnitude down to SEARCH_BITS below it all are compared, the coarsest wins a tie.
    Values that are all (nearly) zero give LSB 2**-(width-1).
    """
    if not np.isfinite(values).all():
        wrong = float(np.asarray(values)[~np.isfinite(values)].flat[0])
        raise FitError(f"a grid must be fitted to finite values, not {wrong!r}; lower learning_rate")

    def grid(frac: int) -> Grid:
        return Grid.uniform(width_bits, frac, signed=signed, digits=digits)

    return grid(least_error_frac(values, width_bits, signed=signed, quantize=lambda v, f: grid(f).quantize(v)))


def covering_grid(values: NDArray[Any], width_bits: int, *, finest: NDArray[np.int64]) -> Grid:
    """Return the signed grid of a width that holds every value without clipping, no finer than 2**-finest.

    values: (n,). finest: () gives one LSB for all, (n,) one for each.
    """
    peak = np.abs(values) if finest.ndim else np.abs(values).max(initial=0.0)
    exponent = np.where(peak > 0, np.frexp(peak)[1], -64)
    frac = np.minimum(finest, width_bits - 1 - exponent)
    spills = np.floor(np.ldexp(peak, frac) + 0.5) > (1 << (width_bits - 1)) - 1  # rounded up to 2**(width-1)
    return Grid(width_bits=np.array(width_bits), frac_bits=frac - spills, signed=True)
