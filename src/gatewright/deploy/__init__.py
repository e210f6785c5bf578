"""Deployment: boards, links to a host, and the top that carries a core on a board."""

from gatewright.deploy.boards import BOARDS, Board, board, lpf
from gatewright.deploy.links.uart import HOST_DRIVER, LEAF_SOURCES, BoardTop, StreamPorts, board_top

__all__ = ["BOARDS", "HOST_DRIVER", "LEAF_SOURCES", "Board", "BoardTop", "StreamPorts", "board", "board_top", "lpf"]
