"""Post-training quantization: small loss of accuracy on real digits, and the program is exact."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from gatewright.errors import ConfigError, DataError
from gatewright.export import check_graph_export, export_graph
from gatewright.export.calibrate import Calibration, calibrate
from gatewright.export.profile import differences, profile, signal_to_noise_db, suggested_bits
from gatewright.fixedpoint import Fixed
from gatewright.graph.evaluate import evaluate, trace
from gatewright.graph.nodes import Activation, Affine, Dense, Pool, Reshape, Softmax
from gatewright.ir import Lookup
from tests.graphs import chain, conv, dense, quantizer

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def digits():
    """Return a trained 64-32-10 network as a graph, and samples with labels it has not seen."""
    x, y = load_digits(return_X_y=True)
    net = MLPClassifier((32,), max_iter=200, random_state=1, tol=0, n_iter_no_change=500)
    with warnings.catch_warnings(action="ignore"):  # 200 epochs are enough here, converged or not
        net.fit(x[:1200] / 16, y[:1200])
    (w1, w2), (b1, b2) = net.coefs_, net.intercepts_
    graph = chain(
        (64,),
        Affine(name="norm", scale=np.full(64, 1 / 16), offset=np.zeros(64)),
        dense("fc1", w1, b1),
        Activation(name="relu", kind="relu"),
        dense("fc2", w2, b2),
        Softmax(name="softmax"),
    )
    return graph, x[:1200], x[1200:], y[1200:]


def accuracy(graph, x, y):
    return float((evaluate(graph, x).argmax(axis=1) == y).mean())


@pytest.mark.parametrize(("weights", "activations", "loss"), [(8, 8, 0.002), (4, 5, 0.02)])
def test_digits_lose_little_and_the_program_is_exact(digits, weights, activations, loss):
    graph, train, x, y = digits
    settings = Calibration(
        weight_bits=weights, activation_bits=activations, input_format=Fixed.parse("ufixed<5,5>"), bias_correction=True
    )
    quantized = calibrate(graph, train, settings)
    before = accuracy(graph, x, y)
    assert before > 0.9
    assert accuracy(quantized, x, y) >= before - loss
    exported = export_graph(quantized, name="digits", output="argmax")
    assert check_graph_export(exported, x) == len(x)
    assert np.array_equal(exported.run(x)[:, 0], evaluate(quantized, x).argmax(axis=1))


def test_fewer_bits_cost_accuracy_layer_by_layer(digits):
    graph, train, x, _ = digits
    rows = {bits: differences(graph, calibrate(graph, train, Calibration(weight_bits=bits)), x) for bits in (3, 8)}
    worst = {bits: table[0] for bits, table in rows.items()}
    assert [row.snr_db for row in rows[3]] == sorted(row.snr_db for row in rows[3])
    assert worst[8].snr_db > worst[3].snr_db + 10


def test_convolutions_tables_and_means_are_calibrated_and_exported():
    graph = chain(
        (8, 8, 2),
        conv("c", RNG.normal(size=(3, 3, 2, 4)), RNG.normal(size=4), pads=((1, 1), (1, 1))),
        Affine(name="bn", scale=RNG.uniform(0.5, 2, 4), offset=RNG.normal(size=4)),
        Activation(name="g", kind="gelu"),
        Pool(name="p", kind="average", size=(3, 3), strides=(2, 2), pads=((0, 0), (0, 0))),
        Reshape(name="f", shape=(36,)),
        dense("d", RNG.normal(size=(36, 5)) / 6, RNG.normal(size=5)),
        Activation(name="s", kind="tanh"),
        dense("e", RNG.normal(size=(5, 3))),
    )
    x = RNG.normal(size=(200, 8, 8, 2))
    quantized = calibrate(graph, x, Calibration(per_channel=False))
    exported = export_graph(quantized, name="net")
    assert check_graph_export(exported, x) == 200
    assert sum(isinstance(op, Lookup) for op in exported.program.ops) >= 2
    assert signal_to_noise_db(evaluate(graph, x), evaluate(quantized, x)) > 25


def test_bias_correction_takes_the_mean_error_off(digits):
    graph, train, _, _ = digits
    bias = {}
    for on in (False, True):
        got = calibrate(graph, train, Calibration(weight_bits=3, activation_bits=4, bias_correction=on))
        logits = evaluate(type(got)(name="", nodes=got.nodes[:-1], output="fc2"), train)
        wanted = evaluate(type(graph)(name="", nodes=graph.nodes[:-1], output="fc2"), train)
        bias[on] = np.abs((logits - wanted).mean(axis=0)).max()
    assert bias[True] < bias[False] / 4


def test_profile_gives_ranges_and_widths(digits):
    graph, train, x, _ = digits
    rows = {(row.layer, row.role): row for row in profile(calibrate(graph, train), x, snr_db=30)}
    relu = rows["relu", "values"]
    assert (relu.fixed_least, relu.least) == (0.0, 0.0)
    assert (relu.fixed_greatest or 0) > relu.percentile_99 > 0
    assert relu.suggested_bits in range(4, 10)
    assert rows["fc1", "weights"].count == 64 * 32
    assert suggested_bits(np.array([0.5, 1.0]), 60) == 2
    noise = RNG.normal(size=1000)
    assert (suggested_bits(noise, 20) or 99) < (suggested_bits(noise, 40) or 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_bits": 1}, "weight_bits must be 2..24, not 1"),
        ({"activation_bits": 25}, "activation_bits must be 1..24, not 25"),
        ({"layer_weight_bits": {"fc1": 0}}, "weight_bits of 'fc1' must be 2..24"),
        ({"layer_weight_bits": {"fc9": 4}}, "no layer 'fc9' to quantize"),
    ],
)
def test_widths_and_layers_are_checked(digits, settings, message):
    with pytest.raises(ConfigError, match=message):
        calibrate(digits[0], digits[1], Calibration(**settings))


def test_samples_are_checked(digits):
    with pytest.raises(DataError, match="at least one sample"):
        calibrate(digits[0], digits[1][:0])
    with pytest.raises(DataError, match="1 values are not"):
        calibrate(digits[0], np.array([[np.nan] + [1.0] * 63]))


def test_what_the_model_quantizes_is_kept_to_the_bit():
    batch_norm = Affine(name="bn", scale=RNG.uniform(0.3, 1.7, 6), offset=RNG.normal(0, 1, 6))
    graph = chain(
        (4,),
        quantizer("in", 1 / 8, -64, 63),
        dense("d", RNG.integers(-15, 16, (4, 6)) / 16, RNG.integers(-15, 16, 6) / 16),
        batch_norm,
        Activation(name="relu", kind="relu"),
        quantizer("q", 1 / 16, 0, 63),
        dense("real", RNG.normal(0, 1, (6, 3))),
    )
    x = RNG.normal(0, 3, (400, 4))
    quantized = calibrate(graph, x, Calibration(weight_bits=4))
    assert np.array_equal(trace(quantized, x)["q"], trace(graph, x)["q"])
    assert not np.array_equal(evaluate(quantized, x), evaluate(graph, x))


@pytest.mark.parametrize("end", [[], [Softmax(name="s")]])
def test_a_last_batch_norm_behind_a_quantized_layer_becomes_fixed_point(end):
    batch_norm = Affine(name="bn", scale=RNG.uniform(0.01, 1.7, 6), offset=RNG.normal(0, 1, 6))
    weights = RNG.integers(-1, 2, (4, 6))
    graph = chain((4,), quantizer("in", 1 / 8, -64, 63), dense("d", weights), batch_norm, *end)
    x = RNG.normal(0, 3, (200, 4))
    quantized = calibrate(graph, x)
    exported = export_graph(quantized, name="p")
    assert check_graph_export(exported, x) == 200
    scores = np.ldexp(exported.run(x).astype(float), -exported.frac_bits)
    wanted = trace(graph, x)["bn"]
    assert 0 < np.abs(scores - wanted).max() < 0.001 * np.abs(wanted).max()
    assert np.array_equal(trace(quantized, x)["d"], trace(graph, x)["d"])


def test_a_unit_that_has_died_becomes_its_bias():
    """Weights of 1e-9 beside ordinary ones would need more bits than a layer's weights have."""
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(5, 6)), rng.normal(size=6)
    weight[:, 2] *= 1e-9
    graph = chain((5,), dense("fc1", weight, bias), Activation(name="a", kind="relu"), dense("fc2", np.eye(6)))
    x = rng.normal(size=(300, 5))
    quantized = calibrate(graph, x, Calibration(weight_bits=8, activation_bits=8))
    assert check_graph_export(export_graph(quantized, name="m"), x) == 300
    (first, _) = (node for node in quantized.nodes if isinstance(node, Dense))
    assert not first.weight[:, 2].any()
    assert np.abs(evaluate(quantized, x) - evaluate(graph, x)).max() < 0.1
