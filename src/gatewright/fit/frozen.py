"""What training has fixed in, a Graph of layers in a row out; and what the layers of such a graph are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import FitError
from gatewright.fixedpoint import Fixed, Grid, Overflow, Rounding
from gatewright.graph.nodes import (
    Activation,
    AnyNode,
    Conv,
    Dense,
    Floats,
    Graph,
    Input,
    Pads,
    Quantize,
    Stored,
    Table,
    Thresholds,
)

CODES = "x"  # the node of the input codes' values; `x.read` is what is left of them where they are cut


def frozen_graph(
    source: Fixed, layers: Iterable[list[AnyNode]], *, classes: tuple[str, ...], shape: tuple[int, ...] = ()
) -> Graph:
    """Return the graph of layers in a row that read input codes in format `source`.

    Each layer's nodes are in order; every node reads the one before it, and what else its sources name. shape: of a
    sample, () for a vector of as many features as the first layer, a dense one, reads.
    """
    rest = [node for layer in layers for node in layer]
    if not shape:
        shape = (len(next(node for node in rest if isinstance(node, Dense)).weight),)
    nodes: list[AnyNode] = [Input(name="input", shape=shape)]
    for node in (codes_node(source), *rest):
        nodes.append(replace(node, sources=(nodes[-1].name, *node.sources[1:])))
    return Graph(name="network", nodes=tuple(nodes), output=nodes[-1].name, classes=classes, precision="double")


def codes_node(source: Fixed) -> Quantize:
    """Return the quantizer behind the input, which changes no value of a code."""
    return _quantizer(CODES, "input", Grid.uniform(source.width_bits, source.frac_bits, signed=source.signed), source)


def dense_layer(
    name: str,
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    *,
    stored: Stored | None = None,
    then: Iterable[AnyNode] = (),
) -> list[AnyNode]:
    """Return y = x @ weight + bias and what follows it. FitError for numbers that are not finite."""
    return [
        Dense(name=name, weight=_fixed(name, "weight", weight), bias=_fixed(name, "bias", bias), stored=stored),
        *then,
    ]


def conv_layer(
    name: str,
    weight: Floats,
    bias: Floats,
    *,
    strides: tuple[int, ...],
    pads: Pads,
    groups: int,
    stored: Stored | None = None,
    then: Iterable[AnyNode] = (),
) -> list[AnyNode]:
    """Return a convolution and what follows it. weight: (*kernel, channels in / groups, filters).

    FitError for numbers that are not finite.
    """
    conv = Conv(
        name=name,
        weight=_fixed(name, "weight", weight),
        bias=_fixed(name, "bias", bias),
        weight_scale=np.array(1.0),
        strides=strides,
        dilation=(1,) * len(strides),
        pads=pads,
        groups=groups,
        stored=stored,
    )
    return [conv, *then]


def _fixed(layer: str, key: str, value: Floats) -> Floats:
    """Return a copy of a layer's numbers that nobody can change; FitError where they are not finite."""
    if not np.isfinite(value).all():
        raise FitError(f"layer {layer!r}: {key} must be finite; lower learning_rate")
    value = np.array(value, dtype=np.float64)
    value.setflags(write=False)
    return value


def relu(layer: str, grid: Grid | None) -> list[AnyNode]:
    """Return max(x, 0), rounded half up to a grid where one is given; the result is called `layer.act`."""
    if grid is None:
        return [Activation(name=f"{layer}.act", layer=layer, kind="relu")]
    return [Activation(name=f"{layer}.relu", layer=layer, kind="relu"), requantizer(f"{layer}.act", layer, grid)]


def steps(layer: str, thresholds: tuple[float, ...]) -> list[AnyNode]:
    """Return the number of thresholds, ascending, that x reaches: 0, 1, ..."""
    levels = np.array([thresholds], dtype=np.float64)
    zero, one = np.array(0.0), np.array(1.0)
    return [Thresholds(name=f"{layer}.act", layer=layer, thresholds=levels, start=zero, step=one, comparisons=True)]


def tables(layer: str, table: Floats) -> list[AnyNode]:
    """Return the entry at x of each neuron's table. table: (n_out, entries), 0 or 1."""
    return [Table(name=f"{layer}.act", layer=layer, values=np.array(table, dtype=np.float64))]


def requantizer(name: str, layer: str, grid: Grid) -> Quantize:
    """Return the rounding, half up, to a grid without digits."""
    return _quantizer(name, layer, grid, None)


def dense_layers(graph: Graph) -> list[Dense]:
    """Return the layers with weights of a network of dense layers, in order."""
    return [node for node in graph.nodes if isinstance(node, Dense)]


def weighted_layers(graph: Graph) -> list[Dense | Conv]:
    """Return the layers with weights of a network that was trained here, in order, the dense output layer last."""
    return [node for node in graph.nodes if isinstance(node, Dense | Conv)]


def is_quantized(graph: Graph) -> bool:
    """Tell whether every layer's weights have formats."""
    return all(layer.stored is not None for layer in weighted_layers(graph))


def read_node(graph: Graph) -> Quantize | None:
    """Return the node that cuts the input's codes; None where all their bits are read."""
    return next((n for n in graph.nodes if isinstance(n, Quantize) and n.name == f"{CODES}.read"), None)


def _quantizer(name: str, layer: str, grid: Grid, source: Fixed | None) -> Quantize:
    """Return the quantizer of a grid; source: the format whose ends hold instead of a signed grid's symmetric ones."""
    lo, hi = (grid.lo, grid.hi) if source is None else (np.array(source.lo), np.array(source.hi))
    scale = np.exp2(-grid.frac_bits.astype(np.float64))
    parts: list[NDArray[Any]] = [np.array(part) for part in (scale, lo, hi)]
    each = max(part.size for part in parts) > 1
    scale, lo, hi = np.broadcast_arrays(*parts) if each else (part.reshape(()) for part in parts)
    return Quantize(
        name=name,
        layer=layer,
        scale=scale,
        lo=lo,
        hi=hi,
        zero_point=np.array(0),
        rounding=Rounding.HALF_UP,
        overflow=Overflow.WRAP if grid.wrap else Overflow.SATURATE,
        frac_bits=int(grid.frac_bits.max()),
    )


def cut(source: Fixed, leading: Sequence[int]) -> list[AnyNode]:
    """Return the node that reads only so many leading bits of each feature's code: wires, no logic.

    The rest is cut off (floor), and a feature of which nothing is left counts as 0.
    """
    if not all(0 <= bits <= source.width_bits for bits in leading):
        raise FitError(f"leading bits must be 0..{source.width_bits}, the width of {source}, not {tuple(leading)}")
    bits = np.array(leading, dtype=np.int64)
    signed = source.signed & (bits > 0)
    node = Quantize(
        name=f"{CODES}.read",
        layer="read",
        scale=np.exp2((source.width_bits - source.frac_bits - bits).astype(np.float64)),
        lo=-(signed.astype(np.int64) << np.maximum(bits - 1, 0)),
        hi=(np.int64(1) << np.maximum(bits - signed, 0)) - 1,
        zero_point=np.array(0),
        rounding=Rounding.TRUNCATE,
        overflow=Overflow.WRAP,
        frac_bits=source.frac_bits,
    )
    return [node]
