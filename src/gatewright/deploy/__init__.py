"""Deployment: boards, links to a host, pins and clocks, and the bitstream made of them."""

from gatewright.deploy.boards import BOARDS, Board, Uart, board
from gatewright.deploy.clocks.table import clock_for
from gatewright.deploy.links.uart import HOST_DRIVER, LEAVES, BoardTop, StreamPorts, board_top
from gatewright.deploy.pins.table import pin_file

__all__ = [
    "BOARDS",
    "HOST_DRIVER",
    "LEAVES",
    "Board",
    "BoardTop",
    "StreamPorts",
    "Uart",
    "board",
    "board_top",
    "clock_for",
    "pin_file",
]
