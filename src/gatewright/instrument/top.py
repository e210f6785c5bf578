"""A block's description and a written design in, the files of the whole block out: registers, FIFOs, stream, core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatewright.errors import LowerError
from gatewright.instrument.beats import frames
from gatewright.instrument.block import LEAVES, registers_module
from gatewright.instrument.reading import LITE
from gatewright.instrument.registers import Block, FifoPair, Frame
from gatewright.rtl.leaves import Leaves
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.names import unused
from gatewright.rtl.reshell import reshelled
from gatewright.rtl.shell import commented
from gatewright.rtl.shell_cells import instance
from gatewright.rtl.verilog import NETTYPE, NETTYPE_END, module_text

BUS, RAM = "s_axi_", "s_ram_"
"""In front of the names of the registers' bus, and of the RAM window's."""
ID_BITS = 16
"""Of the RAM window's bus: as many as the widest port of a chip's processor has, of a Zynq UltraScale+."""
RAM_LEAVES = ("gw_axi_walk", "gw_axi_ram")
_ONE_WRITER = frozenset({"ice40"})  # families whose block RAM has one port that writes

_CHANNELS = (
    ("aw", (("id", ID_BITS), ("addr", 0), ("len", 8), ("size", 3), ("burst", 2)), True),
    ("w", (("data", 32), ("strb", 4), ("last", 1)), True),
    ("b", (("id", ID_BITS), ("resp", 2)), False),
    ("ar", (("id", ID_BITS), ("addr", 0), ("len", 8), ("size", 3), ("burst", 2)), True),
    ("r", (("id", ID_BITS), ("data", 32), ("resp", 2), ("last", 1)), False),
)  # of AXI4: name, what it carries with its bits, 0: an address; whether into the block


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
    ram_words: int = 0,
) -> WrittenBlock:
    """Return the block around a design.

    rtl: the folder that the manifest describes. frac_bits: of the codes, for clients. fifos: None: as deep as eight
    vectors and results at least, and 1,024 words. inputs, outputs: registers of the user's logic. ram_words: of the
    RAM window, 0: none.
    Raises LowerError where the map, or the chip, has no place for what is asked.
    """
    if ram_words and manifest.claims.family in _ONE_WRITER:
        raise LowerError(
            f"a RAM window needs block RAM with two ports that write, which {manifest.claims.family} has not; "
            "leave it out"
        )
    name = f"{manifest.top}_block"
    taken = [Path(file).stem for file in manifest.files]
    top = unused(name, taken)
    registers, stream = (unused(f"{top}_{part}", [*taken, top]) for part in ("registers", "stream"))
    shell = reshelled(manifest, name=stream, beat_bits=32, io_registers=True)
    x, y = frames(shell, 32, (input_frac_bits, result_frac_bits))
    block = Block(
        name=top,
        program_hash=manifest.program_hash,
        x=x,
        y=y,
        fifos=fifos or FifoPair(output_depth=_depth(x), input_depth=_depth(y)),
        inputs=inputs,
        outputs=outputs,
        ram_words=ram_words,
    )
    leaves = Leaves(prefix=manifest.prefix)
    own = [file for file in manifest.files if Path(file).stem != manifest.top]
    files = leaves.files(*LEAVES, *RAM_LEAVES * bool(ram_words), *shell.leaves) | {
        file: (rtl / file).read_text() for file in own
    }
    files[f"{stream}.v"] = leaves.renamed(shell.verilog)
    files[f"{registers}.v"] = leaves.renamed(
        module_text(registers_module(block, registers, family=manifest.claims.family))
    )
    files[f"{top}.v"] = top_text(block, registers, stream, leaves)
    return WrittenBlock(block=block, top=top, files=files)


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
    if block.ram_words:
        log2_words = block.ram_words.bit_length() - 1
        bus += _window(log2_words)
        user += [("input", 1, "ram_we_i"), ("input", log2_words, "ram_addr_i"), ("input", 32, "ram_data_i")]
        user += [("output", 32, "ram_data_o")]
    ports = [("input", 1, "aclk"), ("input", 1, "aresetn"), *bus, *user]
    return tuple(BlockPort(direction=way, bits=bits, name=name) for way, bits, name in ports)


def _window(log2_words: int) -> list[tuple[str, int, str]]:
    """Return the ports of the RAM window's bus."""
    ports: list[tuple[str, int, str]] = []
    for channel, signals, inward in _CHANNELS:
        forth, back = ("input", "output") if inward else ("output", "input")
        ports += [(forth, bits or log2_words + 2, f"{RAM}{channel}{signal}") for signal, bits in signals]
        ports += [(forth, 1, f"{RAM}{channel}valid"), (back, 1, f"{RAM}{channel}ready")]
    return ports


def top_text(block: Block, registers: str, stream: str, leaves: Leaves) -> str:
    """Return the Verilog of the top: the module of registers, the core's stream, the RAM window."""
    streams = {f"{side}_{wire}": f"{side}_{wire}" for side in "xy" for wire in ("data", "valid", "last", "ready")}
    inside = [port.name for port in block_ports(block) if not port.name.startswith((RAM, "ram_"))]
    named = {name.removeprefix(BUS): name for name in inside}
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
            *([_ram(block.ram_words, leaves)] if block.ram_words else []),
            "endmodule",
            NETTYPE_END,
            "",
        ]
    )


def _ram(words: int, leaves: Leaves) -> str:
    """Return the instance of the RAM window."""
    log2_words = words.bit_length() - 1
    user = {"we": "ram_we_i", "addr": "ram_addr_i", "wdata": "ram_data_i", "rdata": "ram_data_o"}
    ends = {name.removeprefix(RAM): name for _, _, name in _window(log2_words)}
    ends = {"clk": "aclk", "rst_n": "aresetn", **ends, **{f"user_{key}": name for key, name in user.items()}}
    return instance(leaves.name("gw_axi_ram"), "u_ram", {"LOG2_WORDS": log2_words, "ID_BITS": ID_BITS}, ends)


def _range(bits: int) -> str:
    return f"{f'[{bits - 1}:0]' if bits > 1 else '':<8}"
