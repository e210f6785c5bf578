"""The table of families: one row says all that the compiler, synthesis and reports know of one.

Delays are of a linear model: a combinational node costs base + per_bit * carry length; a register stage costs
`register_ns` (clock to output, set-up, and the route between). Numbers are calibrated against place and route where an
open router times what it places: ECP5, iCE40, GateMate (`python -m benchmarks delays`), on the safe side. For Xilinx
parts they come from the cell delays of the open timing data in Yosys' xc7 library scaled for routing, and are compared
with static timing of netlists; Nexus takes ECP5's, which is made in an older process; Gowin's are of a router that
leaves cells out of its timing; Intel's and the generic ones are guesses. Those are labelled by `basis` wherever a clock
is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gatewright.chips import cells, routers
from gatewright.chips.delays import NETLISTS, NETLISTS_BELOW, PLACED_BELOW, Adders, Delays
from gatewright.chips.luts import ALM, LUT4_MUX7, LUT4_MUX8, LUT6
from gatewright.chips.routers import Router
from gatewright.errors import ConfigError

Family = Literal["xc7", "xcup", "ecp5", "nexus", "ice40", "gowin", "gatemate", "intel", "generic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyData:
    """How one family is estimated, synthesized, counted and placed.

    title: for people. site: what SynthReport.sites counts, and Part.lut holds. command: of yosys, {top} to fill in;
    bare: its options that leave I/O and clock buffers out.
    kinds: cell -> (kind of count, number it counts); wide: LUT-like cells -> sites, where that is not 1.
    carry_sites: sites of one carry cell. hand_mapped: whether the leaf cells' hand-mapped halves are read
    (GW_XILINX_CELLS). router: the nextpnr that places it, None where there is none. netlist_scale: of its cells' delays
    to those of chips/xilinx_cells.py, with which its netlists are timed; 0: they are not. srl_registers: whether yosys
    makes shift-register LUTs of delay lines, whose last register then becomes a flip-flop. register_readers: how many
    adders, registers and so on may read one register, before they get copies of it; 0: any number.
    """

    title: str
    site: str
    command: str
    kinds: Mapping[str, tuple[str, int]]
    delays: Delays
    bare: str = ""
    wide: Mapping[str, int] = field(default_factory=dict[str, int])
    carry_sites: int = 0
    hand_mapped: bool = False
    adders: Adders = field(default_factory=Adders)
    router: Router | None = None
    netlist_scale: float = 0.0
    srl_registers: bool = False
    register_readers: int = 0


# ECP5 and Nexus: up to 4 bits yosys builds LUT4s instead of a carry chain
_SHORT = (0, 1, 2, 3, 10)
_SHORT_CONSTANT = (0, 1, 1, 3, 4)
_XILINX_COMMAND = "synth_xilinx -family {family} -flatten -nodsp -top {{top}}"

FAMILIES: dict[str, FamilyData] = {
    "xc7": FamilyData(
        title="Xilinx 7 series",
        site="LUT6",
        command=_XILINX_COMMAND.format(family="xc7"),
        bare="-noiopad -noclkbuf",
        kinds=cells.XILINX,
        hand_mapped=True,
        netlist_scale=1.0,
        srl_registers=True,
        register_readers=32,
        delays=Delays(
            register_ns=0.9,
            carry_base_ns=1.25,
            carry_per_bit_ns=0.03,
            logic_ns=0.75,
            dsp_ns=3.0,
            table_ns=1.3,
            ternary=True,
            luts=LUT6,
            basis=NETLISTS,
            spread=NETLISTS_BELOW,
        ),
    ),
    "xcup": FamilyData(
        title="Xilinx UltraScale+",
        site="LUT6",
        command=_XILINX_COMMAND.format(family="xcup"),
        bare="-noiopad -noclkbuf",
        kinds=cells.XILINX,
        hand_mapped=True,
        srl_registers=True,
        register_readers=32,
        netlist_scale=0.55,  # stated: as the delay model below to that of 7 series
        delays=Delays(
            register_ns=0.5,
            carry_base_ns=0.70,
            carry_per_bit_ns=0.015,
            logic_ns=0.40,
            dsp_ns=2.0,
            table_ns=0.7,
            block_ns=1.1,
            ternary=True,
            luts=LUT6,
            basis=f"{NETLISTS}, scaled",
            spread=NETLISTS_BELOW,
        ),
    ),
    "ecp5": FamilyData(
        title="Lattice ECP5",
        site="LUT4",
        command="synth_lattice -family ecp5 -nodsp -top {top}",
        kinds=cells.ECP5,
        carry_sites=2,
        delays=Delays(
            register_ns=1.3,
            carry_base_ns=2.15,
            carry_per_bit_ns=0.075,
            logic_ns=1.20,
            dsp_ns=5.4,
            block_ns=5.6,
            start_ns=6.9,
            luts=LUT4_MUX7,
            keep_sums=True,
            basis="nextpnr, LFE5U speed 6",
            spread=PLACED_BELOW,
        ),
        adders=Adders(short=_SHORT, short_constant=_SHORT_CONSTANT, paired=True),
        router=routers.ECP5,
    ),
    "nexus": FamilyData(
        title="Lattice Nexus",
        site="LUT4",
        command="synth_lattice -family lifcl -nodsp -top {top}",
        bare="-noiopad",
        kinds=cells.NEXUS,
        carry_sites=2,
        delays=Delays(
            register_ns=1.3,
            carry_base_ns=2.15,
            carry_per_bit_ns=0.075,
            logic_ns=1.20,
            dsp_ns=5.4,
            block_ns=5.6,
            start_ns=6.9,
            luts=LUT4_MUX7,
            keep_sums=True,
        ),
        adders=Adders(short=_SHORT, short_constant=_SHORT_CONSTANT, paired=True, head=2),
    ),
    "ice40": FamilyData(
        title="Lattice iCE40",
        site="logic cell",
        command="synth_ice40 -device hx -top {top}",
        kinds=cells.ICE40,
        delays=Delays(
            register_ns=1.7,
            carry_base_ns=2.1,
            carry_per_bit_ns=0.16,
            logic_ns=1.20,
            basis="nextpnr, iCE40HX8K",
            spread=PLACED_BELOW,
        ),
        adders=Adders(inverters=True),
        router=routers.ICE40,
    ),
    "gowin": FamilyData(
        title="Gowin LittleBee and Arora",
        site="LUT4",
        command="synth_gowin -family gw2a -nodsp -top {top}",
        bare="-noiopads",
        kinds=cells.GOWIN,
        carry_sites=1,
        delays=Delays(
            register_ns=1.8,
            carry_base_ns=1.0,
            carry_per_bit_ns=0.04,
            logic_ns=1.00,
            luts=LUT4_MUX8,
            keep_sums=True,
        ),
        router=routers.GOWIN,
    ),
    "gatemate": FamilyData(
        title="Cologne Chip GateMate",
        site="half CPE",
        command="synth_gatemate -luttree -nomx8 -nomult -top {top}",
        bare="-noiopad -noclkbuf",
        kinds=cells.GATEMATE,
        wide={"CC_L2T5": 2, "CC_MX4": 2},
        carry_sites=1,
        delays=Delays(
            register_ns=2.6,
            carry_base_ns=4.3,
            carry_per_bit_ns=0.12,
            logic_ns=2.50,
            keep_sums=True,
            basis="nextpnr, CCGM1A1",
            spread=PLACED_BELOW,
        ),
        adders=Adders(inverters=True),
        router=routers.GATEMATE,
    ),
    "intel": FamilyData(
        title="Intel Cyclone V",
        site="half ALM",
        command="synth_intel_alm -family cyclonev -nodsp -top {top}",
        bare="-noiopad -noclkbuf",
        kinds=cells.INTEL,
        wide={"MISTRAL_ALUT6": 2},
        carry_sites=1,
        delays=Delays(
            register_ns=1.2, carry_base_ns=1.60, carry_per_bit_ns=0.04, logic_ns=1.00, ternary=True, luts=ALM
        ),
    ),
    "generic": FamilyData(
        title="generic LUT4, no carry chains",
        site="LUT4",
        command="synth -flatten -lut 4 -top {top}",
        kinds=cells.GENERIC,
        delays=Delays(register_ns=2.0, carry_base_ns=3.0, carry_per_bit_ns=0.50, logic_ns=2.00),
    ),
}
"""Family -> FamilyData."""


def router(family: str) -> Router:
    """Return the router of a family. Raises ConfigError, naming the families that have one, where it has none."""
    found = FAMILIES[family].router
    if found is None:
        placed = ", ".join(name for name, row in FAMILIES.items() if row.router)
        raise ConfigError(f"{family!r} has no open place and route; choose a part of {placed}")
    return found
