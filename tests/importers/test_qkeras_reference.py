"""The 30-20-10-10-4 network of the course (row A10), built from its layer strings, against QKeras 0.9 itself.

qkeras_30_20_10_10_4.npz: random weights, 50 inputs and QKeras' own results, made with TensorFlow 2.15 (its quantizers
told, by use_ste, to return the level itself).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatewright.export import check_graph_export, export_graph
from gatewright.graph import evaluate
from gatewright.graph.nodes import Dense
from gatewright.importers.keras import load_keras
from tests.importers.keras_files import layer, sequential, write_h5


def test_network_of_layer_strings_equals_qkeras(tmp_path):
    stored = np.load(Path(__file__).with_name("qkeras_30_20_10_10_4.npz"))
    layers = []
    for at, units in enumerate((20, 10, 10, 4), start=1):
        strings = {"kernel_quantizer": "quantized_bits(9,1)", "bias_quantizer": "quantized_bits(23,15)"}
        layers.append(layer("QDense", f"d{at}", units=units, **strings))
        after = "quantized_relu(16,15)" if at < 4 else "quantized_bits(32,15)"
        layers.append(layer("QActivation", f"a{at}", activation=after))
    weights = {f"d{at}": {part: stored[f"d{at}.{part}"] for part in ("kernel", "bias")} for at in range(1, 5)}
    graph = load_keras(write_h5(tmp_path / "a10.h5", sequential(*layers, shape=(30,)), weights))
    assert sum(node.weight.size + node.bias.size for node in graph.nodes if isinstance(node, Dense)) == 984
    assert np.array_equal(evaluate(graph, stored["x"]), stored["y"])
    assert len(np.unique(stored["y"])) > 100


BITS = "quantized_bits(6,1,1,alpha=1)"
CELL = {
    "units": 4,
    "kernel_quantizer": BITS,
    "recurrent_quantizer": BITS,
    "bias_quantizer": BITS,
    "state_quantizer": "quantized_bits(8,1,1,alpha=1)",
    "activation": "quantized_tanh(6)",
}
GATED = {**CELL, "recurrent_activation": "quantized_sigmoid(6)"}
REAL = {
    "activation": "quantized_tanh(6,use_real_tanh=True)",
    "recurrent_activation": "quantized_sigmoid(6,use_real_sigmoid=True)",
}
CELLS = {
    "rnn": layer("QSimpleRNN", "r", return_sequences=True, **CELL),
    "lstm": layer("QLSTM", "r", **GATED),
    "lstm_real": layer("QLSTM", "r", **{**GATED, **REAL}),
    "gru": layer("QGRU", "r", reset_after=False, **GATED),
    "gru2": layer("QGRU", "r", reset_after=True, return_sequences=True, **GATED),
    "bi": layer("QBidirectional", "b", layer=layer("QLSTM", "r", return_sequences=True, **GATED)),
}


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_layers_equal_qkeras_as_graph_and_program(tmp_path, name):
    """qkeras_recurrent.npz: random weights, 16 inputs and the results of the same QKeras."""
    stored = np.load(Path(__file__).with_name("qkeras_recurrent.npz"))
    parts = {
        key.removeprefix(f"{name}/").removesuffix(":0"): stored[key] for key in stored if key.startswith(f"{name}/")
    }
    source = layer("QActivation", "a", activation="quantized_bits(8,2,1,alpha=1)")
    weights = {CELLS[name]["config"]["name"]: {key.split("/", 1)[1]: value for key, value in parts.items()}}
    graph = load_keras(write_h5(tmp_path / "m.h5", sequential(source, CELLS[name], shape=(7, 5)), weights))
    x, y = stored["x"].astype(float), stored[f"{name}.y"]
    assert (evaluate(graph, x, precision="single") == y).all()
    exported = export_graph(graph, name="p")
    assert check_graph_export(exported, x) == len(x)
    assert (np.ldexp(exported.run(x).astype(float), -exported.frac_bits) == y).all()
    assert len(np.unique(y)) > 15
