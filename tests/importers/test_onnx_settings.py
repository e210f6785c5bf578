"""Rarer settings of ONNX operators: each `==` onnx's own reference evaluator on numbers that float32 holds exactly."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from gatewright.errors import ModelError  # noqa: E402
from gatewright.graph import evaluate  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from tests.importers.onnx_models import equals_reference, ints, node, save  # noqa: E402

FLOATS = {"a": np.array([5.5, -5.5, 5.5, -5.5], np.float32), "b": np.array([2, 2, -2, -2], np.float32)}
INTEGERS = {"a": ints(7, -7, 7, -7), "b": ints(3, 3, -3, -3)}


@pytest.mark.parametrize(
    ("constants", "fmod", "expected"),
    [(INTEGERS, 0, [1, 2, -2, -1]), (INTEGERS, 1, [1, -1, 1, -1]), (FLOATS, 1, [1.5, -1.5, 1.5, -1.5])],
)
def test_a_remainder_of_constants_has_the_sign_that_fmod_says(tmp_path, constants, fmod, expected):
    nodes = [
        helper.make_node("Mod", ["a", "b"], ["c"], fmod=fmod),
        helper.make_node("Cast", ["c"], ["d"], to=1),
        node("Add", "d"),
    ]
    path = save(tmp_path / "m.onnx", nodes, (4,), constants)
    assert equals_reference(path, np.zeros((1, 4))).tolist() == [expected]


@pytest.mark.parametrize(
    ("operands", "constants", "text"),
    [
        (["a", "b"], FLOATS, "fmod = 0 is of integers; floats have fmod = 1"),
        (["a", "b"], {**INTEGERS, "b": ints(3, 3, 0, 1)}, "divides integers by 0"),
        (["x", "b"], FLOATS, "takes the remainder of values computed from the model's input"),
    ],
)
def test_a_remainder_that_is_not_defined_is_refused(tmp_path, operands, constants, text):
    path = save(tmp_path / "m.onnx", [helper.make_node("Mod", operands, ["y"], name="m")], (4,), constants)
    with pytest.raises(ModelError, match=rf"node 'm' \(Mod\): .*{text}"):
        load_onnx(path)


NARROW = {"INT2": (-2, 1), "UINT2": (0, 3), "INT4": (-8, 7), "UINT4": (0, 15)}


def narrow(name, kind, values):
    values = np.asarray(values)
    return helper.make_tensor(name, getattr(onnx.TensorProto, kind), values.shape, values.ravel())


def with_tensors(path, *tensors):
    model = onnx.load(path)
    model.graph.initializer.extend(tensors)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize("count", [15, 12, 18, 21])
@pytest.mark.parametrize("raw", [False, True])
def test_weights_of_two_and_four_bits(tmp_path, kind, count, raw):
    """Four or two in a byte, from its low end; the last byte may hold fewer."""
    lo, hi = NARROW[kind]
    held = np.random.default_rng(count).integers(lo, hi + 1, (count // 3, 3))
    tensor = narrow("q", kind, held)
    if raw:
        tensor = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), "q")
    nodes = [helper.make_node("DequantizeLinear", ["q", "s"], ["w"]), node("MatMul", "w")]
    made = save(tmp_path / "m.onnx", nodes, (count // 3,), {"s": np.float32(0.5)}, opset=25)
    path = with_tensors(made, tensor)
    x = np.random.default_rng(2).integers(-4, 5, (6, count // 3))
    assert equals_reference(path, x).tolist() == (x @ (held * 0.5)).tolist()
    model = onnx.load(path)
    model.graph.initializer[-1].dims[0] += 4
    onnx.save(model, path)
    with pytest.raises(ModelError, match=rf"initializer 'q' claims {count + 12} elements in .* but the file holds"):
        load_onnx(path)


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize("moved", [False, True])
def test_a_zero_point_of_few_bits_is_the_format_of_data(tmp_path, kind, moved):
    """The zero point's type says where the codes end, also of one that was reshaped."""
    lo, hi = NARROW[kind]
    first = [helper.make_node("Reshape", ["z", "none"], ["z0"])] if moved else []
    zero = "z0" if moved else "z"
    nodes = [
        *first,
        helper.make_node("QuantizeLinear", ["x", "s", zero], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", zero], ["y"]),
    ]
    constants = {"s": np.float32(0.5), "none": np.zeros(0, np.int64)}
    path = with_tensors(save(tmp_path / "m.onnx", nodes, (3,), constants, opset=25), narrow("z", kind, [1]))
    if not moved:
        del (model := onnx.load(path)).graph.initializer[-1].dims[:]
        onnx.save(model, path)
    x = (np.arange(-96, 96) / 8).reshape(-1, 3)
    expected = (np.clip(np.rint(x * 2) + 1, lo, hi) - 1) / 2
    assert equals_reference(path, x).tolist() == expected.tolist()


def test_codes_may_have_their_type_from_an_attribute(tmp_path):
    """From set 21 on, without a zero point; with one of another type the node contradicts itself."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], name="Q", output_dtype=onnx.TensorProto.INT4),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, (3,), {"s": np.float32(0.5), "z": np.int8(0)}, opset=21)
    x = [[-9, 2.25, 9], [3.5, 0.25, 0.75]]
    assert equals_reference(path, x).tolist() == [[-4, 2, 3.5], [3.5, 0, 1]]
    nodes[0].input.append("z")
    path = save(tmp_path / "m.onnx", nodes, (3,), {"s": np.float32(0.5), "z": np.int8(0)}, opset=21)
    with pytest.raises(ModelError, match=r"'Q' .*: attribute output_dtype asks for int4 but its zero point is int8"):
        load_onnx(path)
    path = save(tmp_path / "m.onnx", nodes[:1], (3,), {"s": np.float32(0.5), "z": np.float16(0)}, opset=21)
    del (model := onnx.load(path)).graph.node[0].attribute[:]
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"'Q' .*: quantizes to float16; integers of 2 to 32 bits are supported"):
        load_onnx(path)


EQUALS = [[5, 1, 5, 2, 5, 1], [1, 1, 1, 1, 1, 1], [0, -3, 0, -3, -1, -1], [-2, -2, 4, 3, 4, -2]]


@pytest.mark.parametrize(
    ("op", "last", "expected"),
    [
        ("ArgMax", 0, [0, 0, 0, 2]),
        ("ArgMax", 1, [4, 5, 2, 4]),
        ("ArgMin", 0, [1, 0, 1, 0]),
        ("ArgMin", 1, [5, 5, 3, 5]),
    ],
)
@pytest.mark.parametrize("keep", [0, 1])
def test_the_last_of_equal_scores(tmp_path, op, last, expected, keep):
    made = node(op, axis=1, keepdims=keep, select_last_index=last)
    path = save(tmp_path / "m.onnx", [made], (6,), {})
    assert equals_reference(path, EQUALS).ravel().tolist() == expected


def test_the_last_of_equal_scores_along_any_axis(tmp_path):
    x = np.random.default_rng(5).integers(-2, 2, (20, 3, 4, 5))
    for op, axis in (("ArgMax", 1), ("ArgMax", 2), ("ArgMin", 3)):
        path = save(tmp_path / "m.onnx", [node(op, axis=axis, keepdims=0, select_last_index=1)], (3, 4, 5), {})
        equals_reference(path, x)


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (0, [[1, 5, 3], [0, 1, 2], [1, 3, 4], [0, 1, 5]]),
        (1, [[0, 2, 4], [0, 1, 2], [0, 2, 4], [2, 4, 3]]),
    ],
)
def test_the_least_of_a_list(tmp_path, largest, expected):
    """Of equal ones the first is first, as of the greatest."""
    made = helper.make_node("TopK", ["x", "k"], ["v", "y"], largest=largest)
    path = save(tmp_path / "m.onnx", [made], (6,), {"k": ints(3)})
    assert equals_reference(path, EQUALS).tolist() == expected


def blocked(scale, zero, codes, axis, block):
    """A MatMul by weights in blocks: nodes and constants."""
    made = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], name="DQ", axis=axis, block_size=block)
    return [made, node("MatMul", "w")], {"q": codes, "s": scale, "z": zero}


@pytest.mark.parametrize(("axis", "block"), [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 2), (-1, 3), (1, 4)])
def test_weights_with_a_scale_and_a_zero_point_per_block(tmp_path, axis, block):
    """The last block may be incomplete."""
    draw = np.random.default_rng(block)
    codes = draw.integers(-8, 8, (5, 4)).astype(np.int8)
    count = -(-codes.shape[axis] // block)
    shape = (count, 4) if axis == 0 else (5, count)
    scale = (2.0 ** draw.integers(-3, 3, shape)).astype(np.float32) * draw.integers(1, 4, shape).astype(np.float32)
    nodes, constants = blocked(scale, draw.integers(-3, 4, shape).astype(np.int8), codes, axis, block)
    equals_reference(save(tmp_path / "m.onnx", nodes, (5,), constants, 21), draw.integers(-9, 10, (30, 5)))
    quantize = helper.make_node("QuantizeLinear", ["f", "s", "z"], ["q"], axis=axis, block_size=block)
    constants["f"] = (constants.pop("q") * 0.75).astype(np.float32)
    both = save(tmp_path / "m.onnx", [quantize, *nodes], (5,), constants, 21)
    equals_reference(both, draw.integers(-9, 10, (30, 5)))


@pytest.mark.parametrize(
    ("shape", "block", "text"),
    [
        ((3, 4), 3, r"has scales of the shape \(3, 4\) for blocks of 3 along axis 0 of \(5, 4\)"),
        ((4,), 3, r"has scales of the shape \(4,\) for blocks of 3"),
        ((5, 4), -1, "attribute block_size = -1 is not supported"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(tmp_path, shape, block, text):
    nodes, constants = blocked(np.ones(shape, np.float32), np.zeros(shape, np.int8), np.ones((5, 4), np.int8), 0, block)
    with pytest.raises(ModelError, match=rf"node 'DQ' \(DequantizeLinear\): {text}"):
        load_onnx(save(tmp_path / "m.onnx", nodes, (5,), constants, 21))


def test_blocks_of_the_models_data_are_refused(tmp_path):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], name="Q", axis=1, block_size=2),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"], axis=1, block_size=2),
    ]
    with pytest.raises(ModelError, match=r"'Q' .*: attribute block_size = 2 is not supported; blocks of"):
        load_onnx(save(tmp_path / "m.onnx", nodes, (4,), {"s": np.ones((1, 2), np.float32)}, 21))


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "pads", "expected"),
    [
        (4, 3, 2, [1, 1], [1, 3, 2]),  # the padding counts, what lies past it does not: (4 + 0) / 2
        (4, 2, 3, [1, 1], [0.5, 3.5]),  # a third window would start past the end
        (4, 3, 2, [0, 0], [2, 3.5]),
        (5, 3, 3, [1, 0], [1, 4]),
        (6, 4, 4, [0, 2], [2.5, 2.75]),
        (6, 4, 4, [1, 0], [1.5, 5]),
    ],
)
def test_a_mean_with_its_padding_and_without_what_lies_past_it(tmp_path, length, kernel, stride, pads, expected):
    attributes = {"kernel_shape": [kernel], "strides": [stride], "pads": pads, "ceil_mode": 1, "count_include_pad": 1}
    x = np.arange(1.0, length + 1).reshape(1, 1, -1)
    path = save(tmp_path / "m.onnx", [node("AveragePool", **attributes)], (1, length), {}, 21)
    assert evaluate(load_onnx(path), x).ravel().tolist() == expected
    assert equals_reference(path, x).ravel().tolist() == expected


def test_such_a_mean_of_an_image(tmp_path):
    attributes = {"kernel_shape": [4, 2], "strides": [3, 2], "pads": [2, 1, 2, 0], "ceil_mode": 1}
    made = node("AveragePool", **attributes, count_include_pad=1)
    path = save(tmp_path / "m.onnx", [made], (3, 7, 6), {}, 21)
    x = np.random.default_rng(8).integers(-8, 9, (4, 3, 7, 6)) * 8
    assert equals_reference(path, x).shape == (4, 3, 3, 4)


TRANSFORMS = ["asymmetric", "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel_for_nn"]


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_nearest_neighbour_repeats_elements_unevenly(tmp_path, transform, rounding, factor):
    attributes = {"mode": "nearest", "coordinate_transformation_mode": transform, "nearest_mode": rounding}
    scales = np.array([1, 1, factor, 2], np.float32)
    path = save(tmp_path / "m.onnx", [node("Resize", "", "s", **attributes)], (2, 5, 3), {"s": scales}, 19)
    graph = load_onnx(path)
    x = np.arange(60.0).reshape(2, 2, 5, 3)
    out, sizes = [np.arange(n * f) for n, f in ((5, factor), (3, 2))], (5, 3)
    index = [nearest(at, n, f, transform, rounding) for at, n, f in zip(out, sizes, (factor, 2), strict=True)]
    assert evaluate(graph, x).tolist() == x[:, :, index[0]][..., index[1]].tolist()


def nearest(out, size, factor, transform, rounding):
    """The standard's formulas in whole numbers: positions are halves of 1/factor."""
    twice = {"asymmetric": 2 * out, "tf_half_pixel_for_nn": 2 * out + 1}.get(transform, 2 * out + 1 - factor)
    unit = 2 * factor  # positions are twice / unit
    rounded = {
        "floor": twice // unit,
        "ceil": -(-twice // unit),
        "round_prefer_floor": -((factor - twice) // unit),
        "round_prefer_ceil": (twice + factor) // unit,
    }[rounding]
    return np.clip(rounded, 0, size - 1)


def test_asymmetric_positions_rounded_to_the_nearest(tmp_path):
    """10, 20 three times: the first loses one, the last gains one."""
    attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "round_prefer_floor"}
    made = node("Resize", "", "s", mode="nearest", **attributes)
    path = save(tmp_path / "m.onnx", [made], (1, 2), {"s": np.array([1, 1, 3], np.float32)}, 19)
    assert equals_reference(path, [[[10, 20]]]).ravel().tolist() == [10, 10, 20, 20, 20, 20]
