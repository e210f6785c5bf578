"""Values and a Grid (widths, fractional bits) in, values on that grid out; gradients pass straight through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewright.errors import FitError
from gatewright.fit.training.device import CPU
from gatewright.fixedpoint import Ints, digit_count
from gatewright.fixedpoint.lsb import least_error_frac


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The numbers q * 2**-frac_bits with lo <= q <= hi.

    width_bits, frac_bits: int64 arrays that broadcast over the tensor they describe: () for one format per tensor,
    (n_out,) per channel, (n_in, n_out) per weight. Signed grids are symmetric, lo = -hi: a negated weight costs
    what the weight costs, and 2 bits are ternary. Width 0 holds only 0. Signed width 1 is binary: -1 and +1, without
    0, and for a whole tensor only.
    wrap: values above hi return modulo 2**width_bits (unsigned grids only), which costs no hardware, instead of hi.
    digits: 0 allows every integer; d > 0 only those with at most d non-zero digits in canonical signed digit form,
    i.e. products that d shifted copies make: with 1, weights are powers of two and cost one adder input each.
    """

    width_bits: Ints
    frac_bits: Ints
    signed: bool
    digits: int = 0
    wrap: bool = False

    @staticmethod
    def uniform(width_bits: int, frac_bits: int, *, signed: bool, digits: int = 0) -> Grid:
        """Return one format for a whole tensor."""
        return Grid(width_bits=np.array(width_bits), frac_bits=np.array(frac_bits), signed=signed, digits=digits)

    def __post_init__(self) -> None:
        for key in ("width_bits", "frac_bits"):
            object.__setattr__(self, key, np.array(getattr(self, key), dtype=np.int64))
        if self.width_bits.min(initial=0) < 0 or self.width_bits.max(initial=0) > 32:
            raise FitError(f"widths of a grid must be 0..32 bits, not {self.width_bits.tolist()!r}; change the config")
        if self.signed and (self.width_bits == 1).any() and not (self.width_bits == 1).all():
            raise FitError("1 bit (binary) must hold for a whole tensor, not for some of its numbers; use 0 or 2 bits")
        if self.wrap and (self.signed or self.digits):
            raise FitError("a grid that wraps must be unsigned and hold every integer; use saturation")

    @property
    def binary(self) -> bool:
        """Whether it holds -1 and +1 only."""
        return self.signed and bool((self.width_bits == 1).any())

    @property
    def hi(self) -> Ints:
        """Highest integer."""
        top = (np.int64(1) << np.maximum(self.width_bits - self.signed, 0)) - 1 + self.binary
        return top if not self.digits else _sparse_integers(top.max(initial=0), self.digits, below=top)

    @property
    def lo(self) -> Ints:
        """Lowest integer."""
        return -self.hi if self.signed else np.zeros_like(self.hi)

    def __str__(self) -> str:
        """Return `fixed<W,I>`, or the number of formats and their widths where elements differ."""
        pairs = np.broadcast_arrays(self.width_bits, self.frac_bits)
        formats = sorted({(int(w), int(f)) for w, f in zip(*(p.flat for p in pairs), strict=True)})
        sign = "" if self.signed else "u"
        few = f" of {self.digits} digit{'s' if self.digits > 1 else ''}" if self.digits else ""
        if len(formats) == 1:
            width, frac = formats[0]
            if self.signed and width in (1, 2):
                return f"{'binary ' if width == 1 else 'ternary 0, '}±{2.0**-frac:g}"
            return f"{sign}fixed<{width},{width - frac}>{few}"
        widths = [w for w, _ in formats]
        return f"{len(formats)} {sign}fixed formats, {min(widths)}..{max(widths)} bits{few}"

    def tensors(self, dtype: torch.dtype, device: torch.device = CPU) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return (scale, lo, hi, levels) = (2**frac_bits, lo, hi, allowed integers or None for all) as tensors."""
        scale = np.exp2(self.frac_bits.astype(np.float64))
        scale_t, lo, hi = (torch.tensor(v, dtype=torch.float64).to(device, dtype) for v in (scale, self.lo, self.hi))
        levels = self._levels()
        return scale_t, lo, hi, None if levels is None else torch.tensor(levels, dtype=torch.float64).to(device, dtype)

    def _levels(self) -> NDArray[Any] | None:
        if self.binary:
            return np.array([-1.0, 1.0])
        if not self.digits:
            return None
        positive = _sparse_integers(int(self.hi.max(initial=0)), self.digits)
        return np.concatenate([-positive[:0:-1], positive]) if self.signed else positive

    def quantize(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the grid's points nearest to float64 values: ties go up, then saturation or wrap. Same shape."""
        if self.wrap:
            scale, span = np.exp2(self.frac_bits.astype(np.float64)), np.exp2(self.width_bits.astype(np.float64))
            integers = round_half_up(torch.tensor(np.asarray(values, dtype=np.float64) * scale)).numpy()
            return (integers - np.floor(integers / span) * span) / scale
        return fake_quantize(torch.tensor(values, dtype=torch.float64), *self.tensors(torch.float64)).numpy()

    def contains(self, values: NDArray[Any]) -> bool:
        """Tell whether every value is a point of the grid."""
        return bool(np.array_equal(self.quantize(values), values))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able description; `from_json` is its inverse."""
        return {
            "width_bits": self.width_bits.tolist(),
            "frac_bits": self.frac_bits.tolist(),
            "signed": self.signed,
            "digits": self.digits,
            "wrap": self.wrap,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Grid:
        """Return the grid that `to_json` described."""
        return Grid(**value)


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
        clipped = v.clamp(lo, hi)
        ctx.save_for_backward(clipped == v)
        return (round_half_up(clipped) if levels is None else nearest_level(clipped, levels)) / scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (inside,) = ctx.saved_tensors
        return grads[0] * inside, None, None, None, None


def fake_quantize(x: Tensor, scale: Tensor, lo: Tensor, hi: Tensor, levels: Tensor | None = None) -> Tensor:
    """Quantize x to the grid (scale = 2**frac, integers lo..hi or some of them) with straight-through gradients.

    x: any shape, same shape out; scale, lo, hi broadcast over it.
    """
    return _FakeQuantize.apply(x, scale, lo, hi, levels)  # type: ignore[no-any-return]


def _sparse_integers(top: int, digits: int, *, below: Ints | None = None) -> Ints:
    """Return 0..top's integers with at most so many signed digits; with `below`, the greatest one <= each entry."""
    levels = np.arange(int(top) + 1, dtype=np.int64)
    levels = levels[digit_count(levels) <= digits]
    return levels if below is None else levels[np.searchsorted(levels, below, side="right") - 1]


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
