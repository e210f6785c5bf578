"""Grid: the numbers that a stored or handed-on value of a layer may have, one format for all or one for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import FitError
from gatewright.fixedpoint.dyadic import digit_count
from gatewright.fixedpoint.formats import Ints, Rounding
from gatewright.fixedpoint.rounding import round_to_integers


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
        few = f" of {self.digits} digit{'s' if self.digits > 1 else ''}" if self.digits else ""
        width, frac = int(self.width_bits.flat[0]), int(self.frac_bits.flat[0])
        if self.signed and width in (1, 2) and (self.width_bits == width).all() and (self.frac_bits == frac).all():
            return f"{'binary ' if width == 1 else 'ternary 0, '}±{2.0**-frac:g}"
        return formats_text(self.width_bits, self.frac_bits, signed=self.signed) + few

    @property
    def levels(self) -> NDArray[Any] | None:
        """The integers that are allowed, ascending; None for all from lo to hi."""
        if self.binary:
            return np.array([-1.0, 1.0])
        if not self.digits:
            return None
        positive = _sparse_integers(int(self.hi.max(initial=0)), self.digits)
        return np.concatenate([-positive[:0:-1], positive]) if self.signed else positive

    def quantize(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the grid's points nearest to float64 values: ties go up, then saturation or wrap. Same shape."""
        scale = np.exp2(self.frac_bits.astype(np.float64))
        v = np.asarray(values, dtype=np.float64) * scale
        if self.wrap:
            span, integers = np.exp2(self.width_bits.astype(np.float64)), round_to_integers(v, Rounding.HALF_UP)
            return (integers - np.floor(integers / span) * span) / scale
        clipped, levels = np.clip(v, self.lo, self.hi), self.levels
        return (round_to_integers(clipped, Rounding.HALF_UP) if levels is None else _nearest(clipped, levels)) / scale

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


def formats_text(width_bits: Ints, frac_bits: Ints, *, signed: bool) -> str:
    """Return `fixed<W,I>`, or how many formats there are and their widths. width_bits, frac_bits: any shape."""
    pairs = np.broadcast_arrays(width_bits, frac_bits)
    formats = sorted({(int(w), int(f)) for w, f in zip(*(p.flat for p in pairs), strict=True)})
    sign = "" if signed else "u"
    if len(formats) == 1:
        width, frac = formats[0]
        return f"{sign}fixed<{width},{width - frac}>"
    widths = [w for w, _ in formats]
    return f"{len(formats)} {sign}fixed formats, {min(widths)}..{max(widths)} bits"


def _nearest(v: NDArray[np.float64], levels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the nearest of ascending levels, the upper one at a tie. Any shape, same shape out."""
    return levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, v, side="right")]


def _sparse_integers(top: int, digits: int, *, below: Ints | None = None) -> Ints:
    """Return 0..top's integers with at most so many signed digits; with `below`, the greatest one <= each entry."""
    levels = np.arange(int(top) + 1, dtype=np.int64)
    levels = levels[digit_count(levels) <= digits]
    return levels if below is None else levels[np.searchsorted(levels, below, side="right") - 1]
