"""A float graph of dense layers as the start of a student's training."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gatewright.errors import FitError  # noqa: E402
from gatewright.export.vectors import graph_outputs  # noqa: E402
from gatewright.fit.frozen import codes_node  # noqa: E402
from gatewright.fit.modules.dense import Widths  # noqa: E402
from gatewright.fit.modules.stacks import dense_stack, learned_stack  # noqa: E402
from gatewright.fit.start import float_layers, hidden_layers  # noqa: E402
from gatewright.fixedpoint import Fixed  # noqa: E402
from gatewright.graph.nodes import Activation, Affine  # noqa: E402
from tests.graphs import chain, dense  # noqa: E402

pytestmark = pytest.mark.torch
RNG = np.random.default_rng(11)
SOURCE = Fixed.parse("fixed<8,3>")
CODES = RNG.integers(-128, 128, (60, 4))


def mlp(*between):
    layers = (
        dense("a", RNG.normal(size=(4, 6)), RNG.normal(size=6)),
        *between,
        Activation(name="relu", kind="relu"),
        dense("b", RNG.normal(size=(6, 3)), RNG.normal(size=3)),
    )
    return chain((4,), *layers)


@pytest.mark.parametrize("last", [(), (dense("c", RNG.normal(size=(3, 2)), RNG.normal(size=2)),)])
def test_a_float_mlp_is_its_dense_layers(last):
    """Batch normalisations and maps without a ReLU between them are folded."""
    batch = Affine(name="bn", scale=RNG.normal(size=6), offset=RNG.normal(size=6))
    graph = chain((4,), *mlp(batch).nodes[1:], *last)
    assert hidden_layers(graph) == (6,)
    first, second = float_layers(graph)
    x = np.ldexp(CODES, -SOURCE.frac_bits)
    got = np.maximum(x @ first.weight + first.bias, 0) @ second.weight + second.bias
    np.testing.assert_allclose(got, graph_outputs(graph, CODES, SOURCE), rtol=1e-4, atol=1e-4)
    codes = replace(codes_node(SOURCE), name="codes")
    assert hidden_layers(chain((4,), codes, *graph.nodes[1:])) == (6,)


@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_other_graphs_are_none(kind):
    parameters = (6.0,) if kind == "relu" else ()
    layers = (dense("a", np.eye(4)), Activation(name="act", kind=kind, parameters=parameters), dense("b", np.eye(4)))
    graph = chain((4,), *layers)
    assert hidden_layers(graph) is None
    with pytest.raises(FitError, match=r"not made of dense layers with ReLU between.*model.start = \"random\""):
        float_layers(graph)


@pytest.mark.parametrize("kind", ["float", "quantized", "learned"])
def test_training_starts_from_the_network_whatever_the_units(kind):
    graph = mlp()
    widths = [Widths(weight=8, bias=0, activation=8), Widths(weight=8, bias=0, activation=0)]
    given = {"source": SOURCE, "dropout": 0.0, "generator": torch.Generator()}
    if kind == "learned":
        stack = learned_stack([4, 6, 3], **given)
    else:
        stack = dense_stack([4, 6, 3], widths=widths if kind == "quantized" else None, **given)
    each = torch.tensor(RNG.uniform(0.5, 2, (4, 1))).float()
    stack.fold_inputs(torch.tensor(RNG.normal(size=4)), torch.tensor(0.37) if kind == "quantized" else each)
    stack.fold_outputs(torch.tensor([3.0, 0.5, 7.0]), torch.tensor(RNG.normal(size=3)))
    stack.start_from(graph)
    got = stack(torch.tensor(np.ldexp(CODES, -SOURCE.frac_bits), dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(got, graph_outputs(graph, CODES, SOURCE), rtol=1e-4, atol=1e-4)
