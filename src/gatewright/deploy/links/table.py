"""The table of links: a board and a core in; the top that joins them, the host's program and their facts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from gatewright.deploy.boards import Board, Link, Uart
from gatewright.deploy.pads import Pad

if TYPE_CHECKING:
    from gatewright.rtl.shell import StreamPort

BEAT_BITS = 8  # of the stream between a link and the core's shell


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTop:
    """A board's top. leaves: cells of rtl/leaf that it instantiates; host: the host's program, one file.

    facts: what the host and the report must know of the link, JSON-able.
    """

    module: str
    verilog: str
    clock_mhz: float
    leaves: tuple[str, ...]
    host: Path
    facts: Mapping[str, Any]


def link_pads(link: Link) -> list[Pad]:
    """Return the link's ports on their pins."""
    match link:
        case Uart():
            return [
                Pad(port="uart_rx", pin=link.rx, kind="input"),
                Pad(port="uart_tx", pin=link.tx, kind="output"),
            ]
        case _:
            assert_never(link)


def link_top(
    *, board: Board, shell: str, source: StreamPort, result: StreamPort, clock_mhz: float, module: str, header: str
) -> LinkTop:
    """Return the top `module` that carries the stream shell `shell`, with beats of BEAT_BITS, behind the board's link.

    clock_mhz: wanted clock of the core; the nearest legal one below is made. header: lines for the comment at the top.
    Raises ConfigError where the clock or the link's rate is impossible.
    """
    match board.link:
        case Uart():
            from gatewright.deploy.links import uart  # with it what writes Verilog, which checking a run needs not

            core = uart.StreamPorts(module=shell, input_bytes=source.beats, output_bytes=result.beats)
            top = uart.board_top(board=board, core=core, clock_mhz=clock_mhz, module=module, header=header)
            return LinkTop(
                module=top.module,
                verilog=top.verilog,
                clock_mhz=top.clock_mhz,
                leaves=uart.LEAVES,
                host=uart.HOST_DRIVER,
                facts={
                    "baud": top.baud,
                    "vectors_per_second": top.vectors_per_second,
                    "link_latency_us": top.latency_us,
                },
            )
        case _:
            assert_never(board.link)
