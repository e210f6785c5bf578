"""A board with a UART and an AXI4-Stream core with 8-bit buses in; Verilog of a top that answers over UART out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatewright.chips import part
from gatewright.deploy.boards import Board
from gatewright.deploy.clocks.table import clock_for
from gatewright.errors import ConfigError
from gatewright.rtl.verilog import NETTYPE_END

LEAVES = ("gw_uart_rx", "gw_uart_tx", "gw_uart_host")
"""Cells of rtl/leaf that every board top instantiates, directly or not."""
HOST_DRIVER = Path(__file__).resolve().parent / "host" / "uart_host.py"
"""The host's program: one file, needs nothing but Python."""

_MAX_BAUD_ERROR = 0.02  # 8N1 stands some 4 % between the two ends; this leaves half to the host
_STATUS = ("alive", "vector_toggle", "answer_toggle", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPorts:
    """The core: a module with ports aclk, aresetn, s_axis_* and m_axis_* (tdata of 8 bits, tvalid, tready, tlast).

    input_bytes, output_bytes: beats of one vector in, and of its answer.
    """

    module: str
    input_bytes: int
    output_bytes: int

    def __post_init__(self) -> None:
        if min(self.input_bytes, self.output_bytes) < 1:
            raise ConfigError(
                f"a vector and its answer need at least 1 byte each, not {self.input_bytes!r} and {self.output_bytes!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardTop:
    """A top for one board. clock_mhz: the core's real clock; divider: clock cycles per bit of the UART.

    vectors_per_second: what the serial line allows at best; latency_us: first bit in to last bit out, without the
    core's own latency and without the host.
    """

    module: str
    verilog: str
    board: str
    clock_mhz: float
    baud: int
    divider: int
    gap_ms: float
    vectors_per_second: float
    latency_us: float


def board_top(
    *,
    board: Board,
    core: StreamPorts,
    clock_mhz: float,
    baud: int = 1_000_000,
    gap_ms: float = 100.0,
    module: str = "",
    header: str = "",
) -> BoardTop:
    """Make a top module (default name: CORE_BOARD) with ports clk_board, uart_rx, uart_tx, led and keep_high.

    clock_mhz: wanted clock of the core; where it is not the board's own, the nearest legal one below is made.
    gap_ms: silence after which a torn vector is given up (see rtl/leaf/gw_uart_host.v).
    header: lines for the comment at the top, e.g. the program's hash.
    Give the files of LEAVES, the core's and this text to synthesize, pins.table.pin_file(board) to the router.

    Raises ConfigError where the clock or the baud rate is impossible.
    """
    clock = clock_for(part(board.part).family, board.clock_mhz, clock_mhz)
    real_mhz = clock.clock_mhz
    divider = _divider(real_mhz, baud)
    gap_cycles = round(gap_ms * 1e3 * real_mhz)
    if not 20 * divider <= gap_cycles < 2**31:
        raise ConfigError(
            f"gap_ms must be {20e3 / baud:g}..{(2**31 - 1) / real_mhz / 1e3:.0f} "
            f"(20 bit times .. 2**31 cycles), not {gap_ms!r}"
        )
    name = module or f"{core.module}_{board.name}"
    leds = len(board.leds)
    shown = min(leds, len(_STATUS))
    status = ", ".join(["alive", *_STATUS[1:]][:shown][::-1])
    if leds > shown:
        status = f"{leds - shown}'d0, {status}"
    ports = ["input  wire clk_board", "input  wire uart_rx", "output wire uart_tx", f"output wire [{leds - 1}:0] led"]
    if board.keep_high:
        ports.append(f"output wire [{len(board.keep_high) - 1}:0] keep_high")
    text = _HEAD.format(
        header="".join(f"// {line}\n" for line in header.splitlines()),
        title=board.title,
        core=core.module,
        core_mhz=f"{real_mhz:g}",
        baud=baud,
        error=100 * (real_mhz * 1e6 / divider / baud - 1),
        input_bytes=core.input_bytes,
        output_bytes=core.output_bytes,
        module=name,
        ports=",\n    ".join(ports),
    )
    text += clock.verilog
    text += _BODY.format(
        core=core.module,
        divider=divider,
        input_bytes=core.input_bytes,
        gap_cycles=gap_cycles,
        invert="~" if board.leds_active_low else "",
        status=status,
    )
    if shown < len(_STATUS):
        text += f"    wire unused_status = &{{1'b0, {', '.join(_STATUS[shown:])}}};\n"
    if board.keep_high:
        text += f"    assign keep_high = {len(board.keep_high)}'b{'1' * len(board.keep_high)};\n"
    text += f"endmodule\n{NETTYPE_END}\n"
    bits = 10 * core.input_bytes, 10 * core.output_bytes
    return BoardTop(
        module=name,
        verilog=text,
        board=board.name,
        clock_mhz=real_mhz,
        baud=baud,
        divider=divider,
        gap_ms=gap_ms,
        vectors_per_second=baud / max(bits),
        latency_us=sum(bits) / baud * 1e6,
    )


def _divider(clock_mhz: float, baud: int) -> int:
    divider = max(1, round(clock_mhz * 1e6 / baud))
    off = clock_mhz * 1e6 / divider / baud - 1
    if divider < 4 or abs(off) > _MAX_BAUD_ERROR:
        near = clock_mhz * 1e6 / max(4, divider)
        raise ConfigError(
            f"baud must be the clock ({clock_mhz:g} MHz) divided by a whole number >= 4, within 2 %, "
            f"not {baud!r}; the nearest is {near:.0f}"
        )
    return divider


_HEAD = """\
{header}// {title}: {core} behind a UART.
// Core clock {core_mhz} MHz; UART {baud} baud 8N1 ({error:+.2f} %).
// {input_bytes} bytes in and {output_bytes} bytes out per vector.
// LEDs: 0 blinks while the clock runs (steady after a fault), 1 and 2 change with each vector and each answer,
// 3 tells that bytes were lost since power-up.
// SPDX-License-Identifier: Apache-2.0
`default_nettype none
module {module} (
    {ports}
);
"""

_BODY = """
    // Reset until the clock is good, released in step with it. The first value comes with the bitstream.
    (* ASYNC_REG = "TRUE" *) reg [3:0] good;
    initial good = 4'd0;
    always @(posedge clk or negedge locked)
        if (!locked)
            good <= 4'd0;
        else
            good <= {{good[2:0], 1'b1}};
    wire rst_n = good[3];

    wire core_resetn;
    wire [7:0] in_tdata;
    wire in_tvalid;
    wire in_tready;
    wire in_tlast;
    wire [7:0] out_tdata;
    wire out_tvalid;
    wire out_tready;
    wire out_tlast;
    wire vector_toggle;
    wire answer_toggle;
    wire error;

    gw_uart_host #(
        .DIV({divider}),
        .VECTOR_BYTES({input_bytes}),
        .GAP_CYCLES({gap_cycles})
    ) host (
        .clk(clk),
        .rst_n(rst_n),
        .rxd(uart_rx),
        .txd(uart_tx),
        .core_resetn(core_resetn),
        .m_axis_tdata(in_tdata),
        .m_axis_tvalid(in_tvalid),
        .m_axis_tready(in_tready),
        .m_axis_tlast(in_tlast),
        .s_axis_tdata(out_tdata),
        .s_axis_tvalid(out_tvalid),
        .s_axis_tready(out_tready),
        .s_axis_tlast(out_tlast),
        .vector_toggle(vector_toggle),
        .answer_toggle(answer_toggle),
        .error(error)
    );

    {core} core (
        .aclk(clk),
        .aresetn(core_resetn),
        .s_axis_tdata(in_tdata),
        .s_axis_tvalid(in_tvalid),
        .s_axis_tready(in_tready),
        .s_axis_tlast(in_tlast),
        .m_axis_tdata(out_tdata),
        .m_axis_tvalid(out_tvalid),
        .m_axis_tready(out_tready),
        .m_axis_tlast(out_tlast)
    );

    reg [25:0] heartbeat;
    always @(posedge clk)
        heartbeat <= rst_n ? heartbeat + 26'd1 : 26'd0;
    wire alive = heartbeat[25] | error;
    assign led = {invert}{{{status}}};
"""
