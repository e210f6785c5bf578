"""Settings that change the numbers: each is followed, or refused by its name and value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.graph import evaluate
from gatewright.importers.keras import load_keras
from tests.importers.keras_files import layer, sequential, singles, write_h5, write_v3


def run(tmp_path, made, x):
    return evaluate(load_keras(write_h5(tmp_path / "m.h5", sequential(made, shape=x.shape[1:]), {})), x)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2])
def test_layers_that_move_elements_follow_data_format(tmp_path, rank, data_format):
    """Of any rank: Keras 3 gives ZeroPadding1D one, which 1-D layers did not have before."""
    x = singles(1, 3, *(5, 4, 2)[: rank + 1])
    space = range(1, rank + 1) if data_format == "channels_last" else range(2, rank + 2)

    def over(pairs, other):
        return [other, *(pairs if axis in space else other for axis in range(1, rank + 2))]

    keys = {"data_format": data_format}
    padded = run(
        tmp_path, layer(f"ZeroPadding{rank}D", "p", padding=[[1, 2]] * rank if rank > 1 else [1, 2], **keys), x
    )
    assert np.array_equal(padded, np.pad(x.astype(float), over((1, 2), (0, 0))))
    cut = run(tmp_path, layer(f"Cropping{rank}D", "c", cropping=[[1, 0]] * rank if rank > 1 else [1, 0], **keys), x)
    assert np.array_equal(cut, x[tuple(over(slice(1, None), slice(None)))])
    grown = run(tmp_path, layer(f"UpSampling{rank}D", "u", size=[2] * rank if rank > 1 else 2, **keys), x)
    expected = x
    for axis in space:
        expected = np.repeat(expected, 2, axis)
    assert np.array_equal(grown, expected)


def refused(tmp_path, made, message, shape=(6, 3)):
    with pytest.raises(ModelError, match=message):
        load_keras(write_h5(tmp_path / "m.h5", sequential(made, shape=shape), {}))


def test_a_mask_of_a_convolution_is_refused(tmp_path):
    conv = layer("QConv1D", "c", filters=2, kernel_size=[2], mask=[[1, 0]])
    refused(tmp_path, conv, r"'c' \(QConv1D\): mask = \[\[1, 0\]\] is not supported; multiply the mask into the kernel")
    conv = layer("DepthwiseConv1D", "d", kernel_size=[2], filters=5)
    refused(tmp_path, conv, r"filters = 5 is not supported; the layer has depth_multiplier per channel")


def policy(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.dtype_policies", "class_name": kind, "config": config, "registered_name": None}


HALF = "its arithmetic rounds differently: save the model in float32"
CODES = r"its weights are stored as codes with scales, .* save the model before model.quantize"
POLICIES = [
    ("float16", rf"dtype = 'float16' is not supported; {HALF}"),
    (policy("DTypePolicy", name="mixed_bfloat16"), rf"dtype = 'mixed_bfloat16' is not supported; {HALF}"),
    (
        policy("DTypePolicyMap", default_policy="bfloat16", policy_map={}),
        rf"dtype = 'bfloat16' is not supported; {HALF}",
    ),
    (
        policy("DTypePolicyMap", default_policy=None, policy_map={"fc": policy("DTypePolicy", name="mixed_float16")}),
        rf"dtype = 'mixed_float16' is not supported; {HALF}",
    ),
    (policy("QuantizedDTypePolicy", mode="int8", source_name="float32"), rf"dtype = 'int8_from_float32' .*; {CODES}"),
    (policy("Int4DTypePolicy", mode="int4/128", source_name="float32"), rf"'int4/128_from_float32' .*; {CODES}"),
    (policy("QuantizedFloat8DTypePolicy", mode="float8", source_name="float32"), rf"'float8_from_float32' .*; {CODES}"),
    (policy("GPTQDTypePolicy", mode="gptq/4/128", source_name="float32"), rf"'gptq/4/128_from_float32' .*; {CODES}"),
    ("int8_from_mixed_bfloat16", rf"dtype = 'int8_from_mixed_bfloat16' .*; {CODES}"),
    (policy("FancyPolicy"), rf"dtype = 'FancyPolicy' is not supported; {HALF}"),
]


@pytest.mark.parametrize(("dtype", "message"), POLICIES)
def test_policies_other_than_single_are_refused_before_their_weights(tmp_path, dtype, message):
    kernel, scale = np.zeros((3, 2), np.int8), singles(1, 2)
    made = sequential({"class_name": "Dense", "config": {"name": "fc", "units": 2, "dtype": dtype}}, shape=(3,))
    path = write_v3(tmp_path / "m.keras", made, {"dense": [kernel, scale, scale, scale, scale]}, {})
    with pytest.raises(ModelError, match=message):
        load_keras(path)


@pytest.mark.parametrize("dtype", [None, "float64", policy("DTypePolicyMap", default_policy="float32", policy_map={})])
def test_policies_of_single_and_double_are_read(tmp_path, dtype):
    kernel, bias = singles(1, 3, 2), singles(2, 2)
    made = sequential({"class_name": "Dense", "config": {"name": "fc", "units": 2, "dtype": dtype}}, shape=(3,))
    x = singles(3, 4, 3)
    graph = load_keras(write_v3(tmp_path / "m.keras", made, {"dense": [kernel, bias]}, {}))
    assert np.array_equal(evaluate(graph, x), x.astype(float) @ kernel + bias)


def test_the_type_of_the_input(tmp_path):
    made = sequential(layer("Flatten", "f"), shape=(3,))
    start = made["config"]["layers"][0]["config"]
    start["dtype"] = "uint8"
    graph = load_keras(write_h5(tmp_path / "m.h5", made, {}))
    assert graph.notes == ("The model casts its input to uint8: give whole numbers of that range.",)
    assert (graph.metadata or {})["input_type"] == "uint8"
    start["dtype"] = "float16"
    with pytest.raises(
        ModelError, match=r"'x' \(InputLayer\): dtype = 'float16' is not supported: the data are rounded"
    ):
        load_keras(write_h5(tmp_path / "m.h5", made, {}))
