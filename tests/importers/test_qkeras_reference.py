"""The 30-20-10-10-4 network of the course (row A10), built from its layer strings, against QKeras 0.9 itself.

qkeras_30_20_10_10_4.npz: random weights, 50 inputs and QKeras' own results, made with TensorFlow 2.15 (its quantizers
told, by use_ste, to return the level itself).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

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
