"""A Graph and what the data looks like in, the same model as a function of the data's rows of numbers out.

An imported model reads images or signals in units of its own and may end in a softmax; the flow's samples are vectors
in the data's units, and it compares scores. Each function is one such adaptation; none changes a value it need not.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.export.inputs import own_input_format
from gatewright.export.prepare import strip_output
from gatewright.fixedpoint import Fixed
from gatewright.graph.evaluate import evaluate, trace
from gatewright.graph.exact import fixed_point, integer_weights, lattices, stored_of
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Conv,
    ConvTranspose,
    Dense,
    Floats,
    Graph,
    Input,
    Quantize,
    Reshape,
    Thresholds,
    Trees,
)
from gatewright.graph.shapes import shapes
from gatewright.graph.simplify import View, drop_dead, drop_identity, rewrite

DESIGNED_BITS = 16  # a model without quantizers whose weights all fit so many bits was made for integers


def samples(graph: Graph, codes: NDArray[np.integer[Any]], source: Fixed | None = None) -> Floats:
    """Return the graph's inputs for input codes in format `source`, None: its own. (n, features) -> (n, *input shape).

    Raises ModelError for codes of another number of features.
    """
    shape = shapes(graph)[graph.nodes[0].name]
    if codes.ndim != 2 or codes.shape[1] != prod(shape):
        raise ModelError(
            f"input codes must be (n, {prod(shape)}), not {codes.shape}; use data of the features it was made for"
        )
    frac_bits = (source or input_format(graph)).frac_bits
    return np.ldexp(codes.astype(np.float64), -frac_bits).reshape(len(codes), *shape)


def graph_outputs(graph: Graph, codes: NDArray[np.integer[Any]], source: Fixed | None = None) -> Floats:
    """Return the scores or values of any graph for every sample. (n, features) -> (n, outputs). source: as in samples.

    What is quantized is exact whatever the order of the sums; real numbers are computed in the graph's precision.
    """
    return evaluate(graph, samples(graph, codes, source), precision=graph.precision)


def graph_trace(graph: Graph, codes: NDArray[np.integer[Any]], source: Fixed | None = None) -> dict[str, Floats]:
    """Return every node's result by name, as graph_outputs computes it."""
    return trace(graph, samples(graph, codes, source), precision=graph.precision)


def input_format(graph: Graph) -> Fixed:
    """Return the format of the codes that a graph with a quantizer behind its input reads; ModelError without one."""
    found = own_input_format(graph)
    if found is None:
        raise ModelError(f"model {graph.name!r} has no quantizer behind its input; say which format its codes have")
    return found


def flat_input(graph: Graph) -> Graph:
    """Return the graph with an input of one axis, (elements,), where nothing in it needs the axes.

    A network that flattens its image first becomes one of vectors; one with convolutions is returned as it is. Detours
    over more axes, as batch normalisations take in torch, go too.
    """
    source = graph.nodes[0]
    assert isinstance(source, Input), "check() wants an Input first"
    if len(source.shape) == 1:
        return _rewritten(graph)
    axes = Reshape(name=f"{source.name}.axes", sources=(source.name,), shape=source.shape)
    nodes = [_reading(node, source.name, axes.name) for node in graph.nodes[1:]]
    vector = replace(source, shape=(prod(source.shape),))
    output = axes.name if graph.output == source.name else graph.output
    flat = _rewritten(replace(graph, nodes=(vector, axes, *nodes), output=output))
    return flat if all(len(shape) == 1 for shape in shapes(flat).values()) else graph


def scaled_input(graph: Graph, scale: Floats, offset: Floats) -> Graph:
    """Return the graph of a sample x whose input is x * scale + offset, by a node `NAME.units`.

    scale, offset: () or (elements,).
    """
    source = graph.nodes[0]
    assert isinstance(source, Input), "check() wants an Input first"
    if len(source.shape) > 1 and max(scale.size, offset.size) > 1:
        raise ModelError(
            f"model {graph.name!r} reads samples of shape {source.shape}, whose elements cannot each have their own "
            "unit; scale the data instead, or give one model.input_scale and model.input_offset for all"
        )
    ones, name = np.ones(prod(source.shape[-1:])), f"{source.name}.units"
    while any(node.name == name for node in graph.nodes):
        name += "_"
    units = Affine(name=name, sources=(source.name,), scale=ones * scale, offset=ones * offset)
    nodes = [_reading(node, source.name, units.name) for node in graph.nodes[1:]]
    output = units.name if graph.output == source.name else graph.output
    return replace(graph, nodes=(source, units, *nodes), output=output)


def fold_units(graph: Graph, *, float_weights: bool) -> Graph:
    """Put an Affine right behind the input into the Affine that alone reads it: scale a, offset a + b.

    float_weights: also into a Dense with float weights: W * scale, b + offset W. Trees move their thresholds,
    rounded to float64.
    """
    if len(graph.nodes) < 3:
        return graph
    source, units, reader = graph.nodes[0], graph.nodes[1], graph.nodes[2]
    alone = sum(units.name in node.sources for node in graph.nodes) == 1 and reader.sources == (units.name,)
    if not isinstance(units, Affine) or not alone:
        return graph
    match reader:
        case Affine():
            scale, offset = reader.scale * units.scale, reader.scale * units.offset + reader.offset
            folded = replace(reader, sources=(source.name,), scale=scale, offset=offset)
        case Dense() if float_weights and (reader.weight_scale == 1).all():
            weight, bias = reader.weight * units.scale[:, None], reader.bias + units.offset @ reader.weight
            folded = replace(reader, sources=(source.name,), weight=weight, bias=bias)
        case Trees() if (units.scale[reader.feature] > 0).all():  # x * a + b >= t
            thresholds = (reader.thresholds - units.offset[reader.feature]) / units.scale[reader.feature]
            folded = replace(reader, sources=(source.name,), thresholds=thresholds)
        case _:
            return graph
    return fold_units(replace(graph, nodes=(source, folded, *graph.nodes[3:])), float_weights=float_weights)


def class_scores(graph: Graph, classes: int) -> Graph:
    """Return the graph that gives a score per class: without a last softmax or sigmoid, and two scores for one output.

    A network with one output z for two classes gives (0, z): the second class wins where z > 0, i.e. where its sigmoid
    passes one half. Notes say what was done.
    """
    stripped, notes = strip_output(graph, lattices(graph), order_only=False)
    graph = replace(stripped, notes=(*graph.notes, *notes))
    if classes != 2 or shapes(graph)[graph.output] != (1,):
        return graph
    both = Dense(
        name="scores",
        sources=(graph.output,),
        origin="both classes' scores",
        weight=np.array([[0.0, 1.0]]),
        bias=np.zeros(2),
        weight_scale=np.array(1.0),
    )
    note = "The model's one output z became the scores (0, z) of the two classes."
    return replace(graph, nodes=(*graph.nodes, both), output=both.name, notes=(*graph.notes, note))


def is_quantized(graph: Graph) -> bool:
    """Tell whether a model carries quantizers of its values, or only weights that a quantizer has made."""
    layers = [node for node in graph.nodes if isinstance(node, Dense | Conv | ConvTranspose)]
    return any(isinstance(node, Quantize | Thresholds) for node in graph.nodes) or (
        bool(layers) and all(_is_designed(node) for node in layers)
    )


def _is_designed(node: Dense | Conv | ConvTranspose) -> bool:
    return stored_of(node) is not None or fixed_point(integer_weights(node), DESIGNED_BITS) is not None


def _rewritten(graph: Graph) -> Graph:
    """Move reshapes towards the end until they meet or vanish, the output's own too."""
    graph = rewrite(graph, [drop_identity, merge_reshapes, sink_reshape])
    last = next(node for node in graph.nodes if node.name == graph.output)
    sizes = shapes(graph)
    if isinstance(last, Reshape) and sizes[last.name] == sizes[last.sources[0]]:
        graph = drop_dead(replace(graph, output=last.sources[0]))
    return graph


def merge_reshapes(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Make one Reshape of two in a row."""
    if not isinstance(node, Reshape) or not isinstance(before := view.source(node), Reshape):
        return None
    return [replace(node, sources=before.sources)]


def sink_reshape(node: AnyNode, view: View) -> list[AnyNode] | None:
    """Move a Reshape of a vector behind the elementwise node that alone reads it."""
    if not isinstance(node, Affine | Activation | Quantize | Thresholds):
        return None
    before = view.source(node)
    if not isinstance(before, Reshape) or view.readers[before.name] != 1:
        return None
    shape = view.shapes[before.sources[0]]
    if len(shape) != 1:
        return None
    moved = _of_vector(replace(node, name=f"{node.name}.flat", sources=before.sources), before.shape)
    return None if moved is None else [moved, replace(before, name=node.name, sources=(moved.name,))]


def _of_vector(node: AnyNode, shape: tuple[int, ...]) -> AnyNode | None:
    """Return an elementwise node for the flattened value instead of that of this shape."""

    def spread(value: Any) -> Any:
        return value.reshape(()) if value.size == 1 else np.broadcast_to(value, shape).ravel()

    match node:
        case Affine():
            full = {key: np.broadcast_to(getattr(node, key), shape).ravel() for key in ("scale", "offset")}
            return replace(node, **full)
        case Activation():
            return None if node.kind == "prelu" and len(node.parameters) > 1 else node
        case Quantize():
            return replace(node, **{key: spread(getattr(node, key)) for key in ("scale", "lo", "hi", "zero_point")})
        case Thresholds():
            alone = node.thresholds.shape[0] == 1 and node.start.size == node.step.size == 1
            return node if alone else None
        case _:
            return None


def _reading(node: AnyNode, name: str, instead: str) -> AnyNode:
    return replace(node, sources=tuple(instead if source == name else source for source in node.sources))
