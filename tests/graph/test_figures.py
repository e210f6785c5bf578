"""What networks are counted as, trained here or imported: parameters, bits, formats, bit operations."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gatewright.errors import FitError, ModelError
from gatewright.fit.frozen import cut, dense_layer, frozen_graph, relu, steps, tables
from gatewright.fit.scores.metrics import compression_table
from gatewright.fixedpoint import Fixed, Grid
from gatewright.graph import Graph, load_graph, save_graph
from gatewright.graph.figures import FLOAT_BITS, ebops, element_formats, figures
from gatewright.graph.nodes import Activation, ConvTranspose, Pool, Quantize, Recurrent, Reshape, Stored
from gatewright.graph.store import checksum
from gatewright.graph.table import table
from tests.fit.networks import float_network, random_network
from tests.graphs import chain, conv, dense, quantizer

SOURCE = Fixed(width_bits=3, frac_bits=0, signed=False)


def small(stored: Stored) -> Graph:
    weight, bias = np.array([[0.0, 1.5], [3.5, -0.5]]), np.array([2.5, -1.0])
    return frozen_graph(SOURCE, [dense_layer("out", weight, bias, stored=stored)], classes=("a", "b"))


def test_layers_are_counted_by_their_stored_formats():
    held = figures(small(Stored(weight=Grid.uniform(4, 1, signed=True))))
    (layer,) = held.layers
    json.dumps(held.part())
    assert (layer.weight_format, layer.bias_format) == ("fixed<4,3>", "accumulator, 4 bits")
    assert layer.activation_format == "accumulator (scores)"
    assert (layer.parameters, layer.nonzero, layer.sparsity, layer.bits) == (6, 3, 0.25, 4 * 4 + 2 * 4)
    assert layer.mean_digits == (2 + 2 + 1) / 3  # 3 = 4-1, 7 = 8-1, 1
    wide = figures(small(Stored(weight=Grid.uniform(7, 1, signed=True), bias=Grid.uniform(9, 1, signed=True))))
    assert (wide.bits, wide.nonzero_bits) == (4 * 7 + 2 * 9, 3 * 7 + 2 * 9)
    assert wide.layers[0].bias_format == "fixed<9,8>"


def test_nonzero_counts_weights_only_and_biases_count_as_parameters_and_bits():
    """As the published tables of compression do; for trained and imported networks, in rows of nodes and of layers."""
    graph = chain((2,), dense("fc", np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1.0, 1.0])))
    held = figures(graph)
    assert (held.nonzero, held.weights, held.parameters) == (2, 4, 6)
    assert held.bits == 4 * 1 + 2 * 1
    assert table(graph)[-1].nonzero == 2
    same = figures(small(Stored(weight=Grid.uniform(4, 1, signed=True))))
    assert same.nonzero == 3


def test_what_is_not_quantized_counts_32_bits_a_parameter():
    network = float_network(np.random.default_rng(0), [4, 5, 3], SOURCE)
    held = figures(network)
    assert held.bits == FLOAT_BITS * held.parameters == 32 * 43
    assert {layer.weight_format for layer in held.layers} == {"float"}
    assert ebops(network) == 4 * 3 * 32 * 5 + 5 * 32 * 32 * 3
    weight = np.array([[1.0 + 2.0**-24]])  # 25 bits on one grid: no float32 that a quantizer made
    assert figures(chain((1,), dense("fc", weight))).layers[0].weight_format == "float"
    kept = dense_layer("fc", weight, np.zeros(1), stored=Stored(weight=Grid.uniform(26, 24, signed=True)))
    assert figures(frozen_graph(SOURCE, [kept], classes=())).layers[0].bits == 26 + 1


def test_truth_tables_store_entries_and_thresholds_and_their_wires_nothing():
    wires, entries = Stored(weight=None), np.array([[0.0, 1.0, 1.0, 0.0]])
    layers = [
        dense_layer("bits", np.eye(2), np.array([-3.0, 2.0]), stored=wires, then=steps("bits", (0.0,))),
        dense_layer("t", np.array([[1.0], [2.0]]), np.zeros(1), stored=wires, then=tables("t", entries)),
        dense_layer("out", np.ones((1, 1)), np.zeros(1), stored=wires),
    ]
    network = frozen_graph(SOURCE, layers, classes=())
    held = figures(network)
    assert [layer.parameters for layer in held.layers] == [2, 4, 0]
    assert [layer.bits for layer in held.layers] == [2 * 3, 4, 0]
    assert (held.weights, held.nonzero, held.sparsity) == (0, 0, 0.0)
    assert [layer.bias_format for layer in held.layers] == ["thresholds, 3 bits", "none", "none"]
    assert [layer.activation_format for layer in held.layers[:2]] == ["1 bit", "table of 4 bits"]
    assert [row.operations for row in table(network) if row.op == "Dense"] == [0, 0, 0]


def test_formats_of_elements_and_their_words():
    grid = Grid(width_bits=np.array([3, 0]), frac_bits=np.array([1, 4]), signed=False)
    stored = Stored(weight=Grid.uniform(2, 0, signed=True))
    layer = dense_layer("fc1", np.eye(2), np.zeros(2), stored=stored, then=relu("fc1", grid))
    network = frozen_graph(SOURCE, [cut(SOURCE, (2, 0)), layer], classes=())
    read, act = (node for node in network.nodes if isinstance(node, Quantize) and node.name != "x")
    assert [part.tolist() for part in element_formats(read)] == [[2, 0], [-1, -3]]
    assert [part.tolist() for part in element_formats(act)] == [[3, 0], [1, 4]]
    assert figures(network).layers[0].activation_format == "2 ufixed formats, 0..3 bits"
    signed = figures(chain((1,), dense("fc", np.eye(1)), quantizer("q", 0.5, -8, 7)))
    assert signed.layers[0].activation_format == "fixed<4,3>"


def test_effective_bit_operations_by_hand():
    network = small(Stored(weight=Grid.uniform(4, 1, signed=True)))
    # spans: 1.5 has 2 bits, 3.5 has 3, 0.5 has 1; biases 2.5 has 3, 1 has 1
    assert ebops(network) == 3 * (2 + 3 + 1) + 3 + 1
    read = quantizer("q", 0.5, 0, np.array([15, 3]))  # 4 bits, 2 bits
    taps = np.stack([np.full((1, 2, 1), 3.0), np.ones((1, 2, 1))], axis=-1)  # spans 2, 1
    assert ebops(chain((4, 4, 2), read, conv("depth", taps, groups=2))) == 2 * 2 * 4 + 2 * 1 * 2
    assert ebops(chain((4, 4, 2), read, conv("c", np.ones((2, 2, 2, 3))))) == 4 * 3 * (4 + 2)  # of one window
    pooled = Pool(name="p", kind="max", size=(2, 2), strides=(2, 2), pads=((0, 0),) * 2)
    assert ebops(chain((4, 4, 2), read, pooled, Reshape(name="flat", shape=(8,)), dense("fc", np.ones((8, 1))))) == 24
    cell = ConvTranspose(
        name="up",
        weight=np.ones((2, 2, 2, 1)),
        bias=np.zeros(1),
        weight_scale=np.array(1.0),
        strides=(2, 2),
        crop=((0, 0),) * 2,
    )
    with pytest.raises(ModelError, match=r"dense layers and convolutions, not of 'up' \(ConvTranspose\); compare est"):
        ebops(chain((4, 4, 2), cell))


def test_a_cells_weights_are_both_its_matrices():
    rng = np.random.default_rng(0)
    cell = Recurrent(
        name="r",
        kind="rnn",
        kernel=rng.normal(size=(2, 3)),
        recurrent=np.zeros((3, 3)),
        bias=np.zeros(3),
        activation=Activation(name="", kind="tanh"),
        gate_activation=Activation(name="", kind="sigmoid"),
        sequences=False,
        backwards=False,
    )
    held = figures(chain((4, 2), cell))
    assert (held.parameters, held.weights, held.nonzero, held.sparsity) == (18, 15, 6, 1 - 6 / 15)


def test_compression_table():
    student = random_network(np.random.default_rng(5), [4, 5, 3], sparsity=0.5)
    teacher = float_network(np.random.default_rng(5), [4, 30], SOURCE)
    rows = compression_table(teacher, student)
    json.dumps(rows)
    assert rows["parameters"] == {"teacher": 150, "student": 43, "ratio": 150 / 43}
    assert rows["bits"]["teacher"] == 150 * 32
    assert rows["multiply_accumulates"]["student"] == 35
    assert rows["nonzero_multiply_accumulates"]["student"] == figures(student).nonzero
    assert rows["nonzero_parameters"]["student"] == figures(student).nonzero + 8


def test_networks_are_saved_with_every_bit(tmp_path):
    network = random_network(np.random.default_rng(5), [4, 5, 3], per="weight", bias_bits=7, input_bits=(3, 2, 0, 6))
    save_graph(network, tmp_path / "graph.npz")
    again = load_graph(tmp_path / "graph.npz")
    assert checksum(again) == checksum(network)
    assert figures(again) == figures(network)
    assert (again.classes, again.precision) == (network.classes, "double")
    other = random_network(np.random.default_rng(6), [4, 5, 3], per="weight", bias_bits=7, input_bits=(3, 2, 0, 6))
    assert checksum(other) != checksum(network)


def test_numbers_that_training_lost_are_refused():
    with pytest.raises(FitError, match="layer 'out': weight must be finite; lower learning_rate"):
        dense_layer("out", np.full((1, 1), np.inf), np.zeros(1))
    with pytest.raises(FitError, match=r"leading bits must be 0..3, the width of ufixed<3,3>, not \(4,\)"):
        cut(SOURCE, (4,))
