"""Behaviours of ONNX files that good guesses get wrong: each by the standard's own evaluator, or by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from gatewright.cli.main import main  # noqa: E402
from gatewright.errors import ModelError  # noqa: E402
from gatewright.export import check_graph_export, export_graph  # noqa: E402
from gatewright.graph import evaluate  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from gatewright.ir import load_program  # noqa: E402
from tests.importers.onnx_models import chain, ints, node, save, weights  # noqa: E402

QUANTIZE = [("QuantizeLinear", ["s", "z"], {}), ("Clip", ["lo", "hi"], {}), ("DequantizeLinear", ["s", "z"], {})]


def numbers(*values, kind=np.float32):
    return np.array(values, dtype=kind)


def reference(path, x):
    (y,) = ReferenceEvaluator(str(path)).run(None, {"x": x.astype(np.float32)})
    return np.asarray(y)


@pytest.mark.parametrize(("kind", "zero", "lo", "hi"), [(np.int8, 0, -8, 7), (np.uint8, 3, 0, 15), (np.int8, 1, -4, 3)])
def test_a_clip_between_quantizer_and_dequantizer_narrows_the_format(tmp_path, kind, zero, lo, hi):
    """Brevitas writes quantizers of fewer than 8 bits so (QCDQ)."""
    parts = {"s": np.float32(0.25), "z": kind(zero), "lo": kind(lo), "hi": kind(hi)}
    path = save(tmp_path / "m.onnx", chain(*QUANTIZE), (5,), parts, opset=21)
    x = np.linspace(-6, 6, 385)[:, None].repeat(5, 1)
    graph = load_onnx(path)
    assert np.array_equal(evaluate(graph, x), reference(path, x))
    exported = export_graph(graph, name="m")
    assert check_graph_export(exported, x) == len(x)
    parts["lo"] = kind(hi + 1)
    with pytest.raises(ModelError, match=rf"'Clip_1' \(Clip\): clips to {hi + 1}..{hi}"):
        load_onnx(save(tmp_path / "m.onnx", chain(*QUANTIZE), (5,), parts, opset=21))


def test_todays_operator_set_and_file_of_weights(tmp_path):
    """onnx writes set 28 by default; torch.onnx keeps weights in MODEL.onnx.data."""
    made = save(tmp_path / "m.onnx", [node("MatMul", "w")], (40,), {"w": weights(40, 3)}, opset=28)
    x = np.random.default_rng(0).normal(size=(9, 40))
    expected = evaluate(load_onnx(made), x)
    assert np.abs(expected - reference(made, x)).max() < 1e-5
    model = onnx.load(made)
    apart = tmp_path / "apart.onnx"
    onnx.save(model, apart, save_as_external_data=True, location="apart.onnx.data", size_threshold=0)
    assert (tmp_path / "apart.onnx.data").stat().st_size >= 480
    assert np.array_equal(evaluate(load_onnx(apart), x), expected)


def test_what_comes_before_the_choice_of_a_class_may_scale_and_shift_all_scores(tmp_path):
    """A class number of the file's own behind one positive factor and one offset is that of the scores."""
    parts = {"s": np.float32(0.25), "z": np.int8(0), "w": numbers([1, 2, -3], [0.5, 1, 2]), "f": np.float32(0.37)}
    steps = [QUANTIZE[0], QUANTIZE[2], ("MatMul", ["w"], {}), ("Mul", ["f"], {}), ("Add", ["f"], {})]
    path = save(tmp_path / "m.onnx", chain(*steps, ("ArgMax", [], {"axis": 1})), (2,), parts)
    x = np.random.default_rng(3).normal(size=(300, 2)) * 4
    exported = export_graph(load_onnx(path), name="m")
    assert check_graph_export(exported, x) == 300
    scores = np.rint(x.astype(np.float32) * 4).clip(-128, 127) / 4 @ parts["w"]
    assert np.array_equal(exported.run(x), scores.argmax(axis=1)[:, None])


@pytest.mark.parametrize(
    ("pool", "shape", "given", "expected"),
    [
        (("MaxPool", {"kernel_shape": [2], "strides": [3], "ceil_mode": 1}), (1, 6), range(6), [1, 4]),
        (("AveragePool", {"kernel_shape": [2], "strides": [2]}), (1, 4), [1, 2, 3, 5], [1.5, 4]),
    ],
)
def test_windows_count_as_the_runtime_counts_them(tmp_path, pool, shape, given, expected):
    """MaxPool ceil: of 6 elements, kernel 2, stride 3, two windows, though shape inference of set 12 says 3."""
    path = save(tmp_path / "m.onnx", [node(pool[0], **pool[1])], shape, {}, opset=12)
    assert evaluate(load_onnx(path), np.array([[list(given)]])).ravel().tolist() == expected


@pytest.mark.parametrize(("auto", "expected"), [("SAME_UPPER", [1, 2, 3, 0, 0, 0]), ("SAME_LOWER", [2, 3, 0, 0, 0, 0])])
def test_transposed_windows_of_the_same_size(tmp_path, auto, expected):
    """The halves of the crop, of a kernel that tells one end from the other."""
    attributes = {"kernel_shape": [3], "strides": [2], "auto_pad": auto}
    w = numbers(1, 2, 3).reshape(1, 1, 3)
    path = save(tmp_path / "m.onnx", [node("ConvTranspose", "w", **attributes)], (1, 3), {"w": w})
    assert evaluate(load_onnx(path), np.array([[[1, 0, 0]]])).ravel().tolist() == expected


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER"])
def test_transposed_windows_never_reach_beyond_themselves(tmp_path, auto):
    """Kernel 2, stride 3, 3 inputs: 8 results in onnxruntime, though 3 x 3 = 9 would be the same size."""
    made = node("ConvTranspose", "w", kernel_shape=[2], strides=[3], auto_pad=auto)
    path = save(tmp_path / "m.onnx", [made], (1, 3), {"w": numbers(1, 2).reshape(1, 1, 2)})
    assert evaluate(load_onnx(path), np.array([[[1, 2, 3]]])).ravel().tolist() == [1, 2, 0, 2, 4, 0, 3, 6]


def test_integers_of_constants_divide_towards_zero(tmp_path):
    nodes = [helper.make_node("Div", ["a", "b"], ["c"]), helper.make_node("Cast", ["c"], ["d"], to=1), node("Add", "d")]
    path = save(tmp_path / "m.onnx", nodes, (4,), {"a": ints(7, -7, 7, -7), "b": ints(2, 2, -2, -2)})
    assert evaluate(load_onnx(path), np.zeros((1, 4))).tolist() == [[3, -3, -3, 3]]


def test_a_zero_point_is_added_after_rounding(tmp_path):
    """As ONNX defines it (torch.quantize_per_tensor and QONNX add it before): 0.5, 1.5, ... with zero point 1."""
    steps = [QUANTIZE[0], QUANTIZE[2]]
    path = save(tmp_path / "m.onnx", chain(*steps), (5,), {"s": np.float32(1), "z": np.int8(1)})
    assert evaluate(load_onnx(path), numbers([0.5, 1.5, 2.5, -0.5, -1.5])).tolist() == [[0, 2, 2, 0, -2]]


def test_a_model_that_flattens_its_image_first_is_one_of_vectors_on_every_road(tmp_path):
    """`import --program` and then `estimate` take what `run --model` takes; a convolution is named, not its reshape."""
    w = np.random.default_rng(4).integers(-3, 4, (12, 3)).astype(np.float32)
    flat = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    window = [
        helper.make_node("Reshape", ["x", "s"], ["r"]),
        helper.make_node("Conv", ["r", "k"], ["c"], name="conv1"),
        helper.make_node("Flatten", ["c"], ["y"]),
    ]
    paths = [
        save(tmp_path / "flat.onnx", flat, (3, 4), {"w": w}),
        save(tmp_path / "window.onnx", window, (12,), {"k": w[:6].reshape(6, 1, 3), "s": ints(-1, 1, 12)}),
    ]
    words = [
        words
        for path in paths
        for program in [path.with_suffix(".txt")]
        for words in (["import", path, "--program", program, "--input-format", "fixed<4,4>"], ["estimate", program])
    ]
    told = [CliRunner().invoke(main, [str(word) for word in line]) for line in words]
    assert [done.exit_code for done in told] == [0, 0, 0, 0]
    assert load_program(paths[0].with_suffix(".txt")).input.shape == (12,)
    assert "initiation_interval 1" in " ".join(told[-1].output.split())


def quantized_product(folder, scale, weight_scale, result_scale):
    """Input codes times the weight 3 to result codes, in QDQ form; the model, and the inputs of all 256 codes."""
    path = save(
        folder / "m.onnx",
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w", "sw", "z"], ["wd"]),
            helper.make_node("MatMul", ["xd", "wd"], ["m"]),
            helper.make_node("QuantizeLinear", ["m", "sy", "z"], ["mq"]),
            helper.make_node("DequantizeLinear", ["mq", "sy", "z"], ["y"]),
        ],
        (1,),
        {"s": scale, "sw": weight_scale, "sy": result_scale, "z": np.int8(0), "w": np.array([[3]], np.int8)},
        opset=19,
    )
    return path, (np.arange(-128, 128) * scale).astype(np.float32)[:, None]


def codes(y, scale):
    return np.rint(y[:, 0] / np.float64(scale)).astype(int)


def meanings(scale, weight_scale, result_scale):
    """Result codes by each reading: as the file is written, as onnxruntime fuses it, as gatewright reads it."""
    c, f = np.arange(-128, 128), np.float32
    read = {
        "written": (c * scale).astype(f) * (f(3) * weight_scale) / result_scale,
        "fused": (3 * c).astype(f) * (scale * weight_scale / result_scale),
        "ours": (3 * c * (float(scale) * float(weight_scale))).astype(f) / result_scale,
    }
    assert all(value.dtype == f for value in read.values())
    return {name: np.rint(value).clip(-128, 127).astype(int) for name, value in read.items()}


def test_which_of_its_meanings_a_quantized_product_has(tmp_path):
    """Scales 0.1, 0.1 to 0.02, weight 3: its two meanings differ in 6 of 256 codes, ours from them in 8 and 14."""
    scales = np.float32(0.1), np.float32(0.1), np.float32(0.02)
    path, x = quantized_product(tmp_path, *scales)
    read, c = meanings(*scales), np.arange(-128, 128)
    graph = load_onnx(path)
    assert graph.precision == "single"
    assert codes(evaluate(graph, x, precision="single"), scales[2]).tolist() == read["ours"].tolist()
    assert codes(reference(path, x), scales[2]).tolist() == read["written"].tolist()
    differ = {(a, b): c[read[a] != read[b]] for a, b in (("written", "fused"), ("ours", "written"), ("ours", "fused"))}
    assert differ["written", "fused"].tolist() == [-75, -23, -19, 19, 23, 75]
    assert differ["ours", "written"].tolist() == [-83, -67, -31, -27, 27, 31, 67, 83]
    assert differ["ours", "fused"].tolist() == sorted({*differ["written", "fused"], *differ["ours", "written"]})
    assert np.abs(read["ours"] - read["fused"]).max() == 1
    exported = export_graph(graph, name="m")
    assert check_graph_export(exported, x) == 256


def test_scales_that_are_powers_of_two_have_one_meaning(tmp_path):
    scales = np.float32(0.125), np.float32(0.25), np.float32(0.0625)
    path, x = quantized_product(tmp_path, *scales)
    written, fused, ours = meanings(*scales).values()
    assert written.tolist() == fused.tolist() == ours.tolist()
    assert codes(evaluate(load_onnx(path), x), scales[2]).tolist() == ours.tolist()


def test_onnxruntime_itself_has_both_meanings(tmp_path):
    ort = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install -e '.[dev]'")
    scales = np.float32(0.1), np.float32(0.1), np.float32(0.02)
    path, x = quantized_product(tmp_path, *scales)
    levels = {"written": ort.GraphOptimizationLevel.ORT_DISABLE_ALL, "fused": ort.GraphOptimizationLevel.ORT_ENABLE_ALL}
    for name, level in levels.items():
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        assert codes(session.run(None, {"x": x})[0], scales[2]).tolist() == meanings(*scales)[name].tolist()
