"""Elementwise functions waiting for a quantizer, and how many different ones they are over a value's positions.

A *row* is a function of its own: there is one, or one per channel, or one per element, whichever suffices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.export.builder import Code, arrays_of, refusal
from gatewright.graph.nodes import Activation, Affine, AnyNode, Quantize, Thresholds
from gatewright.graph.shapes import Shape

Step = Affine | Activation
Terminal = Quantize | Thresholds


@dataclass(frozen=True, slots=True)
class Chain:
    """Elementwise functions waiting for a quantizer. Their arrays broadcast over the shape, not only over channels.

    exact: how many of the first steps give fixed point without rounding.
    """

    base: Code
    steps: tuple[Step, ...] = ()
    exact: int = 0

    @property
    def shape(self) -> Shape:
        """The shape of the value."""
        return self.base.shape


def code_of(node: AnyNode, source: Code | Chain) -> Code:
    """Return a source that must be on a lattice."""
    if isinstance(source, Chain):
        names = ", ".join(step.name for step in source.steps)
        raise refusal(node, f"its input is a real number (after {names})", "put a quantizer before it")
    return source


def rows_of(chain: Chain, node: Terminal) -> int:
    """Return how many rows a chain and its quantizer have: 1, the channels or the elements."""
    arrays = [chain.base.scale]
    for step in (*chain.steps, node):
        arrays += _arrays(step)
    return size_of(arrays, chain.shape)


def _arrays(node: AnyNode) -> list[NDArray[Any]]:
    match node:
        case Thresholds():
            return [np.arange(node.thresholds.shape[0]), node.start, node.step]
        case Activation():
            return [np.array(node.parameters)] if node.kind == "prelu" else []
        case _:
            return list(arrays_of(node).values())


def size_of(arrays: Any, shape: Shape) -> int:
    """Return 1, the channels or the elements: over how many positions the arrays differ."""
    rows = 1
    for array in arrays:
        if array.size <= 1 or (array == array.flat[0]).all():
            continue
        channels = array.shape[-1] if array.ndim else 1
        rows = max(rows, int(np.prod(shape)) if array.size > channels or channels != shape[-1] else shape[-1])
    return rows


def spread(array: NDArray[Any], shape: Shape, rows: int) -> NDArray[Any]:
    """Return an array that broadcasts over the shape as one entry, or one per row."""
    if rows == 1 or array.size == 1 or (array == array.flat[0]).all():
        return array.reshape(-1)[:1]
    return (array if array.size == rows else np.broadcast_to(array, shape)).reshape(-1)


def flattened(node: Any, shape: Shape) -> Any:
    """Return an elementwise node for the flattened value: parameters per element."""
    size = int(np.prod(shape))

    def full(v: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(v, shape).reshape(-1)

    match node:
        case Thresholds():
            table = np.broadcast_to(node.thresholds, (shape[-1], node.thresholds.shape[1]))
            return replace(
                node, thresholds=np.tile(table, (size // shape[-1], 1)), start=full(node.start), step=full(node.step)
            )
        case Activation():
            if node.kind != "prelu":
                return node
            return replace(node, parameters=tuple(full(np.array(node.parameters)).tolist()))
        case _:
            return replace(node, **{key: full(v) for key, v in arrays_of(node).items()})


def row_node(node: Any, shape: Shape, rows: int) -> Any:
    """Return an elementwise node whose parameters have one entry, or one per row."""
    if isinstance(node, Thresholds):
        return replace(node, thresholds=node.thresholds if rows > 1 else node.thresholds[:1])
    if isinstance(node, Activation):
        return node
    return replace(node, **{key: spread(v, shape, rows) for key, v in arrays_of(node).items()})
