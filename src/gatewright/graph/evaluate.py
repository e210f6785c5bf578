"""The definition of every node: a Graph and samples in, the result (or every result) out; NumPy, channels last.

Where a value is exact (gatewright.graph.exact) it is computed without rounding, as v * scale. Everything else is
computed in float64, or, with precision "single", in float32 as the frameworks compute: products and sums in float64
and then rounded, elementwise functions in float32 step by step. A quantized model has one meaning on hardware only if
roundings such as these are pinned, which is why "single" is what export takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, assert_never, cast

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.graph.exact import Lattice, bias_steps, cells, integer_weights, is_power_of_two, lattices, scan_lattices
from gatewright.graph.functions import (
    activate,
    affine,
    count_thresholds,
    look_up,
    quantize_integers,
    softmax,
    top_k,
)
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
    Precision,
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
from gatewright.graph.recurrent import as_scan
from gatewright.graph.shapes import Shape, shapes
from gatewright.graph.structure import align, move
from gatewright.graph.trees import sum_trees
from gatewright.ir.linear import matmul
from gatewright.ir.windows import convolve, convolve_transposed, pool

CHUNK_VALUES = 1 << 22  # values of the widest intermediate that are held at once
COMBINE = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def evaluate(graph: Graph, x: NDArray[Any], *, precision: Precision = "double") -> Floats:
    """Return the model's result for samples x: (n, *input shape) -> (n, *output shape), float64."""
    return _run(graph, x, precision, (graph.output,))[graph.output]


def trace(
    graph: Graph, x: NDArray[Any], *, precision: Precision = "double", wanted: Sequence[str] | None = None
) -> dict[str, Floats]:
    """Return the results of the nodes named by `wanted`, None: of every node, for samples x: (n, *input shape)."""
    return _run(graph, x, precision, tuple(node.name for node in graph.nodes) if wanted is None else wanted)


def body_inputs(node: Scan, x: NDArray[Any]) -> Floats:
    """Return what the body reads at every step for the scan's source x: (n, steps, features) -> (n * steps, inputs)."""
    source = node.body.nodes[0].name
    evaluator = _Evaluator({node.sources[0]: None}, {}, "double")
    evaluator.values[node.sources[0]] = x.astype(np.float64)
    return np.concatenate([step[source] for step in evaluator.steps(node, (source,))])


def exact_trace(
    graph: Graph, x: NDArray[Any], wanted: Sequence[str], *, precision: Precision = "double"
) -> dict[str, Floats]:
    """Return v of each wanted result that lies on a lattice, i.e. its value without the lattice's scale."""
    return _run(graph, x, precision, wanted, raw=True)


def _run(
    graph: Graph, x: NDArray[Any], precision: Precision, wanted: Sequence[str], *, raw: bool = False
) -> dict[str, Floats]:
    known, sizes = lattices(graph), shapes(graph)
    source = cast("Input", graph.nodes[0])
    if x.ndim != len(source.shape) + 1 or x.shape[1:] != source.shape:
        raise ModelError(f"input of {graph.name!r} must be (n, {', '.join(map(str, source.shape))}), not {x.shape}")
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == bool) or np.issubdtype(x.dtype, np.complexfloating):
        raise ModelError(f"input of {graph.name!r} must be numbers, not {x.dtype}")
    rows = max(1, CHUNK_VALUES // max(_widest(node, sizes) for node in graph.nodes))
    parts: list[dict[str, Floats]] = []
    for at in range(0, max(len(x), 1), rows):
        evaluator = _Evaluator(known, sizes, precision)
        parts.append(evaluator.run(graph, x[at : at + rows].astype(np.float64), wanted, raw=raw))
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}


def _widest(node: AnyNode, sizes: dict[str, Shape]) -> int:
    """Return how many values the node's evaluation holds per sample: its result, or the windows it gathers."""
    size = prod(sizes[node.name])
    match node:
        case Conv():
            return size * prod(node.weight.shape[:-1]) // node.weight.shape[-1] * node.groups + size
        case Pool():
            return size * prod(node.size)
        case _:
            return size


class _Evaluator:
    """One pass over a chunk of samples. values[name] is v of v * scale on a lattice, else the value itself."""

    def __init__(self, known: dict[str, Lattice | None], sizes: dict[str, Shape], precision: Precision) -> None:
        self.known, self.sizes = known, sizes
        self.single = precision == "single"
        self.values: dict[str, Floats] = {}

    def run(self, graph: Graph, x: Floats, wanted: Sequence[str], *, raw: bool) -> dict[str, Floats]:
        kept: dict[str, Floats] = {}
        end = max((at + 1 for at, node in enumerate(graph.nodes) if node.name in wanted), default=0)
        last = {name: node.name for node in graph.nodes[:end] for name in node.sources}
        for node in graph.nodes[:end]:
            self.values[node.name] = self._input(node, x) if isinstance(node, Input) else self._node(node, len(x))
            if node.name in wanted:
                kept[node.name] = self.values[node.name] if raw else self.value(node.name)
            for name in {*node.sources, node.name}:
                if last.get(name, node.name) == node.name:
                    del self.values[name]
        return kept

    def _input(self, node: Input, x: Floats) -> Floats:
        return self._rounded(x) if self.known[node.name] is None else x

    def value(self, name: str) -> Floats:
        """Return a result as numbers."""
        lattice, v = self.known[name], self.values[name]
        if lattice is None or lattice.plain:
            return v
        return self._rounded(v * lattice.scale)

    def _rounded(self, v: Floats) -> Floats:
        """Round what is not exact as a framework's tensor is."""
        return v.astype(np.float32).astype(np.float64) if self.single else v

    def _working(self, node: AnyNode) -> NDArray[Any]:
        """Return the source of an elementwise function in the dtype it is computed in."""
        v = self.value(node.sources[0])
        return v.astype(np.float32) if self.single else v

    def _node(self, node: AnyNode, n: int) -> Floats:
        lattice = self.known[node.name]
        match node:
            case Input():
                raise AssertionError("check() allows one Input, the first node")
            case Constant():
                return np.broadcast_to(node.value if lattice else self._rounded(node.value), (n, *node.value.shape))
            case Quantize():
                return self._quantize(node)
            case Thresholds():
                return self._thresholds(node)
            case Table():
                return look_up(node, self.value(node.sources[0]))
            case Trees():
                y = sum_trees(node, self.value(node.sources[0]))
                return y if lattice else self._rounded(y)
            case TopK():
                return top_k(self.value(node.sources[0]), node.k).astype(np.float64)
            case Dense() | Conv() | ConvTranspose():
                return self._linear(node, lattice)
            case Pool():
                return self._pool(node, lattice)
            case Combine():
                return self._combine(node, lattice)
            case MatMul():
                y = matmul(*(self._operand(name, lattice) for name in node.sources))
                return y if lattice else self._rounded(y)
            case Reshape() | Transpose() | Slice() | Concat() | Pad() | Upsample():
                fill = node.value if isinstance(node, Pad) else 0
                return move(node, [self._operand(name, lattice) for name in node.sources], fill)
            case Affine():
                return self._affine(node, lattice)
            case Activation():
                if lattice:
                    return activate(node, self.values[node.sources[0]])
                return activate(node, self._working(node)).astype(np.float64)
            case Softmax():
                return softmax(self._working(node)).astype(np.float64)
            case Recurrent():
                return self._scan(as_scan(node))
            case Scan():
                return self._scan(node)
            case _:
                assert_never(node)

    def _operand(self, name: str, lattice: Lattice | None) -> Floats:
        """Return v of a source for an exact result, its value for another."""
        return self.values[name] if lattice else self.value(name)

    def _quantize(self, node: Quantize) -> Floats:
        lattice, before = self.known[node.name], self.known[node.sources[0]]
        assert lattice is not None, "a quantizer's result is always on a lattice"
        exact = before is not None and before.plain and is_power_of_two(node.scale)
        x = self.values[node.sources[0]] if exact else self._working(node)
        q = quantize_integers(node, x).astype(np.float64)
        return q * node.scale if lattice.plain else q

    def _thresholds(self, node: Thresholds) -> Floats:
        lattice, before = self.known[node.name], self.known[node.sources[0]]
        exact = before is not None and before.plain
        count = count_thresholds(node, self.values[node.sources[0]] if exact else self._working(node))
        if lattice is None or lattice.plain:
            return (node.start + node.step * count).astype(np.float64)
        return node.start / node.step + count

    def _linear(self, node: Dense | Conv | ConvTranspose, lattice: Lattice | None) -> Floats:
        x = self._operand(node.sources[0], lattice)
        weight, bias = node.weight, node.bias
        if lattice:
            weight, steps = integer_weights(node), bias_steps(node, lattice.scale)
            assert steps is not None, "a lattice implies a bias on it"
            bias = steps
        match node:
            case Dense():
                y = x @ weight
            case Conv():
                y = convolve(x, weight, node.strides, node.dilation, node.pads, node.groups)
            case ConvTranspose():
                y = convolve_transposed(x, weight, node.strides, node.crop)
            case _:
                assert_never(node)
        return y + bias if lattice else self._rounded(y + bias)

    def _pool(self, node: Pool, lattice: Lattice | None) -> Floats:
        x = self._operand(node.sources[0], lattice)
        if node.kind == "max":
            return pool(x, "max", node.size, node.strides, node.pads)
        total, count = pool(x, "sum", node.size, node.strides, node.pads), cells(node, x.shape[1:])
        if lattice is None:
            return self._rounded(total / count)
        return total / count if is_power_of_two(count) else total

    def _combine(self, node: Combine, lattice: Lattice | None) -> Floats:
        rank = len(self.sizes[node.name])
        a, b = (align(self._operand(name, lattice), rank) for name in node.sources)
        y = COMBINE[node.kind](a, b)
        return y if lattice else self._rounded(y)

    def _scan(self, node: Scan) -> Floats:
        results = [step[node.body.output] for step in self.steps(node, (node.body.output,))]
        return np.stack(results, axis=1) if node.sequences else results[-1]

    def steps(self, node: Scan, wanted: Sequence[str]) -> Iterator[dict[str, Floats]]:
        """Yield results of the body at each step, in the order in which the steps are taken."""
        x, known = self.value(node.sources[0]), scan_lattices(node, self.known[node.sources[0]])
        body = _Evaluator(known, shapes(node.body), "single" if self.single else "double")
        state = np.broadcast_to(node.initial, (len(x), node.initial.size))
        for t in range(x.shape[1])[:: -1 if node.backwards else 1]:
            step = body.run(node.body, np.concatenate([x[:, t], state], axis=1), (*wanted, *node.states), raw=False)
            state = np.concatenate([step[name] for name in node.states], axis=1)
            yield step

    def _affine(self, node: Affine, lattice: Lattice | None) -> Floats:
        before = self.known[node.sources[0]]
        if lattice is None:
            return affine(node, self._working(node)).astype(np.float64)
        v = self.values[node.sources[0]]
        assert before is not None, "an exact result comes from exact ones"
        return affine(node, v) if np.array_equal(before.scale, lattice.scale) else v
