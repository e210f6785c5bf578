"""A Graph in, an equal and shorter Graph out: each pass is one small function; `simplify` runs them until none acts.

Every pass but `fold_affine` keeps all values exactly. Passes see a node, its sources and who reads it, and return the
nodes that take its place; the last of these bears its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.graph.check import check
from gatewright.graph.exact import WEIGHT_BITS, fixed_point, integer_weights
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Combine,
    Concat,
    Constant,
    Conv,
    Dense,
    Graph,
    Input,
    Pad,
    Quantize,
    Reshape,
    Slice,
    Thresholds,
    Transpose,
    Upsample,
)
from gatewright.graph.shapes import Shape

MAX_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class View:
    """What a pass may look at: nodes and shapes by name, and how many nodes read each result."""

    nodes: dict[str, AnyNode]
    shapes: dict[str, Shape]
    readers: Counter[str]

    def source(self, node: AnyNode) -> AnyNode:
        """Return the node that the (first) source is."""
        return self.nodes[node.sources[0]]


Pass = Callable[[AnyNode, View], "list[AnyNode] | None"]


def simplify(graph: Graph, *, float_weights: bool = False) -> Graph:
    """Return the graph without identities, foldable constants and transposes that cancel; dead nodes go too.

    float_weights: also fold an Affine into the Dense or Conv before it, which changes roundings: for float models.
    """
    passes: list[Pass] = [fold_constant, drop_identity, constant_to_affine, merge_transposes, sink_transpose]
    return rewrite(graph, [*passes, merge_affines, *([fold_affine] if float_weights else [])])


def rewrite(graph: Graph, passes: list[Pass]) -> Graph:
    """Apply passes until none changes anything."""
    for _ in range(MAX_ROUNDS):
        graph, changed = _round(graph, passes)
        if not changed:
            break
    return drop_dead(graph)


def drop_dead(graph: Graph) -> Graph:
    """Remove the nodes that the output does not need; the Input stays."""
    needed = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.sources)
    return replace(graph, nodes=tuple(n for n in graph.nodes if n.name in needed or isinstance(n, Input)))


def _round(graph: Graph, passes: list[Pass]) -> tuple[Graph, bool]:
    view = View({n.name: n for n in graph.nodes}, check(graph), Counter(s for n in graph.nodes for s in n.sources))
    view.readers[graph.output] += 1
    for index, node in enumerate(graph.nodes):
        for change in passes:
            made = change(node, view)
            if made is None:
                continue
            nodes = [*graph.nodes[:index], *made, *graph.nodes[index + 1 :]]
            return drop_dead(replace(graph, nodes=tuple(nodes))), True
    return graph, False


def drop_identity(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Read past a node that changes nothing."""
    changed = False
    sources: list[str] = []
    for name in node.sources:
        before = view.nodes[name]
        skip = _is_identity(before, view)
        sources.append(before.sources[0] if skip else name)
        changed |= skip
    return [replace(node, sources=tuple(sources))] if changed else None


def _is_identity(node: AnyNode, view: View) -> bool:
    match node:
        case Reshape():
            return view.shapes[node.sources[0]] == node.shape
        case Transpose():
            return node.axes == tuple(range(len(node.axes)))
        case Slice():
            return view.shapes[node.sources[0]] == view.shapes[node.name] and all(step == 1 for step in node.steps)
        case Pad():
            return not any(any(pair) for pair in node.pads)
        case Upsample():
            return all(factor == 1 for factor in node.factors)
        case Affine():
            return bool((node.scale == 1).all() and not node.offset.any())
        case Concat():
            return len(node.sources) == 1
        case _:
            return False


def fold_constant(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Compute a node whose sources are all constants."""
    from gatewright.graph.evaluate import evaluate

    sources = [view.nodes[name] for name in node.sources]
    constants = [source for source in sources if isinstance(source, Constant)]
    if not sources or len(constants) != len(sources):
        return None
    nodes = (Input(name=".", shape=(1,)), *dict.fromkeys(constants), node)
    small = Graph(name="constant", nodes=nodes, output=node.name)
    return [Constant(name=node.name, origin=node.origin, value=evaluate(small, np.zeros((1, 1)))[0])]


def constant_to_affine(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Write x + c, x - c, c - x, x * c with one constant per channel as an Affine."""
    if not isinstance(node, Combine) or node.kind not in ("add", "sub", "mul"):
        return None
    left, right = (view.nodes[name] for name in node.sources)
    constant, other = (left, right) if isinstance(left, Constant) else (right, left)
    shape = view.shapes[other.name]
    if not isinstance(constant, Constant) or not shape or view.shapes[node.name] != shape:
        return None
    value = constant.value
    if value.size not in (1, shape[-1]) or (value.size > 1 and value.shape[-1] != value.size):
        return None
    channels = np.broadcast_to(value.reshape(-1), (shape[-1],)).astype(np.float64)
    one, zero = np.ones_like(channels), np.zeros_like(channels)
    match node.kind:
        case "add":
            scale, offset = one, channels
        case "sub":
            scale, offset = (one, -channels) if constant is right else (-one, channels)
        case _:
            scale, offset = channels, zero
    return [Affine(name=node.name, sources=(other.name,), origin=node.origin, scale=scale, offset=offset)]


def merge_transposes(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Make one Transpose of two in a row."""
    if not isinstance(node, Transpose) or not isinstance(before := view.source(node), Transpose):
        return None
    return [replace(node, sources=before.sources, axes=tuple(before.axes[axis] for axis in node.axes))]


def sink_transpose(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Move Transposes before an elementwise node behind it, so that they meet others."""
    if isinstance(node, Activation) and node.kind == "prelu" and len(node.parameters) > 1:
        return None
    if not isinstance(node, Activation | Quantize | Thresholds | Combine | Concat | Affine):
        return None
    before = [view.nodes[name] for name in node.sources]
    axes = {b.axes for b in before if isinstance(b, Transpose)}
    if len(axes) != 1 or not all(isinstance(b, Transpose) and view.readers[b.name] == 1 for b in before):
        return None
    order = axes.pop()
    moved = _untransposed(replace(node, name=f"{node.name}.t", sources=tuple(b.sources[0] for b in before)), order)
    if moved is None:
        return None
    return [moved, Transpose(name=node.name, sources=(moved.name,), origin=node.origin, axes=order)]


def _untransposed(node: AnyNode, axes: tuple[int, ...]) -> AnyNode | None:
    """Return the node for the source of a Transpose instead of its result; None where its parameters forbid it."""
    match node:
        case Activation() | Combine():
            return node
        case Concat():
            return replace(node, axis=axes[node.axis])
        case Quantize():
            keys = ("scale", "lo", "hi", "zero_point")
            return replace(node, **{key: _back(getattr(node, key), axes) for key in keys})
        case Thresholds() | Affine() if axes[-1] == len(axes) - 1:
            return node
        case _:
            return None


def _back(value: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """Return an array that broadcasts over a transposed shape as one that broadcasts over the shape before."""
    if value.size == 1:
        return value.reshape(())
    full = value.reshape((1,) * (len(axes) - value.ndim) + value.shape)
    return np.transpose(full, np.argsort(axes))


def merge_affines(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Make one Affine of two where both are powers of two without offset: nothing is rounded."""
    if not isinstance(node, Affine) or not isinstance(before := view.source(node), Affine):
        return None
    exact = all((np.abs(np.frexp(a.scale)[0]) == 0.5).all() and not a.offset.any() for a in (node, before))
    return [replace(node, sources=before.sources, scale=node.scale * before.scale)] if exact else None


def fold_affine(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Fold an Affine into the float Dense or Conv before it: W * scale, b * scale + offset; quantized weights stay."""
    if not isinstance(node, Affine) or not isinstance(before := view.source(node), Dense | Conv):
        return None
    if view.readers[before.name] != 1 or fixed_point(integer_weights(before), WEIGHT_BITS) is not None:
        return None
    return [
        replace(
            before,
            name=node.name,
            weight=before.weight * node.scale,
            bias=before.bias * node.scale + node.offset,
        )
    ]
