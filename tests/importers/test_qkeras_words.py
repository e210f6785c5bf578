"""Activations that a QKeras object names by a word: QKeras' functions, not Keras' of the same name."""

from __future__ import annotations

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.graph import evaluate
from gatewright.importers.keras import load_keras
from tests.importers.keras_files import layer, sequential, singles, write_h5

BITS = "quantized_bits(6,1,1,alpha=1)"
DENSE = {"units": 2, "kernel_quantizer": BITS, "bias_quantizer": BITS}
CELL = {**DENSE, "recurrent_quantizer": BITS, "return_sequences": False}
X = singles(3, 6, 3)


def hard(x, slope=0.5):
    return np.clip(slope * x + 0.5, 0, 1)


WORDS = {  # qkeras/quantizers.py 0.9
    "hard_sigmoid": hard,
    "smooth_sigmoid": lambda x: hard(x, 0.1875),
    "hard_tanh": lambda x: 2 * hard(x) - 1,
    "smooth_tanh": lambda x: 2 * hard(x, 0.1875) - 1,
    "binary_sigmoid": lambda x: np.rint(hard(x)),
    "binary_tanh": lambda x: 2 * np.rint(hard(x)) - 1,
}


def as_function(word):
    """The object that Keras 2.14 saves for a function without a name of its own."""
    return {"module": "builtins", "class_name": "function", "config": word, "registered_name": "function"}


def run(tmp_path, made, x, **weights):
    path = write_h5(tmp_path / "m.h5", sequential(made, shape=x.shape[1:]), {made["config"]["name"]: weights})
    return evaluate(load_keras(path), x)


def quantized(seed, *shape):
    """Weights that quantized_bits(6,1,1,alpha=1) leaves as they are."""
    return (np.random.default_rng(seed).integers(-31, 32, shape) / 16).astype(np.float32)


@pytest.mark.parametrize("spelled", [str, as_function])
@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_qkeras_own_in_every_layer(tmp_path, word, spelled):
    kernel, bias = quantized(1, 3, 2), quantized(2, 2)
    expected = WORDS[word](X.astype(float) @ kernel + bias)
    dense = layer("QDense", "q", activation=spelled(word), **DENSE)
    assert np.array_equal(run(tmp_path, dense, X, kernel=kernel, bias=bias), expected)
    alone = layer("QActivation", "a", activation=spelled(word))
    assert np.array_equal(run(tmp_path, alone, X), WORDS[word](X.astype(float)))
    steps = np.stack([X, X / 2], axis=1)
    wrapped = layer("TimeDistributed", "t", layer=dense)
    expected = WORDS[word](steps.astype(float) @ kernel + bias)
    assert np.array_equal(run(tmp_path, wrapped, steps, kernel=kernel, bias=bias), expected)


def test_in_a_plain_layer_a_name_that_keras_has_is_keras_own(tmp_path):
    plain = layer("Activation", "a", activation="hard_sigmoid")
    assert np.array_equal(run(tmp_path, plain, X), hard(X.astype(float), 0.2))
    borrowed = layer("Activation", "a", activation=as_function("smooth_tanh"))
    assert np.array_equal(run(tmp_path, borrowed, X), WORDS["smooth_tanh"](X.astype(float)))


def lstm(x, kernel, recurrent, bias, gate):
    """Keras' equations, gates in the order i f c o; the candidate and the output are clipped to -1..1."""
    units = recurrent.shape[0]
    h, c = np.zeros((len(x), units)), np.zeros((len(x), units))
    for t in range(x.shape[1]):
        i, f, new, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = gate(f) * c + gate(i) * np.clip(new, -1, 1)
        h = gate(o) * np.clip(c, -1, 1)
    return h


@pytest.mark.parametrize("word", ["hard_sigmoid", "smooth_sigmoid", "binary_sigmoid"])
@pytest.mark.parametrize("spelled", [str, as_function])
def test_gates_of_a_cell(tmp_path, word, spelled):
    """hard_sigmoid is what QLSTM and QGRU have where nothing is said: slope 1/2, not Keras' 1/5."""
    x = np.stack([X, -X, X / 2], axis=1)
    kernel, recurrent, bias = quantized(1, 3, 8), quantized(2, 2, 8), quantized(3, 8)
    cell = layer(
        "QLSTM", "q", activation=spelled("hard_tanh"), recurrent_activation=spelled(word), state_quantizer=None, **CELL
    )
    stored = {"q_cell/kernel": kernel, "q_cell/recurrent_kernel": recurrent, "q_cell/bias": bias}
    expected = lstm(x.astype(float), kernel, recurrent, bias, WORDS[word])
    assert np.abs(run(tmp_path, cell, x, **stored) - expected).max() < 1e-12
    both = layer("QBidirectional", "b", layer=cell, merge_mode="concat")
    twice = {f"{way}_q/{key}": value for way in ("forward", "backward") for key, value in stored.items()}
    mirrored = lstm(x[:, ::-1].astype(float), kernel, recurrent, bias, WORDS[word])
    assert np.abs(run(tmp_path, both, x, **twice) - np.hstack([expected, mirrored])).max() < 1e-12


def test_functions_without_a_form_inside_a_cell_are_refused(tmp_path):
    cell = layer("QSimpleRNN", "q", activation="smooth_tanh", **CELL)
    stored = {"q_cell/kernel": quantized(1, 3, 2), "q_cell/recurrent_kernel": quantized(2, 2, 2)}
    with pytest.raises(ModelError, match=r"activation = 'smooth_tanh' is not supported; inside a cell use"):
        run(tmp_path, cell, np.stack([X, X], axis=1), **stored, **{"q_cell/bias": quantized(3, 2)})
    del cell["config"]["activation"]
    with pytest.raises(ModelError, match="the configuration has no 'activation'"):
        run(tmp_path, cell, np.stack([X, X], axis=1), **stored, **{"q_cell/bias": quantized(3, 2)})
