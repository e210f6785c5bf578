"""Number formats: a spelling in (`ap_fixed<8,3>`, `quantized_bits(8,2)`), a Fixed out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import FormatError

Ints = NDArray[np.int64]

MAX_BITS = 62  # sums of two values still fit int64
_MODES = {"TRN", "TRN_ZERO", "RND", "RND_CONV", "RND_INF", "RND_MIN_INF", "RND_ZERO", "SAT", "SAT_SYM", "WRAP"}


class Rounding(Enum):
    """How Requant drops fractional bits."""

    TRUNCATE = "truncate"  # towards minus infinity (ap_fixed AP_TRN)
    HALF_UP = "half_up"  # to nearest, ties towards plus infinity (AP_RND)
    HALF_EVEN = "half_even"  # to nearest, ties to even (AP_RND_CONV)
    HALF_DOWN = "half_down"  # to nearest, ties towards minus infinity (AP_RND_MIN_INF)
    HALF_AWAY = "half_away"  # to nearest, ties away from zero (AP_RND_INF)
    HALF_ZERO = "half_zero"  # to nearest, ties towards zero (AP_RND_ZERO)
    ZERO = "zero"  # towards zero (AP_TRN_ZERO)
    CEIL = "ceil"  # towards plus infinity


class Overflow(Enum):
    """What Requant does with a value outside its format."""

    SATURATE = "saturate"  # clip to the format's ends (AP_SAT)
    WRAP = "wrap"  # keep the low bits (AP_WRAP)
    SATURATE_SYMMETRIC = "saturate_symmetric"  # clip to -hi .. hi (AP_SAT_SYM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Stored integer q means q * 2**-frac_bits; width_bits includes the sign."""

    width_bits: int
    frac_bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.width_bits <= MAX_BITS:
            raise FormatError(
                f"width_bits must be 1..{MAX_BITS}, not {self.width_bits!r}; choose another width or split the value"
            )

    @property
    def lo(self) -> int:
        """Lowest stored integer."""
        return -(1 << (self.width_bits - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """Highest stored integer."""
        return (1 << (self.width_bits - self.signed)) - 1

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}fixed<{self.width_bits},{self.width_bits - self.frac_bits}>"

    @staticmethod
    def parse(text: str) -> Fixed:
        """Return the format that a spelling names.

        `fixed<W,I>`, `ap_fixed<W,I>`, `ufixed<W,I>`, `ap_ufixed<W,I>`: W bits in all, I of them integer bits, the
        sign included (AMD UG1399, "Arbitrary Precision Fixed-Point"); rounding and overflow modes may follow and
        are checked but not kept. `quantized_bits(b,i[,keep_negative])`: b bits in all, i integer bits without
        the sign; `quantized_relu(b,i)`: unsigned (QKeras). Raises FormatError for anything else.
        """
        compact = text.replace(" ", "")
        if hit := re.fullmatch(r"(?:ap_)?(u?)fixed<(\d+),(-?\d+)((?:,(?:AP_)?\w+)*)>", compact):
            width, integer = int(hit[2]), int(hit[3])
            for mode in filter(None, hit[4].split(",")):
                if mode.removeprefix("AP_") not in _MODES:
                    raise FormatError(f"{text!r}: mode {mode!r} must be one of {sorted(_MODES)}")
            return _checked(text, width, width - integer, not hit[1])
        if hit := re.fullmatch(
            r"quantized_bits\((\d+),(-?\d+)(?:,(0|1|True|False))?(?:,alpha='?1(?:\.0)?'?)?\)", compact
        ):
            width, integer = int(hit[1]), int(hit[2])
            signed = hit[3] not in {"0", "False"}
            return _checked(text, width, width - integer - signed, signed)
        if hit := re.fullmatch(r"quantized_relu\((\d+),(-?\d+)\)", compact):
            return _checked(text, int(hit[1]), int(hit[1]) - int(hit[2]), False)
        raise FormatError(
            f"format {text!r} is not understood; "
            "write fixed<W,I>, ufixed<W,I>, quantized_bits(b,i) or quantized_relu(b,i)"
        )

    @staticmethod
    def holding(lo: int, hi: int, frac_bits: int) -> Fixed:
        """Return the narrowest format whose integers reach from lo to hi."""
        signed = lo < 0
        width = max(max(hi, 0).bit_length(), (-lo - 1).bit_length() if signed else 0) + signed
        return Fixed(width_bits=max(width, 1), frac_bits=frac_bits, signed=signed)


def _checked(text: str, width: int, frac: int, signed: bool) -> Fixed:
    try:
        return Fixed(width_bits=width, frac_bits=frac, signed=signed)
    except FormatError as error:
        raise FormatError(f"format {text!r}: {error}") from None
