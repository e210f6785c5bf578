"""An overlay's description and a board in, the hardware hand-off (.hwh) that PYNQ reads out.

Vivado writes its own beside a bitstream; this one, of the same design, serves where there is none: simulators.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from gatewright.instrument.overlay.boards import SYSTEMS, PynqBoard, System, divisors
from gatewright.instrument.overlay.description import LENGTH_BITS, Overlay
from gatewright.instrument.overlay.top import STREAMS, overlay_ports
from gatewright.instrument.registers import Register
from gatewright.instrument.top import BUS, BlockPort

PROCESSOR, DMA, DESIGN = "ps", "dma", "net"
"""Names of the three parts in block design, .hwh and driver."""
SPAN = 0x10000
"""Bytes of the addresses of each part."""
DMA_VLNV = "xilinx.com:ip:axi_dma:7.1"
_CLOCKS = 4  # PYNQ asks for all that the processor has


def design_hwh(overlay: Overlay, board: PynqBoard, clock_mhz: float) -> str:
    """Return the text: three modules, their addresses, ports, streams and clocks. clock_mhz: asked for."""
    system = SYSTEMS[board.processor]
    root = ET.Element("EDKSYSTEM", EDWVERSION="1.2", VIVADOVERSION="none: written by gatewright")
    architecture = {"zynq": "zynq", "ultrascale": "zynquplus"}[board.processor]
    ET.SubElement(root, "SYSTEMINFO", ARCH=architecture, DEVICE=board.part, NAME=overlay.name)
    ET.SubElement(root, "EXTERNALPORTS")
    ET.SubElement(root, "EXTERNALINTERFACES")
    modules = ET.SubElement(root, "MODULES")
    _processor(modules, system, clock_mhz)
    _dma(modules, overlay)
    _design(modules, overlay)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _module(modules: ET.Element, name: str, kind: str, vlnv: str, parameters: dict[str, str]) -> ET.Element:
    made = ET.SubElement(
        modules, "MODULE", FULLNAME=f"/{name}", HWVERSION=vlnv.rpartition(":")[2], INSTANCE=name,
        IPTYPE="PERIPHERAL", IS_ENABLE="1", MODCLASS="PERIPHERAL", MODTYPE=kind, VLNV=vlnv,
    )  # fmt: skip
    listed = ET.SubElement(made, "PARAMETERS")
    for key, value in parameters.items():
        ET.SubElement(listed, "PARAMETER", NAME=key, VALUE=value)
    return made


def _processor(modules: ET.Element, system: System, clock_mhz: float) -> None:
    parameters: dict[str, str] = {}
    for clock in range(_CLOCKS):
        pair = divisors(system.pll_mhz, clock_mhz) if clock == 0 else (1, 1)
        parameters |= {system.divisor.format(clock, i): str(value) for i, value in enumerate(pair)}
        parameters[system.enable.format(clock)] = str(int(clock == 0))
    made = _module(modules, PROCESSOR, system.module, system.vlnv, parameters)
    places = ET.SubElement(made, "MEMORYMAP")
    for name, base, port in ((DMA, system.dma, "S_AXI_LITE"), (DESIGN, system.design, _bus(BUS))):
        ET.SubElement(
            places, "MEMRANGE", ADDRESSBLOCK="reg0", BASENAME="C_BASEADDR", BASEVALUE=f"0x{base:08X}",
            HIGHNAME="C_HIGHADDR", HIGHVALUE=f"0x{base + SPAN - 1:08X}", INSTANCE=name,
            MASTERBUSINTERFACE=system.host, MEMTYPE="REGISTER", SLAVEBUSINTERFACE=port,
        )  # fmt: skip


def _dma(modules: ET.Element, overlay: Overlay) -> None:
    bits = str(overlay.data_bits)
    made = _module(modules, DMA, "axi_dma", DMA_VLNV, dma_parameters(overlay))
    buses = ET.SubElement(made, "BUSINTERFACES")
    _stream(buses, "M_AXIS_MM2S", "INITIATOR", STREAMS[0], bits, ())
    _stream(buses, "S_AXIS_S2MM", "TARGET", STREAMS[1], bits, ())


def dma_parameters(overlay: Overlay) -> dict[str, str]:
    """Return how the DMA is set, by Vivado's names: no scatter-gather, one transfer as long as it can be."""
    bits = str(overlay.data_bits)
    return {
        "c_include_sg": "0",
        "c_micro_dma": "0",
        "c_sg_length_width": str(LENGTH_BITS),
        "c_include_mm2s": "1",
        "c_include_s2mm": "1",
        "c_include_mm2s_dre": "0",
        "c_include_s2mm_dre": "0",
        "c_m_axi_mm2s_data_width": bits,
        "c_m_axis_mm2s_tdata_width": bits,
        "c_m_axi_s2mm_data_width": bits,
        "c_s_axis_s2mm_tdata_width": bits,
    }


def _design(modules: ET.Element, overlay: Overlay) -> None:
    made = _module(modules, DESIGN, overlay.name, f"xilinx.com:module_ref:{overlay.name}:1.0", {})
    block = ET.SubElement(ET.SubElement(made, "ADDRESSBLOCKS"), "ADDRESSBLOCK", NAME="reg0", USAGE="register")
    registers = ET.SubElement(block, "REGISTERS")
    for register in overlay.registers:
        _register(registers, register)
    ports = overlay_ports(overlay)
    listed = ET.SubElement(made, "PORTS")
    for port in ports:
        _port(listed, port)
    buses = ET.SubElement(made, "BUSINTERFACES")
    lite = ET.SubElement(
        buses, "BUSINTERFACE", BUSNAME="host", DATAWIDTH="32", NAME=_bus(BUS), TYPE="SLAVE",
        VLNV="xilinx.com:interface:aximm:1.0",
    )  # fmt: skip
    _maps(lite, ports, BUS)
    for prefix, way in zip(STREAMS, ("TARGET", "INITIATOR"), strict=True):
        _stream(buses, _bus(prefix), way, prefix, str(overlay.data_bits), ports)


def _stream(buses: ET.Element, name: str, way: str, prefix: str, bits: str, ports: Iterable[BlockPort]) -> None:
    """Add one end of a stream; both ends have the bus' name. ports: of the end that has some."""
    made = ET.SubElement(
        buses, "BUSINTERFACE", BUSNAME=f"stream_{prefix[0]}", NAME=name, TYPE=way, VLNV="xilinx.com:interface:axis:1.0"
    )
    ET.SubElement(made, "PARAMETER", NAME="TDATA_NUM_BYTES", VALUE=str(int(bits) // 8))
    _maps(made, ports, prefix)


def _maps(bus: ET.Element, ports: Iterable[BlockPort], prefix: str) -> None:
    made = ET.SubElement(bus, "PORTMAPS")
    for port in ports:
        if port.name.startswith(prefix):
            ET.SubElement(made, "PORTMAP", LOGICAL=port.name.removeprefix(prefix).upper(), PHYSICAL=port.name)


def _port(listed: ET.Element, port: BlockPort) -> None:
    kinds = {"aclk": {"SIGIS": "clk"}, "aresetn": {"SIGIS": "rst", "POLARITY": "ACTIVE_LOW"}}
    wide = {"LEFT": str(port.bits - 1), "RIGHT": "0"} if port.bits > 1 else {}
    kind = kinds.get(port.name, {"SIGIS": "undef"})
    way = {"input": "I", "output": "O"}[port.direction]
    ET.SubElement(listed, "PORT", {"DIR": way, "NAME": port.name, **wide, **kind, "SIGNAME": f"{DESIGN}_{port.name}"})


def _register(registers: ET.Element, register: Register) -> None:
    made = ET.SubElement(registers, "REGISTER", NAME=register.name)
    _properties(
        made,
        DESCRIPTION=register.description,
        ADDRESS_OFFSET=f"0x{register.offset:X}",
        SIZE="32",
        ACCESS=register.access,
        RESET_VALUE=f"0x{register.reset:X}",
    )
    fields = ET.SubElement(made, "FIELDS")
    for field in register.fields:
        own = ET.SubElement(fields, "FIELD", NAME=field.name)
        _properties(
            own,
            DESCRIPTION=field.description,
            BIT_OFFSET=str(field.low),
            BIT_WIDTH=str(field.bits),
            ACCESS=register.access,
        )


def _properties(element: ET.Element, **properties: str) -> None:
    for key, value in properties.items():
        ET.SubElement(element, "PROPERTY", NAME=key, VALUE=value)


def _bus(prefix: str) -> str:
    return prefix.rstrip("_")
