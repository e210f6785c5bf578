"""Circuit: a lowered program as scalar integer operations in topological order, each with its exact range.

A node's value is an integer; its interval lo..hi is proven at construction and fixes its width. Binary points are
gone: shifts are explicit. `simulate` is the meaning, sample-parallel in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import MAX_BITS, Fixed, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An element of the input vector, by its number."""

    layer: str
    lo: int
    hi: int
    element: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Const:
    """A number that never changes: lo, which is also hi."""

    layer: str
    lo: int
    hi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """A sum or difference: (a << shift_a) + (b << shift_b), or minus where `minus`. Shifts >= 0, one of them 0."""

    layer: str
    lo: int
    hi: int
    a: int
    b: int
    shift_a: int
    shift_b: int
    minus: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Add3:
    """One ternary adder: (a << shift_a) +- (b << shift_b) +- (c << shift_c). Shifts >= 0, one of them 0."""

    layer: str
    lo: int
    hi: int
    a: int
    b: int
    c: int
    shift_a: int
    shift_b: int
    shift_c: int
    minus_b: bool
    minus_c: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A number without its low bits: a >> drop, towards minus infinity. Wires only."""

    layer: str
    lo: int
    hi: int
    a: int
    drop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A number with zeros below it: a << up. Wires only."""

    layer: str
    lo: int
    hi: int
    a: int
    up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """A ReLU, a saturation or both: min(max(a, lo), hi), of whose ends one at least is reached."""

    layer: str
    lo: int
    hi: int
    a: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrap:
    """The low width_bits of a, read as signed or unsigned: wires only."""

    layer: str
    lo: int
    hi: int
    a: int
    width_bits: int
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GreaterEqual:
    """A comparison: 1 where a >= b, else 0."""

    layer: str
    lo: int
    hi: int
    a: int
    b: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """A choice: a where condition is 1, else b."""

    layer: str
    lo: int
    hi: int
    condition: int
    a: int
    b: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Any function of some bits, in LUTs: values[index]. index: the low widths[i] bits of reads[i], i = 0 lowest."""

    layer: str
    lo: int
    hi: int
    reads: tuple[int, ...]
    widths: tuple[int, ...]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """The low widths[i] bits of reads[i] side by side, i = 0 lowest, as a number of range lo..hi: wires only."""

    layer: str
    lo: int
    hi: int
    reads: tuple[int, ...]
    widths: tuple[int, ...]


Node = Source | Const | Add | Add3 | Floor | Shift | Clamp | Wrap | GreaterEqual | Select | Table | Join


@dataclass(frozen=True, slots=True)
class Ref:
    """A value in a vector: nodes[node] << shift."""

    node: int
    shift: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A network, or a part of one, as scalar operations.

    nodes: topological order. layer_values: for each program layer, its result's elements, None for one that cannot
    reach the output. outputs: elements of the program's result, all carried in `output_format`.
    """

    name: str
    nodes: tuple[Node, ...]
    input_format: Fixed
    input_elements: int
    layer_values: tuple[tuple[str, tuple[Ref | None, ...]], ...]
    outputs: tuple[Ref, ...]
    output_format: Fixed

    @property
    def adders(self) -> int:
        """Number of additions and subtractions of two numbers; a ternary adder counts two."""
        return sum(isinstance(node, Add) + 2 * isinstance(node, Add3) for node in self.nodes)


def operands(node: Node) -> tuple[int, ...]:
    """Return the nodes that a node reads."""
    match node:
        case Source() | Const():
            return ()
        case Add() | GreaterEqual():
            return (node.a, node.b)
        case Add3():
            return (node.a, node.b, node.c)
        case Floor() | Shift() | Clamp() | Wrap():
            return (node.a,)
        case Table() | Join():
            return node.reads
        case Select():
            return (node.condition, node.a, node.b)
        case _:
            assert_never(node)


def reread(node: Node, renumber: Callable[[int], int]) -> Node:
    """Return the node with every operand index replaced."""
    match node:
        case Source() | Const():
            return node
        case Add() | GreaterEqual():
            return replace(node, a=renumber(node.a), b=renumber(node.b))
        case Add3():
            return replace(node, a=renumber(node.a), b=renumber(node.b), c=renumber(node.c))
        case Floor() | Shift() | Clamp() | Wrap():
            return replace(node, a=renumber(node.a))
        case Table() | Join():
            return replace(node, reads=tuple(map(renumber, node.reads)))
        case Select():
            return replace(node, condition=renumber(node.condition), a=renumber(node.a), b=renumber(node.b))
        case _:
            assert_never(node)


def width(node: Node) -> int:
    """Return the bits that hold lo..hi: two's complement where lo < 0, else unsigned; a constant 0 has one bit."""
    size = max(node.hi, ~node.lo).bit_length() + 1 if node.lo < 0 else node.hi.bit_length() or 1
    return size if size <= MAX_BITS else Fixed.holding(node.lo, node.hi, 0).width_bits  # which says what is wrong


def is_sign_test(circuit: Circuit, node: GreaterEqual) -> bool:
    """Whether a comparison is with 0: then it is the sign bit."""
    return isinstance(circuit.nodes[node.b], Const) and circuit.nodes[node.b].lo == 0


def evaluate(node: Node, values: Sequence[Ints] | Mapping[int, Ints], x: Ints) -> Ints:
    """Return one node's values for input codes x: (n, elements); `values` holds its operands'. Shape (n,)."""
    match node:
        case Source():
            return x[:, node.element]
        case Const():
            return np.full(len(x), node.lo, dtype=np.int64)
        case Add():
            a, b = values[node.a] << node.shift_a, values[node.b] << node.shift_b
            return a - b if node.minus else a + b
        case Add3():
            a, b, c = values[node.a] << node.shift_a, values[node.b] << node.shift_b, values[node.c] << node.shift_c
            return a + (-b if node.minus_b else b) + (-c if node.minus_c else c)
        case Floor():
            return values[node.a] >> node.drop
        case Shift():
            return values[node.a] << node.up
        case Clamp():
            return np.clip(values[node.a], node.lo, node.hi)
        case Wrap():
            low = values[node.a] & ((1 << node.width_bits) - 1)
            return low - ((low >> (node.width_bits - 1)) << node.width_bits) if node.signed else low
        case GreaterEqual():
            return (values[node.a] >= values[node.b]).astype(np.int64)
        case Table() | Join():
            index, place = np.zeros(len(x), dtype=np.int64), 0
            for read, bits in zip(node.reads, node.widths, strict=True):
                index |= (values[read] & ((1 << bits) - 1)) << place
                place += bits
            if isinstance(node, Table):
                return np.array(node.values, dtype=np.int64)[index]
            return index - ((index >> (place - 1)) << place) if node.lo < 0 else index
        case Select():
            return np.where(values[node.condition] == 1, values[node.a], values[node.b])
        case _:
            assert_never(node)


def simulate(circuit: Circuit, x: Ints) -> dict[str, Ints]:
    """Return every layer's result, and "output", for input codes x: (n, elements). Elements that are None read 0.

    Raises LowerError where a node leaves its proven range: that is a fault of a pass, never of the data.
    """
    kept = (circuit.outputs, *(refs for _, refs in circuit.layer_values))
    wanted = {ref.node for refs in kept for ref in refs if ref is not None}
    last = {operand: index for index, node in enumerate(circuit.nodes) for operand in operands(node)}
    values: dict[int, Ints] = {}
    for index, node in enumerate(circuit.nodes):
        value = evaluate(node, values, x)
        if value.size and (value.min() < node.lo or value.max() > node.hi):
            raise LowerError(
                f"circuit {circuit.name!r}, node {index} {node}: value {value.min()}..{value.max()} leaves its range"
            )
        values[index] = value
        for operand in set(operands(node)):
            if last[operand] == index and operand not in wanted:
                del values[operand]

    def gather(refs: tuple[Ref | None, ...]) -> Ints:
        zero = np.zeros(len(x), dtype=np.int64)
        return np.stack([zero if ref is None else values[ref.node] << ref.shift for ref in refs], axis=1)

    results = {layer: gather(refs) for layer, refs in circuit.layer_values}
    results["output"] = gather(circuit.outputs)
    return results
