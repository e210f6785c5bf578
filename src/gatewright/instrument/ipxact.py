"""A block's description, its ports and files in, IP-XACT component.xml (IEEE 1685-2014) out."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from gatewright.instrument.reading import ADDRESS_BITS
from gatewright.instrument.registers import Block, Register
from gatewright.instrument.top import BUS, RAM, BlockPort
from gatewright.version import __version__

SPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
VENDOR, LIBRARY = "gatewright", "instrument"
_AMBA = {"vendor": "amba.com", "library": "AMBA4", "version": "r0p0_0"}
_SIGNAL = {"vendor": "xilinx.com", "library": "signal", "version": "1.0"}


def component_xml(block: Block, ports: Sequence[BlockPort], files: Sequence[str]) -> str:
    """Return the component. files: Verilog, in order, the top last; the same input gives the same text."""
    ET.register_namespace("ipxact", SPACE)
    root = ET.Element(_tag("component"))
    for key, value in (("vendor", VENDOR), ("library", LIBRARY), ("name", block.name), ("version", __version__)):
        _add(root, key, value)
    buses = _add(root, "busInterfaces")
    prefixes = (BUS, RAM) if block.ram_words else (BUS,)
    for prefix in prefixes:
        _axi(buses, ports, prefix)
    _clock_and_reset(buses, prefixes)
    maps = _add(root, "memoryMaps")
    _map(maps, block)
    if block.ram_words:
        _memory(maps, block.ram_words)
    model = _add(root, "model")
    view = _add(_add(model, "views"), "view")
    _add(view, "name", "verilog")
    _add(view, "envIdentifier", "verilogSource::")
    _add(view, "componentInstantiationRef", "verilog")
    made = _add(_add(model, "instantiations"), "componentInstantiation")
    _add(made, "name", "verilog")
    _add(made, "language", "Verilog")
    _add(made, "moduleName", block.name)
    _add(_add(made, "fileSetRef"), "localName", "verilog")
    listed = _add(model, "ports")
    for port in ports:
        _port(listed, port)
    sources = _add(_add(root, "fileSets"), "fileSet")
    _add(sources, "name", "verilog")
    for name in files:
        file = _add(sources, "file")
        _add(file, "name", name)
        _add(file, "fileType", "verilogSource")
    _add(root, "description", f"A core behind AXI4-Lite, of program {block.program_hash[:16]}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _tag(name: str) -> str:
    return f"{{{SPACE}}}{name}"


def _add(parent: ET.Element, tag: str, text: str = "", /, **attributes: str) -> ET.Element:
    made = ET.SubElement(parent, _tag(tag), attributes)
    if text:
        made.text = text
    return made


def _axi(buses: ET.Element, ports: Sequence[BlockPort], prefix: str) -> None:
    bus = _add(buses, "busInterface")
    _add(bus, "name", prefix.rstrip("_"))
    _add(bus, "busType", name="AXI4", **_AMBA)
    kind = _add(_add(bus, "abstractionTypes"), "abstractionType")
    _add(kind, "abstractionRef", name="AXI4_rtl", **_AMBA)
    own = [port.name for port in ports if port.name.startswith(prefix)]
    _pairs(kind, {name.removeprefix(prefix).upper(): name for name in own})
    _add(_add(bus, "slave"), "memoryMapRef", memoryMapRef=prefix.rstrip("_"))


def _clock_and_reset(buses: ET.Element, prefixes: Sequence[str]) -> None:
    for name, kind, logical in (("aclk", "clock", "CLK"), ("aresetn", "reset", "RST")):
        bus = _add(buses, "busInterface")
        _add(bus, "name", name)
        _add(bus, "busType", name=kind, **_SIGNAL)
        abstraction = _add(_add(bus, "abstractionTypes"), "abstractionType")
        _add(abstraction, "abstractionRef", name=f"{kind}_rtl", **_SIGNAL)
        _pairs(abstraction, {logical: name})
        _add(bus, "slave")
        parameters = {
            "ASSOCIATED_BUSIF": ":".join(prefix.rstrip("_") for prefix in prefixes),
            "ASSOCIATED_RESET": "aresetn",
        }
        listed = _add(bus, "parameters")
        for key, value in (parameters if kind == "clock" else {"POLARITY": "ACTIVE_LOW"}).items():
            parameter = _add(listed, "parameter", parameterId=f"{name}_{key}")
            _add(parameter, "name", key)
            _add(parameter, "value", value)


def _pairs(kind: ET.Element, names: dict[str, str]) -> None:
    maps = _add(kind, "portMaps")
    for logical, physical in names.items():
        pair = _add(maps, "portMap")
        _add(_add(pair, "logicalPort"), "name", logical)
        _add(_add(pair, "physicalPort"), "name", physical)


def _map(maps: ET.Element, block: Block) -> None:
    made = _add(maps, "memoryMap")
    _add(made, "name", BUS.rstrip("_"))
    words = _add(made, "addressBlock")
    _add(words, "name", "words")
    _add(words, "baseAddress", "0")
    _add(words, "range", str(1 << ADDRESS_BITS))
    _add(words, "width", "32")
    _add(words, "usage", "register")
    for register in block.registers:
        _register(words, register)
    _add(made, "addressUnitBits", "8")


def _memory(maps: ET.Element, words: int) -> None:
    made = _add(maps, "memoryMap")
    _add(made, "name", RAM.rstrip("_"))
    block = _add(made, "addressBlock")
    _add(block, "name", "words")
    _add(block, "baseAddress", "0")
    _add(block, "range", str(4 * words))
    _add(block, "width", "32")
    _add(block, "usage", "memory")
    _add(block, "access", "read-write")
    _add(made, "addressUnitBits", "8")


def _register(words: ET.Element, register: Register) -> None:
    made = _add(words, "register")
    _add(made, "name", register.name)
    _add(made, "description", register.description)
    _add(made, "addressOffset", f"'h{register.offset:X}")
    _add(made, "size", "32")
    _add(made, "volatile", "true" if register.access == "read-only" else "false")
    _add(made, "access", register.access)
    whole = ("VALUE", 0, 32, register.description)
    for name, low, bits, text in [(f.name, f.low, f.bits, f.description) for f in register.fields] or [whole]:
        field = _add(made, "field")
        _add(field, "name", name)
        _add(field, "description", text)
        _add(field, "bitOffset", str(low))
        _add(_add(_add(field, "resets"), "reset"), "value", f"'h{(register.reset >> low) & ((1 << bits) - 1):X}")
        _add(field, "bitWidth", str(bits))
        _add(field, "access", register.access)


def _port(ports: ET.Element, port: BlockPort) -> None:
    made = _add(ports, "port")
    _add(made, "name", port.name)
    wire = _add(made, "wire")
    _add(wire, "direction", "in" if port.direction == "input" else "out")
    if port.bits > 1:
        vector = _add(_add(wire, "vectors"), "vector")
        _add(vector, "left", str(port.bits - 1))
        _add(vector, "right", "0")
