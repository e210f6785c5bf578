"""The type of one port on one pin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """A port of the top on a pin of the package. kind: clock input, idle-high input, or output; volts: of its bank."""

    port: str
    pin: str
    kind: Literal["clock", "input", "output"]
    volts: float = 3.3
