"""An overlay's description, a board and files in; the Tcl that makes its bitstream in Vivado out. Never run there."""

from __future__ import annotations

from collections.abc import Sequence

from gatewright.instrument.overlay.boards import SYSTEMS, PynqBoard
from gatewright.instrument.overlay.description import Overlay
from gatewright.instrument.overlay.hwh import DESIGN, DMA, PROCESSOR, SPAN, dma_parameters
from gatewright.instrument.overlay.top import STREAMS
from gatewright.instrument.top import BUS


def build_tcl(overlay: Overlay, board: PynqBoard, clock_mhz: float, files: Sequence[str]) -> str:
    """Return the script for `vivado -mode batch`. files: Verilog, in order, below the script's folder.

    It leaves NAME.bit, NAME.hwh and reports of area and timing beside itself; it fails where the clock is missed.
    """
    system = SYSTEMS[board.processor]
    listed = " \\\n".join(f"    [file join $here {name}]" for name in files)
    stem, streams = overlay.name, [prefix.rstrip("_") for prefix in STREAMS]
    settings = {**dict(system.settings), system.clock_setting: f"{clock_mhz:g}"}
    external = ""
    if board.processor == "zynq":
        external = f"""\
apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \\
    -config {{make_external "FIXED_IO, DDR" apply_board_preset "0"}} [get_bd_cells {PROCESSOR}]
"""
    clocked = [
        f"{PROCESSOR}/{system.host_clock}", f"{PROCESSOR}/{system.memory_clock}", "reset/slowest_sync_clk",
        "host/aclk", "memory/aclk", f"{DMA}/s_axi_lite_aclk", f"{DMA}/m_axi_mm2s_aclk", f"{DMA}/m_axi_s2mm_aclk",
        f"{DESIGN}/aclk",
    ]  # fmt: skip
    held = ["host/aresetn", "memory/aresetn", f"{DMA}/axi_resetn", f"{DESIGN}/aresetn"]
    joined = [
        (f"{PROCESSOR}/{system.host}", "host/S00_AXI"),
        ("host/M00_AXI", f"{DMA}/S_AXI_LITE"),
        ("host/M01_AXI", f"{DESIGN}/{BUS.rstrip('_')}"),
        (f"{DMA}/M_AXI_MM2S", "memory/S00_AXI"),
        (f"{DMA}/M_AXI_S2MM", "memory/S01_AXI"),
        ("memory/M00_AXI", f"{PROCESSOR}/{system.memory}"),
        (f"{DMA}/M_AXIS_MM2S", f"{DESIGN}/{streams[0]}"),
        (f"{DESIGN}/{streams[1]}", f"{DMA}/S_AXIS_S2MM"),
    ]
    wires = "\n".join(
        f"connect_bd_intf_net [get_bd_intf_pins {source}] [get_bd_intf_pins {target}]" for source, target in joined
    )
    return f"""\
# Makes the overlay {stem} for {board.title}: vivado -mode batch -source build.tcl
# Written from the manuals UG835 and UG994; it was never run in Vivado.
set here [file dirname [file normalize [info script]]]
set sources [list \\
{listed}]
create_project -force {stem} [file join $here project] -part {board.part}
add_files -norecurse $sources
update_compile_order -fileset sources_1

# The newest version of an IP that this Vivado has.
proc cell {{kind name settings}} {{
    set found [lindex [lsort -dictionary [get_ipdefs -all "xilinx.com:ip:$kind:*"]] end]
    if {{$found eq ""}} {{error "this Vivado has no IP $kind: install support for {board.part}"}}
    set made [create_bd_cell -type ip -vlnv $found $name]
    set given [list]
    foreach {{key value}} $settings {{lappend given CONFIG.$key $value}}
    if {{[llength $given]}} {{set_property -dict $given $made}}
    return $made
}}
create_bd_design {stem}_system
cell {system.module} {PROCESSOR} {{{_pairs(settings)}}}
{external}\
cell proc_sys_reset reset {{}}
cell smartconnect host {{NUM_SI 1 NUM_MI 2}}
cell smartconnect memory {{NUM_SI 2 NUM_MI 1}}
cell axi_dma {DMA} {{{_pairs(dma_parameters(overlay))}}}
create_bd_cell -type module -reference {overlay.name} {DESIGN}

connect_bd_net [get_bd_pins {PROCESSOR}/{system.clock}] {_pins(clocked)}
connect_bd_net [get_bd_pins {PROCESSOR}/{system.reset}] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] {_pins(held)}
{wires}

assign_bd_address -offset 0x{system.dma:08X} -range 0x{SPAN:X} [get_bd_addr_segs {DMA}/S_AXI_LITE/Reg]
assign_bd_address -offset 0x{system.design:08X} -range 0x{SPAN:X} [get_bd_addr_segs {DESIGN}/{BUS.rstrip("_")}/reg0]
assign_bd_address
validate_bd_design
save_bd_design

set design [get_files {stem}_system.bd]
add_files -norecurse [make_wrapper -files $design -top]
set_property top {stem}_system_wrapper [current_fileset]
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
open_run impl_1
report_utilization -file [file join $here utilization.rpt]
report_timing_summary -file [file join $here timing.rpt]
set slack [get_property SLACK [get_timing_paths -delay_type max]]
if {{$slack < 0}} {{
    error "the clock of {clock_mhz:g} MHz is missed by [expr {{-$slack}}] ns: see timing.rpt, and ask for a slower one"
}}
set made [get_property DIRECTORY [get_runs impl_1]]
file copy -force [file join $made {stem}_system_wrapper.bit] [file join $here {stem}.bit]
set found [glob [file join $here project {stem}.gen sources_1 bd {stem}_system hw_handoff {stem}_system.hwh]]
file copy -force $found [file join $here {stem}.hwh]
"""


def _pairs(settings: dict[str, str]) -> str:
    return " ".join(f"{key} {value}" for key, value in settings.items())


def _pins(names: Sequence[str]) -> str:
    return " ".join(f"[get_bd_pins {name}]" for name in names)
