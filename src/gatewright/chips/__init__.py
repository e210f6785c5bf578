"""Chips: the table of families, one row each, the table of parts, and the check that a design fits."""

from gatewright.chips.families import FAMILIES, Family, FamilyData, router
from gatewright.chips.parts import PARTS, Part, check_fit, part
from gatewright.chips.routers import Router

__all__ = ["FAMILIES", "PARTS", "Family", "FamilyData", "Part", "Router", "check_fit", "part", "router"]
