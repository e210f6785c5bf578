"""Shapes of operands: whatever NumPy broadcasts is the same number here, whatever it does not is refused by name."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from gatewright.errors import ModelError  # noqa: E402
from gatewright.graph import evaluate  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from tests.importers.onnx_models import chain, ints, node, save  # noqa: E402

SIZES = st.sampled_from([1, 2, 3])
OPERATORS = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Pow": np.power,
    "Expand": lambda x, like: x * np.ones(like.shape),
    "Quant": lambda x, scale: np.round(np.clip(x / scale, -128, 127)) * scale,
}


def computed(function, x, constant):
    """NumPy's result at two numbers of samples, or None where it is none, or samples do not come first and apart."""
    try:
        results = [function(x[:n], constant) for n in (2, 3)]
    except ValueError:
        return None
    return results[1] if [len(r) for r in results] == [2, 3] and results[1].ndim == x.ndim else None


def loaded(path):
    try:
        return load_onnx(path), ""
    except ModelError as error:
        return None, str(error)


def model(path, kind, shape, constant, swap):
    if kind == "Expand":
        return save(path, [node(kind, "s")], shape, {"s": ints(*constant.shape)})
    if kind == "Quant":
        quant = helper.make_node(
            "Quant", ["x", "c", "z", "b"], ["y"], domain="qonnx.custom_op.general", narrow=0, name="q"
        )
        constants = {"c": constant, "z": np.float32(0), "b": np.float32(8)}
        return save(path, [quant], shape, constants, domains=["qonnx.custom_op.general"])
    made = helper.make_node(kind, ["c", "x"] if swap else ["x", "c"], ["y"], name=f"the_{kind}")
    return save(path, [made], shape, {"c": constant})


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(sorted(OPERATORS)),
    shape=st.lists(SIZES, min_size=1, max_size=3),
    other=st.lists(SIZES, max_size=4),
    swap=st.booleans(),
)
def test_elementwise_operands_broadcast_as_numpy_does(tmp_path_factory, kind, shape, other, swap):
    swap = swap and kind in ("Add", "Sub", "Mul", "Max", "Min")
    generator = np.random.default_rng(len(shape) + 7 * len(other))
    x = (generator.integers(1, 9, (3, *shape)) / 2).astype(np.float32)
    constant = (
        np.full(other, 2, np.float32) if kind == "Pow" else (2.0 ** generator.integers(-1, 2, other)).astype("f4")
    )
    function = OPERATORS[kind]
    expected = computed((lambda a, c: function(c, a)) if swap else function, x, constant)
    path = model(tmp_path_factory.mktemp("s") / "m.onnx", kind, shape, constant, swap)
    graph, refusal = loaded(path)
    if graph is None:
        assert any(word in refusal for word in ("broadcast", "samples", "several", "scale")), refusal
        widened = kind == "Quant" and expected is not None and expected.shape != x.shape
        assert expected is None or widened, refusal
        return
    assert expected is not None
    got = evaluate(graph, x)
    assert got.shape == expected.shape
    assert np.array_equal(got, expected)


@pytest.mark.parametrize(("kind", "neutral"), [("Mul", 1), ("Div", 1), ("Add", 0), ("Sub", 0)])
def test_a_constant_that_changes_no_number_still_widens(tmp_path, kind, neutral):
    x = np.arange(6, dtype=np.float32).reshape(3, 1, 2)
    graph, _ = loaded(model(tmp_path / "m.onnx", kind, [1, 2], np.full((2, 1), neutral, np.float32), False))
    assert graph is not None
    assert np.array_equal(evaluate(graph, x), np.repeat(x, 2, axis=1))


@settings(deadline=None, max_examples=60)
@given(
    left=st.lists(SIZES, min_size=1, max_size=3), right=st.lists(SIZES, max_size=3), bias=st.lists(SIZES, max_size=3)
)
def test_matrices_and_their_biases(tmp_path_factory, left, right, bias):
    x = np.random.default_rng(1).integers(-4, 5, (3, *left)).astype(np.float32)
    w = np.random.default_rng(2).integers(-4, 5, right).astype(np.float32)
    b = np.arange(np.prod(bias), dtype=np.float32).reshape(bias)
    expected = computed(lambda a, c: np.matmul(a, c) + b, x, w) if w.ndim else None
    folder = tmp_path_factory.mktemp("m")
    for name, nodes in {
        "product.onnx": chain(("MatMul", ["w"], {}), ("Add", ["b"], {})),
        "gemm.onnx": [node("Gemm", "w", "b")],
    }.items():
        graph, refusal = loaded(save(folder / name, nodes, left, {"w": w, "b": b}))
        if graph is None:
            plain = w.ndim == 2 and b.ndim <= 1 and (x.ndim == 2 or name == "product.onnx")
            assert expected is None or not plain, refusal
        else:
            assert expected is not None
            assert np.array_equal(evaluate(graph, x), expected)


def test_a_constant_with_more_axes_raises_the_rank(tmp_path):
    """(1,1,3) + (n,3) is (1,n,3): what follows sees three axes, samples along the second."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    c = np.ones((1, 1, 3), np.float32)
    back = chain(("Add", ["c"], {}), ("Squeeze", ["a"], {}))
    assert np.array_equal(evaluate(load_onnx(save(tmp_path / "a.onnx", back, (3,), {"c": c, "a": ints(0)})), x), x + 1)
    turned = chain(("Mul", ["c"], {}), ("Transpose", [], {"perm": [1, 0, 2]}))
    graph = load_onnx(save(tmp_path / "b.onnx", turned, (3,), {"c": 2 * np.ones((2, 1, 3), np.float32)}))
    assert np.array_equal(evaluate(graph, x), np.repeat(2 * x[:, None], 2, axis=1))
    with pytest.raises(ModelError, match=r"samples lie along axis 1 of its shape \(1, 1, 3\); they must come first"):
        load_onnx(save(tmp_path / "c.onnx", [node("Add", "c")], (3,), {"c": c}))
    with pytest.raises(ModelError, match=r"squeezes axes \[1\] of .* the samples' axis 1 among them; name others"):
        load_onnx(save(tmp_path / "d.onnx", back, (3,), {"c": c, "a": ints(1)}))


SHAPES = {
    "sum": (
        [node("Add", "c")], (4,), {"c": np.ones(5, np.float32)},
        r"the shapes \(1, 4\) and \(5,\), which do not broadcast"),
    "sum of computed values": (
        [helper.make_node("MatMul", ["x", "c"], ["a"]), helper.make_node("Add", ["a", "x"], ["y"], name="s")],
        (4,), {"c": np.ones((4, 3), np.float32)}, r"node 's' .Add.: .* \(1, 3\) and \(1, 4\), which do not broadcast"),
    "expansion": ([node("Expand", "c")], (4,), {"c": ints(1, 5)}, r"\(1, 4\) and \(1, 5\), which do not broadcast"),
    "expansion of samples": ([node("Expand", "c")], (4,), {"c": ints(7, 4)}, "repeats samples 7 times"),
    "bias over samples": (
        [node("Gemm", "c", "b")], (4,), {"c": np.ones((4, 3), np.float32), "b": np.ones((3, 1), np.float32)},
        r"its bias has the shape \(3, 1\); \(3,\) is expected"),
    "gemm of three axes": ([node("Gemm", "c")], (2, 4), {"c": np.ones((4, 3), np.float32)}, "matrices are expected"),
    "two bounds": (
        [node("Clip", "c")], (4,), {"c": np.zeros(4, np.float32)}, r"operand 1 has the shape \(4,\); one element is"),
    "slopes with more axes": (
        [node("PRelu", "c")], (4,), {"c": np.ones((1, 1, 4), np.float32)},
        r"slope has the shape \(1, 1, 4\), which does not"),
    "concatenation": (
        [helper.make_node("Concat", ["x", "c"], ["y"], axis=1)], (4,), {"c": np.ones(4, np.float32)},
        "joins values of 2, 1 axes"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_do_not_fit_are_named(tmp_path, name):
    nodes, shape, constants, text = SHAPES[name]
    with pytest.raises(ModelError, match=text):
        load_onnx(save(tmp_path / "m.onnx", nodes, shape, constants))


@pytest.mark.parametrize(
    ("constant", "attributes", "expected"),
    [
        ((3,), {"broadcast": 1, "axis": 1}, (1, 3, 1)),
        ((3, 4), {"broadcast": 1, "axis": 1}, (1, 3, 4)),
        ((4,), {"broadcast": 1, "axis": 2}, (1, 1, 4)),
        ((4,), {"broadcast": 1}, (1, 1, 4)),
        ((), {"broadcast": 1}, (1, 1, 1)),
        ((1,), {"broadcast": 1, "axis": -1}, (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
def test_set_6_broadcasts_from_an_axis_on(tmp_path, kind, constant, attributes, expected):
    x = np.random.default_rng(3).integers(1, 9, (2, 3, 4)).astype(np.float32)
    c = (2.0 ** np.random.default_rng(4).integers(-2, 3, constant)).astype(np.float32)
    path = save(tmp_path / "m.onnx", [node(kind, "c", **attributes)], (3, 4), {"c": c}, opset=6)
    assert np.array_equal(evaluate(load_onnx(path), x), OPERATORS[kind](x, c.reshape(expected)))


@pytest.mark.parametrize(
    ("constant", "attributes"), [((3,), {"broadcast": 1}), ((4,), {}), ((4,), {"broadcast": 1, "axis": 1})]
)
def test_set_6_refuses_what_does_not_match(tmp_path, constant, attributes):
    path = save(tmp_path / "m.onnx", [node("Mul", "c", **attributes)], (3, 4), {"c": np.ones(constant, "f4")}, opset=6)
    with pytest.raises(ModelError, match=r"the_Mul.*which do not match with broadcast = .*, axis = .* of set 6"):
        load_onnx(path)


@pytest.mark.parametrize(("bias", "attributes"), [((5,), {"broadcast": 1}), ((1, 5), {})])
def test_set_6_adds_to_a_product_what_it_may_repeat(tmp_path, bias, attributes):
    constants = {"w": np.ones((3, 5), "f4"), "c": np.ones(bias, "f4")}
    gemm = helper.make_node("Gemm", ["x", "w", "c"], ["y"], name="g", **attributes)
    loaded = load_onnx(save(tmp_path / "m.onnx", [gemm], (3,), constants, opset=6))
    assert np.array_equal(evaluate(loaded, np.ones((2, 3))), np.full((2, 5), 4))


def test_set_6_repeats_no_vector_without_broadcast(tmp_path):
    constants = {"w": np.ones((3, 5), "f4"), "c": np.ones(5, "f4")}
    path = save(
        tmp_path / "m.onnx", [helper.make_node("Gemm", ["x", "w", "c"], ["y"], name="g")], (3,), constants, opset=6
    )
    with pytest.raises(ModelError, match=r"third operand has the shape \(5,\), which set 6 does not repeat.*version 7"):
        load_onnx(path)


def test_of_two_computed_values_the_lower_rank_gains_axes_only_where_samples_meet(tmp_path):
    flat = helper.make_node("ReduceMax", ["x"], ["m"], axes=[1], keepdims=0)  # (n, 4) beside (n, 3, 4)
    path = save(tmp_path / "m.onnx", [flat, helper.make_node("Add", ["x", "m"], ["y"], name="s")], (3, 4), {})
    with pytest.raises(ModelError, match=r"\(1, 3, 4\) and \(1, 1, 4\), whose samples lie along different axes"):
        load_onnx(path)
    many = [helper.make_node("Sum", ["x", "a", "b"], ["y"], name="s")]
    constants = {"a": np.ones((3, 1), np.float32), "b": np.full((4,), 2, np.float32)}
    x = np.random.default_rng(5).normal(size=(2, 3, 4)).astype(np.float32)
    expected = reduce(np.add, [x.astype(float), *constants.values()])
    assert np.array_equal(evaluate(load_onnx(save(tmp_path / "s.onnx", many, (3, 4), constants)), x), expected)
