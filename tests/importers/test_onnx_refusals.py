"""Damaged, hostile and unsupported ONNX files: one clear error each, before anything large is made."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from gatewright.errors import ModelError  # noqa: E402
from gatewright.graph import evaluate  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from tests.importers.onnx_models import ints, node, save, weights  # noqa: E402


def refuse(path, text):
    with pytest.raises(ModelError, match=text):
        load_onnx(path)


W = {"w": weights(4, 3, 3, 3)}
REFUSED = {
    "unknown operator": (
        [node("Convv", "w")], W, "node 'the_Convv' .Convv.: operator 'Convv' .* not supported. Did you mean 'Conv'"),
    "operator with a hint": ([node("QLinearConv", "w")], W, "QDQ"),
    "unknown domain": (
        [helper.make_node("Quant", ["x"], ["y"], name="q", domain="qonnx.custom_op.generall")], {},
        "domain 'qonnx.custom_op.generall' is not supported. Did you mean 'qonnx.custom_op.general'"),
    "unknown attribute": (
        [node("Relu", alpha=0.5)], {}, r"node 'the_Relu' .Relu.: attribute alpha = 0.5 is not understood"),
    "attribute of another type": ([node("LeakyRelu", alpha=1)], {}, "alpha = 1 is not supported; expected one float"),
    "operand too many": ([node("Relu", "w")], W, "operand 1 is not understood"),
    "value of an attribute": (
        [node("Resize", "", "s", mode="linear")], {"s": np.ones(4, dtype=np.float32)}, "mode = 'linear' is not supp"),
    "resize by a fraction": (
        [node("Resize", "", "s", mode="nearest", nearest_mode="floor")],
        {"s": np.array([1, 1, 1.5, 2], dtype=np.float32)}, "scales an axis of 4 by 1.5; whole factors are supported"),
    "kernel shape": ([node("Conv", "w", kernel_shape=[2, 2])], W, "kernel_shape"),
    "training": ([node("BatchNormalization", "g", "g", "g", "g", training_mode=1)], {"g": weights(3)}, "training_mode"),
    "wrong channels": ([node("Conv", "w")], {"w": weights(4, 2, 3, 3)}, "do not fit"),
    "parameters that fit nothing": (
        [node("BatchNormalization", "g", "g", "g", "g")], {"g": np.ones(5, dtype=np.float32)}, "breaks the ONNX stand"),
    "order left open": (
        [helper.make_node("TopK", ["x", "k"], ["v", "y"], name="t", sorted=0)], {"k": ints(2)},
        "sorted = 0 leaves the order of its results open"),
    "mean over samples": ([node("ReduceMean", axes=[0])], {}, "axis of the samples"),
    "samples in the reshape": ([node("Reshape", "s")], {"s": ints(-1, 8)}, "mixes samples or removes"),
    "computed factors": (
        [helper.make_node("MatMul", ["w", "x"], ["y"], name="m")], W, "its first factor is constant and its second is"),
    "factors that do not meet": (
        [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1, 3]),
         helper.make_node("MatMul", ["x", "t"], ["y"], name="m")],
        {}, r"multiplies values of the shapes .* and .*; supported are .samples, ..., n, k. and"),
    "unread indices used": (
        [helper.make_node("MaxPool", ["x"], ["a", "i"], kernel_shape=[2, 2]), helper.make_node("Relu", ["i"], ["y"])],
        {}, "result 1 of node 'a' .MaxPool."),
    "missing result": ([helper.make_node("Relu", ["nowhere"], ["y"])], {}, "reads 'nowhere', which no earlier node"),
    "NaN": ([node("Conv", "w")], {"w": np.full((4, 3, 3, 3), np.nan, dtype=np.float32)}, "initializer 'w' holds NaN"),
    "infinite weights": ([node("Conv", "w")], {"w": np.full((4, 3, 3, 3), np.inf, dtype=np.float32)}, "infinite"),
    "element type": ([node("Conv", "w")], {"w": np.ones((4, 3, 3, 3), dtype=np.complex64)}, "COMPLEX64"),
    "huge constant": ([helper.make_node("ConstantOfShape", ["s"], ["c"]), node("Add", "c")],
                      {"s": ints(1 << 20, 1 << 20)}, "at most"),
    "huge padding": ([node("Pad", "p")], {"p": ints(0, 0, 0, 0, 0, 0, 0, 1 << 40)}, "elements; at most"),
    "clipped cell": (
        [helper.make_node("Reshape", ["x", "s"], ["t"]), helper.make_node("Transpose", ["t"], ["u"], perm=[1, 0, 2]),
         helper.make_node("LSTM", ["u", "k", "r"], ["y"], hidden_size=2, clip=3.0, name="cell")],
        {"s": ints(0, 3, 16), "k": weights(1, 8, 16), "r": weights(1, 8, 2)},
        "node 'cell' .LSTM.: attribute clip = 3.0 is not supported"),
    "sequences of several lengths": (
        [helper.make_node("Reshape", ["x", "s"], ["t"]), helper.make_node("Transpose", ["t"], ["u"], perm=[1, 0, 2]),
         helper.make_node("LSTM", ["u", "k", "r", "", "lengths"], ["y"], hidden_size=2, name="cell")],
        {"s": ints(0, 3, 16), "k": weights(1, 8, 16), "r": weights(1, 8, 2), "lengths": np.array([2], dtype=np.int32)},
        r"operand 4, sequence_lens, asks for \[2\] steps of 3; all are supported"),
    "samples along another axis": (
        [helper.make_node("Reshape", ["x", "s"], ["t"]),
         helper.make_node("LSTM", ["t", "k", "r"], ["y"], hidden_size=2, name="cell")],
        {"s": ints(0, 3, 16), "k": weights(1, 8, 16), "r": weights(1, 8, 2)}, "must lie along the cell's batch axis"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_exact_counterpart_is_refused_by_name(tmp_path, case):
    nodes, constants, text = REFUSED[case]
    refuse(save(tmp_path / "m.onnx", nodes, (3, 4, 4), constants), text)


def conv_model(tmp_path):
    return save(tmp_path / "m.onnx", [node("Conv", "w")], (3, 4, 4), W)


def changed(path, change):
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_files_that_are_no_complete_model(tmp_path):
    path = conv_model(tmp_path)
    whole = path.read_bytes()
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refuse(path, "truncated or not an ONNX file|holds no ONNX model|claims|no result of any node|the model has")
    path.write_bytes(b"MZ" + bytes(100))
    refuse(path, "truncated or not an ONNX file|holds no ONNX model")
    refuse(tmp_path / "absent.onnx", "cannot be read")


def test_a_claim_of_2_gb_in_a_small_file_is_refused(tmp_path):
    def claim(dims):
        def change(model):
            del model.graph.initializer[0].dims[:]
            model.graph.initializer[0].dims.extend(dims)

        return change

    refuse(changed(conv_model(tmp_path), claim([1 << 9, 1 << 10, 1 << 10])), "initializer 'w' claims 536,870,912 elem")
    refuse(changed(conv_model(tmp_path), claim([4, 3, 3, 4])), "claims 144 elements .* but the file holds 108")
    refuse(changed(conv_model(tmp_path), claim([4, -3, 3, 3])), "sizes are not negative")


def test_only_a_file_beside_the_model_is_opened(tmp_path):
    path, folder = conv_model(tmp_path), tmp_path / "deep"
    inside, written = load_onnx(path), path.read_bytes()
    values = onnx.load(path).graph.initializer[0].raw_data
    folder.mkdir()
    (folder / "secret").write_bytes(values)
    (tmp_path / "w.data").write_bytes(b"1234" + values)
    (tmp_path / "link").symlink_to(folder / "secret")

    def stored(**entries):
        def change(model):
            w = model.graph.initializer[0]
            w.ClearField("raw_data")
            w.data_location = TensorProto.EXTERNAL
            w.ClearField("external_data")
            for key, value in entries.items():
                w.external_data.add(key=key, value=value)

        path.write_bytes(written)
        return changed(path, change)

    for more in ({}, {"length": str(len(values))}):
        beside = load_onnx(stored(location="w.data", offset="4", **more))
        x = np.ones((1, 3, 4, 4))
        assert np.array_equal(evaluate(inside, x), evaluate(beside, x))
        assert (beside.metadata or {})["weights_sha256"] == hashlib.sha256(values).hexdigest()
    for name in ("deep/secret", "../w.data", str(folder / "secret"), "link", "deep", "", "nothing"):
        refuse(stored(location=name), f"in another file, '{name}', which is no file beside the model; write")
    refuse(stored(location="w.data", offset="8"), "expected|claims|holds")
    refuse(stored(location="w.data", offset="8", length=str(len(values))), "bytes 8 to 440 of 436; copy both files")
    refuse(stored(location="w.data", offset="x"), "at no whole numbers of bytes; export the model again")


def test_shapes_inputs_and_versions(tmp_path):
    def open_axis(model):
        model.graph.input[0].type.tensor_type.shape.dim[2].ClearField("dim_value")
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"

    def huge(model):
        for axis in (2, 3):
            model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 1 << 31

    def second(model):
        model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3]))

    def version(model):
        model.opset_import[0].version = 99

    def function(model):
        model.functions.append(helper.make_function("d", "F", ["a"], ["b"], [], []))

    refuse(changed(conv_model(tmp_path), open_axis), "input 'x' has an open size 'height' along axis 2")
    refuse(changed(conv_model(tmp_path), huge), "at most")
    refuse(changed(conv_model(tmp_path), second), r"2 inputs, \['x', 'z'\]; exactly one")
    refuse(changed(conv_model(tmp_path), version), "operator set 99; 6 to 28 are read")
    refuse(changed(conv_model(tmp_path), function), "own function 'F'; inline it")


def test_constants_in_attributes_are_checked_too(tmp_path):
    bad = numpy_helper.from_array(np.array([np.nan], dtype=np.float32))
    nodes = [helper.make_node("Constant", [], ["c"], value=bad, name="c"), node("Add", "c")]
    refuse(save(tmp_path / "m.onnx", nodes, (3,), {}), "node 'c', attribute 'value' holds NaN")
