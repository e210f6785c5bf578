"""The table of constraint writers: a board in, the file that tells the router its pins out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gatewright.chips import part
from gatewright.deploy.boards import Board
from gatewright.deploy.links.table import link_pads
from gatewright.deploy.pads import Pad
from gatewright.deploy.pins.lpf import lpf
from gatewright.deploy.pins.open import ccf, cst, pcf
from gatewright.errors import ConfigError

Writer = Callable[..., str]
"""(pads, clock_mhz=, comment=) -> text."""

WRITERS: dict[str, tuple[str, Writer]] = {
    "ecp5": (".lpf", lpf),
    "ice40": (".pcf", pcf),
    "gowin": (".cst", cst),
    "gatemate": (".ccf", ccf),
}
"""Family -> (suffix of the file, function that writes it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinFile:
    """A constraint file: its name and its text."""

    name: str
    text: str


def pads(board: Board) -> list[Pad]:
    """Return every port of the board's top on its pin, in the order of the file."""
    found = [Pad(port="clk_board", pin=board.clock_pin, kind="clock"), *link_pads(board.link)]
    found += [Pad(port=f"led[{i}]", pin=pin, kind="output", volts=board.leds_volts) for i, pin in enumerate(board.leds)]
    return found + [Pad(port=f"keep_high[{i}]", pin=pin, kind="output") for i, pin in enumerate(board.keep_high)]


def pin_file(board: Board) -> PinFile:
    """Return the board's constraint file. Raises ConfigError for a family whose format is not written here."""
    family = part(board.part).family
    if family not in WRITERS:
        raise ConfigError(
            f"board {board.name!r}: pin constraints are written for {', '.join(WRITERS)}, not for family {family!r}"
        )
    suffix, write = WRITERS[family]
    comment = f"{board.title}. Pins: {board.source}"
    return PinFile(name=f"{board.name}{suffix}", text=write(pads(board), clock_mhz=board.clock_mhz, comment=comment))
