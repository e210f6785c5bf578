"""A quantized Graph in, an equal one out that can be exported: biases split, affines folded, input quantized."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatewright.export.inputs import quantize_copies, quantize_input
from gatewright.fixedpoint import Fixed
from gatewright.graph.exact import (
    EXACT_BITS,
    PARAMETER_BITS,
    WEIGHT_BITS,
    Lattice,
    bits_of,
    fixed_point,
    lattice_of,
    lattices,
    scan_lattices,
)
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Conv,
    ConvTranspose,
    Dense,
    Graph,
    Input,
    Reshape,
    Scan,
    Softmax,
    TopK,
    Transpose,
)
from gatewright.graph.recurrent import expand_cells
from gatewright.graph.shapes import shapes
from gatewright.graph.simplify import drop_dead, simplify

SQUASHING = ("sigmoid", "tanh")


def prepare(graph: Graph, input_format: Fixed | None) -> Graph:
    """Return the graph that is exported; its evaluation with precision "single" is the program's."""
    graph = expand_cells(simplify(graph))
    graph = quantize_copies(graph) if input_format is None else quantize_input(graph, input_format)
    return split_biases(fold_exact_affines(choose_before_scales(graph)))


def choose_before_scales(graph: Graph) -> Graph:
    """Let a TopK read scores before one positive factor and one offset for all of them: their order is the same."""
    by_name = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if not isinstance(node, TopK):
            continue
        source = by_name[node.sources[0]]
        while isinstance(source, Affine) and _uniform(source):
            source = by_name[source.sources[0]]
        by_name[node.name] = replace(node, sources=(source.name,))
    return drop_dead(replace(graph, nodes=tuple(by_name[node.name] for node in graph.nodes)))


def split_biases(graph: Graph, source: Lattice | None = None) -> Graph:
    """Make an Affine of a bias that lies on no lattice with its products, so that the products stay exact.

    source: the lattice of the graph's input, where it has one.
    """
    known, sizes = lattices(graph, source), shapes(graph)
    nodes: list[AnyNode] = []
    for node in graph.nodes:
        if isinstance(node, Scan):
            inside = scan_lattices(node, known[node.sources[0]])[node.body.nodes[0].name]
            nodes.append(replace(node, body=split_biases(node.body, inside)))
            continue
        if not isinstance(node, Dense | Conv | ConvTranspose) or known[node.name] is not None:
            nodes.append(node)
            continue
        bare = replace(node, name=f"{node.name}.products", bias=np.zeros_like(node.bias))
        found = lattice_of(bare, [known[s] for s in node.sources], [sizes[s] for s in node.sources])
        if found is None or bits_of(found) > EXACT_BITS:
            nodes.append(node)
            continue
        one = np.ones_like(node.bias)
        nodes += [
            bare,
            Affine(name=node.name, sources=(bare.name,), origin=node.origin, scale=one, offset=node.bias),
        ]
    return replace(graph, nodes=tuple(nodes))


def fold_exact_affines(graph: Graph) -> Graph:
    """Fold an Affine of few bits into the quantized Dense or Conv that only it reads, where nothing is rounded."""
    known = lattices(graph)
    by_name = {node.name: node for node in graph.nodes}
    readers = [name for node in graph.nodes for name in node.sources] + [graph.output]
    nodes: list[AnyNode] = []
    for node in graph.nodes:
        before = by_name[node.sources[0]] if node.sources else None
        if not isinstance(node, Affine) or not isinstance(before, Dense | Conv) or readers.count(before.name) != 1:
            nodes.append(node)
            continue
        scale = fixed_point(node.scale, PARAMETER_BITS)
        folded = replace(
            before, name=node.name, weight=before.weight * node.scale, bias=before.bias * node.scale + node.offset
        )
        exact = [known[before.name], known[node.name], scale, fixed_point(folded.weight, WEIGHT_BITS)]
        exact += [fixed_point(folded.bias, EXACT_BITS)]
        if any(e is None or not e.plain for e in exact) or not (before.weight_scale == 1).all():
            nodes.append(node)
            continue
        nodes = [n for n in nodes if n.name != before.name]
        nodes.append(folded)
    return drop_dead(replace(graph, nodes=tuple(nodes)))


def strip_output(graph: Graph, known: dict[str, Lattice | None], *, order_only: bool) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph that ends before functions which hardware need not compute, and what was left out.

    Softmax, sigmoid and tanh at the end go where nothing quantizes them. order_only: only the greatest element counts,
    so that one positive factor and one offset for all elements go as well.
    """
    by_name = {node.name: node for node in graph.nodes}
    notes: list[str] = []
    node = by_name[graph.output]
    behind: list[Reshape | Transpose] = []
    while isinstance(node, Reshape | Transpose):  # such as those of a softmax over another axis
        behind.append(node)
        node = by_name[node.sources[0]]
    while node.sources and known[node.name] is None and not isinstance(node, Input | TopK):
        squashes = isinstance(node, Softmax) or (isinstance(node, Activation) and node.kind in SQUASHING)
        if not squashes and not (order_only and isinstance(node, Affine) and _uniform(node)):
            break
        kind = node.kind if isinstance(node, Activation) else type(node).__name__.lower()
        notes.append(f"The {kind} {node.name!r} at the end is left to the host: the result is what it reads.")
        node = by_name[node.sources[0]]
    if isinstance(node, TopK) and all(isinstance(n, Reshape) for n in behind):
        return drop_dead(replace(graph, output=node.name)), ()
    if notes and behind:
        moved = {behind[-1].name: replace(behind[-1], sources=(node.name,))}
        return drop_dead(replace(graph, nodes=tuple(moved.get(n.name, n) for n in graph.nodes))), tuple(notes)
    return drop_dead(replace(graph, output=graph.output if behind else node.name)), tuple(notes)


def _uniform(node: Affine) -> bool:
    return bool((node.scale == node.scale[0]).all() and node.scale[0] > 0 and (node.offset == node.offset[0]).all())
