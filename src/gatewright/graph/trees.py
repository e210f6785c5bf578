"""Trees of real numbers and samples in, their sums out; and the same trees with leaves of few bits, or joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.graph.nodes import Floats, Trees
from gatewright.ir.trees import Forest


def forest(node: Trees) -> Forest:
    """Return the tables that compute a node."""
    return Forest(node.feature, node.thresholds, node.children, node.roots, node.leaves, node.bias)


def sum_trees(node: Trees, x: Floats) -> Floats:
    """Return the sums for samples x: (n, n_features) -> (n, n_out); exact where float64 holds every sum."""
    return forest(node)(x)


def with_leaf_bits(node: Trees, bits: int) -> Trees:
    """Return the trees with leaves rounded to integers of `bits` bits times one power of two.

    The integers count from the least leaf of each tree, which joins the bias (leaves that several trees share count
    from 0). The step is the finest at which the widest tree fits; the bias is rounded to it too, half to even.
    """
    trees = [np.array(leaves) for leaves in forest(node).leaves_by_tree()]
    shared = np.bincount(np.concatenate(trees), minlength=len(node.leaves)) > 1
    rest, offset = node.leaves.copy(), node.bias.copy()
    for leaves in trees:
        if not shared[leaves].any():
            least = node.leaves[leaves].min(axis=0)
            rest[leaves] -= least
            offset = offset + least
    peak = float(np.abs(rest).max())
    frac = int(np.floor(np.log2(((1 << bits) - 1) / peak))) if peak else 0
    leaves, bias = (np.ldexp(np.rint(np.ldexp(value, frac)), -frac) for value in (rest, offset))
    return replace(node, leaves=leaves, bias=bias)


def census(node: Trees) -> dict[str, int]:
    """Return how many trees there are, their splits, and how many of these ask different questions."""
    return {
        "trees": int(node.roots.size),
        "splits": int(node.feature.size),
        "comparators": len(set(zip(node.feature.tolist(), node.thresholds.tolist(), strict=True))),
    }


def scaled(node: Trees, factor: float) -> Trees:
    """Return the trees whose sums are `factor` times those of the given ones, up to float64's rounding."""
    return replace(node, leaves=node.leaves * factor, bias=node.bias * factor)


def on_grid(node: Trees, frac_bits: int) -> Trees:
    """Return trees that answer samples on the grid of 2**-frac_bits alike, whose thresholds lie on it."""
    return replace(node, thresholds=np.ldexp(np.ceil(np.ldexp(node.thresholds, frac_bits)), -frac_bits))


def beside(nodes: Sequence[Trees]) -> Trees:
    """Return trees whose sums are those of the given ones, one after the other; the first one's name and source."""
    outputs = sum(node.bias.size for node in nodes)
    splits = leaves = outputs_before = 0
    children: list[Ints] = []
    roots: list[Ints] = []
    rows: list[Floats] = []
    for node in nodes:

        def moved(numbers: Ints, splits: int = splits, leaves: int = leaves) -> Ints:
            return np.where(numbers < 0, numbers - leaves, numbers + splits)

        children.append(moved(node.children))
        roots.append(moved(node.roots))
        after = outputs - outputs_before - node.bias.size
        rows.append(np.pad(node.leaves, ((0, 0), (outputs_before, after))))
        splits, leaves = splits + len(node.feature), leaves + len(node.leaves)
        outputs_before += node.bias.size
    return replace(
        nodes[0],
        feature=np.concatenate([node.feature for node in nodes]),
        thresholds=np.concatenate([node.thresholds for node in nodes]),
        children=np.concatenate(children),
        roots=np.concatenate(roots),
        leaves=np.concatenate(rows),
        bias=np.concatenate([node.bias for node in nodes]),
    )
