"""The table of parts: a name in, what the chip holds out; and the check that a design fits.

Sources: Xilinx DS180 (7 series), DS190 (Zynq-7000), DS891 (Zynq UltraScale+), DS987 (Kria K26), DS890 (UltraScale+),
Lattice FPGA-DS-02012 (ECP5), FPGA-DS-02049 and -02078 (CrossLink-NX, Certus-NX), FPGA-DS-02029 and -02008 (iCE40 LP/HX,
UltraPlus); Gowin DS117 (GW1NR), DS102 and DS226 (GW2A, GW2AR); Cologne Chip DS1001 (CCGM1A1); Intel CV-51001 (Cyclone
V, in half ALMs of 2 flip-flops each). Lattice's and Gowin's exact LUT counts are those of nextpnr's device databases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gatewright.chips.families import FAMILIES, Family
from gatewright.chips.xilinx_cells import GRADES
from gatewright.errors import BudgetError, ConfigError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One chip and what it holds.

    lut: look-up tables with lut_inputs inputs, in the unit of the family's `sites` (see chips/families.py: half ALMs,
    half CPEs); ff: flip-flops; dsp: multiplier blocks (DSP48, 18x18 or 16x16 multipliers, variable-precision blocks);
    bram: block RAMs of bram_kbit kbit; nextpnr: nextpnr's options for the device, empty where none can place it.
    """

    name: str
    family: Family
    lut: int
    ff: int
    dsp: int
    bram: int
    lut_inputs: Literal[4, 6]
    bram_kbit: int = 18
    package: str = ""
    speed: str = ""
    nextpnr: tuple[str, ...] = ()


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


def _small(
    name: str,
    family: Family,
    lut: int,
    dsp: int,
    bram: int,
    *,
    ff: int = 0,
    bram_kbit: int = 18,
    package: str = "",
    speed: str = "",
    nextpnr: tuple[str, ...] = (),
) -> Part:
    """A part of LUT4s; ff: 0 for one flip-flop beside each."""
    return Part(
        name=name,
        family=family,
        lut=lut,
        ff=ff or lut,
        dsp=dsp,
        bram=bram,
        lut_inputs=4,
        bram_kbit=bram_kbit,
        package=package,
        speed=speed,
        nextpnr=nextpnr,
    )


def _intel(name: str, alm: int, dsp: int, m10k: int, package: str, speed: str) -> Part:
    return Part(
        name=name,
        family="intel",
        lut=2 * alm,
        ff=4 * alm,
        dsp=dsp,
        bram=m10k,
        lut_inputs=6,
        bram_kbit=10,
        package=package,
        speed=speed,
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
    _small("LIFCL-40", "nexus", 32_256, 56, 84, package="CABGA400", speed="7"),
    _small("LFD2NX-40", "nexus", 32_256, 56, 84, package="CABGA256", speed="7"),
    _small("ICE40HX1K", "ice40", 1_280, 0, 16, bram_kbit=4, package="TQ144", nextpnr=("--hx1k", "--package", "tq144")),
    _small("ICE40HX8K", "ice40", 7_680, 0, 32, bram_kbit=4, package="CT256", nextpnr=("--hx8k", "--package", "ct256")),
    _small("ICE40UP5K", "ice40", 5_280, 8, 30, bram_kbit=4, package="SG48", nextpnr=("--up5k", "--package", "sg48")),
    _small(
        "GW1NR-9",
        "gowin",
        8_640,
        20,
        26,
        ff=6_480,
        package="QN88P",
        speed="C6/I5",
        nextpnr=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
    ),
    _small(
        "GW2A-18",
        "gowin",
        20_736,
        48,
        46,
        ff=15_552,
        package="PG256",
        speed="C8/I7",
        nextpnr=("--device", "GW2A-LV18PG256C8/I7", "--vopt", "family=GW2A-18"),
    ),
    _small(
        "GW2AR-18",
        "gowin",
        20_736,
        48,
        46,
        ff=15_552,
        package="QN88",
        speed="C8/I7",
        nextpnr=("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C"),
    ),
    _small("CCGM1A1", "gatemate", 40_960, 0, 64, bram_kbit=20, package="FBGA324", nextpnr=("--device", "CCGM1A1")),
    _intel("5CEBA4", 18_480, 66, 308, "F23", "C7"),
    _intel("5CSEMA5", 32_070, 87, 397, "F31", "C6"),
)
PARTS: dict[str, Part] = {item.name: item for item in _ALL}
"""Part name -> Part."""


def part(name: str) -> Part:
    """Return the part of that name, in any case. Raises ConfigError naming the nearest known one.

    A Xilinx part's name may end in a speed grade, XC7A35T-2; without one it has the grade of the table.
    """
    base, dash, grade = name.upper().rpartition("-")
    if base in PARTS and FAMILIES[PARTS[base].family].netlist_scale:
        if dash + grade not in GRADES:
            raise ConfigError(f"speed grade of {base} must be one of {', '.join(GRADES)}, not {dash + grade!r}")
        return replace(PARTS[base], name=f"{base}{dash}{grade}", speed=f"{dash}{grade}")
    if name.upper() not in PARTS:
        raise ConfigError(f"part must be in the table of parts, not {name!r}.{nearest(name.upper(), list(PARTS))}")
    return PARTS[name.upper()]


def check_fit(part: Part, *, lut: int, ff: int, dsp: int = 0, bram: int = 0) -> None:
    """Raise BudgetError, saying by how much, where a design needs more than the part has.

    lut: LUT sites (SynthReport.sites); bram: blocks of Part.bram_kbit.
    """
    needs = (
        ("LUT", lut, part.lut),
        ("flip-flops", ff, part.ff),
        ("multiplier blocks", dsp, part.dsp),
        (f"{part.bram_kbit} kbit block RAMs", bram, part.bram),
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
