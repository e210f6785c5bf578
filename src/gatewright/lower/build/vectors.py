"""Two vectors in, the sum, product, greater or lesser of each two elements out; and which element moves where."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from gatewright.ir.moves import Wires, moved
from gatewright.ir.op_moves import Pad
from gatewright.ir.ops import Add, Binary, Max, Min, Mul, Sub
from gatewright.lower.build.builder import CircuitBuilder
from gatewright.lower.build.choose import common_scale, maximum, minimum
from gatewright.lower.build.multiply import multiply
from gatewright.lower.circuit.nodes import Ref

FILLING = -1  # stands for an element that comes from no source


def raised(x: list[Ref], up: int) -> list[Ref]:
    """Return a vector whose fractional bits grow by `up`: the same wires, shifted."""
    return [Ref(ref.node, ref.shift + up) for ref in x]


def binary(b: CircuitBuilder, op: Binary, left: list[Ref], right: list[Ref]) -> list[Ref]:
    """Return the op of each two elements; one element alone stands beside each of the other vector.

    But for a product both vectors have the result's fractional bits.
    """
    size = max(len(left), len(right))
    pairs = zip(left * (size // len(left)), right * (size // len(right)), strict=True)
    return [_combined(b, op, x, y) for x, y in pairs]


def _combined(b: CircuitBuilder, op: Binary, x: Ref, y: Ref) -> Ref:
    match op:
        case Add():
            return Ref(x.node, x.shift + 1) if x == y else b.add(x, y, False)
        case Sub():
            return Ref(b.const(0)) if x == y else b.add(x, y, True)
        case Mul():
            return multiply(b, x, y)
        case Max() | Min():
            if x == y:
                return x
            choose = maximum if isinstance(op, Max) else minimum
            return Ref(choose(b, *common_scale(b, [x, y])), min(x.shift, y.shift))
        case _:
            assert_never(op)


def origins(op: Wires, size: int) -> list[int]:
    """Return which of a vector's `size` elements each element of the result is; FILLING for one that is none."""
    index = np.arange(size)[None]
    if isinstance(op, Pad):
        ((before, after),) = op.pads
        return [FILLING] * before + index[0].tolist() + [FILLING] * after
    return moved(op, index, zero=FILLING)[0].tolist()


def rewired(b: CircuitBuilder, op: Wires, x: list[Ref]) -> list[Ref]:
    """Return what an op that only moves elements makes of a vector: no hardware but constants between them."""
    filling = Ref(b.const(op.value if isinstance(op, Pad) else 0))
    return [filling if at == FILLING else x[at] for at in origins(op, len(x))]
