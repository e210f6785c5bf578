"""A block's description and a written design in, the files of the whole block out: registers, FIFOs, stream, core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatewright.instrument.block import LEAVES, registers_module
from gatewright.instrument.reading import LITE
from gatewright.instrument.registers import Block, FifoPair, Frame
from gatewright.rtl.leaves import Leaves
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.names import unused
from gatewright.rtl.reshell import reshelled
from gatewright.rtl.shell import StreamPort, commented
from gatewright.rtl.shell_cells import instance
from gatewright.rtl.verilog import NETTYPE, NETTYPE_END, module_text

BUS = "s_axi_"
"""In front of the names of the bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPort:
    """A port of the top: "input" or "output", its bits, its name."""

    direction: str
    bits: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBlock:
    """A block with its Verilog. files: name -> text, cells first, the top last."""

    block: Block
    top: str
    files: dict[str, str]


def make_block(
    manifest: RtlManifest,
    rtl: Path,
    *,
    input_frac_bits: int = 0,
    result_frac_bits: int = 0,
    fifos: FifoPair | None = None,
    inputs: int = 16,
    outputs: int = 16,
) -> WrittenBlock:
    """Return the block around a design.

    rtl: the folder that the manifest describes. frac_bits: of the codes, for clients. fifos: None: as deep as eight
    vectors and results at least, and 1,024 words. inputs, outputs: registers of the user's logic.
    Raises LowerError where the map has no place for what is asked.
    """
    name = f"{manifest.top}_block"
    taken = [Path(file).stem for file in manifest.files]
    top = unused(name, taken)
    registers, stream = (unused(f"{top}_{part}", [*taken, top]) for part in ("registers", "stream"))
    shell = reshelled(manifest, name=stream, beat_bits=32, io_registers=True)
    x = _frame(shell.source, shell.pieces[0], input_frac_bits)
    y = _frame(shell.result, shell.pieces[1], result_frac_bits)
    block = Block(
        name=top,
        program_hash=manifest.program_hash,
        x=x,
        y=y,
        fifos=fifos or FifoPair(output_depth=_depth(x), input_depth=_depth(y)),
        inputs=inputs,
        outputs=outputs,
    )
    leaves = Leaves(prefix=manifest.prefix)
    own = [file for file in manifest.files if Path(file).stem != manifest.top]
    files = leaves.files(*LEAVES, *shell.leaves) | {file: (rtl / file).read_text() for file in own}
    files[f"{stream}.v"] = leaves.renamed(shell.verilog)
    files[f"{registers}.v"] = leaves.renamed(
        module_text(registers_module(block, registers, family=manifest.claims.family))
    )
    files[f"{top}.v"] = top_text(block, registers, stream)
    return WrittenBlock(block=block, top=top, files=files)


def _frame(port: StreamPort, pieces: int, frac_bits: int) -> Frame:
    return Frame(
        elements=port.elements, width_bits=port.width_bits, signed=port.signed, frac_bits=frac_bits, beats=pieces
    )


def _depth(frame: Frame) -> int:
    """Return a depth that holds eight vectors, within the map's bounds."""
    return min(32768, max(1024, 1 << (8 * frame.words - 1).bit_length()))


def block_ports(block: Block) -> tuple[BlockPort, ...]:
    """Return the ports of the top, in order."""
    bus = [(way, bits, f"{BUS}{name}") for way, bits, name in LITE]
    bus.insert(1, ("input", 3, f"{BUS}awprot"))
    place = next(index for index, port in enumerate(bus) if port[2] == f"{BUS}arvalid")
    bus.insert(place, ("input", 3, f"{BUS}arprot"))
    user = [("input", 32, f"reg{i}_i") for i in range(block.inputs)]
    user += [("output", 32, f"reg{i}_o") for i in range(block.outputs)]
    ports = [("input", 1, "aclk"), ("input", 1, "aresetn"), *bus, *user]
    return tuple(BlockPort(direction=way, bits=bits, name=name) for way, bits, name in ports)


def top_text(block: Block, registers: str, stream: str) -> str:
    """Return the Verilog of the top: the module of registers, and the core's stream."""
    streams = {f"{side}_{wire}": f"{side}_{wire}" for side in "xy" for wire in ("data", "valid", "last", "ready")}
    named = {port.name.removeprefix(BUS): port.name for port in block_ports(block)}
    for port in ("aclk", "aresetn", "awprot", "arprot"):
        del named[port]
    ends = {"clk": "aclk", "rst_n": "aresetn", **named, "core_rst_n": "core_rst_n", **streams}
    axis = {
        f"{bus}_axis_t{wire}": f"{side}_{wire}"
        for bus, side in (("s", "x"), ("m", "y"))
        for wire in ("data", "valid", "ready", "last")
    }
    x, y = block.x, block.y
    assert x is not None, "a block around a core has frames"
    assert y is not None, "a block around a core has frames"
    header = commented(f"""\
{block.name}: a core behind AXI4-Lite, with the words of a ComBlock

  in      {x.total} codes of {x.width_bits} bits a vector, {x.words} words
  out     {y.total} codes of {y.width_bits} bits a result, {y.words} words
  program {block.program_hash[:16]}""")
    ports = [f"    {port.direction:<6} wire {_range(port.bits)} {port.name}" for port in block_ports(block)]
    waived = f"{BUS}awprot, {BUS}arprot"
    wires = [
        f"    wire {_range(32 if wire == 'data' else 1)} {side}_{wire};"
        for side in "xy"
        for wire in ("data", "valid", "last", "ready")
    ]
    return "\n".join(
        [
            header,
            NETTYPE,
            f"// verilator lint_off UNUSEDSIGNAL  // {waived}: everybody may read and write",
            f"module {block.name} (",
            ",\n".join(ports),
            ");",
            "// verilator lint_on UNUSEDSIGNAL",
            "    wire          core_rst_n;",
            *wires,
            "",
            instance(registers, "u_registers", {}, ends),
            instance(stream, "u_stream", {}, {"aclk": "aclk", "aresetn": "core_rst_n", **axis}),
            "endmodule",
            NETTYPE_END,
            "",
        ]
    )


def _range(bits: int) -> str:
    return f"{f'[{bits - 1}:0]' if bits > 1 else '':<8}"
