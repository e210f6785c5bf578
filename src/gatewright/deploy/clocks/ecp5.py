"""EHXPLLL of the ECP5: two frequencies in, legal dividers and the instance out (FPGA-DS-02012, sysCLOCK PLL timing)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from gatewright.errors import ConfigError

VCO_MHZ = (400, 800)
PFD_MHZ = (Fraction(25, 8), 400)  # 3.125 MHz
OUT_MHZ = (10, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pll:
    """Dividers for feedback from CLKOP: output = input * clkfb_div / clki_div; VCO = output * clkop_div."""

    input_mhz: float
    clki_div: int
    clkfb_div: int
    clkop_div: int

    @property
    def output_mhz(self) -> float:
        """The frequency of CLKOP."""
        return self.input_mhz * self.clkfb_div / self.clki_div

    @property
    def vco_mhz(self) -> float:
        """The frequency of the oscillator inside."""
        return self.output_mhz * self.clkop_div


def pll_for(input_mhz: float, output_mhz: float) -> Pll | None:
    """Return the dividers whose output is nearest to output_mhz from below; None where no PLL is needed.

    Never faster than asked: the design is timed for output_mhz. Of equal outputs the one with the highest phase
    detector frequency wins, then the VCO nearest to the middle of its range.
    Raises ConfigError outside 10..400 MHz.
    """
    if input_mhz == output_mhz:
        return None
    if not OUT_MHZ[0] <= output_mhz <= OUT_MHZ[1]:
        raise ConfigError(
            f"clock_mhz must be {OUT_MHZ[0]}..{OUT_MHZ[1]} for the PLL of an ECP5, not {output_mhz!r}; "
            f"or {input_mhz:g}, the board's own clock"
        )
    source, target = Fraction(input_mhz), Fraction(output_mhz)
    best: tuple[Fraction, int, Fraction] | None = None
    found: Pll | None = None
    for clki_div in range(1, 129):
        pfd = source / clki_div
        if not PFD_MHZ[0] <= pfd <= PFD_MHZ[1]:
            continue
        clkfb_div = min(80, int(target / pfd))
        for clkop_div in range(1, 129):
            out = pfd * clkfb_div
            vco = out * clkop_div
            if not (VCO_MHZ[0] <= vco <= VCO_MHZ[1] and out >= OUT_MHZ[0]):
                continue
            score = (out, -clki_div, -abs(vco - 600))
            if best is None or score > best:
                best = score
                found = Pll(input_mhz=input_mhz, clki_div=clki_div, clkfb_div=clkfb_div, clkop_div=clkop_div)
    if found is None:
        raise ConfigError(
            f"no PLL setting makes {output_mhz:g} MHz or less from {input_mhz:g} MHz; ask for another clock_mhz"
        )
    return found


def pll_text(pll: Pll) -> str:
    """Return the PLL's instance: clk_board in, clk and locked out."""
    return f"""
    // {pll.input_mhz:g} MHz * {pll.clkfb_div} / {pll.clki_div} = {pll.output_mhz:g} MHz, VCO {pll.vco_mhz:g} MHz
    wire clk;
    wire locked;
    (* FREQUENCY_PIN_CLKI="{pll.input_mhz:g}", FREQUENCY_PIN_CLKOP="{pll.output_mhz:g}" *)
    (* ICP_CURRENT="12", LPF_RESISTOR="8", MFG_ENABLE_FILTEROPAMP="1", MFG_GMCREF_SEL="2" *)
    EHXPLLL #(
        .PLLRST_ENA("DISABLED"),
        .INTFB_WAKE("DISABLED"),
        .STDBY_ENABLE("DISABLED"),
        .DPHASE_SOURCE("DISABLED"),
        .OUTDIVIDER_MUXA("DIVA"),
        .OUTDIVIDER_MUXB("DIVB"),
        .OUTDIVIDER_MUXC("DIVC"),
        .OUTDIVIDER_MUXD("DIVD"),
        .CLKI_DIV({pll.clki_div}),
        .CLKOP_ENABLE("ENABLED"),
        .CLKOP_DIV({pll.clkop_div}),
        .CLKOP_CPHASE({pll.clkop_div // 2}),
        .CLKOP_FPHASE(0),
        .FEEDBK_PATH("CLKOP"),
        .CLKFB_DIV({pll.clkfb_div})
    ) pll (
        .RST(1'b0),
        .STDBY(1'b0),
        .CLKI(clk_board),
        .CLKOP(clk),
        .CLKFB(clk),
        .PHASESEL0(1'b0),
        .PHASESEL1(1'b0),
        .PHASEDIR(1'b1),
        .PHASESTEP(1'b1),
        .PHASELOADREG(1'b1),
        .PLLWAKESYNC(1'b0),
        .ENCLKOP(1'b0),
        .LOCK(locked)
    );
"""
