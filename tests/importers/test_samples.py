"""Random samples for `verify`: of the type that a file declares, of the input's quantizer, or normal."""

from __future__ import annotations

import numpy as np
import pytest

from gatewright.errors import ConfigError
from gatewright.importers.samples import random_samples
from tests.graphs import chain, quantizer


def test_random_samples_span_the_input_quantizer():
    graph = chain((2,), quantizer("q", 0.25, -4, 12), name="net")
    x, said = random_samples(graph, 400)
    assert said == "400 random samples, uniform over -1 to 3 (seed 0)"
    assert -1 <= x.min() < -0.95 < 2.95 < x.max() <= 3
    with pytest.raises(ConfigError, match="samples must be at least 1, not 0"):
        random_samples(graph, 0)


def declared(folder, name):
    """The graph of a file that annotates its input so, as QONNX' ModelWrapper does."""
    onnx = pytest.importorskip("onnx")
    from gatewright.importers.onnx import load_onnx
    from tests.importers.onnx_models import node, save

    path = save(folder / "m.onnx", [node("MatMul", "w")], (2,), {"w": np.eye(2, dtype=np.float32)})
    model = onnx.load(path)
    for tensor, said in (("w", "INT2"), ("x", name)):
        annotation = model.graph.quantization_annotation.add(tensor_name=tensor)
        annotation.quant_parameter_tensor_names.add(key="tensor_sparsity", value="{}")
        annotation.quant_parameter_tensor_names.add(key="finn_datatype", value=said)
    onnx.save(model, path)
    return load_onnx(path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("BIPOLAR", [-1, 1]),
        ("BINARY", [0, 1]),
        ("TERNARY", [-1, 0, 1]),
        ("UINT2", [0, 1, 2, 3]),
        ("INT3", range(-4, 4)),
        ("FIXED<4,2>", np.arange(-8, 8) / 4),
        ("FIXED<3,0>", np.arange(-4, 4) / 8),
    ],
)
def test_random_samples_are_of_the_declared_type(tmp_path, name, values):
    x, said = random_samples(declared(tmp_path, name), 500)
    assert said == f"500 random samples of the input's type {name} (seed 0)"
    assert np.unique(x).tolist() == list(values)


@pytest.mark.parametrize("name", ["FLOAT32", "INT0", "INT32", "FIXED<8", "INT8,4>", "SCALEDINT<8>"])
def test_a_type_whose_values_are_not_listed_leaves_samples_normal(tmp_path, name):
    _, said = random_samples(declared(tmp_path, name), 5)
    assert said.startswith("5 random samples, normal, multiples of 1/256")
