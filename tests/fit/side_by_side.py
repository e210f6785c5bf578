"""A Network as a Graph: both exporters must give the same program of it."""

from __future__ import annotations

import numpy as np

from gatewright.export import check_graph_export, export_graph
from gatewright.fit import Layer, Network
from gatewright.fit.frozen import dense_layer, frozen_graph, relu, steps, tables
from gatewright.fixedpoint import Grid
from gatewright.graph.evaluate import trace
from gatewright.graph.figures import ebops, figures
from gatewright.graph.nodes import AnyNode, Graph, Stored
from gatewright.ir import OutputKind, OutputStage, Program, print_program


def graph_of(network: Network) -> Graph:
    return frozen_graph(
        network.input, map(nodes_of, network.layers), classes=network.classes, input_bits=network.input_bits
    )


def nodes_of(layer: Layer) -> list[AnyNode]:
    stored = None if layer.weight_grid is None else Stored(weight=layer.weight_grid, bias=layer.bias_grid)
    if layer.wired:
        bias = Grid.uniform(layer.bias_width(), 0, signed=True) if layer.thresholds else None
        stored = Stored(weight=None, bias=bias)
    then: list[AnyNode] = []
    if layer.thresholds:
        then = steps(layer.name, layer.thresholds)
    elif layer.table is not None:
        then = tables(layer.name, layer.table)
    elif layer.relu:
        then = relu(layer.name, layer.activation_grid)
    return dense_layer(layer.name, layer.weight, layer.bias, stored=stored, then=then)


def assert_same_program(network: Network, program: Program, output: OutputStage | OutputKind, x: np.ndarray) -> None:
    exported = export_graph(graph_of(network), name=program.name, output=output)
    assert print_program(exported.program) == print_program(program)
    assert exported.program == program
    assert list(exported.program.constants) == list(program.constants)
    real = np.ldexp(x.astype(np.float64), -network.input.frac_bits)
    assert np.array_equal(exported.encode(real), x)
    assert check_graph_export(exported, real) == len(x)
    assert_same_figures(network, x)


def assert_same_figures(network: Network, x: np.ndarray) -> None:
    graph = graph_of(network)
    counted = figures(graph)
    rows = [{"name": row["layer"], **{k: v for k, v in row.items() if k != "layer"}} for row in network.describe()]
    assert counted.part()["layers"] == rows
    for key in ("parameters", "weights", "nonzero", "sparsity", "bits", "nonzero_bits"):
        assert getattr(counted, key) == getattr(network, key)
    assert ebops(graph) == network.ebops
    real = np.ldexp(x.astype(np.float64), -network.input.frac_bits)
    mine, theirs = trace(graph, real), network.trace(x)
    for name, values in theirs.items():
        assert np.array_equal(mine[name], values), name
