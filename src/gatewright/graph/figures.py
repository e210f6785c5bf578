"""A Graph in, what its layers with weights hold out: parameters, bits, formats; a row each, and their sums.

The one place where networks are counted, trained here or imported. What is not zero is said of weights alone, as in
the published tables of compression; biases are counted in parameters and bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gatewright.errors import ModelError
from gatewright.fixedpoint import Fixed, Ints, digit_count, formats_text, frac_bits, span_bits
from gatewright.graph.exact import WEIGHT_BITS, bits_of, fixed_point, integer_weights, quantized_weights, stored_of
from gatewright.graph.nodes import (
    Activation,
    AnyNode,
    Conv,
    ConvTranspose,
    Dense,
    Floats,
    Graph,
    Pool,
    Quantize,
    Recurrent,
    Reshape,
    Stored,
    Table,
    Thresholds,
    Trees,
)
from gatewright.graph.shapes import shapes
from gatewright.graph.table import counts, table, weight_format

FLOAT_BITS = 32  # what a parameter that is not quantized is counted as
Weighted = Dense | Conv | ConvTranspose | Recurrent
Counted = Weighted | Trees


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer with weights. shape: of its weights; parameters: weights and biases, or what tables and trees store.

    weights, nonzero: without biases, none of decision trees, and where weights are connections. bits: of all
    parameters; nonzero_bits: of those but weights that are zero. mean_digits: signed digits per weight that is not
    zero, i.e. adder inputs of its product; 0.0 of floats.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    weights: int
    nonzero: int
    weight_format: str
    bias_format: str
    activation_format: str
    bits: int
    nonzero_bits: int
    mean_digits: float

    @property
    def sparsity(self) -> float:
        """Share of weights that are exactly zero; 0 where there are none."""
        return 1.0 - self.nonzero / self.weights if self.weights else 0.0

    def row(self) -> dict[str, Any]:
        """Return what results say of it, JSON-able."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "parameters": self.parameters,
            "weights": self.weights,
            "nonzero": self.nonzero,
            "sparsity": self.sparsity,
            "weight_format": self.weight_format,
            "bias_format": self.bias_format,
            "activation_format": self.activation_format,
            "bits": self.bits,
            "mean_digits": self.mean_digits,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All layers with weights, and their sums. shape: inputs, then the outputs of each layer."""

    layers: tuple[Layer, ...]
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Weights and biases, zeros included, or what truth tables store."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def weights(self) -> int:
        """Weights without biases, zeros included."""
        return sum(layer.weights for layer in self.layers)

    @property
    def nonzero(self) -> int:
        """Weights that are not zero."""
        return sum(layer.nonzero for layer in self.layers)

    @property
    def sparsity(self) -> float:
        """Share of weights that are exactly zero; 0 where there are none."""
        return 1.0 - self.nonzero / self.weights if self.weights else 0.0

    @property
    def bits(self) -> int:
        """Bits of all parameters, zeros included."""
        return sum(layer.bits for layer in self.layers)

    @property
    def nonzero_bits(self) -> int:
        """Bits of the parameters but of weights that are zero."""
        return sum(layer.nonzero_bits for layer in self.layers)

    def part(self) -> dict[str, Any]:
        """Return what results say of a network besides its scores, JSON-able."""
        return {
            "parameters": self.parameters,
            "bits": self.bits,
            "shape": list(self.shape),
            "nonzero": self.nonzero,
            "sparsity": self.sparsity,
            "layers": [layer.row() for layer in self.layers],
        }


def figures(graph: Graph) -> Figures:
    """Return what a graph's layers with weights hold. Verifies the graph."""
    sizes, results = shapes(graph), {row.layer: row.result_format for row in table(graph)}
    after = _after(graph)
    tables: dict[str, list[Table]] = {}
    for node in graph.nodes:
        if isinstance(node, Table):
            tables.setdefault(node.layer or node.name, []).append(node)
    layers = tuple(
        _trees(node, results)
        if isinstance(node, Trees)
        else _layer(node, after[node.name], results, tables.get(node.layer or node.name, []))
        for node in graph.nodes
        if isinstance(node, Counted)
    )
    first = graph.nodes[0].name
    return Figures(layers=layers, shape=(prod(sizes[first]), *(prod(sizes[layer.name]) for layer in layers)))


def ebops(graph: Graph) -> int:
    """Return the effective bit operations: bits of input times bits of weight, over all weights, plus bits of biases.

    A weight's bits span its highest to its lowest set bit, so that a power of two has one (Sun et al. 2024, arXiv
    2405.00645, section 3.2); a float has FLOAT_BITS. A convolution counts what one window takes, for a stream's unit
    computes one after the other. Raises ModelError for transposed convolutions and recurrent cells.
    """
    by_name = {node.name: node for node in graph.nodes}
    sizes, found = shapes(graph), 0
    for node in graph.nodes:
        if isinstance(node, ConvTranspose | Recurrent):
            raise ModelError(
                f"effective bit operations are counted of dense layers and convolutions, not of {node.name!r} "
                f"({type(node).__name__}); compare estimated LUTs instead"
            )
        if not isinstance(node, Dense | Conv):
            continue
        read = _bits_read(node, by_name, sizes)
        if quantized_weights(node) is None:
            found += int(np.broadcast_to(read, node.weight.shape).sum()) * FLOAT_BITS
        else:
            found += int((span_bits(integer_weights(node)) * read).sum() + span_bits(node.bias).sum())
    return found


def _bits_read(node: Dense | Conv, by_name: Mapping[str, AnyNode], sizes: Mapping[str, tuple[int, ...]]) -> Ints:
    """Return the bits of what each weight multiplies, broadcast over its kernel: (n_in, 1 or n_out)."""
    source = by_name[node.sources[0]]
    while isinstance(source, Reshape) or (isinstance(source, Pool) and source.kind == "max"):  # they move values
        source = by_name[source.sources[0]]
    each = np.broadcast_to(_width_of_value(source), sizes[source.name][-1:])
    each = np.resize(each, sizes[node.sources[0]][-1:])  # of a map as a vector, input i is of channel i modulo channels
    groups = node.groups if isinstance(node, Conv) else 1
    return np.repeat(each.reshape(groups, -1).T, node.bias.size // groups, axis=1) if groups > 1 else each[:, None]


def _width_of_value(node: AnyNode) -> Ints:
    """Return the bits of each element, or of all, of what a node hands on."""
    match node:
        case Quantize():
            return element_formats(node)[0]
        case Thresholds():
            return np.array(node.thresholds.shape[1].bit_length())
        case Table():
            return np.array(_holding(node.values))
        case _:
            return np.array(FLOAT_BITS)


def _after(graph: Graph) -> dict[str, list[AnyNode]]:
    """Return, per node, those behind it, each the first reader of the one before, up to the next layer with weights."""
    reader: dict[str, AnyNode] = {}
    for node in graph.nodes:
        for source in node.sources:
            reader.setdefault(source, node)
    found: dict[str, list[AnyNode]] = {}
    for node in graph.nodes:
        behind: list[AnyNode] = []
        at = reader.get(node.name)
        while at is not None and not isinstance(at, Counted):
            behind.append(at)
            at = reader.get(at.name)
        found[node.name] = behind
    return found


def _layer(node: Weighted, after: list[AnyNode], results: Mapping[str, str], tables: list[Table]) -> Layer:
    weight, bias = (node.kernel, node.bias) if isinstance(node, Recurrent) else (node.weight, node.bias)
    stored = None if isinstance(node, Recurrent) else stored_of(node)
    parameters, weights, nonzero = counts(node)
    parameters += sum(n.values.size for n in tables)
    if stored is not None:
        bits, live, formats = _stored_bits(weight, bias, stored, tables, after)
    else:
        width, bias_width = (FLOAT_BITS, FLOAT_BITS)
        if not isinstance(node, Recurrent):
            width, bias_width = _needed(integer_weights(node)), _needed(bias)
        bits, live = (n * width + bias.size * bias_width for n in (weights, nonzero))
        bias_text = _width_text(bias_width)
        formats = weight_format(node), bias_text, _handed_on(node, after, results)
    return Layer(
        name=node.name,
        shape=weight.shape,
        parameters=parameters,
        weights=weights,
        nonzero=nonzero,
        weight_format=formats[0],
        bias_format=formats[1],
        activation_format=formats[2],
        bits=bits,
        nonzero_bits=live,
        mean_digits=_mean_digits(node) if nonzero else 0.0,
    )


def _trees(node: Trees, results: Mapping[str, str]) -> Layer:
    """Return what trees hold: a threshold for each split, and of each leaf the values that it adds, one at least."""
    values = int(np.maximum(np.count_nonzero(node.leaves, axis=1), 1).sum())
    splits, biases = node.thresholds.size, int(np.count_nonzero(node.bias))
    widths = {
        name: _needed(part) for name, part in (("leaf", node.leaves), ("split", node.thresholds), ("bias", node.bias))
    }
    bits = values * widths["leaf"] + splits * widths["split"] + biases * widths["bias"]
    return Layer(
        name=node.name,
        shape=(node.roots.size, splits, node.bias.size),
        parameters=splits + values + biases,
        weights=0,
        nonzero=0,
        weight_format=f"leaves of {_width_text(widths['leaf'])}, thresholds of {_width_text(widths['split'])}",
        bias_format=_width_text(widths["bias"]) if biases else "none",
        activation_format="real numbers" if results[node.name] == "float" else "its sums",
        bits=bits,
        nonzero_bits=bits,
        mean_digits=0.0,
    )


def _width_text(bits: int) -> str:
    return "float" if bits == FLOAT_BITS else f"{bits} bits"


def _stored_bits(
    weight: Floats, bias: Floats, stored: Stored, tables: list[Table], after: list[AnyNode]
) -> tuple[int, int, tuple[str, str, str]]:
    """Return bits, bits without weights that are zero, and formats, as configured or learnt."""
    needed = _holding(bias) if stored.bias is None else int(stored.bias.width_bits.max())
    if stored.weight is None:
        bits = sum(n.values.size * _holding(n.values) for n in tables) + (bias.size * needed if bias.any() else 0)
        text = f"{'accumulator' if tables else 'thresholds'}, {needed} bits" if bias.any() else "none"
        return bits, bits, ("connections", text, _activation(after, wired=True))
    widths = np.broadcast_to(stored.weight.width_bits, weight.shape)
    biases = needed * bias.size
    text = f"accumulator, {needed} bits" if stored.bias is None else str(stored.bias)
    formats = str(stored.weight), text, _activation(after, wired=False)
    return int(widths.sum()) + biases, int(widths[weight != 0].sum()) + biases, formats


def _holding(values: Floats) -> int:
    """Return the bits of the widest of given numbers on their own grid."""
    frac = frac_bits(values)
    q = np.ldexp(values, frac).astype(np.int64)
    return Fixed.holding(int(q.min()), int(q.max()), frac).width_bits


def _needed(values: Floats) -> int:
    """Return the bits of the widest of given numbers on one grid, sign included; FLOAT_BITS of what is a float."""
    found = fixed_point(values, WEIGHT_BITS)
    if found is None:
        return FLOAT_BITS
    return max(1, int(bits_of(found) + 1)) + bool((values < 0).any()) if values.any() else 1


def _mean_digits(node: Weighted) -> float:
    if isinstance(node, Recurrent) or quantized_weights(node) is None:
        return 0.0
    kept = integer_weights(node)[node.weight != 0]
    return float(np.mean(digit_count(np.ldexp(kept, frac_bits(kept)).astype(np.int64))))


def _activation(after: list[AnyNode], *, wired: bool) -> str:
    """Return in words what a layer of known formats hands on."""
    for node in after:
        match node:
            case Table():
                return f"table of {node.values.shape[1] * _holding(node.values)} bits"
            case Thresholds() if wired:
                return "1 bit"
            case Thresholds():
                count = node.thresholds.shape[1]
                return {1: "sign, 1 bit", 2: "ternary, 2 bits"}.get(count, f"{count} steps")
            case Quantize():
                return formats_text(*element_formats(node), signed=bool((node.lo < node.zero_point).any()))
            case _:
                pass
    return "float32" if any(isinstance(node, Activation) for node in after) else "accumulator (scores)"


def element_formats(node: Quantize) -> tuple[Ints, Ints]:
    """Return (bits, fractional bits) of each element of a fixed-point quantizer, 0 bits of those that are always 0."""
    lo, hi = node.lo - node.zero_point, node.hi - node.zero_point
    top = np.maximum(hi, -lo - 1)
    width = np.array([int(v).bit_length() for v in top.flat], dtype=np.int64).reshape(top.shape)
    live = (node.lo != 0) | (node.hi != 0)
    return (width + bool((lo < 0).any())) * live, 1 - np.frexp(node.scale)[1].astype(np.int64)


def _handed_on(node: Weighted, after: list[AnyNode], results: Mapping[str, str]) -> str:
    """Return the format in which a layer's result is handed on: that of the next quantizer."""
    found = next((n for n in after if isinstance(n, Quantize | Thresholds)), None)
    if found is not None:
        return results[found.name]
    return "real numbers" if results[node.name] == "float" else "its sums"
