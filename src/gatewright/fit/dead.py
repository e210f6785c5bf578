"""A frozen network of layers in a row in, an equal one without dead neurons and filters out: emptied, or taken away."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gatewright.fit.frozen import weighted_layers
from gatewright.fixedpoint import Grid
from gatewright.graph.evaluate import evaluate
from gatewright.graph.nodes import AnyNode, Conv, Dense, Floats, Graph, Input, Quantize, Reshape, Stored, Table


def remove_dead(graph: Graph) -> Graph:
    """Return a network with equal outputs in which neurons without inputs or without readers hold only zeros.

    graph: dense layers, convolutions and pools in a row, and sums that jump over some. A neuron whose incoming weights
    are all zero is a constant: it moves into the next layer's bias and its outgoing weights become zero, where both
    layers are dense and no sum is between; hardware knows the range of a filter that is one. What nothing reads loses
    its incoming weights and bias. Shapes stay. A constant that the next bias's format cannot hold exactly is left where
    it is.
    """
    layers, between = weighted_layers(graph), _between(graph)
    for index in range(len(layers) - 1):
        here, after = layers[index], layers[index + 1]
        if not isinstance(here, Dense) or not isinstance(after, Dense):
            continue
        if any(len(node.sources) > 1 for node in between[index]):  # a sum, of which the constant is a part only
            continue
        constant = ~here.weight.any(axis=0) & after.weight.any(axis=1)
        value = _made_of(here.bias, between[index]) if constant.any() else here.bias
        for neuron in np.flatnonzero(constant):
            bias = after.bias + value[neuron] * after.weight[neuron]
            grid = after.stored and after.stored.bias
            if grid is None or grid.contains(bias):
                weight = after.weight.copy()
                weight[neuron] = 0.0
                after = replace(after, weight=weight, bias=bias)
        layers[index + 1] = after
    readers = _readers(graph)
    slim = {layer.name: layer for layer in layers}
    for here in reversed(layers[:-1]):
        read = np.logical_or.reduce([_read(slim[name], here.bias.size) for name in readers[here.name]])
        slim[here.name] = replace(here, weight=here.weight * read, bias=here.bias * read)
    return _with_nodes(graph, list(slim.values()))


def shrink(graph: Graph) -> Graph:
    """Return a network with equal outputs whose hidden layers have lost the neurons and filters that nothing reads.

    graph: dense layers, convolutions but depthwise ones, and pools in a row. One neuron per layer stays. Layers become
    smaller: (n_in, n_out) -> (kept, kept). A neuron that only such neurons read goes, too.
    """
    layers, between = weighted_layers(graph), _between(graph)
    changed: list[AnyNode] = []
    for index in reversed(range(len(layers) - 1)):
        here, after = layers[index], layers[index + 1]
        keep = _read(after, here.bias.size)
        keep[0] |= not keep.any()
        stored = here.stored
        layers[index] = replace(
            here,
            weight=here.weight[..., keep],
            bias=here.bias[keep],
            stored=stored
            and Stored(weight=_kept(stored.weight, keep, outputs=True), bias=_kept(stored.bias, keep, outputs=True)),
        )
        changed += [_kept_node(node, keep) for node in between[index]]
        inputs = np.resize(keep, after.weight.shape[-2])
        stored = after.stored
        layers[index + 1] = replace(
            after,
            weight=after.weight[..., inputs, :],
            stored=stored and replace(stored, weight=_kept(stored.weight, inputs, outputs=False)),
        )
    return _with_nodes(graph, [*layers, *changed])


def _read(after: Dense | Conv, channels: int) -> NDArray[np.bool_]:
    """Return which channels of the layer before have a weight that is not zero: (channels,).

    Inputs of a dense layer behind maps read channel (input modulo channels); a depthwise filter reads its own.
    """
    if isinstance(after, Conv) and after.groups > 1:
        return np.count_nonzero(after.weight, axis=tuple(range(after.weight.ndim - 1))) > 0
    return np.count_nonzero(after.weight.reshape(-1, channels, after.weight.shape[-1]), axis=(0, 2)) > 0


def _readers(graph: Graph) -> dict[str, set[str]]:
    """Return which layers with weights read each node's channels, through pools, sums and what is elementwise."""
    found: dict[str, set[str]] = {node.name: set() for node in graph.nodes}
    for node in reversed(graph.nodes):
        own = {node.name} if isinstance(node, Dense | Conv) else found[node.name]
        for source in node.sources:
            found[source] |= own
    return found


def _between(graph: Graph) -> list[list[AnyNode]]:
    """Return the nodes behind each layer with weights but the last, up to the next one."""
    at = [index for index, node in enumerate(graph.nodes) if isinstance(node, Dense | Conv)]
    return [list(graph.nodes[a + 1 : b]) for a, b in itertools.pairwise(at)]


def _made_of(sums: Floats, nodes: list[AnyNode]) -> Floats:
    """Return what elementwise nodes make of a layer's sums, (neurons,)."""
    if not nodes:
        return sums
    source = Input(name=nodes[0].sources[0], shape=sums.shape)
    part = Graph(name="constant", nodes=(source, *nodes), output=nodes[-1].name)
    return evaluate(part, sums[None])[0]


def _with_nodes(graph: Graph, nodes: Sequence[AnyNode]) -> Graph:
    """Return the graph with nodes in place of those of the same names."""
    by_name = {node.name: node for node in nodes}
    return replace(graph, nodes=tuple(by_name.get(node.name, node) for node in graph.nodes))


def _kept_node(node: AnyNode, keep: NDArray[np.bool_]) -> AnyNode:
    """Return what stands between two layers, for the channels that are kept."""
    if isinstance(node, Table):
        return replace(node, values=node.values[keep])
    if isinstance(node, Reshape):  # a map as a vector
        return replace(node, shape=(node.shape[0] // keep.size * int(keep.sum()),))
    if not isinstance(node, Quantize):
        return node  # a ReLU, a pool, or thresholds that all neurons share
    parts = {key: getattr(node, key) for key in ("scale", "lo", "hi", "zero_point")}
    return replace(node, **{key: part[keep] if part.size > 1 else part for key, part in parts.items()})


def _kept(grid: Grid | None, keep: NDArray[np.bool_], *, outputs: bool) -> Grid | None:
    """Return the grid of what is kept of a tensor's outputs (its last axis), or of its inputs (the one before)."""
    axis = -1 if outputs else -2
    if grid is None:
        return None

    def part(values: NDArray[np.int64]) -> NDArray[np.int64]:
        if values.ndim < -axis or values.shape[axis] == 1:
            return values
        return np.compress(keep, values, axis=axis)

    return replace(grid, width_bits=part(grid.width_bits), frac_bits=part(grid.frac_bits))
