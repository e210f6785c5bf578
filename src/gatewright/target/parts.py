"""The table of parts: a name in, what the chip holds out; and the check that a design fits.

Sources: Xilinx DS180 (7 series), DS190 (Zynq-7000), DS891 (Zynq UltraScale+), DS987 (Kria K26), DS890 (UltraScale+),
Lattice FPGA-DS-02012 (ECP5; exact LUT counts as in nextpnr's device database). bram counts 18 kbit blocks.
"""

from __future__ import annotations

from gatewright.errors import BudgetError, ConfigError, nearest
from gatewright.synth.part import Family, Part

__all__ = ["PARTS", "Part", "check_fit", "part"]


def _xilinx(name: str, family: Family, lut: int, dsp: int, ramb36: int, package: str = "", speed: str = "") -> Part:
    return Part(
        name=name,
        family=family,
        lut=lut,
        ff=2 * lut,
        dsp=dsp,
        bram=2 * ramb36,
        lut_inputs=6,
        package=package,
        speed=speed,
    )


def _ecp5(name: str, lut: int, dsp: int, bram: int, device: str, package: str = "CABGA381", speed: str = "6") -> Part:
    options = (device, "--package", package, "--speed", speed)
    return Part(
        name=name,
        family="ecp5",
        lut=lut,
        ff=lut,
        dsp=dsp,
        bram=bram,
        lut_inputs=4,
        package=package,
        speed=speed,
        nextpnr=options,
    )


_ALL = (
    _xilinx("XC7A35T", "xc7", 20_800, 90, 50, "CPG236", "-1"),
    _xilinx("XC7A100T", "xc7", 63_400, 240, 135, "CSG324", "-1"),
    _xilinx("XC7Z020", "xc7", 53_200, 220, 140, "CLG484", "-1"),
    _xilinx("XCZU9EG", "xcup", 274_080, 2_520, 912, "FFVB1156", "-2"),
    _xilinx("XCK26", "xcup", 117_120, 1_248, 144, "SFVC784", "-2"),
    _xilinx("XCVU9P", "xcup", 1_182_240, 6_840, 2_160),
    # The 12F is sold with half of the 25F's LUTs; nextpnr would use all 24,288 of the die.
    _ecp5("LFE5U-12F", 12_000, 28, 32, "--12k"),
    _ecp5("LFE5U-25F", 24_288, 28, 56, "--25k"),
    _ecp5("LFE5U-45F", 43_848, 72, 108, "--45k"),
    _ecp5("LFE5U-85F", 83_640, 156, 208, "--85k"),
    _ecp5("LFE5UM5G-45F", 43_848, 72, 108, "--um5g-45k", "CABGA554", "8"),
    _ecp5("LFE5UM5G-85F", 83_640, 156, 208, "--um5g-85k", "CABGA554", "8"),
)
PARTS: dict[str, Part] = {item.name: item for item in _ALL}
"""Part name -> Part."""


def part(name: str) -> Part:
    """Return the part of that name, in any case. Raises ConfigError naming the nearest known one."""
    if name.upper() not in PARTS:
        raise ConfigError(f"part must be in the table of parts, not {name!r}.{nearest(name.upper(), list(PARTS))}")
    return PARTS[name.upper()]


def check_fit(part: Part, *, lut: int, ff: int, dsp: int = 0, bram: int = 0) -> None:
    """Raise BudgetError, saying by how much, where a design needs more than the part has.

    lut: LUT sites (SynthReport.sites); bram: 18 kbit blocks.
    """
    needs = (
        ("LUT", lut, part.lut),
        ("flip-flops", ff, part.ff),
        ("multiplier blocks", dsp, part.dsp),
        ("18 kbit block RAMs", bram, part.bram),
    )
    too_many = [
        f"{need:,} {what}, {part.name} has {has:,}: {need - has:,} too many ({100 * need / has:.0f} %)"
        for what, need, has in needs
        if need > has
    ]
    if too_many:
        larger = [
            other.name
            for other in sorted(PARTS.values(), key=lambda item: item.lut)
            if other.family == part.family
            and other.lut >= lut
            and other.ff >= ff
            and other.dsp >= dsp
            and other.bram >= bram
        ]
        raise BudgetError(
            f"the design needs {'; '.join(too_many)}. Try: fewer weight_bits, more sparsity, "
            f"or a larger part{f' ({larger[0]})' if larger else ''}"
        )
