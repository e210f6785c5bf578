"""ONNX operators against onnx's own reference evaluator: one small model each, samples evaluated one by one."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from gatewright.graph.check import check  # noqa: E402
from gatewright.graph.evaluate import evaluate  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from tests.importers.onnx_models import chain, ints, node, positive, save, weights  # noqa: E402

rng = np.random.default_rng(6)

W2 = {"w": weights(4, 3, 3, 2)}
ELEMENTWISE = [
    ("Relu", {}), ("LeakyRelu", {"alpha": 0.3}), ("LeakyRelu", {}), ("Elu", {"alpha": 0.7}), ("Celu", {"alpha": 1.5}),
    ("Selu", {}), ("Sigmoid", {}), ("Tanh", {}), ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("HardSigmoid", {}),
    ("HardSwish", {}), ("Softplus", {}), ("Softsign", {}), ("Abs", {}), ("Neg", {}), ("Exp", {}), ("Sign", {}),
    ("Identity", {}), ("Softmax", {}), ("Softmax", {"axis": 1}), ("Dropout", {}),
    ("Flatten", {}), ("Transpose", {"perm": [0, 3, 1, 2]}), ("GlobalMaxPool", {}), ("GlobalAveragePool", {}),
    ("MaxPool", {"kernel_shape": [2, 3], "strides": [2, 1]}),
    ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1}),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("AveragePool", {"kernel_shape": [2, 2]}),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 0, 1], "strides": [2, 2]}),
    ("ReduceMean", {"axes": [2, 3], "keepdims": 0}), ("ReduceMean", {"axes": [-1]}),
    ("ReduceMax", {"axes": [1], "keepdims": 0}), ("ReduceMean", {"axes": [1, 2, 3]}),
]  # fmt: skip
CASES = {
    **{f"{op} {a}": ([node(op, **a)], (3, 5, 6), {}, 17) for op, a in ELEMENTWISE},
    "Mish": ([node("Mish")], (6,), {}, 18),
    "Gelu": ([node("Gelu")], (6,), {}, 20),
    "Gelu tanh": ([node("Gelu", approximate="tanh")], (6,), {}, 20),
    "PRelu": ([node("PRelu", "a")], (3, 4, 4), {"a": weights(3, 1, 1)}, 17),
    "Clip": ([node("Clip", "lo", "hi")], (6,), {"lo": np.float32(-0.5), "hi": np.float32(0.7)}, 17),
    "Clip below": ([node("Clip", "lo")], (6,), {"lo": np.float32(-0.5)}, 17),
    "Clip above": ([node("Clip", "", "hi")], (6,), {"hi": np.float32(0.5)}, 17),
    "Clip relu6": ([node("Clip", min=0.0, max=6.0)], (6,), {}, 9),
    "Conv": ([node("Conv", "w")], (3, 6, 5), W2, 17),
    "Conv bias strides pads": (
        [node("Conv", "w", "b", strides=[2, 1], pads=[1, 0, 2, 1])], (3, 6, 5), {**W2, "b": weights(4)}, 17),
    "Conv dilations": ([node("Conv", "w", dilations=[2, 3])], (3, 8, 7), W2, 17),
    "Conv SAME_UPPER": ([node("Conv", "w", auto_pad="SAME_UPPER", strides=[2, 2])], (3, 6, 5), W2, 17),
    "Conv SAME_LOWER": ([node("Conv", "w", auto_pad="SAME_LOWER")], (3, 6, 5), W2, 17),
    "Conv VALID": ([node("Conv", "w", auto_pad="VALID")], (3, 6, 5), W2, 17),
    "Conv groups": ([node("Conv", "w", group=2)], (4, 5, 5), {"w": weights(6, 2, 3, 3)}, 17),
    "Conv depthwise": ([node("Conv", "w", group=3, pads=[1, 1, 1, 1])], (3, 5, 5), {"w": weights(6, 1, 3, 3)}, 17),
    "Conv 1-D": ([node("Conv", "w", "b", pads=[2, 1])], (3, 9), {"w": weights(4, 3, 3), "b": weights(4)}, 17),
    "ConvTranspose": ([node("ConvTranspose", "w")], (3, 4, 5), {"w": weights(3, 2, 3, 2)}, 17),
    "ConvTranspose strides": (
        [node("ConvTranspose", "w", "b", strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 2])],
        (3, 4, 5), {"w": weights(3, 2, 3, 3), "b": weights(2)}, 17),
    "ConvTranspose dilations": (
        [node("ConvTranspose", "w", dilations=[2, 3])], (4, 4, 4), {"w": weights(4, 3, 2, 2)}, 17),
    "ConvTranspose SAME": (
        [node("ConvTranspose", "w", auto_pad="SAME_UPPER", strides=[2, 2])], (2, 4, 3), {"w": weights(2, 2, 3, 3)}, 17),
    "Gemm": ([node("Gemm", "w", "b", alpha=0.5, beta=2.0, transB=1)], (4,),
             {"w": weights(3, 4), "b": weights(3)}, 17),
    "Gemm scalar bias": ([node("Gemm", "w", "b")], (4,), {"w": weights(4, 3), "b": weights(1)}, 17),
    "MatMul rank 3": (
        chain(("MatMul", ["w"], {}), ("Add", ["b"], {})), (5, 4), {"w": weights(4, 3), "b": weights(3)}, 17),
    "MatMul of two values": (
        [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), node("MatMul", "t")], (5, 4), {}, 17),
    "MatMul of heads": (
        [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]), node("MatMul", "t")], (2, 3, 4), {}, 17),
    "BatchNormalization": (
        [node("BatchNormalization", "g", "b", "m", "v", epsilon=0.01)], (3, 4, 5),
        {"g": weights(3), "b": weights(3), "m": weights(3), "v": positive(3)}, 17),
    "add a scalar": ([node("Add", "c")], (3, 4), {"c": np.float32(2)}, 17),
    "subtract from a constant": ([helper.make_node("Sub", ["c", "x"], ["y"])], (3, 4), {"c": weights(4)}, 17),
    "multiply per channel of NCHW": ([node("Mul", "c")], (3, 4, 5), {"c": weights(3, 1, 1)}, 17),
    "multiply per row of NCHW": ([node("Mul", "c")], (3, 4, 5), {"c": weights(1, 1, 4, 1)}, 17),
    "add per element": ([node("Add", "c")], (3, 4), {"c": weights(3, 4)}, 17),
    "add that widens": ([node("Add", "c")], (3, 1), {"c": weights(1, 4)}, 17),
    "divide": ([node("Div", "c")], (3, 4), {"c": positive(4)}, 17),
    "square": ([node("Pow", "c")], (4,), {"c": np.float32(2)}, 17),
    "root of a square": (chain(("Pow", ["c"], {}), ("Sqrt", [], {})), (4,), {"c": np.float32(2)}, 17),
    "greater of two": ([node("Max", "c")], (3, 4), {"c": weights(4)}, 17),
    "lesser of two branches": (
        [node("Relu", out="a"), node("Tanh", out="b"), helper.make_node("Min", ["a", "b"], ["y"])], (4,), {}, 17),
    "sum, difference, product": (
        [node("Relu", out="a"), node("Tanh", out="b"), helper.make_node("Sum", ["a", "b", "x"], ["s"]),
         helper.make_node("Sub", ["s", "a"], ["d"]), helper.make_node("Mul", ["d", "b"], ["y"])], (4,), {}, 17),
    "concat of channels": (
        [node("Conv", "w", out="a"), node("Conv", "v", out="b"), helper.make_node("Concat", ["a", "b"], ["y"], axis=1)],
        (3, 6, 5), {"w": weights(4, 3, 1, 1), "v": weights(2, 3, 1, 1)}, 17),
    "concat with a constant": (
        [helper.make_node("Concat", ["x", "c"], ["y"], axis=-1)], (2, 3), {"c": weights(1, 2, 2)}, 17),
    "reshape, -1 and 0": ([node("Reshape", "s")], (3, 4, 2), {"s": ints(0, -1, 2)}, 17),
    "flatten after conv, dense": (
        chain(("Conv", ["w"], {}), ("Relu", [], {}), ("Flatten", [], {}), ("Gemm", ["d"], {})), (3, 4, 5),
        {"w": weights(2, 3, 3, 3), "d": weights(12, 3)}, 17),
    "flatten by a chain of shapes": (
        [node("Shape", out="s"), helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
         helper.make_node("Unsqueeze", ["n", "zeros"], ["n1"]),
         helper.make_node("Concat", ["n1", "rest"], ["to"], axis=0), node("Reshape", "to")],
        (3, 4), {"zero": np.int64(0), "zeros": ints(0), "rest": ints(-1)}, 17),
    "squeeze, unsqueeze": (
        chain(("Unsqueeze", ["two"], {}), ("BatchNormalization", ["g", "g", "g", "v"], {}), ("Squeeze", ["two"], {})),
        (3,), {"two": ints(2), "g": weights(3), "v": positive(3)}, 17),
    "slice": ([node("Slice", "i", "j", "a", "k")], (5, 7),
              {"i": ints(-1, 1), "j": ints(-100, 100), "a": ints(2, 1), "k": ints(-2, 2)}, 17),
    "slice of old": ([node("Slice", starts=[1], ends=[-1], axes=[2])], (5, 7), {}, 9),
    "gather one": ([node("Gather", "i", axis=2)], (5, 7), {"i": np.int64(-2)}, 17),
    "gather several": ([node("Gather", "i", axis=1)], (5, 7), {"i": ints(4, 2, 0)}, 17),
    "split": (
        [helper.make_node("Split", ["x", "s"], ["a", "b"], axis=1),
         helper.make_node("Concat", ["b", "a"], ["y"], axis=1)],
        (5, 2), {"s": ints(2, 3)}, 17),
    "pad": ([node("Pad", "p", "v")], (2, 3), {"p": ints(0, 1, 0, 0, 0, 2), "v": np.float32(1.5)}, 17),
    "upsample": ([node("Resize", "", "s", mode="nearest", coordinate_transformation_mode="asymmetric",
                       nearest_mode="floor")], (2, 3, 4), {"s": np.array([1, 1, 2, 3], dtype=np.float32)}, 17),
    "upsample half pixel": ([node("Resize", "", "s", mode="nearest")], (2, 3, 4),
                            {"s": np.array([1, 1, 2, 2], dtype=np.float32)}, 17),
    "upsample to sizes": ([node("Resize", "", "", "s", mode="nearest")], (2, 3, 4), {"s": ints(1, 2, 6, 8)}, 17),
    "arg max": ([node("ArgMax", axis=1, keepdims=0)], (6,), {}, 17),
    "top k": ([helper.make_node("TopK", ["x", "k"], ["", "y"])], (3, 6), {"k": ints(3)}, 17),
    "transpose, conv, transpose": (
        chain(("Transpose", [], {"perm": [0, 3, 1, 2]}), ("Conv", ["w"], {}),
              ("Transpose", [], {"perm": [0, 2, 3, 1]})),
        (5, 6, 3), W2, 17),
    "constant arithmetic": (
        [helper.make_node("Add", ["v", "e"], ["ve"]), helper.make_node("Sqrt", ["ve"], ["s"]),
         helper.make_node("Reshape", ["s", "to"], ["s2"]), node("Div", "s2")],
        (3, 2), {"v": positive(3), "e": np.float32(0.1), "to": ints(3, 1)}, 17),
    "Q and DQ": (chain(("QuantizeLinear", ["s", "z"], {}), ("DequantizeLinear", ["s", "z"], {})), (40,),
                 {"s": np.float32(0.03), "z": np.int8(5)}, 19),
    "Q and DQ of weights": (
        [helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=1), node("MatMul", "w")], (4,),
        {"q": rng.integers(-128, 128, (4, 3)).astype(np.int8), "s": positive(3)}, 19),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_operator_gives_what_the_reference_gives(tmp_path, case):
    nodes, shape, constants, opset = CASES[case]
    path = save(tmp_path / "m.onnx", nodes, shape, constants, opset)
    assert_equals_reference(path, shape)


def assert_equals_reference(path, shape, n=5):
    graph = load_onnx(path)
    check(graph)
    x = rng.normal(size=(n, *shape)).astype(np.float32) * 2
    reference = ReferenceEvaluator(onnx.load(path))
    expected = np.concatenate([np.asarray(next(iter(reference.run(None, {"x": sample[None]})))) for sample in x])
    got = evaluate(graph, x)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)
    return graph


def test_softmax_before_set_13_runs_over_all_axes_from_its_axis_on(tmp_path):
    graph = load_onnx(save(tmp_path / "m.onnx", [node("Softmax")], (3, 4), {}, 11))
    x = rng.normal(size=(2, 3, 4))
    e = np.exp(x)
    np.testing.assert_allclose(evaluate(graph, x), e / e.sum((1, 2), keepdims=True), rtol=1e-12)


def test_a_grouped_transposed_convolution_is_one_per_group(tmp_path):
    w, x = weights(4, 3, 2, 2), rng.normal(size=(2, 4, 5, 5))
    whole = load_onnx(save(tmp_path / "m.onnx", [node("ConvTranspose", "w", group=2)], (4, 5, 5), {"w": w}))
    parts = [
        load_onnx(save(tmp_path / f"{g}.onnx", [node("ConvTranspose", "w")], (2, 5, 5), {"w": w[2 * g : 2 * g + 2]}))
        for g in range(2)
    ]
    expected = np.concatenate([evaluate(part, x[:, 2 * g : 2 * g + 2]) for g, part in enumerate(parts)], 1)
    np.testing.assert_allclose(evaluate(whole, x), expected, rtol=1e-12)


CELLS = [
    (op, gates, attributes)
    for op, gates in (("RNN", 1), ("LSTM", 4), ("GRU", 3))
    for attributes in ({}, {"direction": "reverse"}, {"direction": "bidirectional"})
] + [("GRU", 3, {"linear_before_reset": 1})]


@pytest.mark.parametrize(("op", "gates", "attributes"), CELLS, ids=str)
@pytest.mark.parametrize("read", ["Y", "Y_h"])
def test_recurrent_cells(tmp_path, op, gates, attributes, read):
    units, features, steps = 3, 2, 4
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    constants = {
        "w": weights(directions, gates * units, features),
        "r": weights(directions, gates * units, units),
        "b": weights(directions, 2 * gates * units),
        "to": ints(0, 0, -1),
        "dir": ints(1),
    }
    cell = helper.make_node(op, ["t", "w", "r", "b"], ["Y", "Y_h"], hidden_size=units, **attributes)
    nodes = [node("Transpose", perm=[1, 0, 2], out="t"), cell]
    if read == "Y":  # (steps, directions, n, units) -> (n, steps, directions * units)
        nodes += [
            helper.make_node("Transpose", ["Y"], ["T"], perm=[2, 0, 1, 3]),
            helper.make_node("Reshape", ["T", "to"], ["y"]),
        ]
    else:  # (directions, n, units) -> (n, directions * units)
        nodes += [
            helper.make_node("Transpose", ["Y_h"], ["T"], perm=[1, 0, 2]),
            helper.make_node("Flatten", ["T"], ["y"]),
        ]
    if attributes.get("direction") in ("reverse", "bidirectional"):
        expect_by_hand(save(tmp_path / "m.onnx", nodes, (steps, features), constants), cell, constants, read)
    else:
        assert_equals_reference(save(tmp_path / "m.onnx", nodes, (steps, features), constants), (steps, features))


def expect_by_hand(path, cell, constants, read):
    """onnx's reference has no reverse direction for all cells: run its forward one on reversed steps instead."""
    x = rng.normal(size=(3, 4, 2)).astype(np.float32)
    directions = constants["w"].shape[0]
    parts = []
    for d in range(directions):
        back = d == directions - 1
        weight = {name: constants[name][d : d + 1] for name in "wrb"}
        forward = helper.make_node(cell.op_type, ["x", "w", "r", "b"], ["Y", "Y_h"], hidden_size=3)
        run = ReferenceEvaluator(forward)
        y, last = map(
            np.asarray, run.run(None, {"x": x[:, ::-1].transpose(1, 0, 2) if back else x.transpose(1, 0, 2), **weight})
        )
        y = y[::-1] if back else y
        parts.append(y[:, 0].transpose(1, 0, 2) if read == "Y" else last[0])
    got = evaluate(load_onnx(path), x)
    np.testing.assert_allclose(got, np.concatenate(parts, -1), rtol=2e-5, atol=2e-6)
