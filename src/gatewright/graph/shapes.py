"""A Graph in, the shape of every result out; ModelError names the node where a shape rule is broken."""

from __future__ import annotations

from math import prod
from typing import NoReturn, assert_never

import numpy as np

from gatewright.errors import ModelError
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Combine,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    Graph,
    Input,
    MatMul,
    Pad,
    Pool,
    Quantize,
    Recurrent,
    Reshape,
    Scan,
    Slice,
    Softmax,
    Table,
    Thresholds,
    TopK,
    Transpose,
    Trees,
    Upsample,
)
from gatewright.ir.shapes import matmul_shape
from gatewright.ir.trees import broken_tables
from gatewright.ir.windows import window_counts

Shape = tuple[int, ...]
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def shapes(graph: Graph) -> dict[str, Shape]:
    """Return each result's shape, without the sample axis, by name. The sources must come first (see check)."""
    known: dict[str, Shape] = {}
    for node in graph.nodes:
        shape = shape_of(node, [known[name] for name in node.sources])
        if any(size < 1 for size in shape):
            fail(node, "sizes of 1 or more", f"shape {shape}", "a window or slice that is larger than its input?")
        known[node.name] = shape
    return known


def fail(node: AnyNode, expected: str, got: str, remedy: str = "") -> NoReturn:
    """Raise the ModelError of one node: where, expected, got, remedy."""
    origin = f", {node.origin}" if node.origin else ""
    raise ModelError(
        f"node {node.name!r} ({type(node).__name__}{origin}): expected {expected}, got {got}"
        + (f"; {remedy}" if remedy else "")
    )


def shape_of(node: AnyNode, sources: list[Shape]) -> Shape:
    """Return a node's shape from those of its sources."""
    match node:
        case Input():
            return node.shape
        case Constant():
            return node.value.shape
        case Dense():
            return _dense(node, sources[0])
        case Conv():
            return _conv(node, sources[0])
        case ConvTranspose():
            return _conv_transpose(node, sources[0])
        case Pool():
            _space(node, sources[0], node.size, node.strides, node.pads)
            counts = window_counts(sources[0][:-1], node.size, node.strides, (1,) * len(node.size), node.pads)
            return (*counts, sources[0][-1])
        case Affine() | Quantize() | Thresholds() | Table() | Activation() | Softmax() | TopK():
            return _elementwise(node, sources[0])
        case Combine():
            return _broadcast(node, sources)
        case MatMul():
            return _matmul(node, sources)
        case Concat():
            return _concat(node, sources)
        case Reshape():
            if prod(node.shape) != prod(sources[0]):
                fail(node, f"a shape of {prod(sources[0])} elements", f"{sources[0]} -> {node.shape}")
            return node.shape
        case Transpose():
            if sorted(node.axes) != list(range(len(sources[0]))):
                fail(node, f"an order of the axes 0..{len(sources[0]) - 1}", f"{node.axes}")
            return tuple(sources[0][axis] for axis in node.axes)
        case Slice():
            _rank(node, sources[0], "starts, stops and steps", len(node.starts), len(node.stops), len(node.steps))
            if 0 in node.steps:
                fail(node, "steps that are not 0", f"{node.steps}")
            parts = zip(sources[0], node.starts, node.stops, node.steps, strict=True)
            return tuple(len(range(*slice(a, b, s).indices(n))) for n, a, b, s in parts)
        case Pad():
            _rank(node, sources[0], "pads", len(node.pads))
            return tuple(n + sum(p) for n, p in zip(sources[0], node.pads, strict=True))
        case Upsample():
            _rank(node, sources[0], "factors", len(node.factors))
            return tuple(n * f for n, f in zip(sources[0], node.factors, strict=True))
        case Trees():
            return _trees(node, sources[0])
        case Recurrent():
            return _recurrent(node, sources[0])
        case Scan():
            return _scan(node, sources[0])
        case _:
            assert_never(node)


def _dense(node: Dense, x: Shape) -> Shape:
    if node.weight.ndim != 2 or not x or node.weight.shape[0] != x[-1]:
        fail(node, f"a weight ({x[-1] if x else 'n'}, n_out)", f"{node.weight.shape} on an input {x}")
    _per_channel(node, node.weight.shape[1])
    return (*x[:-1], node.weight.shape[1])


def _per_channel(node: Dense | Conv | ConvTranspose, channels: int) -> None:
    if node.bias.shape != (channels,):
        fail(node, f"a bias ({channels},)", f"{node.bias.shape}")
    if node.weight_scale.shape not in {(), (channels,)}:
        fail(node, f"a weight_scale () or ({channels},)", f"{node.weight_scale.shape}")


def _conv(node: Conv, x: Shape) -> Shape:
    kernel = node.weight.shape[:-2]
    _space(node, x, kernel, node.strides, node.pads)
    if len(node.dilation) != len(kernel) or min(node.dilation) < 1:
        fail(node, f"{len(kernel)} dilations of 1 or more", f"{node.dilation}")
    depth, c_out = node.weight.shape[-2:]
    if node.groups < 1 or depth * node.groups != x[-1] or c_out % node.groups:
        fail(
            node,
            f"a weight (*kernel, {x[-1]} / groups, c_out), c_out a multiple of groups",
            f"{node.weight.shape} with groups {node.groups}",
        )
    _per_channel(node, c_out)
    return (*window_counts(x[:-1], kernel, node.strides, node.dilation, node.pads), c_out)


def _conv_transpose(node: ConvTranspose, x: Shape) -> Shape:
    kernel = node.weight.shape[:-2]
    _space(node, x, kernel, node.strides, tuple((max(a, 0), max(b, 0)) for a, b in node.crop))
    depth, c_out = node.weight.shape[-2:]
    if depth != x[-1]:
        fail(node, f"a weight (*kernel, {x[-1]}, c_out)", f"{node.weight.shape}")
    _per_channel(node, c_out)
    ends = zip(x[:-1], node.strides, kernel, node.crop, strict=True)
    return (*((n - 1) * s + k - sum(c) for n, s, k, c in ends), c_out)


def _space(
    node: Conv | ConvTranspose | Pool, x: Shape, size: Shape, strides: Shape, pads: tuple[tuple[int, int], ...]
) -> None:
    if len(size) not in (1, 2) or len(x) != len(size) + 1:
        fail(
            node,
            "an input (steps, channels) with a 1-D window or (height, width, channels) with a 2-D one",
            f"{x} with a window {size}",
            "reshape it, or use 1-D and 2-D layers",
        )
    if len(strides) != len(size) or min(strides) < 1:
        fail(node, f"{len(size)} strides of 1 or more", f"{strides}")
    if len(pads) != len(size) or any(p < 0 for pair in pads for p in pair):
        fail(node, f"{len(size)} pairs of pads of 0 or more", f"{pads}")


def _elementwise(node: Affine | Quantize | Thresholds | Table | Activation | Softmax | TopK, x: Shape) -> Shape:
    channels = x[-1] if x else 1
    match node:
        case Affine():
            for key, value in (("scale", node.scale), ("offset", node.offset)):
                if value.shape != (channels,):
                    fail(node, f"{key} ({channels},)", f"{value.shape}")
        case Quantize():
            for key, value in (
                ("scale", node.scale),
                ("lo", node.lo),
                ("hi", node.hi),
                ("zero_point", node.zero_point),
            ):
                if not _spreads(value.shape, x):
                    fail(node, f"{key} that broadcasts over {x}", f"{value.shape}")
        case Thresholds():
            if node.thresholds.ndim != 2 or node.thresholds.shape[0] not in (1, channels):
                fail(node, f"thresholds (1 or {channels}, count)", f"{node.thresholds.shape}")
            for key, value in (("start", node.start), ("step", node.step)):
                if value.shape not in {(), (1,), (channels,)}:
                    fail(node, f"{key} () or ({channels},)", f"{value.shape}")
        case Table():
            if node.values.ndim != 2 or node.values.shape[0] not in (1, channels) or not node.values.shape[1]:
                fail(node, f"values (1 or {channels}, count)", f"{node.values.shape}")
        case TopK():
            if not 1 <= node.k <= channels:
                fail(node, f"k of 1..{channels}", f"{node.k}")
            return (*x[:-1], node.k)
        case Activation():
            if node.kind == "prelu" and len(node.parameters) not in (1, channels):
                fail(node, f"1 or {channels} slopes", f"{len(node.parameters)}")
        case Softmax():
            pass
        case _:
            assert_never(node)
    return x


def _spreads(shape: Shape, over: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, over) == over
    except ValueError:
        return False


def _broadcast(node: Combine, sources: list[Shape]) -> Shape:
    try:
        return np.broadcast_shapes(*sources)
    except ValueError:
        fail(node, "shapes that broadcast together", f"{sources[0]} and {sources[1]}")


def _matmul(node: MatMul, sources: list[Shape]) -> Shape:
    shape = matmul_shape(*sources)
    if shape is None:
        got = f"{sources[0]} and {sources[1]}"
        fail(node, "shapes (..., n, k) and (..., k, m) whose first axes broadcast", got, "transpose or reshape one")
    return shape


def _concat(node: Concat, sources: list[Shape]) -> Shape:
    rank = len(sources[0])
    if not -rank <= node.axis < rank:
        fail(node, f"an axis of {-rank}..{rank - 1}", f"{node.axis}")
    axis = node.axis % rank
    rest = {(*s[:axis], *s[axis + 1 :]) for s in sources if len(s) == rank}
    if len(rest) != 1 or any(len(s) != rank for s in sources):
        fail(node, f"shapes that agree but for axis {axis}", " and ".join(map(str, sources)))
    return (*sources[0][:axis], sum(s[axis] for s in sources), *sources[0][axis + 1 :])


def _recurrent(node: Recurrent, x: Shape) -> Shape:
    gates = GATES[node.kind]
    units = node.recurrent.shape[0]
    if len(x) != 2 or node.kernel.shape != (x[1], gates * units) or node.recurrent.shape != (units, gates * units):
        fail(
            node,
            f"an input (steps, features), kernel (features, {gates} units) and recurrent (units, {gates} units)",
            f"{x}, {node.kernel.shape} and {node.recurrent.shape}",
        )
    bias = (2, gates * units) if node.kind == "gru" and node.reset_after else (gates * units,)
    if node.bias.shape != bias:
        fail(node, f"a bias {bias}", f"{node.bias.shape}")
    return (x[0], units) if node.sequences else (units,)


def _scan(node: Scan, x: Shape) -> Shape:
    known = shapes(node.body)
    missing = [name for name in (*node.states, node.body.output) if len(known.get(name, ())) != 1]
    if missing or not node.states:
        fail(node, "states and an output that are vectors of the body", f"{', '.join(missing) or 'no states'}")
    states = sum(known[name][0] for name in node.states)
    read = known[node.body.nodes[0].name]
    if len(x) != 2 or node.initial.shape != (states,) or read != (x[1] + states,):
        fail(
            node,
            f"an input (steps, features), initial ({states},) and a body that reads (features + {states},)",
            f"{x}, {node.initial.shape} and {read}",
        )
    emitted = known[node.body.output][0]
    return (x[0], emitted) if node.sequences else (emitted,)


def _trees(node: Trees, x: Shape) -> Shape:
    if len(x) != 1:
        fail(node, "a vector (n_features,)", f"{x}", "reshape before it")
    tables = (node.feature, node.thresholds, node.children, node.roots, node.leaves, node.bias)
    if broken := broken_tables(*tables, features=x[0]):
        raise ModelError(f"node {node.name!r} (Trees): {broken}")
    return (node.leaves.shape[1],)


def _rank(node: AnyNode, x: Shape, what: str, *counts: int) -> None:
    if any(count != len(x) for count in counts):
        fail(node, f"{what} for {len(x)} axes", f"{', '.join(map(str, counts))}")
