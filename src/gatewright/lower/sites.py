"""An adder's length and a family in, the sites that yosys 0.70 takes for it out: measured on single adders."""

from __future__ import annotations

# ECP5 and Nexus: up to 4 bits yosys builds LUT4s instead of a carry chain
_SHORT = (0, 1, 2, 3, 10)
_SHORT_CONSTANT = (0, 1, 1, 3, 4)


def adder_sites(family: str, bits: int, *, minus: bool = False, constant: bool = False) -> int:
    """Return the sites of an adder or subtractor whose carry chain has `bits` bits.

    constant: one operand is a constant. The unit is that of synth.families.Target.site.
    """
    if family in {"ecp5", "nexus"}:
        if bits < len(_SHORT):
            return (_SHORT_CONSTANT if constant else _SHORT)[bits]
        head = 2 if family == "nexus" else 0  # a CCU2 leads into each chain
        return 2 * ((bits + 1) // 2) + head
    if family in {"ice40", "gatemate"} and minus and not constant:
        return max(2 * bits - 1, 1)  # a carry cell inverts no operand: a LUT before it does
    return bits
