"""What an hls4ml project is made of: number types, layers with all that hls4ml would otherwise guess, refusals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir import Program


class Backend(Enum):
    """The vendor's tool whose project hls4ml writes, by hls4ml's spelling."""

    VITIS = "Vitis"
    VIVADO = "Vivado"
    QUARTUS = "Quartus"
    CATAPULT = "Catapult"
    ONEAPI = "oneAPI"


class Io(Enum):
    """How tensors pass between layers, by hls4ml's spelling: all at once, or a pixel at a time."""

    PARALLEL = "io_parallel"
    STREAM = "io_stream"


class Strategy(Enum):
    """How hls4ml multiplies, by its spelling: all products of a layer at once, or few multipliers in turn."""

    LATENCY = "Latency"
    RESOURCE = "Resource"


AP_ROUNDING: Mapping[Rounding, str] = {
    Rounding.TRUNCATE: "TRN",
    Rounding.HALF_UP: "RND",
    Rounding.HALF_EVEN: "RND_CONV",
    Rounding.HALF_DOWN: "RND_MIN_INF",
    Rounding.HALF_AWAY: "RND_INF",
    Rounding.HALF_ZERO: "RND_ZERO",
    Rounding.ZERO: "TRN_ZERO",
}  # Rounding.CEIL has none
AP_OVERFLOW: Mapping[Overflow, str] = {
    Overflow.SATURATE: "SAT",
    Overflow.WRAP: "WRAP",
    Overflow.SATURATE_SYMMETRIC: "SAT_SYM",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsType:
    """A C++ number type: a format, and what an assignment to it does with bits that it has no room for.

    `rounding` must be a key of AP_ROUNDING.
    """

    fixed: Fixed
    rounding: Rounding = Rounding.TRUNCATE
    overflow: Overflow = Overflow.WRAP

    def __str__(self) -> str:
        """Return hls4ml's spelling, which every back end reads: `fixed<8,3,RND,SAT,0>`."""
        whole = self.fixed.width_bits - self.fixed.frac_bits
        modes = f"{AP_ROUNDING[self.rounding]},{AP_OVERFLOW[self.overflow]}"
        return f"{'' if self.fixed.signed else 'u'}fixed<{self.fixed.width_bits},{whole},{modes},0>"


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsLayer:
    """One layer of hls4ml, in full.

    name: a C identifier; layer, op: the program's layer and operation whose result it computes, op "" of a step on the
    way there; kind: hls4ml's class
    name; inputs: names of layers; types: "result" and, by hls4ml's names, those of weights, biases and accumulators;
    settings: the class's other attributes.
    """

    name: str
    layer: str
    op: str
    kind: str
    inputs: tuple[str, ...]
    types: Mapping[str, HlsType]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsNetwork:
    """A program's layers for hls4ml, the input first.

    program: what they compute, up to the operations that stay with the host; its output is theirs. output: the name of
    the layer that is the project's. host: names of the operations that follow and are no part of the project.
    """

    program: Program
    output: str
    layers: tuple[HlsLayer, ...]
    host: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An operation that hls4ml cannot compute to the bit, and why."""

    layer: str
    op: str
    reason: str

    def __str__(self) -> str:
        return f"layer {self.layer!r} (%{self.op}): {self.reason}"


def identifiers(names: Iterable[str], reserved: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return for each name a C identifier of its own, as like it as can be."""
    made: dict[str, str] = {}
    taken = set(reserved)
    for name in names:
        word = re.sub(r"\W", "_", name, flags=re.ASCII)
        word = word if word[:1].isalpha() else f"n{word}"
        unique, number = f"gw_{word}", 1
        while unique in taken:
            number += 1
            unique = f"gw_{word}_{number}"
        taken.add(unique)
        made[name] = unique
    return made
