"""Trees of real numbers and samples in, their sums out; and the same trees with leaves of few bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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
