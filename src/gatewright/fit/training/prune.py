"""Groups of weights and a target share in, masks out: which weights, units or blocks stay. Removes dead neurons."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.fit.frozen import dense_layers
from gatewright.fixedpoint import Grid
from gatewright.graph.evaluate import evaluate
from gatewright.graph.nodes import AnyNode, Dense, Floats, Graph, Input, Quantize, Stored, Table

if TYPE_CHECKING:
    from gatewright.config import Pruning, Schedule

Masks = list[NDArray[np.bool_]]


def due_share(epoch: float, start: float, end: float, schedule: Schedule) -> float:
    """Return the share of the final pruning that is due at an epoch, 0..1; 1 from `end` on.

    cubic: 1 - (1-t)^3 with t = (epoch - start) / (end - start), fast while redundancy is high (Zhu and Gupta 2017,
    eq. 1); constant: all of it from start on; one_shot: all of it at the end, nothing before.
    """
    if epoch >= end:
        return 1.0
    if epoch < start or schedule == "one_shot":
        return 0.0
    if schedule == "constant":
        return 1.0
    return 1.0 - (1.0 - (epoch - start) / (end - start)) ** 3


def due_masks(weights: Sequence[NDArray[Any]], share: float, sparsity: float, pruning: Pruning) -> Masks:
    """Return one mask per group (True stays) for a share 0..1 of the whole pruning. weights: (units, inputs) each.

    sparsity: share of all weights, or of all hidden neurons, that goes in the end; n_of_m has its own.
    """
    match pruning.kind:
        case "weights":
            return global_masks(weights, share * sparsity)
        case "blocks":
            return global_masks(weights, share * sparsity, block=pruning.block)
        case "neurons":
            return neuron_masks(weights, share * sparsity)
        case "n_of_m":
            gone = math.floor(share * (pruning.m - pruning.n) + 1e-9)
            return [n_of_m_mask(weight, pruning.m - gone, pruning.m) for weight in weights]
        case _:
            assert_never(pruning.kind)


def lamp_scores(weight: NDArray[Any]) -> NDArray[np.float64]:
    """Return layer-adaptive magnitude scores of one layer; the order within the layer is that of |w|.

    score(w) = w^2 / sum of v^2 over the layer's weights v with |v| >= |w|: the share of what is left that w holds,
    which makes layers of any scale comparable, and the largest weight of every layer scores 1, so that no layer
    vanishes before all others are down to one weight (Lee et al., ICLR 2021). weight: any shape, same shape out.
    """
    square = np.asarray(weight, dtype=np.float64).ravel() ** 2
    order = np.argsort(square, kind="stable")
    ascending = square[order]
    remaining = np.cumsum(ascending[::-1])[::-1]
    scores = np.zeros_like(square)
    scores[order] = np.divide(ascending, remaining, out=np.zeros_like(square), where=remaining > 0)
    return scores.reshape(weight.shape)


def global_masks(weights: Sequence[NDArray[Any]], sparsity: float, *, block: tuple[int, int] = (1, 1)) -> Masks:
    """Return one mask per group (True stays) that zeroes at least `sparsity` of all weights, lowest scores first.

    Whole blocks of (inputs, units) weights go, those at a matrix's edge may be smaller; a block's score is the LAMP
    score of its root mean square. Single weights: exactly ceil(sparsity * total) go. Among equal scores the earlier
    group, input and unit goes first. weights: (units, inputs) each.
    """
    turned = [np.asarray(weight, dtype=np.float64).T for weight in weights]
    numbers = [_block_numbers(weight.shape, block) for weight in turned]
    sizes = [np.bincount(number.ravel()) for number in numbers]
    energies = [
        np.bincount(number.ravel(), weight.ravel() ** 2) for number, weight in zip(numbers, turned, strict=True)
    ]
    scores = [lamp_scores(np.sqrt(energy / size)) for energy, size in zip(energies, sizes, strict=True)]
    keep = np.ones(sum(map(len, sizes)), dtype=np.bool_)
    order = np.argsort(np.concatenate(scores), kind="stable")
    gone = np.cumsum(np.concatenate(sizes)[order])
    due = math.ceil(round(sparsity * gone[-1], 6))
    keep[order[: int(np.searchsorted(gone, due)) + 1 if due else 0]] = False
    kept = np.split(keep, np.cumsum([len(size) for size in sizes])[:-1])
    return [part[number].T for part, number in zip(kept, numbers, strict=True)]


def _block_numbers(shape: tuple[int, ...], block: tuple[int, int]) -> NDArray[np.int64]:
    """Return the number of the block that each weight belongs to, row by row. shape: (inputs, units), same out."""
    rows, columns = (np.arange(n) // size for n, size in zip(shape, block, strict=True))
    return rows[:, None] * (columns[-1] + 1) + columns


def neuron_masks(weights: Sequence[NDArray[Any]], share: float) -> Masks:
    """Return masks that cut at least this share of all hidden units off: no weight into them, none out of them.

    A unit's magnitude is |incoming weights| * |outgoing weights| (Euclidean), which does not change when a ReLU
    neuron's gain moves from one side to the other; LAMP scores compare the groups. One unit per group always stays,
    which may leave less than the share. weights: (units, inputs), at least two groups, each reading the one before.
    """
    incoming = [np.sum(np.asarray(w, dtype=np.float64) ** 2, axis=1) for w in weights[:-1]]
    outgoing = [
        np.sum(np.asarray(after, dtype=np.float64) ** 2, axis=0).reshape(-1, len(here)).sum(axis=0)
        for here, after in itertools.pairwise(weights)
    ]
    scores = [lamp_scores(np.sqrt(a * b)) for a, b in zip(incoming, outgoing, strict=True)]
    for score in scores:
        score[score.argmax()] = np.inf
    flat = np.concatenate(scores)
    order = np.argsort(flat, kind="stable")[: math.ceil(round(share * flat.size, 6))]
    keep = np.ones(flat.size, dtype=np.bool_)
    keep[order] = False
    keep |= np.isinf(flat)
    kept = np.split(keep, np.cumsum([len(score) for score in scores])[:-1])
    masks = [np.ones(weight.shape, dtype=np.bool_) for weight in weights]
    for index, part in enumerate(kept):
        masks[index] &= part[:, None]
        masks[index + 1] &= np.resize(part, weights[index + 1].shape[1])  # a column reads unit (column modulo units)
    return masks


def n_of_m_mask(weight: NDArray[Any], n: int, m: int) -> NDArray[np.bool_]:
    """Return the mask that keeps the n largest of every m successive inputs of each unit. (units, inputs), same out.

    A last group of fewer than m inputs keeps at most n. Among equal magnitudes the earlier input goes first
    (Zhou et al. 2021, arXiv 2102.04010).
    """
    units, inputs = weight.shape
    groups = -(-inputs // m)
    size = np.full((units, groups * m), -1.0)  # what pads the last group is smaller than any weight
    size[:, :inputs] = np.abs(weight)
    order = np.argsort(size.reshape(units, groups, m), axis=2, kind="stable")
    keep = np.zeros((units, groups, m), dtype=np.bool_)
    np.put_along_axis(keep, order[:, :, m - n :], True, axis=2)
    return keep.reshape(units, groups * m)[:, :inputs]


def remove_dead(graph: Graph) -> Graph:
    """Return a network with equal outputs in which neurons without inputs or without readers hold only zeros.

    graph: dense layers in a row. A neuron whose incoming weights are all zero is a constant: it moves into the next
    layer's bias and its outgoing weights become zero. A neuron that nothing reads loses its incoming weights and bias.
    Shapes stay. A constant that the next bias's format cannot hold exactly is left where it is.
    """
    layers, between = dense_layers(graph), _between(graph)
    for index in range(len(layers) - 1):
        here, after = layers[index], layers[index + 1]
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
    for index in reversed(range(len(layers) - 1)):
        here = layers[index]
        read = layers[index + 1].weight.any(axis=1)
        layers[index] = replace(here, weight=here.weight * read, bias=here.bias * read)
    return _with_nodes(graph, layers)


def shrink(graph: Graph) -> Graph:
    """Return a network with equal outputs whose hidden layers have lost the neurons that nothing reads.

    graph: dense layers in a row. One neuron per layer stays. Layers become smaller: (n_in, n_out) -> (kept, kept). A
    neuron that only such neurons read goes, too.
    """
    layers, between = dense_layers(graph), _between(graph)
    changed: list[AnyNode] = []
    for index in reversed(range(len(layers) - 1)):
        here, after = layers[index], layers[index + 1]
        keep = np.count_nonzero(after.weight, axis=1) > 0
        keep[0] |= not keep.any()
        stored = here.stored
        layers[index] = replace(
            here,
            weight=here.weight[:, keep],
            bias=here.bias[keep],
            stored=stored
            and Stored(weight=_kept(stored.weight, keep, outputs=True), bias=_kept(stored.bias, keep, outputs=True)),
        )
        changed += [_kept_node(node, keep) for node in between[index]]
        stored = after.stored
        layers[index + 1] = replace(
            after,
            weight=after.weight[keep],
            stored=stored and replace(stored, weight=_kept(stored.weight, keep, outputs=False)),
        )
    return _with_nodes(graph, [*layers, *changed])


def _between(graph: Graph) -> list[list[AnyNode]]:
    """Return the nodes behind each dense layer but the last, up to the next one."""
    at = [index for index, node in enumerate(graph.nodes) if isinstance(node, Dense)]
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
    """Return an elementwise node for the elements that are kept."""
    if isinstance(node, Table):
        return replace(node, values=node.values[keep])
    if not isinstance(node, Quantize):
        return node  # a ReLU, or thresholds that all neurons share
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
