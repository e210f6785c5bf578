"""Program in, which elements of its values can reach the output out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import assert_never

import numpy as np

from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK, Trees
from gatewright.ir.ops import Add, Const, Conv, Dense, Elementwise, Input, MatMul, Max, Min, Mul, Pool, Requant, Sub
from gatewright.ir.program import Op, Program, Scan, sources
from gatewright.ir.rounding import spread
from gatewright.ir.shapes import Shape
from gatewright.lower.build.support import no_hardware
from gatewright.lower.build.vectors import FILLING, joined, origins, pairs, products


def live_elements(
    program: Program,
    shapes: Mapping[str, Shape],
    ops: Sequence[Op] | None = None,
    wanted: Sequence[str] | None = None,
) -> dict[str, list[bool]]:
    """Return for every result which of its elements, row-major, can reach the output. shapes: every result's.

    ops, wanted: only of these ops, and what can reach any element of these results; all ops and the output otherwise.
    """
    live = {name: [False] * prod(shape) for name, shape in shapes.items()}
    for name in (program.output,) if wanted is None else wanted:
        live[name] = [True] * len(live[name])
    for op in reversed(program.ops if ops is None else ops):
        given = [shapes[name] for name in sources(op)]
        for name, used in zip(sources(op), _used(op, program, live[op.name], given), strict=True):
            live[name] = [a or b for a, b in zip(live[name], used, strict=True)]
    return live


def _used(op: Op, program: Program, live: list[bool], given: list[Shape]) -> list[list[bool]]:
    """Return for each source of an op, of these shapes, which of its elements the live ones read."""
    match op:
        case Input() | Const():
            return []
        case Dense():
            weight = program.constants[op.weight].q != 0
            rows = np.array(live).reshape(-1, weight.shape[1])
            return [(rows @ weight.T).ravel().tolist()]
        case Trees():
            read = set(program.constants[op.feature].q.tolist())
            return [[any(live) and at in read for at in range(prod(given[0]))]]
        case Requant():
            widths = spread(op.width_bits, len(live))
            return [[alive and bits > 0 for alive, bits in zip(live, widths, strict=True)]]
        case Elementwise() | Thresholds() | Lookup():
            return [live]
        case Add() | Sub() | Mul() | Max() | Min():
            return [_read(at, live, shape) for at, shape in zip(pairs(*given), given, strict=True)]
        case MatMul():
            left, right = products(*given)
            reads = np.array(live)[:, None]
            return [
                _read(at.ravel().tolist(), np.broadcast_to(reads, at.shape).ravel().tolist(), shape)
                for at, shape in zip((left, right), given, strict=True)
            ]
        case Concat():
            order = joined([range(first, first + prod(s)) for first, s in _placed(given)], op.axis, given)
            alive = {at for at, used in zip(order, live, strict=True) if used}
            return [[first + i in alive for i in range(prod(shape))] for first, shape in _placed(given)]
        case Reshape() | Transpose() | Slice() | Pad() | Upsample():
            return [_read(origins(op, given[0]), live, given[0])]
        case ArgMax() | TopK() | Softmax():
            return [[True] * prod(given[0])]
        case Conv() | Pool() | Scan():
            raise no_hardware(op)
        case _:
            assert_never(op)


def _read(origin: Sequence[int], live: Sequence[bool], shape: Shape) -> list[bool]:
    """Return which elements of a value of a shape are the origin of a live one."""
    read = {at for at, alive in zip(origin, live, strict=True) if alive} - {FILLING}
    return [at in read for at in range(prod(shape))]


def _placed(shapes: Sequence[Shape]) -> list[tuple[int, Shape]]:
    """Return where each of several values begins, one after the other."""
    firsts = np.cumsum([0, *(prod(shape) for shape in shapes)]).tolist()
    return list(zip(firsts, shapes, strict=False))
