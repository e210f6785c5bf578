"""Each broken rule is named with its node, what was expected, what was got."""

import dataclasses

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.fixedpoint import Overflow, Rounding
from gatewright.graph.check import check
from gatewright.graph.evaluate import evaluate
from gatewright.graph.nodes import Activation, Combine, Dense, Graph, Input, Quantize, Reshape, Slice, Thresholds

ONE, ZERO = np.array(1.0), np.array(0)
X = Input(name="x", shape=(3, 4))
DENSE = Dense(name="d", sources=("x",), origin="dense_1", weight=np.ones((4, 2)), bias=np.zeros(2), weight_scale=ONE)
QUANTIZE = Quantize(
    name="q",
    sources=("x",),
    scale=ONE,
    lo=ZERO,
    hi=np.array(3),
    zero_point=ZERO,
    rounding=Rounding.HALF_UP,
    overflow=Overflow.SATURATE,
)


def broken(node, **changes):
    return dataclasses.replace(node, **changes)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((), "expected an Input as first node"),
        ((DENSE,), "expected an Input as first node"),
        ((X, broken(X, name="y")), "expected one Input, the first node"),
        ((X, broken(DENSE, name="x")), "'x' twice"),
        ((X, broken(DENSE, sources=("y",))), "expected sources that come earlier, got 'y'"),
        ((X, broken(DENSE, sources=("x", "x"))), "expected 1 source, got 2"),
        ((X, Combine(name="c", sources=("x",), kind="add")), "expected 2 sources, got 1"),
        (
            (X, broken(DENSE, weight=np.ones((5, 2)))),
            r"'d' \(Dense, dense_1\): expected a weight \(4, n_out\)",
        ),
        ((X, broken(DENSE, bias=np.array([1.0, np.nan]))), "finite numbers in bias, got 1 NaN"),
        ((X, broken(DENSE, bias=np.zeros(3))), r"a bias \(2,\), got \(3,\)"),
        ((X, broken(QUANTIZE, scale=np.array(0.0))), "positive scales"),
        ((X, broken(QUANTIZE, lo=np.array(4))), "lo <= hi"),
        ((X, broken(QUANTIZE, scale=np.ones((2, 1, 1)))), r"scale that broadcasts over \(3, 4\)"),
        ((X, Reshape(name="r", sources=("x",), shape=(5,))), "a shape of 12 elements"),
        ((X, Slice(name="s", sources=("x",), starts=(3, 0), stops=(None, None), steps=(1, 1))), "sizes of 1 or more"),
        ((X, Activation(name="a", sources=("x",), kind="elu")), "1 parameters of elu"),
        (
            (X, Thresholds(name="t", sources=("x",), thresholds=np.array([[1.0, 0.0]]), start=ONE, step=ONE)),
            "ascending thresholds",
        ),
    ],
)
def test_broken_rules_are_named(nodes, message):
    with pytest.raises(ModelError, match=message):
        check(Graph(name="g", nodes=nodes, output=nodes[-1].name if nodes else "x"))


def test_samples_of_another_shape_or_kind_are_refused():
    graph = Graph(name="g", nodes=(X, DENSE), output="d")
    with pytest.raises(ModelError, match=r"must be \(n, 3, 4\), not \(2, 4, 3\)"):
        evaluate(graph, np.zeros((2, 4, 3)))
    with pytest.raises(ModelError, match="must be numbers"):
        evaluate(graph, np.zeros((2, 3, 4), dtype="U1"))
    with pytest.raises(ModelError, match="output 'z' is not the name"):
        check(Graph(name="g", nodes=(X, DENSE), output="z"))
