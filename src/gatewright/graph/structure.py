"""Nodes that only move elements (reshape, transpose, slice, join, pad, repeat): arrays in, an array out, any dtype."""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.graph.nodes import AnyNode, Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.windows import upsample

Structure = Reshape | Transpose | Slice | Concat | Pad | Upsample
STRUCTURE = (Reshape, Transpose, Slice, Concat, Pad, Upsample)


def is_structure(node: AnyNode) -> bool:
    """Tell whether a node only moves elements."""
    return isinstance(node, STRUCTURE)


def move(node: Structure, sources: list[NDArray[Any]], fill: Any = 0) -> NDArray[Any]:
    """Apply the node to arrays (n, *shape); a Pad puts `fill` around, whatever its own value is."""
    x = sources[0]
    match node:
        case Reshape():
            return x.reshape(len(x), *node.shape)
        case Transpose():
            return np.transpose(x, (0, *(axis + 1 for axis in node.axes)))
        case Slice():
            parts = zip(node.starts, node.stops, node.steps, strict=True)
            return x[(slice(None), *(slice(a, b, s) for a, b, s in parts))]
        case Concat():
            return np.concatenate(sources, axis=node.axis if node.axis < 0 else node.axis + 1)
        case Pad():
            grown = np.full((len(x), *(n + sum(p) for n, p in zip(x.shape[1:], node.pads, strict=True))), fill, x.dtype)
            ends = zip(x.shape[1:], node.pads, strict=True)
            grown[(slice(None), *(slice(before, before + n) for n, (before, _) in ends))] = x
            return grown
        case Upsample():
            return upsample(x, node.factors)
        case _:
            assert_never(node)


def align(x: NDArray[Any], rank: int) -> NDArray[Any]:
    """Return (n, *shape) as (n, 1, ..., *shape) with `rank` axes after the first, so that shapes broadcast."""
    return x.reshape(len(x), *(1,) * (rank - x.ndim + 1), *x.shape[1:])
