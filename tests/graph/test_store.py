"""Graphs survive saving; anything else is refused; the table counts what is there."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings

from gatewright.errors import ModelError
from gatewright.graph.evaluate import evaluate
from gatewright.graph.nodes import Activation, Graph, Input, Pool, Recurrent, Thresholds
from gatewright.graph.store import KINDS, is_graph_file, load_graph, save_graph
from gatewright.graph.table import format_rows, table, total
from tests.graphs import chain, conv, dense, quantized_graphs, quantizer

RNG = np.random.default_rng(11)


@settings(max_examples=15, deadline=None)
@given(quantized_graphs())
def test_saved_graphs_evaluate_the_same(tmp_path_factory, graph):
    path = tmp_path_factory.mktemp("graph") / "g.npz"
    save_graph(graph, path)
    loaded = load_graph(path)
    x = RNG.normal(0, 2, (5, *graph.nodes[0].shape))
    assert np.array_equal(evaluate(loaded, x), evaluate(graph, x))
    assert [repr(n) for n in loaded.nodes] == [repr(n) for n in graph.nodes]
    assert is_graph_file(path)


def test_a_cell_with_its_quantizers_survives(tmp_path):
    cell = Recurrent(
        name="r",
        kind="gru",
        kernel=RNG.normal(size=(2, 9)),
        recurrent=RNG.normal(size=(3, 9)),
        bias=RNG.normal(size=(2, 9)),
        activation=Activation(name="", kind="tanh"),
        gate_activation=Activation(name="", kind="hard_sigmoid", parameters=(0.2, 0.5)),
        sequences=False,
        backwards=True,
        reset_after=True,
        state_quantizer=quantizer("q", 1 / 8, -8, 7),
    )
    graph = chain((4, 2), cell)
    save_graph(graph, tmp_path / "g.npz")
    x = RNG.normal(size=(6, 4, 2))
    assert np.array_equal(evaluate(load_graph(tmp_path / "g.npz"), x), evaluate(graph, x))


def forged(path, **changes):
    """Write a file whose header says something else than its arrays hold."""
    save_graph(chain((2,), dense("d", np.ones((2, 2)))), path)
    with np.load(path) as arrays:
        kept = {key: arrays[key] for key in arrays}
    header = json.loads(bytes(kept.pop("header")).decode()) | changes
    np.savez(path, header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **kept)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(b"PK\x03\x04 and then nothing"),
        lambda p: np.savez(p, header=np.array([1, 2, 3], dtype=np.uint8)),
        lambda p: np.savez(p, header=np.array([{"a": 1}], dtype=object)),  # a pickle inside
        lambda p: forged(p, **{"gatewright-graph": 99}),
        lambda p: forged(p, nodes=[{"node": "Bomb"}]),
        lambda p: forged(p, nodes=[{"node": "Input", "name": "x", "shape": [2], "run": "rm"}]),
        lambda p: forged(p, nodes=[{"node": "Dense", "name": "x", "weight": {"array": "nowhere"}}]),
        lambda p: zipfile.ZipFile(p, "w").close(),
        lambda p: p.with_suffix(".other"),
    ],
)
def test_other_files_are_refused(tmp_path, make):
    path = tmp_path / "g.npz"
    make(path)
    with pytest.raises(ModelError, match=r"g\.npz must be a graph that gatewright saved"):
        load_graph(path)


def test_every_kind_of_node_can_be_saved():
    import gatewright.graph.nodes as nodes

    given = {name for name, value in vars(nodes).items() if isinstance(value, type) and issubclass(value, nodes.Node)}
    assert given - {"Node"} == set(KINDS)


def test_the_table_counts():
    graph = chain(
        (6, 6, 1),
        quantizer("in", 0.25, 0, 15),
        conv("c", np.where(np.arange(9).reshape(3, 3, 1, 1) == 4, 0, 1.5), [0.5]),
        Pool(name="p", kind="max", size=(2, 2), strides=(2, 2), pads=((0, 0), (0, 0))),
        Thresholds(name="t", thresholds=np.array([[0.0, 1.0]]), start=np.array(0.0), step=np.array(1.0)),
    )
    rows = table(graph)
    assert [r.op for r in rows] == ["Input", "Quantize", "Conv", "Pool.max", "Thresholds"]
    c = rows[2]
    assert (c.shape, c.parameters, c.nonzero, c.operations, c.live_operations) == ((4, 4, 1), 10, 8, 144, 128)
    assert (c.weight_format, rows[0].result_format, rows[1].result_format) == ("ufixed<2,1>", "float", "ufixed<4,2>")
    assert rows[4].result_format == "3 levels"
    assert total(rows).operations == 144
    assert format_rows(rows).splitlines()[-1].split() == ["total", "10", "8", "144", "128"]
    assert Graph(name="g", nodes=(Input(name="x", shape=(1,)),), output="x")
