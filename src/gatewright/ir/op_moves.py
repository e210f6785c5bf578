"""Ops that only move elements; the integers stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

Pads = tuple[tuple[int, int], ...]  # (before, after) per axis


class Fill(Enum):
    """What Upsample puts between elements."""

    REPEAT = "repeat"  # the element again (nearest neighbour)
    ZEROS = "zeros"  # zeros (the first half of a transposed convolution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """Results joined along `axis` (0 .. rank - 1), all shifted up to the largest frac_bits."""

    name: str
    layer: str
    sources: tuple[str, ...]
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape:
    """The same elements in row-major order as `shape`. Same frac_bits."""

    name: str
    layer: str
    source: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose:
    """Axis i of the result is axis axes[i] of x. Same frac_bits."""

    name: str
    layer: str
    source: str
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Along each axis the elements range(start, stop, step); every index must exist. Same frac_bits."""

    name: str
    layer: str
    source: str
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """x with `value` (an integer at x's frac_bits) before and after it, per axis. Same frac_bits."""

    name: str
    layer: str
    source: str
    pads: Pads
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsample:
    """Each element becomes a block of factors[i] along axis i: repeated, or followed by zeros. Same frac_bits."""

    name: str
    layer: str
    source: str
    factors: tuple[int, ...]
    fill: Fill
