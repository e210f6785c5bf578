"""Adaptations of a model to rows of data: flattened, in the data's units, one score per class; values are kept."""

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.export.vectors import (
    class_scores,
    flat_input,
    fold_units,
    graph_outputs,
    is_quantized,
    own_input_format,
    scaled_input,
)
from gatewright.fixedpoint import Fixed
from gatewright.graph import evaluate, shapes
from gatewright.graph.nodes import Activation, Affine, Reshape, Softmax
from tests.graphs import chain, conv, dense, quantizer

RNG = np.random.default_rng(7)


def net(*before, shape=(2, 3)):
    weight = RNG.normal(size=(6, 4))
    return chain(shape, *before, Reshape(name="flat", shape=(6,)), dense("fc", weight, RNG.normal(size=4)))


def affine(name, channels):
    return Affine(name=name, scale=RNG.normal(size=channels), offset=RNG.normal(size=channels))


@pytest.mark.parametrize(
    "before",
    [
        (),
        (affine("bn", 3), Activation(name="act", kind="tanh")),
        (quantizer("q", RNG.choice([0.5, 0.25], (2, 3)), -8, 7),),
        (Reshape(name="other", shape=(3, 2)), affine("bn", 2)),
    ],
)
def test_a_network_that_flattens_becomes_one_of_vectors(before):
    graph = net(*before)
    flat = flat_input(graph)
    x = RNG.normal(size=(20, 2, 3))
    assert shapes(flat)[flat.nodes[0].name] == (6,)
    assert (evaluate(flat, x.reshape(20, 6)) == evaluate(graph, x)).all()
    assert not any(isinstance(node, Reshape) for node in flat.nodes)


def test_a_detour_over_more_axes_goes():
    """What torch's BatchNorm1d over (n, 1, channels) looks like."""
    bn = Affine(name="bn", scale=RNG.normal(size=4), offset=RNG.normal(size=4))
    there, back = Reshape(name="a", shape=(1, 4)), Reshape(name="b", shape=(4,))
    graph = chain((6,), dense("fc", RNG.normal(size=(6, 4))), there, bn, back)
    flat = flat_input(graph)
    x = RNG.normal(size=(20, 6))
    assert (evaluate(flat, x) == evaluate(graph, x)).all()
    assert not any(isinstance(node, Reshape) for node in flat.nodes)


def test_a_network_that_needs_its_axes_keeps_them():
    graph = chain((4, 1), conv("conv", RNG.normal(size=(2, 1, 3))))
    assert flat_input(graph) is graph


def test_units_are_applied_and_fold():
    graph = chain((6,), dense("fc", RNG.normal(size=(6, 4)), RNG.normal(size=4)))
    scale, offset, x = RNG.normal(size=6), RNG.normal(size=6), RNG.normal(size=(30, 6))
    scaled = scaled_input(graph, scale, offset)
    folded = fold_units(scaled, float_weights=True)
    assert len(folded.nodes) == len(graph.nodes)
    assert fold_units(scaled, float_weights=False) is scaled
    for other in (scaled, folded):
        np.testing.assert_allclose(evaluate(other, x), evaluate(graph, x * scale + offset), atol=1e-12)
    twice = fold_units(scaled_input(scaled, np.array(2.0), np.array(1.0)), float_weights=False)
    assert len(twice.nodes) == len(scaled.nodes)
    np.testing.assert_allclose(evaluate(twice, x), evaluate(scaled, 2 * x + 1), atol=1e-12)


def test_units_per_element_of_an_image_are_refused():
    with pytest.raises(ModelError, match=r"samples of shape \(4, 1\).*one model.input_scale"):
        scaled_input(chain((4, 1), conv("conv", RNG.normal(size=(2, 1, 3)))), np.ones(4), np.zeros(4))


def test_scores_of_classes():
    fc = dense("fc", RNG.normal(size=(3, 1)))
    x = RNG.normal(size=(50, 3))
    z = evaluate(chain((3,), fc), x)
    both = class_scores(chain((3,), fc, Activation(name="s", kind="sigmoid")), 2)
    assert (evaluate(both, x) == np.hstack([0 * z, z])).all()
    assert [note.split()[0:2] for note in both.notes] == [["The", "sigmoid"], ["The", "model's"]]
    three = chain((3,), dense("fc", RNG.normal(size=(3, 3))), Softmax(name="softmax"))
    assert class_scores(three, 3).output == "fc"


def test_input_formats_of_the_model_itself():
    assert own_input_format(chain((2,), quantizer("q", 0.25, -8, 7), dense("fc", np.eye(2)))) == Fixed.parse(
        "fixed<4,2>"
    )
    mixed = quantizer("q", [0.25, 2.0], [-8, 0], [7, 3])
    assert own_input_format(chain((2,), mixed, dense("fc", np.eye(2)))) == Fixed.parse("fixed<6,4>")
    assert own_input_format(chain((2,), quantizer("q", 0.1, -8, 7))) is None
    assert own_input_format(chain((2,), dense("fc", np.eye(2)))) is None


def test_which_models_carry_quantizers():
    assert is_quantized(chain((2,), dense("fc", np.eye(2) / 4)))
    assert is_quantized(chain((2,), dense("fc", np.eye(2) / 3), quantizer("q", 0.1, 0, 3)))
    assert not is_quantized(chain((2,), dense("fc", np.eye(2) / 3)))


def test_outputs_for_codes():
    graph = chain((2,), dense("fc", np.array([[1.0], [2.0]])))
    assert graph_outputs(graph, np.array([[4, 8]]), Fixed.parse("fixed<8,6>")).tolist() == [[5.0]]
