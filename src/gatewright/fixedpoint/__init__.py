"""Numbers: formats, rounding, dyadic numbers and the search for an LSB; below everything that has numbers."""

from gatewright.fixedpoint.dyadic import digit_count, frac_bits, signed_digits, span_bits
from gatewright.fixedpoint.formats import MAX_BITS, Fixed, Ints, Overflow, Rounding
from gatewright.fixedpoint.grid import Grid, formats_text
from gatewright.fixedpoint.lsb import least_error_frac
from gatewright.fixedpoint.rounding import round_shift, round_to_integers, rounded

__all__ = [
    "MAX_BITS",
    "Fixed",
    "Grid",
    "Ints",
    "Overflow",
    "Rounding",
    "digit_count",
    "formats_text",
    "frac_bits",
    "least_error_frac",
    "round_shift",
    "round_to_integers",
    "rounded",
    "signed_digits",
    "span_bits",
]
