"""A board's name in; what an overlay's project must know of it out: part, processor, addresses, clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Processor = Literal["zynq", "ultrascale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PynqBoard:
    """A board that PYNQ runs on. source: where the part was read."""

    name: str
    title: str
    part: str
    processor: Processor
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What goes by the processor. module, vlnv: Vivado's names of it; pll_mhz: what its first clock is divided from.

    host, memory: its ports to registers and to memory, with their clocks; memory_bits: of the second. clock, reset:
    its pins to the design. design, dma: addresses of ours and of the DMA. divisor, enable: parameters of a .hwh, by
    the clock's number; settings, clock_setting: parameters of a project.
    """

    module: str
    vlnv: str
    pll_mhz: float
    host: str
    host_clock: str
    memory: str
    memory_clock: str
    memory_bits: int
    clock: str
    reset: str
    design: int
    dma: int
    divisor: str
    enable: str
    settings: tuple[tuple[str, str], ...]
    clock_setting: str


SYSTEMS: dict[Processor, System] = {
    "zynq": System(
        module="processing_system7",
        vlnv="xilinx.com:ip:processing_system7:5.5",
        pll_mhz=1000.0,
        host="M_AXI_GP0",
        host_clock="M_AXI_GP0_ACLK",
        memory="S_AXI_HP0",
        memory_clock="S_AXI_HP0_ACLK",
        memory_bits=64,
        clock="FCLK_CLK0",
        reset="FCLK_RESET0_N",
        design=0x43C00000,
        dma=0x40400000,
        divisor="PCW_FCLK{0}_PERIPHERAL_DIVISOR{1}",
        enable="PCW_FPGA_FCLK{0}_ENABLE",
        settings=(("PCW_USE_S_AXI_HP0", "1"),),
        clock_setting="PCW_FPGA0_PERIPHERAL_FREQMHZ",
    ),
    "ultrascale": System(
        module="zynq_ultra_ps_e",
        vlnv="xilinx.com:ip:zynq_ultra_ps_e:3.5",
        pll_mhz=1500.0,
        host="M_AXI_HPM0_FPD",
        host_clock="maxihpm0_fpd_aclk",
        memory="S_AXI_HP0_FPD",
        memory_clock="saxihp0_fpd_aclk",
        memory_bits=128,
        clock="pl_clk0",
        reset="pl_resetn0",
        design=0xA0010000,
        dma=0xA0000000,
        divisor="PSU__CRL_APB__PL{0}_REF_CTRL__DIVISOR{1}",
        enable="PSU__FPGA_PL{0}_ENABLE",
        settings=(
            ("PSU__USE__M_AXI_GP0", "1"),
            ("PSU__USE__M_AXI_GP1", "0"),
            ("PSU__USE__M_AXI_GP2", "0"),
            ("PSU__USE__S_AXI_GP2", "1"),
            ("PSU__MAXIGP0__DATA_WIDTH", "32"),
            ("PSU__SAXIGP2__DATA_WIDTH", "128"),
            ("PSU__FPGA_PL0_ENABLE", "1"),
        ),
        clock_setting="PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ",
    ),
}

_FILES = "github.com/Xilinx/PYNQ"
BOARDS = {
    board.name: board
    for board in (
        PynqBoard(
            name="pynq-z1",
            title="PYNQ-Z1",
            part="xc7z020clg400-1",
            processor="zynq",
            source=f"{_FILES} boards/Pynq-Z1/base/base.tcl",
        ),
        PynqBoard(
            name="pynq-z2",
            title="PYNQ-Z2",
            part="xc7z020clg400-1",
            processor="zynq",
            source=f"{_FILES} boards/Pynq-Z2/base/base.tcl",
        ),
        PynqBoard(
            name="kv260",
            title="KRIA KV260",
            part="xck26-sfvc784-2LV-c",
            processor="ultrascale",
            source="github.com/Xilinx/Kria-PYNQ kv260/base/base.tcl",
        ),
    )
}
"""By the word that `gatewright deploy --for` takes."""


def divisors(pll_mhz: float, wanted_mhz: float) -> tuple[int, int]:
    """Return the two divisors, of 1..63, whose clock is the fastest that is no faster than wanted."""
    pairs = [(a, b) for b in range(1, 64) for a in range(b, 64) if pll_mhz / (a * b) <= wanted_mhz * (1 + 1e-9)]
    return min(pairs, key=lambda pair: (pair[0] * pair[1], pair[1]), default=(63, 63))
