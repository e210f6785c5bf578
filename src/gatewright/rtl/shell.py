"""The core's ports and latency in, a Verilog module with AXI4-Stream ports around it out (see docs/interfaces.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatewright.errors import LowerError
from gatewright.lower.cost.cells import fifo_in_block
from gatewright.rtl.shell_cells import Inside, Piece, Wiring, count, shell_cells
from gatewright.rtl.verilog import NETTYPE, NETTYPE_END
from gatewright.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPort:
    """One AXI4-Stream port that carries vectors of equal elements.

    elements: elements of a vector. width_bits, signed: of one element.
    beat_bits: width of TDATA, a multiple of 8; 0 stands for a whole vector in one beat, and is replaced by that width.
    Element i sits in lane i of the vector; a lane is the element's width rounded up to whole bytes.
    The vector is cut into beats, lowest bits first; the last beat is filled up with zeros.

    Raises LowerError for anything else.
    """

    elements: int
    width_bits: int
    signed: bool
    beat_bits: int = 0

    def __post_init__(self) -> None:
        if self.elements < 1:
            raise LowerError(f"a stream's vector must have at least 1 element, not {self.elements!r}")
        if not 1 <= self.width_bits <= 62:
            raise LowerError(f"a stream's elements must have 1..62 bits, not {self.width_bits!r}; narrow them first")
        if self.beat_bits < 0 or self.beat_bits % 8:
            raise LowerError(
                f"a stream's beat must have a multiple of 8 bits, not {self.beat_bits!r}; "
                "set hardware.stream_bits to 8, 16, 32, ... or to 0 for a whole vector per beat"
            )
        if self.beat_bits == 0:
            object.__setattr__(self, "beat_bits", self.vector_bits)

    @property
    def lane_bits(self) -> int:
        """Bits from one element to the next: its width rounded up to whole bytes."""
        return 8 * -(-self.width_bits // 8)

    @property
    def vector_bits(self) -> int:
        """Bits of all lanes."""
        return self.elements * self.lane_bits

    @property
    def beats(self) -> int:
        """Beats of a vector."""
        return -(-self.vector_bits // self.beat_bits)

    @property
    def packed_bits(self) -> int:
        """Bits of the core's port: the elements side by side, without the lanes' rests."""
        return self.elements * self.width_bits


def initiation_interval(source: StreamPort, result: StreamPort, core_interval: int = 1) -> int:
    """Cycles from one vector to the next in steady state: the slowest of input stream, core and output stream."""
    return max(source.beats, result.beats, core_interval)


def transfer_latency_cycles(
    source: StreamPort, result: StreamPort, latency_cycles: int, *, io_registers: bool = False
) -> int:
    """Cycles from the first beat of a vector in to the last beat of its result out, nothing stalling."""
    return (source.beats - 1) + latency_cycles + 1 + (result.beats - 1) + 2 * io_registers


def fifo_log2_depth(source: StreamPort, result: StreamPort, latency_cycles: int, core_interval: int = 1) -> int:
    """Return log2 of the results FIFO's depth, the smallest that costs no throughput.

    A vector holds its credit from the cycle after it enters the core until its last beat has left, which is
    latency_cycles + result.beats cycles. Every initiation interval one more enters, and to enter it needs one
    credit left over.
    """
    interval = initiation_interval(source, result, core_interval)
    places = -(-(latency_cycles + result.beats) // interval) + 1
    return (places - 1).bit_length()


def axis_shell(
    *,
    name: str,
    core: str,
    latency_cycles: int,
    source: StreamPort,
    result: StreamPort,
    core_interval: int = 1,
    elastic: bool = False,
    framed: bool = False,
    io_registers: bool = False,
    family: str = "",
) -> str:
    """Return the Verilog text of module `name`: AXI4-Stream ports around the free-running pipeline `core`.

    core: a module with ports clk, x, y whose y belongs to the x of latency_cycles cycles before.
    core_interval: cycles that it needs from one x to the next; above 1 it has the ports rst_n and start (x is good)
    too, and vectors enter no faster.
    elastic: core is one of rtl/elastic.py instead, which holds its own credits and FIFOs.
    framed: packets end with TLAST: torn ones are marked, what a reset cut is dropped, and there are the ports
    m_axis_tkeep and framing_error. io_registers: a register on every wire of both streams. family: the chip's; without
    LUT RAM, wide results wait in block RAM.
    The text needs the files of leaves.leaf_sources, of Wiring.leaves, and gw_pace where the core is slower than the
    stream; cells have their own names. Fixed names inside: u_core, core_in_valid, core_out_valid, core_in_torn.
    Raises LowerError for names that are no Verilog identifiers and for a core without a register.
    """
    for what, identifier in (("name", name), ("core", core)):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", identifier):
            raise LowerError(f"the shell's {what} must be a Verilog identifier, not {identifier!r}")
    if latency_cycles < 1:
        raise LowerError(f"the core {core!r} must have at least 1 register stage for the shell, not {latency_cycles!r}")
    log2_depth = fifo_log2_depth(source, result, latency_cycles, core_interval)
    inside = Inside(
        core=core,
        latency_cycles=latency_cycles,
        interval=core_interval,
        elastic=elastic,
        log2_depth=log2_depth,
        block_fifo=fifo_in_block(family, result.packed_bits + 1 + framed, 1 << log2_depth),
    )
    wiring = Wiring(framed=framed, io_registers=io_registers)
    made = shell_cells(wiring, inside, source, result)
    depth = 0 if elastic else 1 << log2_depth
    header = _header(name, core, latency_cycles, source, result, depth, core_interval, wiring)
    return text_of_shell(name, header, source, result, made, framed=framed)


def text_of_shell(
    name: str, header: str, source: StreamPort, result: StreamPort, made: Piece, *, framed: bool = False
) -> str:
    """Return the text of module `name` with the ports of a shell around what is inside."""
    ports = [
        ("input", 1, "aclk"),
        ("input", 1, "aresetn"),
        ("input", source.beat_bits, "s_axis_tdata"),
        ("input", 1, "s_axis_tvalid"),
        ("output", 1, "s_axis_tready"),
        ("input", 1, "s_axis_tlast"),
        ("output", result.beat_bits, "m_axis_tdata"),
        ("output", 1, "m_axis_tvalid"),
        ("input", 1, "m_axis_tready"),
        ("output", 1, "m_axis_tlast"),
        *([("output", result.beat_bits // 8, "m_axis_tkeep"), ("output", 1, "framing_error")] * framed),
    ]
    return "\n".join(
        [
            header,
            NETTYPE,
            f"module {name} (",
            ",\n".join(f"    {direction:<6} wire {_range(bits)} {port}" for direction, bits, port in ports),
            ");",
            *(f"    wire {_range(bits)} {wire};{f'  // {note}' if note else ''}" for bits, wire, note in made.wires),
            "",
            *made.placed,
            "endmodule",
            NETTYPE_END,
            "",
        ]
    )


_WHOLE = "TLAST of a vector comes out on the last beat of its result."
ENDLESS = """\
TLAST on the last beat of a vector comes out on the last beat of its result, on others it means nothing: vectors are
counted from the reset on."""
FRAMED = """\
TLAST on the last beat of a vector comes out on the last beat of its result. On an earlier beat the vector is torn: its
result has TKEEP low, TLAST, and no meaning. After a reset in mid-packet all is dropped up to the next TLAST. Either
sets framing_error until the next reset."""


def _header(
    name: str,
    core: str,
    latency: int,
    source: StreamPort,
    result: StreamPort,
    depth: int,
    core_interval: int,
    wiring: Wiring,
) -> str:
    transfer = transfer_latency_cycles(source, result, latency, io_registers=wiring.io_registers)
    framing = FRAMED if wiring.framed else ENDLESS if source.beats > 1 else _WHOLE
    every = count(initiation_interval(source, result, core_interval), "cycle")
    if not depth:
        return commented(f"""\
{name}: AXI4-Stream shell of {core}

  s_axis  {describe(source)}
  m_axis  {describe(result)}
  core    elastic: {count(latency, "cycle")} in the empty design, {transfer} from the first beat in to the last out;
          a vector every {every}

{framing}
Inside, units are joined by valid and ready: each takes a vector only where a place for its result is free.""")
    return commented(f"""\
{name}: AXI4-Stream shell of {core}

  s_axis  {describe(source)}
  m_axis  {describe(result)}
  core    latency {count(latency, "cycle")}; from the first beat in to the last beat out {count(transfer, "cycle")};
          a vector every {every}; \
up to {depth} vectors in flight and waiting

{framing}
The core never stops: vectors enter only against a credit, and every result has its place in the FIFO.""")


def commented(text: str) -> str:
    """Return a text as the comment that heads a shell."""
    head, *rest = text.splitlines()
    lines = [f"{head}, by gatewright {__version__}", "SPDX-License-Identifier: Apache-2.0", *rest]
    return "\n".join(f"// {line}".rstrip() for line in lines)


def describe(port: StreamPort) -> str:
    """Return what a port carries, for people."""
    kind = "signed" if port.signed else "unsigned"
    lanes = f"{port.elements} x {port.width_bits} bit {kind} in lanes of {port.lane_bits} bits"
    return f"{lanes}, {count(port.beats, 'beat')} of {port.beat_bits} bits"


def _range(width_bits: int) -> str:
    return f"{f'[{width_bits - 1}:0]' if width_bits > 1 else '':<8}"
