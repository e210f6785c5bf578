"""Targets: parts, boards and the top that carries a core on a board."""

from gatewright.target.boards import BOARDS, Board, board, lpf
from gatewright.target.parts import PARTS, Part, check_fit, part
from gatewright.target.uart import HOST_DRIVER, LEAF_SOURCES, BoardTop, StreamPorts, board_top

__all__ = [
    "BOARDS",
    "HOST_DRIVER",
    "LEAF_SOURCES",
    "PARTS",
    "Board",
    "BoardTop",
    "Part",
    "StreamPorts",
    "board",
    "board_top",
    "check_fit",
    "lpf",
    "part",
]
