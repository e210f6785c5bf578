"""A Graph in, one row per node out: shapes, parameters, formats and operations, as QKeras' print_qstats lists them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import assert_never

import numpy as np

from gatewright.fixedpoint import frac_bits
from gatewright.graph.exact import WEIGHT_BITS, Lattice, bits_of, integer_weights, lattices, stored_of
from gatewright.graph.nodes import (
    Activation,
    Affine,
    AnyNode,
    Combine,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    Floats,
    Graph,
    Input,
    MatMul,
    Pad,
    Pool,
    Quantize,
    Recurrent,
    Reshape,
    Scan,
    Slice,
    Softmax,
    Table,
    Thresholds,
    TopK,
    Transpose,
    Trees,
    Upsample,
)
from gatewright.graph.shapes import GATES, Shape, shapes

FLOAT = "float"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One node. operations: multiply-accumulates per sample (of weights that are not zero: live_operations).

    parameters: weights, biases and tables; nonzero: weights that are not zero.
    weight_format: "float" or what the weights need, e.g. "fixed<4,1>"; result_format likewise, with "x 0.037" where
    integers have a real scale.
    """

    layer: str
    op: str
    shape: Shape
    parameters: int
    nonzero: int
    weight_format: str
    result_format: str
    operations: int
    live_operations: int
    origin: str


def table(graph: Graph) -> list[Row]:
    """Return a row for each node, in order. Verifies the graph."""
    sizes, known = shapes(graph), lattices(graph)
    return [
        _row(node, sizes[node.name], known[node.name], sizes[node.sources[0]] if node.sources else ())
        for node in graph.nodes
    ]


def total(rows: list[Row]) -> Row:
    """Return the sums of all rows under the name "total"."""
    return Row(
        layer="total",
        op="",
        shape=(),
        parameters=sum(r.parameters for r in rows),
        nonzero=sum(r.nonzero for r in rows),
        weight_format="",
        result_format="",
        operations=sum(r.operations for r in rows),
        live_operations=sum(r.live_operations for r in rows),
        origin="",
    )


def format_rows(rows: list[Row]) -> str:
    """Return the rows and their total as aligned text."""
    head = ("layer", "op", "shape", "parameters", "nonzero", "weights", "result", "operations", "nonzero ops")
    lines: list[tuple[str, ...]] = [head]
    for r in (*rows, total(rows)):
        shape = "x".join(map(str, r.shape))
        numbers = (f"{r.parameters:,}", f"{r.nonzero:,}"), (f"{r.operations:,}", f"{r.live_operations:,}")
        lines.append((r.layer, r.op, shape, *numbers[0], r.weight_format, r.result_format, *numbers[1]))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    right = {3, 4, 7, 8}
    return "\n".join(
        "  ".join(
            v.rjust(w) if i in right else v.ljust(w) for i, (v, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _row(node: AnyNode, shape: Shape, lattice: Lattice | None, source: Shape) -> Row:
    parameters, nonzero, operations, live, weights = 0, 0, 0, 0, ""
    match node:
        case Dense() | Conv() | ConvTranspose():
            parameters, size, nonzero = counts(node)
            places = prod(source[:-1]) if isinstance(node, Dense | ConvTranspose) else prod(shape[:-1])
            operations, live, weights = size * places, nonzero * places, weight_format(node)
        case Recurrent():
            parameters, size, nonzero = counts(node)
            operations, live = source[0] * size, source[0] * nonzero
            weights = weight_format(node)
        case MatMul():  # the products of two results, all of which count
            operations = live = prod(shape) * source[-1]
        case Table():
            parameters = node.values.size
        case Trees():
            parameters, weights = node.thresholds.size + node.leaves.size + node.bias.size, _format(node.leaves)
        case Scan():
            inner = table(node.body)
            parameters, nonzero = sum(r.parameters for r in inner), sum(r.nonzero for r in inner)
            operations = source[0] * sum(r.operations for r in inner)
            live = source[0] * sum(r.live_operations for r in inner)
            weights = ", ".join(dict.fromkeys(r.weight_format for r in inner if r.weight_format))
        case Input() | Constant() | Affine() | Activation() | Pool() | Combine() | Softmax() | TopK() | Quantize():
            pass
        case Thresholds() | Concat() | Reshape() | Transpose() | Slice() | Pad() | Upsample():
            pass
        case _:
            assert_never(node)
    kind = f".{node.kind}" if isinstance(node, Activation | Pool | Recurrent) else ""
    return Row(
        layer=node.name,
        op=f"{type(node).__name__}{kind}",
        shape=shape,
        parameters=parameters,
        nonzero=nonzero,
        weight_format=weights,
        result_format=_result_format(node, lattice),
        operations=operations,
        live_operations=live,
        origin=node.origin,
    )


def counts(node: Dense | Conv | ConvTranspose | Recurrent) -> tuple[int, int, int]:
    """Return how many parameters (biases among them), weights, and weights that are not zero a layer holds.

    Weights that are connections count as none, and biases then only where any is not 0.
    """
    if isinstance(node, Recurrent):
        weights = node.kernel.size + node.recurrent.size
        return weights + node.bias.size, weights, int(np.count_nonzero(node.kernel) + np.count_nonzero(node.recurrent))
    stored = stored_of(node)
    if stored is not None and stored.weight is None:
        return (node.bias.size if node.bias.any() else 0), 0, 0
    return node.weight.size + node.bias.size, node.weight.size, int(np.count_nonzero(node.weight))


def weight_format(node: Dense | Conv | ConvTranspose | Recurrent) -> str:
    """Return "float", or the narrowest format of the weights, in words."""
    if isinstance(node, Recurrent):
        return f"{_format(np.concatenate([node.kernel, node.recurrent]))}, {GATES[node.kind]} gates"
    stored = stored_of(node)
    if stored is not None and stored.weight is None:
        return "connections"
    scaled = "" if (node.weight_scale == 1).all() else " x scale"
    text = _format(integer_weights(node))
    return text if text == FLOAT else text + scaled


def _format(weight: Floats) -> str:
    frac = frac_bits(weight)
    signed = bool((weight < 0).any())
    top = int(np.ldexp(np.abs(weight).max(initial=0.0), frac)) if weight.size else 0
    width = top.bit_length() + signed
    if width > WEIGHT_BITS:
        return FLOAT
    return f"{'' if signed else 'u'}fixed<{max(width, 1)},{max(width, 1) - frac}>"


def _result_format(node: AnyNode, lattice: Lattice | None) -> str:
    if lattice is None:
        return FLOAT
    frac = lattice.frac_bits
    match node:
        case Quantize():
            lo, hi = int((node.lo - node.zero_point).min()), int((node.hi - node.zero_point).max())
            signed = lo < 0
            width = max(hi.bit_length(), (-lo - 1).bit_length() if signed else 0) + signed
            if lattice.plain and node.scale.size > 1 and (node.scale != node.scale.flat[0]).any():
                return f"{node.scale.size} formats, at most {width} bits"
        case Thresholds():
            return f"{node.thresholds.shape[1] + 1} levels"
        case _:
            width, signed = int(np.ceil(bits_of(lattice))) + 1, True
    text = f"{'' if signed else 'u'}fixed<{max(width, 1)},{max(width, 1) - frac}>"
    if lattice.plain:
        return text
    scales = lattice.scale
    return f"{text} x {float(scales):.6g}" if scales.size == 1 else f"{text} x {scales.size} scales"
