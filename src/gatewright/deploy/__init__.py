"""Deployment: boards, pins and clocks; links to a host lie in `links`, and what makes a bitstream in `bitstream`."""

from gatewright.deploy.boards import BOARDS, Board, Uart, board
from gatewright.deploy.clocks.table import clock_for
from gatewright.deploy.pins.table import pin_file

__all__ = [
    "BOARDS",
    "Board",
    "Uart",
    "board",
    "clock_for",
    "pin_file",
]
