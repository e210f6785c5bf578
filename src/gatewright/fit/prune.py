"""Weights and a target share in, masks out: which weights stay. Also removal of neurons that no longer matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gatewright.fit.network import Network


def cubic_sparsity(epoch: float, start: float, end: float, final: float) -> float:
    """Return the sparsity due at an epoch: 0 before start, final from end on, final (1 - (1-t)^3) between.

    t = (epoch - start) / (end - start): pruning is fast while redundancy is high (Zhu and Gupta 2017, eq. 1).
    """
    if epoch < start:
        return 0.0
    if epoch >= end:
        return final
    return final * (1.0 - (1.0 - (epoch - start) / (end - start)) ** 3)


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


def global_masks(weights: Sequence[NDArray[Any]], sparsity: float) -> list[NDArray[np.bool_]]:
    """Return one mask per layer (True stays) that zeroes at least `sparsity` of all weights, lowest scores first.

    Exactly ceil(sparsity * total) weights go; among equal scores the earlier layer and index goes first.
    """
    scores = np.concatenate([lamp_scores(weight).ravel() for weight in weights])
    gone = math.ceil(round(sparsity * scores.size, 6))
    keep = np.ones(scores.size, dtype=np.bool_)
    keep[np.argsort(scores, kind="stable")[:gone]] = False
    masks, at = [], 0
    for weight in weights:
        masks.append(keep[at : at + weight.size].reshape(weight.shape))
        at += weight.size
    return masks


def remove_dead(network: Network) -> Network:
    """Return a network with equal outputs in which neurons without inputs or without readers hold only zeros.

    A neuron whose incoming weights are all zero is a constant: it moves into the next layer's bias and its
    outgoing weights become zero. A neuron that nothing reads loses its incoming weights and bias. Shapes stay.
    A constant that the next bias's format cannot hold exactly is left where it is.
    """
    layers = list(network.layers)
    for index in range(len(layers) - 1):
        here, after = layers[index], layers[index + 1]
        constant = ~here.weight.any(axis=0) & after.weight.any(axis=1)
        for neuron in np.flatnonzero(constant):
            value = here.activate(here.bias)[neuron]
            bias = after.bias + value * after.weight[neuron]
            if not after.bias_grid or after.bias_grid.contains(bias):
                weight = after.weight.copy()
                weight[neuron] = 0.0
                after = replace(after, weight=weight, bias=bias)
        layers[index + 1] = after
    for index in reversed(range(len(layers) - 1)):
        here = layers[index]
        read = layers[index + 1].weight.any(axis=1)
        layers[index] = replace(here, weight=here.weight * read, bias=here.bias * read)
    return replace(network, layers=tuple(layers))
