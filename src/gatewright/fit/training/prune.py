"""Groups of weights and a target share in, masks out: which weights, units or blocks stay."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
from numpy.typing import NDArray

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
