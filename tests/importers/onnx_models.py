"""Small ONNX models for the tests: nodes in, a file of a model x -> y out; and what onnx' reference says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from gatewright.graph import evaluate
from gatewright.graph.check import check
from gatewright.importers.onnx import load_onnx

rng = np.random.default_rng(5)


def weights(*shape):
    return rng.normal(size=shape).astype(np.float32)


def positive(*shape):
    return rng.uniform(0.5, 2, size=shape).astype(np.float32)


def ints(*values):
    return np.array(values, dtype=np.int64)


def save(path: Path, nodes, shape, constants, opset=17, domains=(), outputs=("y",)):
    """Write a model x (1, *shape) -> y; return the path."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)
    return path


def node(op: str, *inputs: str, out: str = "y", **attributes: Any):
    return helper.make_node(op, ["x", *inputs], [out], name=f"the_{op}", **attributes)


def chain(*steps):
    """Nodes one after the other: (op, other inputs, attributes)."""
    names = ["x", *(f"v{i}" for i in range(len(steps) - 1)), "y"]
    return [
        helper.make_node(op, [names[i], *more], [names[i + 1]], name=f"{op}_{i}", **attributes)
        for i, (op, more, attributes) in enumerate(steps)
    ]


def equals_reference(path, x):
    """The imported model's results, which are those of the reference, sample by sample."""
    graph = load_onnx(path)
    check(graph)
    run = ReferenceEvaluator(onnx.load(path))
    x = np.asarray(x, np.float32)
    expected = np.concatenate([np.asarray(list(run.run(None, {"x": sample[None]}))[-1]) for sample in x])
    got = evaluate(graph, x)
    assert got.tolist() == expected.tolist()
    return got
