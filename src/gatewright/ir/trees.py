"""A Trees op and its tables in, the sums of its trees' leaves out, exactly; and what the tables must be. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ProgramError
from gatewright.fixedpoint import Ints
from gatewright.ir.lookups import cuts
from gatewright.ir.op_tables import Trees
from gatewright.ir.program import Constant

_SAFE = 1 << 61  # below it sums of leaves fit int64


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """The tables of trees: of a Trees op for inputs of one frac_bits, or of real numbers.

    feature, cut: (nodes,), x[feature] >= cut goes on to children[:, 1]; children: (nodes, 2), roots: (trees,), a node
    or ~leaf; leaf: (leaves, n_out) and bias: (n_out,), both at frac_bits. heights: (nodes,), the most questions from a
    node on.
    """

    feature: NDArray[Any]
    cut: NDArray[Any]
    children: NDArray[Any]
    roots: NDArray[Any]
    leaf: NDArray[Any]
    bias: NDArray[Any]
    frac_bits: int = 0
    heights: Ints = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "heights", _heights(self.children))

    @staticmethod
    def of(op: Trees, constants: Mapping[str, Constant], source_frac: int) -> Forest:
        """Return the op's tables for a source of `source_frac` fractional bits."""
        leaves, bias = constants[op.leaves], constants[op.bias]
        frac = max(leaves.frac_bits, bias.frac_bits)
        leaf, offset = (_raised(c, frac) for c in (leaves, bias))
        cut = cuts(constants[op.thresholds], source_frac)
        feature, children, roots = (constants[key].q for key in (op.feature, op.children, op.roots))
        return Forest(feature, cut, children, roots, leaf, offset, frac)

    @property
    def depth(self) -> int:
        """The most questions that a tree asks."""
        return max((int(self.heights[root]) for root in self.roots if root >= 0), default=0)

    @property
    def most_ends(self) -> int:
        """The ends of the tree that has the most, a leaf counted as often as a way leads to it; at most 2**62."""
        nodes = len(self.feature)
        ways = np.ones(nodes + len(self.leaf))
        for height in range(1, self.depth + 1):
            here = np.flatnonzero(self.heights == height)
            ways[here] = ways[_places(self.children[here], nodes)].sum(axis=1)
        return int(min(ways[_places(self.roots, nodes)].max(), 2.0**62))

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the sums for x: (n, n_features) -> (n, n_out)."""
        total = np.tile(self.bias, (len(x), 1))
        for leaves in self.leaves_of(x).T:
            total += self.leaf[leaves]
        return total

    def leaves_of(self, x: NDArray[Any]) -> Ints:
        """Return the leaf that each tree comes to: (n, n_features) -> (n, trees)."""
        nodes = len(self.feature)
        # behind the nodes each leaf is one that goes on to itself
        feature, cut = (
            np.concatenate([table, np.zeros(len(self.leaf), np.int64)]) for table in (self.feature, self.cut)
        )
        ways = np.concatenate([_places(self.children, nodes).ravel(), nodes + np.arange(len(self.leaf)).repeat(2)])
        first = (np.arange(len(x)) * x.shape[1])[:, None]
        at: Ints = np.broadcast_to(_places(self.roots, nodes), (len(x), self.roots.size))
        codes = np.ascontiguousarray(x)
        for _ in range(self.depth):
            reached: NDArray[np.bool_] = codes.take(feature.take(at) + first) >= cut.take(at)
            at = ways.take(2 * at + reached)
        return at - nodes

    def leaves_by_tree(self) -> list[list[int]]:
        """Return the leaves that each tree has, in order."""
        return [self._leaves(root) for root in self.roots.tolist()]

    def _leaves(self, root: int) -> list[int]:
        found, pending, seen = set[int](), [root], {root}
        while pending:
            at = pending.pop()
            if at < 0:
                found.add(~at)
                continue
            children = set(self.children[at].tolist()) - seen
            pending += children
            seen |= children
        return sorted(found)

    def ends(self, lo: NDArray[Any], hi: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the least and greatest sums where x[i] may be lo[i]..hi[i], every tree on its own. (n_out,) each."""
        leaf, bias, nodes = self.leaf, self.bias, len(self.feature)
        if int(np.abs(leaf).max(initial=0)) * self.roots.size + int(np.abs(bias).max(initial=0)) >= _SAFE:
            leaf, bias = leaf.astype(object), bias.astype(object)
        stays, goes = lo[self.feature] < self.cut, hi[self.feature] >= self.cut
        ways = _places(self.children, nodes)
        no: Ints = np.where(stays, ways[:, 0], ways[:, 1])  # the one way where there is no other
        yes: Ints = np.where(goes, ways[:, 1], ways[:, 0])
        roots = _places(self.roots, nodes)
        found: list[NDArray[Any]] = []
        for choose in (np.minimum, np.maximum):
            value = np.concatenate([np.zeros((nodes, leaf.shape[1]), dtype=leaf.dtype), leaf])
            for height in range(1, self.depth + 1):
                here = np.flatnonzero(self.heights == height)
                value[here] = choose(value[no[here]], value[yes[here]])
            found.append(value[roots].sum(axis=0) + bias)
        return found[0], found[1]


def _places(pointers: Ints, nodes: int) -> Ints:
    """Return where nodes and leaves, one behind the other, have what pointers name."""
    return np.where(pointers >= 0, pointers, nodes + ~pointers)


def _heights(children: Ints) -> Ints:
    """Return the most questions from each node on. children: (nodes, 2), each node before its own."""
    nodes = len(children)
    heights = np.zeros(nodes + 1, dtype=np.int64)  # the last stands for leaves
    inside = np.where(children >= 0, children, nodes)
    while True:
        grown = 1 + heights[inside].max(axis=1, initial=0)
        if np.array_equal(grown, heights[:-1]):
            return heights[:-1]
        heights[:-1] = grown


def outputs_of_trees(op: Trees, constants: Mapping[str, Constant], shape: tuple[int, ...]) -> int:
    """Return the number of elements of the op's result; ProgramError says which table breaks which rule."""
    if len(shape) != 1:
        raise ProgramError(f"needs a vector (n_features,), not {shape}; reshape before it")
    keys = (op.feature, op.thresholds, op.children, op.roots, op.leaves, op.bias)
    if broken := broken_tables(*(constants[key].q for key in keys), features=shape[0]):
        raise ProgramError(broken)
    for name in (op.feature, op.children, op.roots):
        if constants[name].frac_bits:
            raise ProgramError(f"{name!r} holds numbers of nodes: its frac_bits must be 0")
    return constants[op.leaves].q.shape[1]


def broken_tables(
    feature: NDArray[Any],
    thresholds: NDArray[Any],
    children: NDArray[Any],
    roots: NDArray[Any],
    leaves: NDArray[Any],
    bias: NDArray[Any],
    *,
    features: int,
) -> str:
    """Return which rule the tables of trees on so many features break, "" where they keep all."""
    nodes = feature.size
    if feature.shape != (nodes,) or thresholds.shape != (nodes,) or children.shape != (nodes, 2):
        return (
            f"feature and thresholds must be (nodes,) and children (nodes, 2), not {feature.shape}, "
            f"{thresholds.shape} and {children.shape}"
        )
    if roots.ndim != 1 or not roots.size or leaves.ndim != 2 or not leaves.size or bias.shape != leaves.shape[1:]:
        return (
            f"roots must be (trees,), leaves (leaves, n_out) and bias (n_out,), none empty, not {roots.shape}, "
            f"{leaves.shape} and {bias.shape}"
        )
    if nodes and not (int(feature.min()) >= 0 and int(feature.max()) < features):
        return f"feature must be 0..{features - 1}, not {feature.min()}..{feature.max()}"
    for what, pointers, above in (("children", children, np.arange(nodes)[:, None]), ("roots", roots, -1)):
        wrong = ((pointers >= 0) & ((pointers <= above) | (pointers >= nodes))) | (pointers < -len(leaves))
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            return (
                f"{what}{list(at)} is {pointers[at]}; it must be a node that comes later, at most {nodes - 1}, or "
                f"~leaf of the {len(leaves)} leaves"
            )
    return ""


def _raised(constant: Constant, frac_bits: int) -> Ints:
    return constant.q << (frac_bits - constant.frac_bits)
