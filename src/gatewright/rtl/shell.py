"""The core's ports and latency in, a Verilog module with AXI4-Stream ports around it out (see docs/interfaces.md)."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.errors import LowerError

_LEAVES = ("gw_axis_delay.v", "gw_axis_pack.v", "gw_axis_unpack.v", "gw_credit.v", "gw_fifo.v")


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


def transfer_latency_cycles(source: StreamPort, result: StreamPort, latency_cycles: int) -> int:
    """Cycles from the first beat of a vector in to the last beat of its result out, nothing stalling."""
    return (source.beats - 1) + latency_cycles + 1 + (result.beats - 1)


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
) -> str:
    """Return the Verilog text of module `name`: AXI4-Stream ports around the free-running pipeline `core`.

    core: a module with ports clk, x, y whose y belongs to the x of latency_cycles cycles before.
    core_interval: cycles that it needs from one x to the next; above 1 it has the ports rst_n and start (x is good)
    too, and vectors enter no faster.
    elastic: core is one of rtl/elastic.py instead, which holds its own credits and FIFOs.
    The text needs the files of leaf_sources. Fixed names inside: u_core, core_in_valid, core_out_valid.
    Raises LowerError for names that are no Verilog identifiers and for a core without a register.
    """
    for what, identifier in (("name", name), ("core", core)):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", identifier):
            raise LowerError(f"the shell's {what} must be a Verilog identifier, not {identifier!r}")
    if latency_cycles < 1:
        raise LowerError(f"the core {core!r} must have at least 1 register stage for the shell, not {latency_cycles!r}")
    pause = core_interval - source.beats
    wires = [
        (source.packed_bits, "core_x", ""),
        (1, "core_in_valid", "core_x is a vector that has been accepted"),
        (1, "core_in_last", ""),
        *(
            [
                (result.packed_bits, "core_y", ""),
                (1, "core_out_valid", f"core_y is the result of the vector {_count(latency_cycles, 'cycle')} ago"),
                (1, "core_out_last", ""),
            ]
            * (not elastic)
        ),
        (result.packed_bits, "result", ""),
        (1, "result_valid", ""),
        (1, "result_last", ""),
        (1, "result_ready", ""),
        *(
            [(1, "credit", ""), (1, "rested", "the core can take a vector when the last beat of it comes")]
            * (pause > 0)
        ),
    ]
    clock = {"clk": "aclk", "rst_n": "aresetn"}
    room = "credit" if pause > 0 else "s_axis_tready"
    if elastic:
        inside, depth = [*_pace(pause, clock), _elastic_core(core, clock, room)], 0
    else:
        log2_depth = fifo_log2_depth(source, result, latency_cycles, core_interval)
        depth = 1 << log2_depth
        inside = _rigid_core(core, latency_cycles, result, log2_depth, _pace(pause, clock), room, core_interval, clock)
    cells = [
        cell(
            "gw_axis_unpack",
            "u_unpack",
            {"ELEMENTS": source.elements, "WIDTH": source.width_bits, "BEAT": source.beat_bits},
            {
                **clock,
                **{f"s_{wire}": f"s_axis_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")},
                "vector": "core_x",
                "vector_valid": "core_in_valid",
                "vector_last": "core_in_last",
            },
        ),
        *inside,
        cell(
            "gw_axis_pack",
            "u_pack",
            {
                "ELEMENTS": result.elements,
                "WIDTH": result.width_bits,
                "SIGNED": int(result.signed),
                "BEAT": result.beat_bits,
            },
            {
                **clock,
                "vector": "result",
                **{f"vector_{wire}": f"result_{wire}" for wire in ("valid", "last", "ready")},
                **{f"m_{wire}": f"m_axis_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")},
            },
        ),
    ]
    header = _header(name, core, latency_cycles, source, result, depth, core_interval)
    return text_of_shell(name, header, ports_of(source, result), wires, cells)


def ports_of(source: StreamPort, result: StreamPort) -> list[tuple[str, int, str]]:
    """Return direction, bits and name of each port of a shell."""
    return [
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
    ]


def text_of_shell(
    name: str,
    header: str,
    ports: Sequence[tuple[str, int, str]],
    wires: Sequence[tuple[int, str, str]],
    cells: Sequence[str],
) -> str:
    """Return the text of module `name`. wires: bits, name and a note or none; cells: what is inside."""
    return "\n".join(
        [
            header,
            f"module {name} (",
            ",\n".join(f"    {direction:<6} wire {_range(bits)} {port}" for direction, bits, port in ports),
            ");",
            *(f"    wire {_range(bits)} {wire};{f'  // {note}' if note else ''}" for bits, wire, note in wires),
            "",
            *cells,
            "endmodule",
            "",
        ]
    )


def _rigid_core(
    core: str,
    latency_cycles: int,
    result: StreamPort,
    log2_depth: int,
    pace: list[str],
    room: str,
    core_interval: int,
    clock: dict[str, str],
) -> list[str]:
    """Return the core that never stops, the credits against which vectors enter it, and the FIFO of its results."""
    started = {**clock, "start": "core_in_valid"}
    return [
        "    // One credit per place in the FIFO: a vector enters only if there is a place for its result.\n"
        + cell(
            "gw_credit",
            "u_credit",
            {"LOG2_DEPTH": log2_depth, "START": 1 << log2_depth},
            {**clock, "inc": "result_valid && result_ready", "dec": "core_in_valid", "any": room},
        ),
        *pace,
        cell(core, "u_core", {}, {**(started if core_interval > 1 else {"clk": "aclk"}), "x": "core_x", "y": "core_y"}),
        cell(
            "gw_axis_delay",
            "u_delay",
            {"CYCLES": latency_cycles},
            {**clock, **{wire: f"core_{wire}" for wire in ("in_valid", "in_last", "out_valid", "out_last")}},
        ),
        cell(
            "gw_fifo",
            "u_fifo",
            {"WIDTH": result.packed_bits + 1, "LOG2_DEPTH": log2_depth},
            {
                **clock,
                "in_data": "{core_out_last, core_y}",
                "in_valid": "core_out_valid",
                "out_data": "{result_last, result}",
                "out_valid": "result_valid",
                "out_ready": "result_ready",
            },
        ),
    ]


def _elastic_core(core: str, clock: dict[str, str], room: str) -> str:
    """Return the core that waits for both of its ends."""
    taken = {"x": "core_x", "x_valid": "core_in_valid", "x_last": "core_in_last", "x_ready": room}
    given = {"y": "result", **{f"y_{wire}": f"result_{wire}" for wire in ("valid", "last", "ready")}}
    return cell(core, "u_core", {}, {**clock, **taken, **given})


def leaf_sources(*more: str) -> dict[str, str]:
    """Return file name -> text of the hand-written cells that every shell needs, and of the modules named in `more`."""
    folder = importlib.resources.files("gatewright.rtl") / "leaf"
    return {name: (folder / name).read_text() for name in (*_LEAVES, *(f"{module}.v" for module in more))}


def _pace(pause: int, clock: dict[str, str]) -> list[str]:
    """Return the cell that keeps vectors apart, where the core is slower than the input stream."""
    if pause <= 0:
        return []
    text = cell("gw_pace", "u_pace", {"CYCLES": pause}, {**clock, "go": "core_in_valid", "ready": "rested"})
    return [f"    assign s_axis_tready = credit && rested;\n{text}"]


def _header(
    name: str, core: str, latency: int, source: StreamPort, result: StreamPort, depth: int, core_interval: int
) -> str:
    transfer = transfer_latency_cycles(source, result, latency)
    every = _count(initiation_interval(source, result, core_interval), "cycle")
    if not depth:
        return commented(f"""\
{name}: AXI4-Stream shell of {core}

  s_axis  {describe(source)}
  m_axis  {describe(result)}
  core    elastic: {_count(latency, "cycle")} in the empty design, {transfer} from the first beat in to the last out;
          a vector every {every}

TLAST on the last beat of a vector comes out on the last beat of its result; on an earlier beat it drops the vector.
Inside, units are joined by valid and ready: each takes a vector only where a place for its result is free.""")
    return commented(f"""\
{name}: AXI4-Stream shell of {core}

  s_axis  {describe(source)}
  m_axis  {describe(result)}
  core    latency {_count(latency, "cycle")}; from the first beat in to the last beat out {_count(transfer, "cycle")};
          a vector every {every}; \
up to {depth} vectors in flight and waiting

TLAST on the last beat of a vector comes out on the last beat of its result; on an earlier beat it drops the vector.
The core never stops: vectors enter only against a credit, and every result has its place in the FIFO.""")


def commented(text: str) -> str:
    """Return a text as lines of Verilog comments."""
    return "\n".join(f"// {line}".rstrip() for line in text.splitlines())


def describe(port: StreamPort) -> str:
    """Return what a port carries, for people."""
    kind = "signed" if port.signed else "unsigned"
    lanes = f"{port.elements} x {port.width_bits} bit {kind} in lanes of {port.lane_bits} bits"
    return f"{lanes}, {_count(port.beats, 'beat')} of {port.beat_bits} bits"


def cell(module: str, instance: str, parameters: dict[str, int], ports: dict[str, str]) -> str:
    """Return the text of a module's instance."""
    settings = ", ".join(f".{key}({value})" for key, value in parameters.items())
    wires = ",\n".join(f"        .{key}({value})" for key, value in ports.items())
    return f"    {module} {f'#({settings}) ' if settings else ''}{instance} (\n{wires}\n    );"


def _range(width_bits: int) -> str:
    return f"{f'[{width_bits - 1}:0]' if width_bits > 1 else '':<8}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
