"""The table of clock makers: a family, an oscillator and a wanted clock in; Verilog and the real clock out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gatewright.deploy.clocks import ecp5
from gatewright.errors import ConfigError

_DIRECT = """
    wire clk = clk_board;
    wire locked = 1'b1;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What makes clk and locked of clk_board. clock_mhz: the real frequency of clk, never above the wanted one."""

    verilog: str
    clock_mhz: float


def _ecp5(input_mhz: float, output_mhz: float) -> Clock | None:
    pll = ecp5.pll_for(input_mhz, output_mhz)
    return Clock(verilog=ecp5.pll_text(pll), clock_mhz=pll.output_mhz) if pll else None


CLOCKS: dict[str, Callable[[float, float], Clock | None]] = {"ecp5": _ecp5}
"""Family -> function (oscillator MHz, wanted MHz) -> Clock, None where the oscillator itself will do."""


def clock_for(family: str, oscillator_mhz: float, wanted_mhz: float) -> Clock:
    """Return the nearest legal clock below the wanted one. Raises ConfigError where there is none."""
    if oscillator_mhz == wanted_mhz:
        return Clock(verilog=_DIRECT, clock_mhz=oscillator_mhz)
    if family not in CLOCKS:
        raise ConfigError(
            f"clock_mhz must be the board's own {oscillator_mhz:g}, not {wanted_mhz!r}: there is no PLL for family "
            f"{family!r} here, only for {', '.join(CLOCKS)}"
        )
    return CLOCKS[family](oscillator_mhz, wanted_mhz) or Clock(verilog=_DIRECT, clock_mhz=oscillator_mhz)
