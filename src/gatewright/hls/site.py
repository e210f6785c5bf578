"""Where a rule stands, and what rules share: exact ranges and tables in, hls4ml's types, numbers and layers out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Fixed
from gatewright.hls.layers import Backend, HlsLayer, HlsType, Io
from gatewright.ir import Constant, Op, Program, Range
from gatewright.ir.ops import Const

MOST_INDEX_BITS = 16  # of a table: a longer one is none in a chip's logic
MOST_BITS = 53  # a double holds them: hls4ml's bridge hands inputs, outputs and traced layers over as doubles

Numbers = NDArray[np.float64]
Found = tuple[HlsLayer, ...] | str
"""The layers that equal an op, its result last, or why there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a rule stands.

    known: every result's exact range; words: hls4ml's name of every result; types: of the results so far.
    """

    program: Program
    known: Mapping[str, Range]
    words: Mapping[str, str]
    types: Mapping[str, HlsType]
    backend: Backend
    io: Io = Io.PARALLEL

    @property
    def xilinx(self) -> bool:
        """Whether the back end's numbers are AMD's, with hls4ml's first and fullest set of layers."""
        return self.backend in (Backend.VITIS, Backend.VIVADO)

    def constant(self, name: str) -> Constant | None:
        """Return the table of a result that is a constant, None for any other."""
        op = self.program.op(name)
        return self.program.constants[op.value] if isinstance(op, Const) else None

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a result's shape, without the samples' axis."""
        return self.known[name].lo.shape


def exact(values: Range) -> str:
    """Return why a result's integers cannot be compared exactly, "" where they can."""
    if values.width_bits > MOST_BITS:
        return f"its result has {values.width_bits} bits, and hls4ml's emulation hands over {MOST_BITS} as a double"
    return ""


def holding(values: Range) -> HlsType:
    """Return the narrowest type of a result's exact range."""
    return HlsType(fixed=Fixed.holding(*values.ends, values.frac_bits))


def table_type(table: Constant) -> HlsType:
    """Return the narrowest type of a table's integers, all of which it keeps."""
    return HlsType(fixed=Fixed.holding(int(table.q.min()), int(table.q.max()), table.frac_bits))


def numbers(table: Constant) -> Numbers:
    """Return what a table's integers mean, as the doubles that hls4ml writes down in full."""
    return table.q.astype(np.float64) * 2.0**-table.frac_bits


def layer_of(op: Op, site: Site, kind: str, *sources: str, settings: Mapping[str, Any], **types: HlsType) -> HlsLayer:
    """Return the one layer that computes op's result; its type, where none is given, holds the exact range."""
    return HlsLayer(
        name=site.words[op.name],
        layer=op.layer,
        op=op.name,
        kind=kind,
        inputs=tuple(site.words[source] for source in sources),
        types={"result": holding(site.known[op.name]), **types},
        settings=settings,
    )


def step(
    op: Op, site: Site, word: str, kind: str, *inputs: str, settings: Mapping[str, Any], **types: HlsType
) -> HlsLayer:
    """Return a layer on the way to op's result, named after it and `word`. inputs: names of hls4ml's layers."""
    name = f"{site.words[op.name].replace('gw_', 'gs_', 1)}_{word}"  # no op has this prefix
    return HlsLayer(name=name, layer=op.layer, op="", kind=kind, inputs=inputs, types=types, settings=settings)


def affine(scale: Numbers, bias: Numbers) -> dict[str, Any]:
    """Return the settings of hls4ml's ApplyAlpha: x * scale + bias, each with a number for every element."""
    return {"scale_data": scale, "bias_data": bias, "n_in": scale.size}


def named(layer: HlsLayer, op: Op, site: Site) -> HlsLayer:
    """Return a step as the layer whose result is op's."""
    return replace(layer, name=site.words[op.name], op=op.name)
