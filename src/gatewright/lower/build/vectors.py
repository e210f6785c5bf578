"""Two values in, the sum, product, greater or lesser of each two elements out; and which element moves where.

Values are lists of their elements, row-major.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TypeVar, assert_never

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.ir.moves import Wires, moved
from gatewright.ir.op_moves import Pad
from gatewright.ir.ops import Add, Binary, Max, Min, Mul, Sub
from gatewright.ir.shapes import Shape, matmul_shape
from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.build.choose import common_scale, maximum, minimum
from gatewright.lower.build.multiply import multiply
from gatewright.lower.circuit.nodes import GreaterEqual, Ref, Select

_T = TypeVar("_T")

FILLING = -1  # stands for an element that comes from no source


def raised(x: list[Ref], up: int) -> list[Ref]:
    """Return a vector whose fractional bits grow by `up`: the same wires, shifted."""
    return [Ref(ref.node, ref.shift + up) for ref in x]


def binary(b: CircuitBuilder, op: Binary, left: list[Ref], right: list[Ref], shapes: tuple[Shape, Shape]) -> list[Ref]:
    """Return the op of each two elements, as their shapes broadcast.

    But for a product both values have the result's fractional bits.
    """
    return [_combined(b, op, left[i], right[j]) for i, j in zip(*pairs(*shapes), strict=True)]


def pairs(left: Shape, right: Shape) -> tuple[list[int], list[int]]:
    """Return which element of each of two values that broadcast stands behind each element of the result."""
    both = np.broadcast_arrays(*(np.arange(prod(shape)).reshape(shape) for shape in (left, right)))
    return both[0].ravel().tolist(), both[1].ravel().tolist()


def matmul(
    b: CircuitBuilder,
    left: list[Ref],
    right: list[Ref],
    live: Sequence[bool],
    shapes: tuple[Shape, Shape],
    offsets: Sequence[Ref],
) -> list[Ref]:
    """Return the sums of products of two matrices, each with its offset; those that nothing reads are 0."""
    zero = Ref(b.const(0))
    results: list[Ref] = []
    for alive, offset, first, second in zip(live, offsets, *products(*shapes), strict=True):
        if not alive:
            results.append(zero)
            continue
        terms = [multiply(b, left[int(i)], right[int(j)]) for i, j in zip(first, second, strict=True)]
        results.append(b.total([*terms, offset]))
    return results


def products(left: Shape, right: Shape) -> tuple[Ints, Ints]:
    """Return which elements of two values a matrix product multiplies: (elements of the result, k) of each."""
    shape = matmul_shape(left, right)
    assert shape is not None, "the verifier has seen the shapes"
    a, b = (np.arange(prod(s)).reshape(s) for s in (left, right))
    a = np.broadcast_to(a, (*shape[:-2], *left[-2:]))[..., :, None, :]
    b = np.broadcast_to(b, (*shape[:-2], *right[-2:])).swapaxes(-1, -2)[..., None, :, :]
    first, second = (x.reshape(-1, left[-1]) for x in np.broadcast_arrays(a, b))
    return first, second


def _combined(b: CircuitBuilder, op: Binary, x: Ref, y: Ref) -> Ref:
    match op:
        case Add():
            return Ref(x.node, x.shift + 1) if x == y else b.add(x, y, False)
        case Sub():
            if x == y:
                return Ref(b.const(0))
            ends = (0, b.span(x)[1] - b.span(y)[0]) if x.shift == y.shift and is_greater(b, x.node, y.node) else None
            return b.add(x, y, True, ends)
        case Mul():
            return multiply(b, x, y)
        case Max() | Min():
            if x == y:
                return x
            choose = maximum if isinstance(op, Max) else minimum
            return Ref(choose(b, *common_scale(b, [x, y])), min(x.shift, y.shift))
        case _:
            assert_never(op)


def is_greater(b: CircuitBuilder, greatest: int, node: int) -> bool:
    """Tell whether a node is a maximum of which the other is an operand, of it or of a maximum that it is made of."""
    if greatest == node:
        return True
    found = b.nodes[greatest]
    if not isinstance(found, Select):
        return False
    condition = b.nodes[found.condition]
    chosen = isinstance(condition, GreaterEqual) and (condition.a, condition.b) == (found.a, found.b)
    return chosen and (is_greater(b, found.a, node) or is_greater(b, found.b, node))


def origins(op: Wires, shape: Shape) -> list[int]:
    """Return which element of a value of a shape each element of the result is; FILLING for one that is none."""
    index = np.arange(prod(shape)).reshape(1, *shape)
    op = replace(op, value=FILLING) if isinstance(op, Pad) else op
    return moved(op, index, zero=FILLING).ravel().tolist()


def joined(parts: Sequence[Sequence[_T]], axis: int, shapes: Sequence[Shape]) -> list[_T]:
    """Return the elements of values of these shapes as they lie once they are joined along an axis."""
    every = [element for part in parts for element in part]
    firsts = np.cumsum([0, *(prod(shape) for shape in shapes)]).tolist()
    index = [first + np.arange(prod(shape)).reshape(shape) for first, shape in zip(firsts, shapes, strict=False)]
    return [every[at] for at in np.concatenate(index, axis=axis).ravel().tolist()]


def rewired(b: CircuitBuilder, op: Wires, x: list[Ref], shape: Shape) -> list[Ref]:
    """Return what an op that only moves elements makes of a value: no hardware but constants between them."""
    filling = Ref(b.const(op.value if isinstance(op, Pad) else 0))
    return [filling if at == FILLING else x[at] for at in origins(op, shape)]
