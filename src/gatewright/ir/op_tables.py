"""Ops that choose or look up: indices of the greatest, thresholds, decision trees, tables and the softmax of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgMax:
    """Index of the greatest element of the last axis, the lowest index among equals. (..., n) -> (..., 1), frac 0."""

    name: str
    layer: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK:
    """Indices of the k greatest, the greatest first, the lowest index among equals. (..., n) -> (..., k), frac 0."""

    name: str
    layer: str
    source: str
    k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How many thresholds of its channel each element reaches: y = start + step * count. Same shape.

    A threshold t is reached where x >= t.

    thresholds: (1 or channels, count), ascending per row; its own frac_bits, the values they mean are compared. start,
    step: integers at the result's `frac_bits`. The channel is the last axis.
    """

    name: str
    layer: str
    source: str
    thresholds: str
    start: int
    step: int
    frac_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """The sum of decision trees and a bias. x: (n_features,) -> (n_out,).

    Node i goes on to children[i, 1] where x[feature[i]] >= thresholds[i], else to children[i, 0]; the values that the
    integers mean are compared. A child c >= 0 is a node, c > i; c < 0 is leaf ~c. roots: (trees,), as children are.
    feature, thresholds: (nodes,); children: (nodes, 2); leaves: (leaves, n_out), of which each tree adds one row; bias:
    (n_out,). The result's frac_bits is the larger of those of leaves and bias.
    """

    name: str
    layer: str
    source: str
    feature: str
    thresholds: str
    children: str
    roots: str
    leaves: str
    bias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Any function of one number, by a table: y = table[channel][x - first]. Same shape; frac_bits is the table's.

    table: (1 or channels, entries). The channel is the last axis. Every x lies in first .. first + entries - 1.
    """

    name: str
    layer: str
    source: str
    table: str
    first: int


class SoftmaxVariant(Enum):
    """How the exponentials are kept in range."""

    STABLE = "stable"  # the greatest element is subtracted first
    LATENCY = "latency"  # the exponential is read at x itself, clipped to the table's range


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """Softmax over the last axis by tables, in integers; docs/program.md defines it. Same shape, unsigned result.

    exp_table: (entries,), reciprocal_table: (entries,). drop, sum_drop: low bits that do not take part in an index;
    first, sum_first: what index 0 stands for. shift: bits dropped from the product, rounding half up.
    """

    name: str
    layer: str
    source: str
    variant: SoftmaxVariant
    exp_table: str
    drop: int
    first: int
    reciprocal_table: str
    sum_drop: int
    sum_first: int
    shift: int
    width_bits: int
    frac_bits: int
