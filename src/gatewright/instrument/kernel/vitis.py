"""A kernel's description and files in; kernel.xml and the Tcl script that packs it for Vitis out. Never run there."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from gatewright.instrument.kernel.description import ARGUMENTS, Argument, Kernel
from gatewright.instrument.kernel.top import CONTROL, MEMORY

_TYPES = {True: "uint*", False: "uint"}


def kernel_xml(kernel: Kernel) -> str:
    """Return kernel.xml as UG1702, "RTL Kernel XML File", has it: ports, arguments, and where a host writes them."""
    root = ET.Element("root", versionMajor="1", versionMinor="6")
    made = ET.SubElement(
        root,
        "kernel",
        name=kernel.name,
        language="ip_c",
        vlnv=f"gatewright:kernel:{kernel.name}:1.0",
        attributes="",
        preferredWorkGroupSizeMultiple="0",
        workGroupSize="1",
        interrupt="true",
        hwControlProtocol="ap_ctrl_hs",
    )
    ports = ET.SubElement(made, "ports")
    for name, mode, span, bits in (
        (_bus(CONTROL), "slave", "0x1000", 32),
        (_bus(MEMORY), "master", "0xFFFFFFFFFFFFFFFF", kernel.data_bits),
    ):
        sizes = {"range": span, "dataWidth": str(bits), "portType": "addressable", "base": "0x0"}
        ET.SubElement(ports, "port", {"name": name, "mode": mode, **sizes})
    args = ET.SubElement(made, "args")
    for number, argument in enumerate(ARGUMENTS):
        ET.SubElement(args, "arg", _argument(number, argument))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _argument(number: int, argument: Argument) -> dict[str, str]:
    return {
        "name": argument.name,
        "addressQualifier": "1" if argument.pointer else "0",
        "id": str(number),
        "port": _bus(MEMORY if argument.pointer else CONTROL),
        "size": f"0x{argument.bytes:X}",
        "offset": f"0x{argument.offset:03X}",
        "hostOffset": "0x0",
        "hostSize": f"0x{argument.bytes:X}",
        "type": _TYPES[argument.pointer],
    }


def _bus(prefix: str) -> str:
    return prefix.rstrip("_")


def package_tcl(kernel: Kernel, files: Sequence[str]) -> str:
    """Return the script for `vivado -mode batch`. files: Verilog, in order, below the script's folder."""
    listed = "\n".join(f"    [file join $here {name}]" for name in files)
    return f"""\
# Packs {kernel.name} as a Vitis kernel: vivado -mode batch -source package_xo.tcl [-tclargs PART]
# Written from the manuals UG1702 and UG1118; it was never run in Vivado.
set here [file dirname [file normalize [info script]]]
set part [expr {{$argc > 0 ? [lindex $argv 0] : "xcu55c-fsvh2892-2L-e"}}]
set work [file join $here xo]
set sources [list]
lappend sources {{*}}[list \\
{listed.replace(chr(10), " " + chr(92) + chr(10))}]

create_project -force {kernel.name} [file join $work project] -part $part
add_files -norecurse $sources
set_property top {kernel.name} [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir [file join $work ip] -vendor gatewright -library kernel -taxonomy /KernelIP \\
    -import_files -set_current true
set core [ipx::current_core]
foreach bus {{{_bus(CONTROL)} {_bus(MEMORY)}}} {{
    ipx::associate_bus_interfaces -busif $bus -clock ap_clk $core
}}
ipx::associate_bus_interfaces -clock ap_clk -reset ap_rst_n $core
set_property sdx_kernel true $core
set_property sdx_kernel_type rtl $core
ipx::update_checksums $core
ipx::check_integrity -kernel $core
ipx::save_core $core
package_xo -force -xo_path [file join $here {kernel.name}.xo] -kernel_name {kernel.name} \\
    -ip_directory [file join $work ip] -kernel_xml [file join $here kernel.xml]
"""


def link_cfg(kernel: Kernel) -> str:
    """Return the configuration for `v++ --link`: one kernel; its memory is left to the platform's default."""
    name = kernel.name
    return (
        "# For v++ --link --config link.cfg. Another bank than the platform's first, where it has some: sp, say\n"
        f"# sp={name}_1.{_bus(MEMORY)}:HBM[0]\n"
        f"[connectivity]\nnk={name}:1:{name}_1\n"
    )
