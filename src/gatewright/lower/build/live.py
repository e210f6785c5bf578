"""Program in, which elements of its vectors can reach the output out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK, Trees
from gatewright.ir.ops import Add, Const, Conv, Dense, Elementwise, Input, Max, Min, Mul, Pool, Requant, Sub
from gatewright.ir.program import Op, Program, Scan, sources
from gatewright.ir.rounding import spread
from gatewright.ir.shapes import Shape
from gatewright.lower.build.support import no_hardware
from gatewright.lower.build.vectors import FILLING, origins


def live_elements(
    program: Program,
    shapes: Mapping[str, Shape],
    ops: Sequence[Op] | None = None,
    wanted: Sequence[str] | None = None,
) -> dict[str, list[bool]]:
    """Return for every result which of its elements can reach the output. shapes: every result's.

    ops, wanted: only of these ops, and what can reach any element of these results; all ops and the output otherwise.
    """
    live = {name: [False] * shape[-1] for name, shape in shapes.items()}
    for name in (program.output,) if wanted is None else wanted:
        live[name] = [True] * len(live[name])
    for op in reversed(program.ops if ops is None else ops):
        sizes = [len(live[name]) for name in sources(op)]
        for name, used in zip(sources(op), _used(op, program, live[op.name], sizes), strict=True):
            live[name] = [a or b for a, b in zip(live[name], used, strict=True)]
    return live


def _used(op: Op, program: Program, live: list[bool], sizes: list[int]) -> list[list[bool]]:
    """Return for each source of an op, of so many elements, which of them its live elements read."""
    match op:
        case Input() | Const():
            return []
        case Dense():
            weight = program.constants[op.weight].q
            return [(np.count_nonzero(weight[:, live], axis=1) > 0).tolist()]
        case Trees():
            read = set(program.constants[op.feature].q.tolist())
            return [[any(live) and at in read for at in range(sizes[0])]]
        case Requant():
            widths = spread(op.width_bits, len(live))
            return [[alive and bits > 0 for alive, bits in zip(live, widths, strict=True)]]
        case Elementwise() | Thresholds() | Lookup():
            return [live]
        case Add() | Sub() | Mul() | Max() | Min():
            return [live if size == len(live) else [any(live)] for size in sizes]
        case Concat():
            ends = np.cumsum(sizes).tolist()
            return [live[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        case Reshape() | Transpose() | Slice() | Pad() | Upsample():
            read = {at for at, alive in zip(origins(op, sizes[0]), live, strict=True) if alive} - {FILLING}
            return [[at in read for at in range(sizes[0])]]
        case ArgMax() | TopK() | Softmax():
            return [[True] * sizes[0]]
        case Conv() | Pool() | Scan():
            raise no_hardware(op)
        case _:
            assert_never(op)
