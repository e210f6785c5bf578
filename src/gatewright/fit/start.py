"""A float Graph in; the dense layers out from whose weights a student can start, where it is made of such."""

from __future__ import annotations

from dataclasses import replace

from gatewright.errors import FitError
from gatewright.graph import Graph, simplify
from gatewright.graph.nodes import Activation, Dense, Input, Quantize


def hidden_layers(graph: Graph) -> tuple[int, ...] | None:
    """Return the hidden layers' sizes where the graph is dense layers with ReLU between, else None."""
    found = _layers(graph)
    return None if found is None else tuple(dense.bias.size for dense, _ in found[:-1])


def float_layers(graph: Graph) -> list[Dense]:
    """Return the dense layers of a graph of these with ReLU between, batch normalisations folded into them.

    A quantizer of the input's codes may come first. Raises FitError for any other graph.
    """
    found = _layers(graph)
    if found is None:
        raise FitError(
            f"model {graph.name!r} is not made of dense layers with ReLU between, so no student can start from its "
            'weights; set model.start = "random" and the student\'s layers in student.hidden'
        )
    return [dense for dense, _ in found]


def _layers(graph: Graph) -> list[tuple[Dense, bool]] | None:
    """Return (dense layer, whether a ReLU follows) from input to output; None where the graph is anything else."""
    first, *nodes = simplify(graph, float_weights=True).nodes
    if not isinstance(first, Input) or len(first.shape) != 1:
        return None
    found: list[tuple[Dense, bool]] = []
    before = first.name
    for node in nodes:
        if node.sources != (before,):
            return None
        if isinstance(node, Dense) and (node.weight_scale == 1).all() and node.stored is None:
            joins = bool(found) and not found[-1][1]  # two maps without a ReLU between are one
            found.append((_joined(found.pop()[0], node) if joins else node, False))
        elif isinstance(node, Activation) and node.kind == "relu" and not node.parameters and found:
            if found[-1][1]:
                return None
            found[-1] = (found[-1][0], True)
        elif not isinstance(node, Quantize) or before != first.name:
            return None
        before = node.name
    return found if found and not found[-1][1] else None


def _joined(first: Dense, second: Dense) -> Dense:
    """Return two dense layers in a row as one."""
    return replace(second, weight=first.weight @ second.weight, bias=first.bias @ second.weight + second.bias)
