"""Chips: the table of parts and what each holds."""

from gatewright.chips.description import FAMILIES, Family, Part
from gatewright.chips.parts import PARTS, check_fit, part

__all__ = ["FAMILIES", "PARTS", "Family", "Part", "check_fit", "part"]
