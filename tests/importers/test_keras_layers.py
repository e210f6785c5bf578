"""Layers against slow definitions; settings that are not understood; layers that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import ModelError
from gatewright.graph import evaluate
from gatewright.importers.keras import load_keras
from tests.importers.keras_files import functional, layer, sequential, singles, write_h5


def load(tmp_path, *layers: dict[str, Any], shape, **weights):
    path = write_h5(tmp_path / "m.h5", sequential(*layers, shape=shape), weights)
    return load_keras(path)


def run(tmp_path, *layers, x, **weights):
    return evaluate(load(tmp_path, *layers, shape=x.shape[1:], **weights), x)


def slow_conv(x, w, stride, dilation, padding):
    """One output at a time, from TensorFlow's definition of the paddings. x: (steps, c); w: (taps, c, filters)."""
    reach = (len(w) - 1) * dilation + 1
    if padding == "same":
        count = -(-len(x) // stride)
        before = max((count - 1) * stride + reach - len(x), 0) // 2
    else:
        before = reach - 1 if padding == "causal" else 0
        count = (len(x) + before - reach) // stride + 1
    out = np.zeros((count, w.shape[-1]))
    for at in range(count):
        for tap in range(len(w)):
            step = at * stride + tap * dilation - before
            if 0 <= step < len(x):
                out[at] += x[step] @ w[tap]
    return out


@settings(deadline=None, max_examples=40)
@given(
    steps=st.integers(5, 9),
    taps=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same", "causal"]),
)
def test_conv1d(tmp_path_factory, steps, taps, stride, dilation, padding):
    if stride > 1 and dilation > 1:
        stride = 1
    w, b, x = singles(1, taps, 2, 3), singles(2, 3), singles(3, 4, steps, 2)
    made = layer(
        "Conv1D", "c", filters=3, kernel_size=[taps], strides=[stride], dilation_rate=[dilation], padding=padding
    )
    got = run(tmp_path_factory.mktemp("c"), made, x=x, c={"kernel": w, "bias": b})
    assert np.array_equal(got, np.array([slow_conv(one, w, stride, dilation, padding) + b for one in x.astype(float)]))


def test_channels_first_is_the_same_convolution_transposed(tmp_path):
    w, x = singles(1, 3, 2, 4, 6), singles(2, 3, 7, 5, 4)
    conv = {"filters": 6, "kernel_size": [3, 2], "padding": "same", "strides": [2, 1], "use_bias": False}
    last = run(tmp_path, layer("Conv2D", "c", **conv), layer("Flatten", "f"), x=x, c={"kernel": w})
    first = run(
        tmp_path,
        layer("Conv2D", "c", data_format="channels_first", **conv),
        layer("MaxPooling2D", "p", pool_size=[1, 1], data_format="channels_first"),
        layer("Flatten", "f", data_format="channels_first"),
        x=np.moveaxis(x, -1, 1),
        c={"kernel": w},
    )
    assert np.array_equal(last, first)


def test_depthwise_and_separable_are_grouped_convolutions(tmp_path):
    x, deep, point = singles(1, 3, 6, 2), singles(2, 3, 2, 2), singles(3, 1, 4, 5)
    middle = np.zeros((3, 2, 4))
    for channel in range(2):
        for copy in range(2):
            middle[:, channel, channel * 2 + copy] = deep[:, channel, copy]
    parts = np.array([slow_conv(one, middle, 1, 1, "valid") for one in x.astype(float)])
    depth = layer("DepthwiseConv1D", "d", kernel_size=[3], depth_multiplier=2, use_bias=False)
    assert np.array_equal(run(tmp_path, depth, x=x, d={"depthwise_kernel": deep}), parts)
    both = layer("SeparableConv1D", "s", filters=5, kernel_size=[3], depth_multiplier=2, use_bias=False)
    got = run(tmp_path, both, x=x, s={"depthwise_kernel": deep, "pointwise_kernel": point})
    assert np.array_equal(got, parts @ point[0].astype(float))


@pytest.mark.parametrize(
    ("padding", "taps", "stride"), [("valid", 3, 2), ("same", 3, 2), ("same", 2, 3), ("valid", 2, 3)]
)
def test_transposed_convolution_is_the_adjoint(tmp_path, padding, taps, stride):
    """<conv(y), x> = <y, conv_transpose(x)> for the convolution of the same settings (Dumoulin, Visin 2016)."""
    w, x = singles(1, taps, 3, 2), singles(2, 4, 5, 2)  # (taps, out, in)
    made = layer(
        "Conv1DTranspose", "t", filters=3, kernel_size=[taps], strides=[stride], padding=padding, use_bias=False
    )
    got = run(tmp_path, made, x=x, t={"kernel": w})
    assert got.shape[1] == (5 * stride if padding == "same" else 5 * stride + max(taps - stride, 0))
    y = singles(3, 4, got.shape[1], 3).astype(float)
    forward = np.array([slow_conv(one, np.moveaxis(w.astype(float), 1, 1), stride, 1, padding) for one in y])
    assert np.sum(forward * x) == np.sum(got * y)


def test_batch_norm_over_any_axis(tmp_path):
    x, stats = singles(1, 4, 3, 5), [np.abs(singles(n, 3)) + 1 for n in (2, 3, 4, 5)]
    weights = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), stats, strict=True))
    gamma, beta, mean, variance = (part.astype(float)[:, None] for part in stats)
    got = run(tmp_path, layer("BatchNormalization", "b", axis=[1], epsilon=0.0), x=x, b=weights)
    assert np.allclose(got, (x - mean) / np.sqrt(variance) * gamma + beta, rtol=1e-14)


def test_branches_shared_layers_and_models_inside(tmp_path):
    w = singles(1, 4, 4)
    inner = sequential(layer("Dense", "shared", units=4, use_bias=False), shape=(4,))
    inner["config"]["name"] = "inner"
    model = functional(
        [
            {**inner, "of": ["x"]},
            {**layer("Dense", "fc", units=4, use_bias=False, activation="relu"), "of": ["x"]},
            {**layer("Add", "sum"), "of": ["inner", "fc"]},
            {**layer("Concatenate", "cat", axis=-1), "of": ["sum", "x"]},
            {**layer("Dense", "unused", units=1, use_bias=False), "of": ["x"]},
        ],
        "cat",
        (4,),
    )
    model["config"]["layers"][2]["inbound_nodes"].append([["inner", 0, 0, {}]])  # fc is called twice
    model["config"]["layers"][3]["inbound_nodes"] = [[["inner", 0, 0, {}], ["fc", 1, 0, {}]]]
    weights = {"inner": {"shared/kernel": w}, "fc": {"kernel": w.T.copy()}, "unused": {"kernel": w[:, :1]}}
    x = singles(2, 6, 4).astype(float)
    first = x @ w.astype(float)
    expected = np.concatenate([first + np.maximum(first @ w.T.astype(float), 0), x], axis=1)
    assert np.array_equal(evaluate(load_keras(write_h5(tmp_path / "m.h5", model, weights)), x), expected)


def test_hard_sigmoid_follows_the_version(tmp_path):
    model = sequential(layer("Activation", "a", activation="hard_sigmoid"), shape=(1,))
    x = np.array([[1.0]])
    old = evaluate(load_keras(write_h5(tmp_path / "a.h5", model, {}, version="2.13.1")), x)
    new = evaluate(load_keras(write_h5(tmp_path / "b.h5", model, {}, version="3.4.1")), x)
    assert (old.item(), new.item()) == (0.2 * 1 + 0.5, 1 / 6 * 1 + 0.5)


def test_bidirectional_reads_both_ways(tmp_path):
    forward, backward = ({"kernel": singles(s, 2, 3), "recurrent_kernel": singles(s + 1, 3, 3)} for s in (1, 5))
    cell = layer("SimpleRNN", "rnn", units=3, return_sequences=True, activation="relu", use_bias=False)
    x = singles(9, 2, 3, 2).astype(float) / 8
    weights = {f"forward_rnn/simple_rnn_cell/{k}": v for k, v in forward.items()}
    weights |= {f"backward_rnn/simple_rnn_cell/{k}": v for k, v in backward.items()}
    got = run(tmp_path, layer("Bidirectional", "bi", layer=cell, merge_mode="concat"), x=x, bi=weights)

    def slow(steps, part):
        h, states = np.zeros((2, 3)), []
        for step in steps:
            h = np.maximum(step @ part["kernel"].astype(float) + h @ part["recurrent_kernel"].astype(float), 0)
            states.append(h)
        return states

    ahead = slow([x[:, t] for t in range(3)], forward)
    behind = slow([x[:, t] for t in (2, 1, 0)], backward)[::-1]
    assert np.array_equal(got, np.concatenate([np.stack(ahead, 1), np.stack(behind, 1)], axis=-1))


FC = {"fc": {"kernel": singles(1, 4, 2), "bias": singles(2, 2)}}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            layer("Dense", "fc", units=2, kernel_fancy=3),
            r"layer 'fc' \(Dense\): setting 'kernel_fancy' = 3 is not understood",
        ),
        (
            layer("Dense", "fc", units=2, activation="rellu"),
            r"'fc'.*activation 'rellu' is not supported. Did you mean 'relu'",
        ),
        (layer("Dense", "fc", units="2"), r"units must be a whole number of at least 1, not '2'"),
        (layer("Dense", "fc", units=2, lora_rank=4), r"lora_rank = 4 is not supported; merge the adapter"),
        ({**layer("Dense", "fc", units=2), "module": "mine.layers"}, r"comes from 'mine', not from Keras"),
        ({**layer("Dense", "fc", units=2), "registered_name": "Mine>Dense"}, r"comes from 'Mine', not from Keras"),
        (
            layer("Lambda", "fc", function=["4wEAAAA=", None, None]),
            r"'fc' \(Lambda\) is not .*: it is Python code",
        ),
        (layer("TFOpLambda", "fc", function="math.add"), r"TensorFlow function call"),
        (layer("GarNet", "fc", n_filters=4), r"'fc' \(GarNet\) is not supported. Known: .*Dense"),
        (layer("Dens", "fc", units=2), r"'fc' \(Dens\) is not supported. Did you mean 'Dense'"),
        (layer("LSTM", "fc", units=2), r"'fc' \(LSTM\): expected \(steps, features\), got the shape \(4,\)"),
        (
            layer("Masking", "fc", mask_value=0.0),
            r"masks are not supported: every step counts; pad the sequences alike",
        ),
        (layer("Dropout", "fc", rate=0.5, sometimes=True), r"setting 'sometimes' = True is not understood"),
        (layer("Softmax", "fc", axis=0), r"axis = 0 is not supported; use the last axis"),
        (
            layer("Activation", "fc", activation={"class_name": "__lambda__", "config": {"value": "x"}}),
            "activation is Python code stored in the file",
        ),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path, made, message):
    with pytest.raises(ModelError, match=r"m\.h5: .*" + message):
        load(tmp_path, made, shape=(4,), **(FC if made["class_name"] == "Dense" else {}))


def test_half_precision_is_refused(tmp_path):
    made = layer("Dense", "fc", units=2)
    made["config"]["dtype"] = "mixed_float16"
    with pytest.raises(ModelError, match="dtype = 'mixed_float16' is not supported; its arithmetic rounds differently"):
        load(tmp_path, made, shape=(4,), **FC)


def test_dynamic_shapes_several_inputs_and_outputs_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"dynamic shape \[None, None, 3\]; save the model with fixed sizes"):
        load(tmp_path, layer("Flatten", "f"), shape=(None, 3))
    two = functional([{**layer("ReLU", "a"), "of": ["x"]}, {**layer("ReLU", "b"), "of": ["x"]}], "a", (4,))
    two["config"]["output_layers"].append(["b", 0, 0])
    with pytest.raises(ModelError, match=r"has 2 outputs \(a, b\)"):
        load_keras(write_h5(tmp_path / "two.h5", two, {}))
    two["config"]["layers"].append(
        {"class_name": "InputLayer", "config": {"name": "z"}, "name": "z", "inbound_nodes": []}
    )
    with pytest.raises(ModelError, match=r"expected one input, the model has 2 \(x, z\)"):
        load_keras(write_h5(tmp_path / "two.h5", two, {}))


def test_circles_and_training_calls_are_refused(tmp_path):
    model = functional([{**layer("ReLU", "a"), "of": ["b"]}, {**layer("ReLU", "b"), "of": ["a"]}], "a", (4,))
    with pytest.raises(ModelError, match="depends on itself"):
        load_keras(write_h5(tmp_path / "c.h5", model, {}))
    model = functional([{**layer("Dropout", "a", rate=0.5), "of": ["x"]}], "a", (4,))
    model["config"]["layers"][1]["inbound_nodes"][0][0][3] = {"training": True}
    with pytest.raises(ModelError, match="is called with training = True"):
        load_keras(write_h5(tmp_path / "c.h5", model, {}))


def test_a_nested_model_called_twice_counts_its_calls_from_one(tmp_path):
    w = singles(1, 4, 4)
    inner = sequential(layer("Dense", "fc", units=4, use_bias=False), shape=(4,))
    inner["config"]["name"] = "inner"
    model = functional([{**inner, "of": ["x"]}, {**layer("ReLU", "r"), "of": ["inner"]}], "inner", (4,))
    model["config"]["layers"][1]["inbound_nodes"].append([["r", 0, 0, {}]])
    model["config"]["layers"][2]["inbound_nodes"] = [[["inner", 1, 0, {}]]]
    model["config"]["output_layers"] = [["inner", 2, 0]]
    x = singles(2, 6, 4).astype(float)
    got = evaluate(load_keras(write_h5(tmp_path / "m.h5", model, {"inner": {"fc/kernel": w}})), x)
    assert np.array_equal(got, np.maximum(x @ w.astype(float), 0) @ w.astype(float))


def test_relu_threshold_is_strict(tmp_path):
    x = np.array([[0.25, 0.5, 0.75, 9.0]])
    assert run(tmp_path, layer("ReLU", "r", max_value=6.0, threshold=0.5), x=x).tolist() == [[0, 0, 0.75, 6]]
    with pytest.raises(ModelError, match="with a threshold the ReLU jumps"):
        load(tmp_path, layer("ReLU", "r", negative_slope=0.1, threshold=0.5), shape=(4,))


def test_padding_that_keeps_the_size_is_not_counted_in_an_average(tmp_path):
    """TensorFlow's and jax' rule; Keras' torch backend repeats the edges."""
    pool = layer("AveragePooling1D", "p", pool_size=[2], strides=[1], padding="same", data_format="channels_last")
    graph = load_keras(write_h5(tmp_path / "m.h5", sequential(pool, shape=(3, 1)), {}))
    assert evaluate(graph, np.array([[[1.0], [2], [4]]])).ravel().tolist() == [1.5, 3, 4]
