"""What units say of multipliers that have none: those that only move values, or multiply constants by adders."""

from __future__ import annotations


class WithoutMultipliers:
    """A unit none of whose products shares a multiplier with another."""

    @property
    def multipliers(self) -> int:
        """Multipliers that products share in time: none."""
        return 0

    @property
    def dsp(self) -> bool:
        """Whether products belong into DSP blocks: there are none."""
        return False
