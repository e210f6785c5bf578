"""QONNX quantizers against their definitions, one number at a time in exact fractions where they round."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import helper  # noqa: E402

from gatewright.errors import ModelError  # noqa: E402
from gatewright.export import check_graph_export, export_graph  # noqa: E402
from gatewright.fixedpoint import Fixed  # noqa: E402
from gatewright.graph.evaluate import evaluate  # noqa: E402
from gatewright.graph.nodes import Conv, Dense, Input, Quantize, Thresholds, Transpose  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from tests.importers.onnx_models import node, save, weights  # noqa: E402

GENERAL, LAST = "qonnx.custom_op.general", "qonnx.custom_op.channels_last"
rng = np.random.default_rng(7)


def f32(value):
    return np.float32(value)


def half_even(y: Fraction) -> int:
    return round(y)  # Python's own rounds halves to even


def quant(x, scale, zero, bits, signed, narrow, rounding=half_even):
    """QONNX's Quant: clip(x / scale + zero) to the integers of the width, round, back."""
    lo, hi = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if narrow:
        lo, hi = (lo + 1, hi) if signed else (lo, hi - 1)
    y = min(max(Fraction(float(x)) / Fraction(float(scale)) + zero, Fraction(lo)), Fraction(hi))
    return float((rounding(y) - zero) * Fraction(float(scale)))


@settings(max_examples=40, deadline=None)
@given(
    exponent=st.integers(-4, 2),
    zero=st.integers(-3, 3),
    bits=st.integers(2, 6),
    signed=st.booleans(),
    narrow=st.booleans(),
    domain=st.sampled_from([GENERAL, "onnx.brevitas", "finn.custom_op.general"]),
)
def test_quant_on_data_is_its_definition(tmp_path_factory, exponent, zero, bits, signed, narrow, domain):
    scale = 2.0**exponent
    made = node("Quant", "s", "z", "b", domain=domain, signed=int(signed), narrow=int(narrow), rounding_mode="ROUND")
    constants = {"s": f32(scale), "z": f32(zero), "b": f32(bits)}
    path = save(tmp_path_factory.mktemp("q") / "m.onnx", [made], (41,), constants, domains=[domain])
    x = np.arange(-20, 21) * scale / 2 + rng.integers(-8, 9) * scale  # ties among them
    got = evaluate(load_onnx(path), x[None])[0]
    assert got.tolist() == [quant(v, scale, zero, bits, signed, narrow) for v in x]


def by_word(mode):
    """QONNX's roundings of one number."""
    away = {"UP": lambda a: -floor(-a), "DOWN": floor, "HALF_UP": lambda a: floor(a + Fraction(1, 2))}
    away["HALF_DOWN"] = lambda a: -floor(-(a - Fraction(1, 2)))
    return {"ROUND": half_even, "HALF_EVEN": half_even, "CEIL": lambda y: -floor(-y), "FLOOR": floor}.get(
        mode, lambda y: away[mode](abs(y)) * (1 if y >= 0 else -1)
    )


@pytest.mark.parametrize("zero", [0, -1, 2])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("mode", ["CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
def test_every_rounding_of_data(tmp_path, mode, signed, zero):
    """Halves and directions go by the distance from zero, after the zero point is added."""
    if mode == "UP" and signed:
        return  # refused, below
    made = node("Quant", "s", "z", "b", domain=GENERAL, signed=int(signed), narrow=0, rounding_mode=mode)
    constants = {"s": f32(0.5), "z": f32(zero), "b": f32(4)}
    graph = load_onnx(save(tmp_path / "m.onnx", [made], (97,), constants, domains=[GENERAL]))
    x = np.arange(-48, 49) / 8
    expected = [quant(v, 0.5, zero, 4, signed, False, by_word(mode)) for v in x]
    assert evaluate(graph, x[None])[0].tolist() == expected
    exported = export_graph(graph, name="m", input_format=Fixed.parse("fixed<8,5>"))
    assert check_graph_export(exported, x[None]) == 1


@pytest.mark.parametrize("mode", ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
@pytest.mark.parametrize("op", ["Quant", "IntQuant"])
def test_every_rounding_of_weights(tmp_path, mode, op):
    rounding = by_word(mode)
    w = (np.arange(-24, 24).reshape(6, 8) / 4).astype(np.float32)
    nodes = [
        helper.make_node(op, ["w", "s", "z", "b"], ["q"], domain=GENERAL, signed=1, narrow=1, rounding_mode=mode),
        helper.make_node("MatMul", ["x", "q"], ["y"]),
    ]
    constants = {"w": w, "s": f32(0.5), "z": f32(0), "b": f32(4)}
    graph = load_onnx(save(tmp_path / "m.onnx", nodes, (6,), constants, domains=[GENERAL]))
    (dense,) = (n for n in graph.nodes if isinstance(n, Dense))
    assert dense.weight.tolist() == [[quant(v, 0.5, 0, 4, True, True, rounding) for v in row] for row in w]
    assert dense.weight_scale.tolist() == 1  # dyadic


def test_scales_of_weights_are_kept_through_transpose_and_reshape(tmp_path):
    scales = np.array([0.3, 0.5, 0.7], dtype=np.float32)
    nodes = [
        helper.make_node("Quant", ["w", "s", "z", "b"], ["q"], domain=GENERAL, signed=1, narrow=1),
        helper.make_node("Reshape", ["q", "to"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]
    constants = {"w": weights(3, 2, 2), "s": scales[:, None, None], "z": f32(0), "b": f32(8), "to": np.array([3, 4])}
    graph = load_onnx(save(tmp_path / "m.onnx", nodes, (4,), constants, domains=[GENERAL]))
    (dense,) = (n for n in graph.nodes if isinstance(n, Dense))
    assert dense.weight_scale.tolist() == scales.astype(float).tolist()
    integers = dense.weight / dense.weight_scale
    assert (integers == np.round(integers)).all()
    assert np.abs(integers).max() > 1


def test_bipolar_of_data_and_of_weights(tmp_path):
    nodes = [
        helper.make_node("BipolarQuant", ["x", "s"], ["a"], domain=GENERAL),
        helper.make_node("BipolarQuant", ["w", "t"], ["q"], domain=GENERAL),
        helper.make_node("MatMul", ["a", "q"], ["y"]),
    ]
    w = np.array([[0.0], [-0.1], [2.0]], dtype=np.float32)
    constants = {"w": w, "s": f32(0.25), "t": f32(3)}
    graph = load_onnx(save(tmp_path / "m.onnx", nodes, (3,), constants, domains=[GENERAL]))
    x = np.array([[0.0, -1e-9, 5.0], [-1.0, 1.0, -0.0]])
    bipolar = np.where(x >= 0, 0.25, -0.25)
    assert evaluate(graph, x).tolist() == (bipolar @ np.array([[3.0], [-3.0], [3.0]])).tolist()


def test_one_signed_bit_is_bipolar(tmp_path):
    made = node("Quant", "s", "z", "b", domain=GENERAL, signed=1, narrow=1)
    graph = load_onnx(
        save(tmp_path / "m.onnx", [made], (3,), {"s": f32(0.5), "z": f32(0), "b": f32(1)}, domains=[GENERAL])
    )
    assert evaluate(graph, np.array([[-3.0, 0.0, 3.0]])).tolist() == [[-0.5, 0.5, 0.5]]
    assert isinstance(graph.nodes[-1], Thresholds)


@pytest.mark.parametrize(("layout", "shape", "channel"), [("", (3, 4, 5), 1), ("NHWC", (4, 5, 3), 3), ("", (4, 3), 2)])
def test_multi_threshold(tmp_path, layout, shape, channel):
    rows = np.sort(rng.integers(-6, 7, (3, 7)), axis=1).astype(np.float32)
    made = node(
        "MultiThreshold", "t", domain=GENERAL, out_dtype="INT4", out_scale=0.5, out_bias=-1.5, data_layout=layout
    )
    graph = load_onnx(save(tmp_path / "m.onnx", [made], shape, {"t": rows}, domains=[GENERAL]))
    x = rng.integers(-8, 9, (6, *shape)).astype(float)
    last = np.moveaxis(x, channel, -1)
    expected = -1.5 + 0.5 * (last[..., None] >= rows).sum(-1)
    assert (evaluate(graph, x) == np.moveaxis(expected, -1, channel)).all()


@pytest.mark.parametrize("version", [1, 2])
def test_trunc(tmp_path, version):
    scale, bits_in, bits_out = 0.375, 8, 5
    more = ["b"] if version == 1 else ["o", "b"]
    constants = {"s": f32(scale), "z": f32(0), "i": f32(bits_in), "b": f32(bits_out), "o": f32(scale * 8)}
    attributes: dict[str, Any] = {} if version == 1 else {"signed": 1, "narrow": 0}
    made = node("Trunc", "s", "z", "i", *more, domain=GENERAL, rounding_mode="FLOOR", **attributes)
    if version == 1:
        del constants["o"]
    graph = load_onnx(save(tmp_path / "m.onnx", [made], (256,), constants, domains=[GENERAL]))
    q = np.arange(-128, 128)
    expected = np.floor(q / 8) * scale * (1 if version == 1 else 8)
    assert evaluate(graph, (q * scale)[None])[0].tolist() == expected.tolist()


def test_channels_last_operators_are_the_standard_ones_on_another_layout(tmp_path):
    w, b = weights(4, 3, 3, 2), weights(4)
    bn = {"g": weights(4), "m": weights(4), "v": np.abs(weights(4)) + 1}
    first = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], kernel_shape=[3, 2]),
        helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
        helper.make_node("MaxPool", ["n"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    last = [helper.make_node(n.op_type, list(n.input), list(n.output), domain=LAST) for n in first]
    for old, new in zip(first, last, strict=True):
        new.attribute.extend(old.attribute)
    one = load_onnx(save(tmp_path / "1.onnx", first, (3, 6, 6), {"w": w, "b": b, **bn}))
    constants = {"w": w.transpose(0, 2, 3, 1), "b": b, **bn}
    two = load_onnx(save(tmp_path / "2.onnx", last, (6, 6, 3), constants, domains=[LAST]))
    x = rng.normal(size=(4, 3, 6, 6))
    assert (evaluate(one, x) == evaluate(two, x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)).all()
    assert [type(n).__name__ for n in two.nodes] == ["Input", "Conv", "Affine", "Pool"]  # no transposes


def test_a_quantizer_per_channel_of_a_channels_first_value(tmp_path):
    scales = np.array([0.25, 0.5, 2], dtype=np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Quant", ["c", "s", "z", "b"], ["y"], domain=GENERAL, signed=1, narrow=0),
    ]
    constants = {
        "w": np.eye(3, dtype=np.float32)[:, :, None, None],
        "s": scales[:, None, None],
        "z": f32(0),
        "b": f32(4),
    }
    graph = load_onnx(save(tmp_path / "m.onnx", nodes, (3, 2, 2), constants, domains=[GENERAL]))
    x = rng.integers(-20, 21, (5, 3, 2, 2)) / 8
    expected = np.clip(np.round(x / scales[:, None, None]), -8, 7) * scales[:, None, None]
    assert (evaluate(graph, x) == expected).all()
    assert [type(n) for n in graph.nodes] == [Input, Transpose, Conv, Quantize, Transpose]  # both at the ends


def test_a_scale_that_fits_no_weights_is_refused(tmp_path):
    nodes = [
        helper.make_node("Quant", ["w", "s", "z", "b"], ["q"], domain=GENERAL, signed=1, narrow=1, name="wq"),
        helper.make_node("MatMul", ["x", "q"], ["y"]),
    ]
    constants = {"w": weights(4, 3), "s": np.ones(4, dtype=np.float32), "z": f32(0), "b": f32(4)}
    with pytest.raises(ModelError, match=r"node 'wq' .Quant.: its constant operands do not fit together"):
        load_onnx(save(tmp_path / "m.onnx", nodes, (4,), constants, domains=[GENERAL]))


@pytest.mark.parametrize(
    ("attributes", "changes", "text"),
    [
        ({"rounding_mode": "UP"}, {}, "rounding_mode = 'UP' is not supported on signed data"),
        ({"rounding_mode": "DICE"}, {}, "rounding_mode = 'DICE'; known: ROUND"),
        ({"signed": 2}, {}, "signed = 2 is not supported; expected 0 or 1"),
        ({}, {"b": f32(3.5)}, "whole numbers from 1"),
        ({}, {"b": f32(80)}, "whole numbers from 1 to 62"),
        ({}, {"z": f32(0.5)}, "zero point of 0.5"),
        ({}, {"s": f32(-1)}, "scale must be positive"),
        ({"exponent": 3}, {}, "attribute exponent = 3 is not understood"),
    ],
)
def test_quantizers_that_have_no_counterpart(tmp_path, attributes, changes, text):
    made = node("Quant", "s", "z", "b", domain=GENERAL, **{"signed": 1, "narrow": 0, **attributes})
    constants = {"s": f32(0.5), "z": f32(0), "b": f32(4), **changes}
    with pytest.raises(ModelError, match=text):
        load_onnx(save(tmp_path / "m.onnx", [made], (3,), constants, domains=[GENERAL]))
