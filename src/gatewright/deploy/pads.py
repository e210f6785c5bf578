"""The type of one port on one pin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """A port of the top on a pin of the package, at 3.3 V. kind: clock input, idle-high input, or output."""

    port: str
    pin: str
    kind: Literal["clock", "input", "output"]
