"""Numbers: fixed-point formats and the search for their LSB; below everything that has numbers."""

from gatewright.fixedpoint.formats import MAX_BITS, Fixed, Ints, Overflow, Rounding
from gatewright.fixedpoint.lsb import least_error_frac

__all__ = ["MAX_BITS", "Fixed", "Ints", "Overflow", "Rounding", "least_error_frac"]
