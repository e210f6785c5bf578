"""Graphs of trees as their libraries grew them in; one graph of their sums, and the same on integers, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gatewright.export.inputs import quantize_input
from gatewright.fixedpoint import Fixed
from gatewright.graph import Graph
from gatewright.graph.nodes import Affine, Input, Trees
from gatewright.graph.trees import beside, on_grid, scaled, with_leaf_bits


def sum_graph(graphs: Sequence[Graph]) -> Graph:
    """Return one graph of the trees of several, whose factors are in their leaves; what follows the sums is left out.

    The class does not depend on a last softmax or sigmoid.
    """
    nodes: list[Trees] = []
    for graph in graphs:
        (node,) = (node for node in graph.nodes if isinstance(node, Trees))
        factors = [float(node.scale.flat[0]) for node in graph.nodes if isinstance(node, Affine)]
        nodes.append(scaled(node, factors[0]) if factors else node)
    both = beside(nodes)
    (source,) = (node for node in graphs[0].nodes if isinstance(node, Input))
    return replace(graphs[0], nodes=(source, both), output=both.name, precision="double")


def rounded(graph: Graph, source: Fixed, leaf_bits: int) -> Graph:
    """Return the graph that reads codes in `source`, with thresholds on its grid and leaves of so many bits."""
    graph = quantize_input(graph, source)
    nodes = (
        on_grid(with_leaf_bits(node, leaf_bits), source.frac_bits) if isinstance(node, Trees) else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))
