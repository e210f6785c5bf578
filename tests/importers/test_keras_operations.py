"""Operations of keras.ops, Python's arithmetic and slices, preprocessing layers and activation objects, by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.export import Calibration, calibrate, check_graph_export, export_graph
from gatewright.graph import evaluate
from gatewright.graph.nodes import Activation
from gatewright.importers.keras import load_keras
from tests.graphs import chain, dense
from tests.importers.keras_files import layer, sequential, singles, write_h5, write_v3
from tests.lowering import lower_for


def tensor(name: str) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def cut(start=None, stop=None, step=None) -> dict[str, Any]:
    return {"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}}


X = tensor("x")
TWO = {"class_name": "__numpy__", "config": {"value": [2.0, 4.0, 8.0, 16.0], "dtype": "float32"}}
ROW = {"class_name": "__numpy__", "config": {"value": [[2.0, 4.0, 8.0, 16.0]], "dtype": "float32"}}
ONE = {"class_name": "__tensor__", "config": {"value": [[4.0]], "dtype": "float32"}}


def run(tmp_path, kind, args, x, *, kwargs=None, outputs=("o", 0, 0), inputs=("x", 0, 0), **config):
    """A model of one operation."""
    start = {"class_name": "InputLayer", "name": "x", "config": {"batch_shape": [None, *x.shape[1:]], "name": "x"}}
    node = {"args": args, "kwargs": kwargs or {}}
    call = {"class_name": kind, "module": "keras.src.ops.numpy", "registered_name": kind, "name": "o",
            "config": {"name": "o", **config}, "inbound_nodes": [node]}  # fmt: skip
    model = {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [{**start, "inbound_nodes": []}, call],
            "input_layers": list(inputs) if isinstance(inputs, tuple) else inputs,
            "output_layers": list(outputs) if isinstance(outputs, tuple) else outputs,
        },
    }
    return evaluate(load_keras(write_v3(tmp_path / "m.keras", model, {"dense": []}, {})), x)


def number(*shape: int) -> dict[str, Any]:
    """Powers of two of a shape, as an argument."""
    value = 2.0 ** np.random.default_rng(7).integers(-2, 3, shape)
    return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": "float32"}}


CASES = {
    "sum": ("Add", [X, 1.5], {}, lambda x: x + 1.5),
    "difference": ("Subtract", [X, 1], {}, lambda x: x - 1),
    "from a number": ("Subtract", [1, X], {}, lambda x: 1 - x),
    "a row of channels": ("Subtract", [X, ROW], {}, lambda x: x - np.array([2, 4, 8, 16])),
    "quotient of one in a matrix": ("TrueDivide", [X, ONE], {}, lambda x: x / 4),
    "product of channels": ("Multiply", [X, TWO], {}, lambda x: x * np.array([2, 4, 8, 16])),
    "quotient": ("TrueDivide", [X, 4.0], {}, lambda x: x / 4),
    "greater": ("Maximum", [X, 0.5], {}, lambda x: np.maximum(x, 0.5)),
    "with itself": ("Multiply", [X, X], {}, lambda x: x * x),
    "negative": ("Negative", [X], {}, np.negative),
    "relu": ("Relu", [X], {}, lambda x: np.maximum(x, 0)),
    "slope": ("LeakyRelu", [X], {"negative_slope": 0.5}, lambda x: np.where(x < 0, x / 2, x)),
    "bounds": ("Clip", [X], {"x_min": -0.5, "x_max": 1.0}, lambda x: np.clip(x, -0.5, 1)),
    "joined": ("Concatenate", [[X, X]], {"axis": 1}, lambda x: np.concatenate([x, x], axis=1)),
    "reshaped": ("Reshape", [X], {"newshape": [-1, 4, 5]}, lambda x: x.reshape(-1, 4, 5)),
    "transposed": ("Transpose", [X], {"axes": [0, 2, 1]}, lambda x: x.transpose(0, 2, 1)),
    "last step": ("GetItem", [X, [cut(), -1, cut()]], {}, lambda x: x[:, -1, :]),
    "one of all": ("GetItem", [X, [cut(), 1, 2]], {}, lambda x: x[:, 1, 2:3]),
    "steps back": ("GetItem", [X, [cut(), cut(None, None, -2)]], {}, lambda x: x[:, ::-2]),
    "new axis": ("GetItem", [X, [cut(), cut(1, 4), None, cut(0, None, 2)]], {}, lambda x: x[:, 1:4, None, ::2]),
}


@pytest.mark.parametrize("case", CASES)
def test_operations(tmp_path, case):
    kind, args, config, function = CASES[case]
    x = singles(1, 3, 5, 4)
    assert np.array_equal(run(tmp_path, kind, args, x, **config), function(x.astype(float)))


def test_models_called_with_names_have_one_input_and_one_output(tmp_path):
    x = singles(1, 3, 4)
    named = {"outputs": {"o": ["o", 0, 0]}, "inputs": {"x": ["x", 0, 0]}}
    assert np.array_equal(run(tmp_path, "Negative", [X], x, **named), -x.astype(float))
    with pytest.raises(ModelError, match=r"has 2 outputs \(o, x\); one is supported"):
        run(tmp_path, "Negative", [X], x, outputs={"o": ["o", 0, 0], "x": ["x", 0, 0]})


@pytest.mark.parametrize("shape", [(5, 4), (5, 1), (1, 5, 4), (1, 5, 1), (1, 1)])
@pytest.mark.parametrize(
    ("kind", "function"),
    [("Add", np.add), ("Subtract", np.subtract), ("Multiply", np.multiply), ("Minimum", np.minimum)],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_constants_broadcast_as_numpy_does(tmp_path, kind, function, shape, swapped):
    given, x = number(*shape), singles(1, 3, 5, 4)
    constant = np.array(given["config"]["value"])
    got = run(tmp_path, kind, [given, X] if swapped else [X, given], x)
    assert np.array_equal(got, function(constant, x.astype(float)) if swapped else function(x.astype(float), constant))


@pytest.mark.parametrize(
    ("kind", "args", "message"),
    [
        ("GetItem", [X, [0]], r"index .* picks samples; each sample must be treated alike"),
        ("GetItem", [X, [cut(), 9]], "index 9 is outside an axis of 5"),
        ("TrueDivide", [1.0, X], "divides by a computed value or by zero"),
        ("Add", [X, {"class_name": "Thing", "config": {}}], "is called with .* which is not understood"),
        ("Add", [X, number(2)], r"a constant of the shape \(2,\) does not go together with .* \(5, 4\)"),
        ("Add", [X, number(3, 5, 4)], r"a constant of the shape \(3, 5, 4\) does not go together with"),
        ("Reshape", [X, [5, 4]], "newshape = .* is not supported; -1 for the samples"),
        ("Concatenate", [[X, 1]], "joins something other than results of layers"),
        ("Einsum", [X], "the operation keras.ops 'Einsum' is not supported. Known: Abs,"),
    ],
)
def test_operations_that_are_refused(tmp_path, kind, args, message):
    with pytest.raises(ModelError, match=message):
        run(tmp_path, kind, args, singles(1, 3, 5, 4))


def plain(tmp_path, made, x, **weights):
    path = write_h5(tmp_path / "m.h5", sequential(made, shape=x.shape[1:]), {made["config"]["name"]: weights})
    return evaluate(load_keras(path), x)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("axis", [[-1], None, [1], [1, 2]])
def test_normalization_by_given_and_by_adapted_statistics(tmp_path, axis, invert):
    x = singles(1, 3, 5, 4)
    kept = {-1: 2}
    axes = {kept.get(a, a) for a in axis or []}
    shape = [size if at in axes else 1 for at, size in enumerate(x.shape)][1:]
    mean, variance = singles(2, *shape), np.abs(singles(3, *shape)) + 1
    deviation = np.sqrt(variance).astype(float)
    expected = mean + x * deviation if invert else (x - mean.astype(float)) / deviation
    config = {"axis": axis, "invert": invert}
    given = layer("Normalization", "n", mean=mean.squeeze().tolist(), variance=variance.squeeze().tolist(), **config)
    if axis != [1, 2]:
        np.testing.assert_allclose(plain(tmp_path, given, x), expected, rtol=1e-7, atol=1e-7)
    adapted = layer("Normalization", "n", mean=None, variance=None, **config)
    stored = {"mean": mean, "variance": variance, "count": np.array(7)}
    np.testing.assert_allclose(plain(tmp_path, adapted, x, **stored), expected, rtol=1e-7, atol=1e-7)


def test_rescaling_and_activation_objects(tmp_path):
    x = singles(1, 3, 5, 4)
    made = layer("Rescaling", "r", scale=[0.5, 1, 2, 4], offset=-1)
    assert np.array_equal(plain(tmp_path, made, x), x.astype(float) * [0.5, 1, 2, 4] - 1)
    with pytest.raises(ModelError, match="scale and offset must be one number or one per channel, 4"):
        plain(tmp_path, layer("Rescaling", "r", scale=[0.5, 1], offset=0), x)
    slope = {"class_name": "LeakyReLU", "config": {"name": "l", "negative_slope": 0.25}}
    made = layer("Activation", "a", activation=slope)
    assert np.array_equal(plain(tmp_path, made, x), np.where(x < 0, x / 4, x.astype(float)))
    slope["config"]["fancy"] = 1
    with pytest.raises(ModelError, match=r"layer 'a/l' \(LeakyReLU\): setting 'fancy' = 1 is not understood"):
        plain(tmp_path, made, x)


@pytest.mark.parametrize(
    "kind",
    [
        "MultiHeadAttention",
        "LayerNormalization",
        "QAdaptiveActivation",
        "QDenseBatchnorm",
    ],
)
def test_layers_without_support_are_named_for_what_they_are(tmp_path, kind):
    with pytest.raises(ModelError, match=rf"'l' \({kind}\) is not supported: (?!.*Did you mean)"):
        plain(tmp_path, layer(kind, "l"), singles(1, 3, 4))


@pytest.mark.parametrize("slopes", [(-0.25,) * 3, (-0.2531, 0.4, 0.0), (-0.3, 2.5, -1.0)])
def test_slopes_below_zero_after_training(slopes):
    graph = chain((2,), dense("fc", np.array([[0.3, -0.7, 0.2], [0.9, 0.1, -0.4]])),
                  Activation(name="p", kind="prelu", parameters=slopes), dense("out", np.eye(3) * 0.7))  # fmt: skip
    x = np.random.default_rng(0).normal(size=(200, 2))
    quantized = calibrate(graph, x, Calibration(weight_bits=8, activation_bits=8))
    exported = export_graph(quantized, name="m")
    assert check_graph_export(exported, x) == 200
    assert np.abs(evaluate(quantized, x) - evaluate(graph, x)).max() < 0.1
    codes = exported.encode(x)
    design = lower_for(exported.program, codes, family="ecp5", clock_mhz=50.0)
    assert np.array_equal(design.replay(codes), exported.run(x))


def test_a_log_softmax_at_the_end_is_left_out_and_told(tmp_path):
    arrays = {"a": {"kernel": singles(1, 3, 4), "bias": singles(2, 4)}}
    last = sequential(layer("Dense", "a", units=4, activation="log_softmax"), shape=(3,))
    graph = load_keras(write_h5(tmp_path / "m.h5", last, arrays))
    x = singles(3, 20, 3)
    assert np.array_equal(evaluate(graph, x), x.astype(float) @ arrays["a"]["kernel"] + arrays["a"]["bias"])
    assert graph.notes == ("a (Dense): log_softmax is left out: the graph gives the scores, in the same order",)
    assert (graph.metadata or {})["left_out"] == ["log_softmax", -1]
    more = sequential(layer("Dense", "a", units=4, activation="log_softmax"), layer("Dense", "b", units=4), shape=(3,))
    arrays["b"] = {"kernel": singles(4, 4, 4), "bias": singles(5, 4)}
    with pytest.raises(ModelError, match=r"'b' \(Dense\): reads a log_softmax, which is supported at the model's end"):
        load_keras(write_h5(tmp_path / "m.h5", more, arrays))
