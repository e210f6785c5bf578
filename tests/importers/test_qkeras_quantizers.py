"""QKeras' quantizers against slow definitions with exact fractions, one element at a time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.errors import ModelError
from gatewright.graph import Graph, evaluate
from gatewright.graph.nodes import Input
from gatewright.importers.keras.builder import Builder
from gatewright.importers.keras.qkeras import apply, quantize
from gatewright.importers.keras.qkeras_spec import parse

GRID = np.arange(-4096, 4097) / 256  # dyadic: every tie and both ends are among them


def weight(spec, x, *, trainable=False):
    return quantize(parse(spec, "test"), np.asarray(x, np.float32), trainable=trainable, where="test")


def activation(spec, x):
    builder = Builder()
    builder.enter("x", "InputLayer")
    value = builder.add(Input, [], (1,), shape=(1,))
    builder.enter("act", "QActivation")
    y = apply(builder, value, parse(spec, "test"), "test")
    graph = Graph(name="t", nodes=tuple(builder.nodes), output=y.name)
    return evaluate(graph, np.asarray(x, float)[:, None])[:, 0]


def half_even(v: Fraction) -> int:
    return round(v)  # Python rounds fractions halves to even


def fixed(x: float, bits: int, integer: int, symmetric: bool, signed: bool) -> Fraction:
    free = bits - signed
    lsb = Fraction(2) ** (integer - free)
    code = half_even(Fraction(x) / lsb)
    low = -(2**free) + symmetric if signed else 0
    return max(low, min(2**free - 1, code)) * lsb


@given(
    bits=st.integers(2, 12),
    integer=st.integers(-2, 6),
    symmetric=st.booleans(),
    signed=st.booleans(),
    alpha=st.sampled_from([None, 1, 1.0, True]),
)
def test_quantized_bits_is_fixed_point_halves_to_even(bits, integer, symmetric, signed, alpha):
    config = {"bits": bits, "integer": integer, "symmetric": int(symmetric), "keep_negative": signed, "alpha": alpha}
    spec = {"class_name": "quantized_bits", "config": config}
    expected = [float(fixed(x, bits, integer, symmetric, signed)) for x in GRID[::16]]
    assert weight(spec, GRID[::16]).values.tolist() == expected
    assert activation(spec, GRID[::16]).tolist() == expected


@given(bits=st.integers(2, 10), integer=st.integers(-2, 5), slope=st.sampled_from([0.0, 0.25, 0.5]))
def test_quantized_relu(bits, integer, slope):
    free = bits - (slope != 0)
    if slope * 2**free < 1 and slope:
        return
    lsb = Fraction(2) ** (integer - free)

    def slow(x: float) -> Fraction:
        up = max(0, min(2**free - 1, half_even(Fraction(x) / lsb)))
        down = max(-Fraction(slope) * 2**free, min(Fraction(0), half_even(Fraction(x) / lsb * Fraction(slope))))
        return (up + (down if x < 0 else 0)) * lsb

    got = activation(f"quantized_relu({bits},{integer},negative_slope={slope})", GRID[::8])
    assert got.tolist() == [float(slow(x)) for x in GRID[::8]]


def test_relu_bounded_at_six_with_sixteen_bits():
    y = activation(
        "quantized_relu(16,3,relu_upper_bound=6.0,is_quantized_clip=False)", [-1.0, 2.5, 5.99999, 6.0, 7.9, 40]
    )
    assert y.tolist() == [0, 2.5, float(fixed(5.99999, 16, 3, False, False)), 6, 6, 6]


@pytest.mark.parametrize(
    ("spec", "function", "levels", "low"),
    [
        ("quantized_tanh(4)", lambda x: max(-1, min(1, x)), 8, -8),
        ("quantized_tanh(4,symmetric=1)", lambda x: max(-1, min(1, x)), 8, -7),
        ("quantized_sigmoid(4)", lambda x: max(0, min(1, x / 2 + Fraction(1, 2))), 16, 0),
        ("quantized_sigmoid(3,6)", lambda x: max(0, min(1, x / 2 + Fraction(1, 2))), 8, 6),
    ],
)
def test_hard_functions(spec, function, levels, low):
    expected = [max(low, min(levels - 1, half_even(function(Fraction(x)) * levels))) / levels for x in GRID]
    assert activation(spec, GRID).tolist() == expected


def test_relu_with_sigmoid():
    def slow(x: Fraction) -> float:
        p = half_even(max(Fraction(0), min(Fraction(1), x / 4 + Fraction(1, 2))) * 16)
        return float(2 * max(Fraction(0), min(Fraction(15, 16), Fraction(2 * p, 16) - 1)))

    assert activation("quantized_relu(4,1,1)", GRID).tolist() == [slow(Fraction(x)) for x in GRID]


def test_binary_and_ternary():
    signs = [1.0 if x >= 0 else -1.0 for x in GRID]
    threes = [float(np.sign(x)) if abs(x) >= np.float32(0.5) else 0.0 for x in GRID]
    assert activation("binary()", GRID).tolist() == signs
    assert activation("stochastic_binary(alpha=1)", GRID).tolist() == signs
    assert activation("binary(use_01=True,alpha=2)", GRID).tolist() == [x + 1 for x in signs]
    assert activation("ternary(threshold=0.5)", GRID).tolist() == threes
    assert weight("binary(alpha=1)", GRID).values.tolist() == signs
    assert weight("ternary(alpha=1,threshold=0.5)", GRID).values.tolist() == threes
    assert weight("quantized_bits(1,0,alpha=1)", GRID).values.tolist() == signs


def test_scale_by_maximum_is_integers_times_a_float_per_channel():
    w = np.random.default_rng(5).normal(size=(30, 3)).astype(np.float32)
    got = weight("quantized_bits(4,0,alpha='auto')", w)
    top = 7
    for channel in range(3):
        column = w[:, channel]
        scale = np.float32(np.abs(column).max() * np.float32(2)) / np.float32(14)
        codes = [np.sign(x) * min(top, int(np.floor(np.abs(x) / scale + np.float32(0.5)))) for x in column]
        assert got.values[:, channel].tolist() == [float(code) * float(scale) for code in codes]
    assert got.per_output("test").shape == (3,)
    assert np.array_equal(np.rint(got.values / got.scale), got.values / got.scale)


def test_kernel_without_alpha_gets_a_power_of_two_scale():
    w = np.random.default_rng(6).normal(size=(40, 5)).astype(np.float32)
    got = weight("quantized_bits(5,0)", w, trainable=True)
    assert np.array_equal(got.values, weight("quantized_bits(5,0,alpha='auto_po2')", w).values)
    mantissa, _ = np.frexp(got.scale)
    assert np.all(mantissa == 0.5)
    assert np.abs(got.values / got.scale).max() == 15
    assert np.array_equal(weight("quantized_bits(5,0)", w).values, weight("quantized_bits(5,0,alpha=1)", w).values)


def test_powers_of_two():
    x = np.array([0.75, 0.7, 1.0, 3.0, -0.3, 0.0, 1e-9], np.float32)
    assert weight("quantized_po2(4,1)", x).values.tolist() == [1, 0.5, 1, 1, -0.25, 2.0**-8, 2.0**-8]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("quantized_bit(4,0)", "'quantized_bit' is not known. Did you mean 'quantized_bits'"),
        ("quantized_bits(4,0,bitz=3)", "no parameter 'bitz'"),
        ("quantized_bits(4.5)", "bits must be a whole number"),
        ("quantized_bits(__import__('os').system('x'))", "is not a quantizer"),
        ("(lambda: 1)()", "is not a quantizer"),
        ("quantized_bits(4,0,qnoise_factor=0.5)", "only partly quantized"),
        ("quantized_ulaw(4)", "not evenly spaced"),
        ({"class_name": "quantized_bits", "config": {"bits": float("nan")}}, "bits must be a number"),
        (3, "is not understood"),
    ],
)
def test_bad_quantizers(spec, message):
    with pytest.raises(ModelError, match=message):
        parse(spec, "layer 'a', kernel_quantizer")


def test_scale_from_data_is_refused_for_activations():
    with pytest.raises(ModelError, match="depends on each batch"):
        activation("quantized_bits(4,0,alpha='auto')", [1.0])
