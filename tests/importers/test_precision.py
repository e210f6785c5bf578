"""hls4ml's precision dictionaries: granularity, modes, and unknown keys."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.errors import FormatError, ModelError
from gatewright.graph import evaluate, trace
from gatewright.importers.fixed import parse
from gatewright.importers.keras import load_keras
from gatewright.importers.precision import apply_precision
from tests.importers.keras_files import layer, sequential, singles, write_h5


@pytest.fixture
def graph(tmp_path):
    model = sequential(
        layer("Dense", "fc1", units=3, activation="relu"),
        layer("BatchNormalization", "bn", epsilon=0.0),
        layer("Dense", "fc2", units=2),
        shape=(4,),
    )
    stats = {name: np.abs(singles(at, 3)) + 1 for at, name in enumerate(("gamma", "beta", "moving_mean"))}
    weights = {
        "fc1": {"kernel": singles(1, 4, 3), "bias": singles(2, 3)},
        "bn": {**stats, "moving_variance": np.full(3, 4, np.float32)},
        "fc2": {"kernel": singles(3, 3, 2), "bias": singles(4, 2)},
    }
    return load_keras(write_h5(tmp_path / "m.h5", model, weights))


X = np.random.default_rng(1).normal(size=(50, 4)) * 3


def node_of(graph, name) -> Any:
    return next(node for node in graph.nodes if node.name == name)


def floor_wrap(values, width, integer):
    step = 2.0 ** (integer - width)
    codes = np.floor(values / step)
    return ((codes + 2 ** (width - 1)) % 2**width - 2 ** (width - 1)) * step


def test_model_type_and_name_from_coarse_to_fine(graph):
    config = {
        "Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"},
        "LayerType": {"BatchNormalization": {"Precision": {"result": "ap_fixed<10,4>"}}},
        "LayerName": {
            "fc1": {"Precision": {"weight": "ap_fixed<4,2>", "bias": "ap_fixed<5,3>"}, "Trace": True},
            "fc1_relu": {"Precision": {"result": "ap_ufixed<6,3,AP_RND,AP_SAT>"}},
        },
    }
    made = apply_precision(graph, config)
    got = trace(made, X)
    h = floor_wrap(X, 16, 6)
    h = h @ floor_wrap(node_of(graph, "fc1").weight, 4, 2) + floor_wrap(node_of(graph, "fc1").bias, 5, 3)
    h = np.maximum(floor_wrap(h, 16, 6), 0)
    h = np.clip(np.floor(h * 8 + 0.5), 0, 63) / 8
    assert np.array_equal(got["fc1.relu.result"], h)
    h = floor_wrap(
        h * floor_wrap(node_of(graph, "bn").scale, 16, 6) + floor_wrap(node_of(graph, "bn").offset, 16, 6), 10, 4
    )
    assert np.array_equal(got["bn.result"], h)
    h = floor_wrap(
        h @ floor_wrap(node_of(graph, "fc2").weight, 16, 6) + floor_wrap(node_of(graph, "fc2").bias, 16, 6), 16, 6
    )
    assert np.array_equal(evaluate(made, X), h)
    assert (made.metadata or {})["trace"] == ["fc1"]


def test_auto_and_absent_leave_values_exact(graph):
    assert np.array_equal(evaluate(apply_precision(graph, {}), X), evaluate(graph, X))
    auto = {"Model": {"Precision": "ap_fixed<8,3>"}, "LayerName": {"fc2": {"Precision": {"default": "auto"}}}}
    made = apply_precision(graph, auto)
    assert np.array_equal(node_of(made, "fc2").weight, node_of(graph, "fc2").weight)


def test_accumulators_are_noted_not_applied(graph):
    made = apply_precision(graph, {"LayerName": {"fc1": {"Precision": {"accum": "ap_fixed<8,3>"}}}})
    assert np.array_equal(evaluate(made, X), evaluate(graph, X))
    assert made.notes == (
        "LayerName.fc1: accum precision 'ap_fixed<8,3>' is not applied: sums and functions are exact here",
    )


def test_quantizers_of_the_model_stay(tmp_path):
    four = "quantized_bits(4,0,alpha=1)"
    made = layer("QDense", "q", units=2, kernel_quantizer=four, bias_quantizer=four, activation="quantized_relu(4)")
    weights = {"q": {"kernel": singles(1, 4, 2), "bias": singles(2, 2)}}
    model = load_keras(write_h5(tmp_path / "q.h5", sequential(made, shape=(4,)), weights))
    changed = apply_precision(model, {"Model": {"Precision": "ap_fixed<3,1>"}})
    assert [node.name for node in changed.nodes] == ["x", "x.result", "q", "q.relu", "q.quantize"]
    assert np.array_equal(node_of(changed, "q").weight, node_of(model, "q").weight)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"Modell": {}}, "the configuration: unknown key 'Modell'. Did you mean 'Model'"),
        ({"Model": {"Precison": "ap_fixed<8,3>"}}, "Model: unknown key 'Precison'. Did you mean 'Precision'"),
        ({"LayerName": {"fc3": {}}}, "the model has no layer 'fc3'. Did you mean 'fc2'|Did you mean 'fc1'"),
        ({"LayerType": {"Dens": {}}}, "no layer type 'Dens'. Did you mean 'Dense'"),
        (
            {"LayerName": {"fc1": {"Precision": {"weigth": "ap_fixed<8,3>"}}}},
            "unknown key 'weigth'. Did you mean 'weight'",
        ),
        ({"LayerName": {"fc1": {"Precision": {"weight": 8}}}}, r"LayerName.fc1.Precision.weight: expected text"),
    ],
)
def test_unknown_keys_name_the_nearest(graph, config, message):
    with pytest.raises(ModelError, match=message):
        apply_precision(graph, config)


@pytest.mark.parametrize("text", ["ap_fixed<8>", "float", "ap_fixed<8,3,AP_ROUND>", "ap_fixed<8,3,AP_RND,AP_SAT_ZERO>"])
def test_precisions_that_are_not_understood(graph, text):
    with pytest.raises(FormatError, match=r"Model\.Precision\.default: precision"):
        apply_precision(graph, {"Model": {"Precision": text}})


@given(
    width=st.integers(2, 12),
    integer=st.integers(-2, 6),
    signed=st.booleans(),
    rounding=st.sampled_from(["TRN", "RND", "RND_CONV"]),
    overflow=st.sampled_from(["WRAP", "SAT", "SAT_SYM"]),
)
def test_casts_are_amds(width, integer, signed, rounding, overflow):
    """UG1399, 'Quantization Modes' and 'Overflow Modes', with exact fractions."""
    precision = parse(f"ap_{'' if signed else 'u'}fixed<{width},{integer},AP_{rounding},AP_{overflow}>", "test")
    lsb = Fraction(2) ** (integer - width)
    hi = 2 ** (width - signed) - 1
    lo = -(hi + 1) if signed else 0

    def slow(x: float) -> float:
        exact = Fraction(x) / lsb
        code = {"TRN": exact.__floor__(), "RND": (exact + Fraction(1, 2)).__floor__(), "RND_CONV": round(exact)}[
            rounding
        ]
        if overflow == "WRAP":
            code = (code - lo) % (hi - lo + 1) + lo
        else:
            code = max(-hi if overflow == "SAT_SYM" and signed else lo, min(hi, code))
        return float(code * lsb)

    values = np.arange(-300, 300) / 64
    assert precision.cast(values).tolist() == [slow(x) for x in values]
