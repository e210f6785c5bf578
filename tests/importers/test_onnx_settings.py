"""Rarer settings of ONNX operators: each `==` onnx's own reference evaluator on numbers that float32 holds exactly."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from gatewright.errors import ModelError  # noqa: E402
from gatewright.graph import evaluate  # noqa: E402
from gatewright.graph.check import check  # noqa: E402
from gatewright.importers.onnx import load_onnx  # noqa: E402
from tests.importers.onnx_models import ints, node, save  # noqa: E402

FLOATS = {"a": np.array([5.5, -5.5, 5.5, -5.5], np.float32), "b": np.array([2, 2, -2, -2], np.float32)}
INTEGERS = {"a": ints(7, -7, 7, -7), "b": ints(3, 3, -3, -3)}


def equals_reference(path, x):
    """The imported model's results, which are those of the reference, sample by sample."""
    graph = load_onnx(path)
    check(graph)
    run = ReferenceEvaluator(onnx.load(path))
    x = np.asarray(x, np.float32)
    expected = np.concatenate([np.asarray(run.run(None, {"x": sample[None]})[-1]) for sample in x])
    got = evaluate(graph, x)
    assert got.tolist() == expected.tolist()
    return got


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
