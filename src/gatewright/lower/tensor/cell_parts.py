"""A recurrent cell's body in; its products as one matrix, and what a unit computes of its sums and state, out.

Bodies whose sums read the step and the state alone, and whose other ops treat every unit alike (gates in runs of as
many elements as there are units), can be computed some units at a time: RNN, LSTM, GRU that resets after its product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.ir.op_moves import Concat, Slice
from gatewright.ir.op_tables import Lookup, Thresholds
from gatewright.ir.ops import Add, Const, Dense, Max, Min, Mul, Relu, Requant, Sub
from gatewright.ir.program import Constant, Op, sources
from gatewright.lower.build.facts import Facts
from gatewright.lower.stream import Lane


class _NoPartsError(Exception):
    """A body that is not computed some units at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A Dense of the body: the first of its columns in the matrix, how many, and by how much its sums are shifted."""

    name: str
    first: int
    count: int
    up: int


@dataclass(frozen=True, kw_only=True)
class CellParts:
    """matrix, bias: (operands, sums) and (sums,), for the numbers on the operands' lanes.

    operands: elements of the body's input that a product reads. sums: the columns, Dense by Dense; ops: what follows,
    on whole values; features: elements of a step.
    """

    body: Facts
    units: int
    features: int
    operands: tuple[int, ...]
    matrix: Ints
    bias: Ints
    sums: tuple[Sums, ...]
    ops: tuple[Op, ...]

    def order(self, each: int) -> list[int]:
        """Return the columns of the matrix in the order of blocks of so many units."""
        return [
            own.first + run + block + i
            for block in range(0, self.units, each)
            for own in self.sums
            for run in range(0, own.count, self.units)
            for i in range(each)
        ]

    def of_block(self, each: int) -> tuple[list[Op], dict[str, Constant]]:
        """Return the ops on the sums and the state of a block of so many units, and the constants that they read."""
        cut, tables = _Cut(self, each), dict[str, Constant]()
        return [cut.op(op, tables) for op in self.ops], tables


def cell_parts(ops: Sequence[Op], body: Facts, wires: Sequence[Lane], features: int, units: int) -> CellParts | str:
    """Return the parts of a body, or why it has none.

    ops: of the body, without its input, the last one what leaves; wires: of the elements of its input, the step first.
    """
    try:
        return _parts(ops, body, wires, features, units)
    except _NoPartsError as reason:
        return str(reason)


def _parts(ops: Sequence[Op], body: Facts, wires: Sequence[Lane], features: int, units: int) -> CellParts:
    source = body.program.input.name
    moved: dict[str, list[int]] = {source: list(range(len(wires)))}
    for op in ops[:-1]:
        if (found := _moved(op, body, wires, moved)) is not None:
            moved[op.name] = found
    named = {op.name: op for op in ops}
    behind: dict[str, Op] = {}
    products: dict[str, Dense] = {}
    waiting = [ops[-1].name]
    while waiting:
        op = named[waiting.pop()]
        if isinstance(op, Dense):
            if op.source not in moved:
                raise _NoPartsError(f"op {op.name!r} multiplies what other products of the step make")
            products[op.name] = op
            continue
        behind[op.name] = op
        if not (isinstance(op, Slice) and op.source == source):
            waiting += [name for name in sources(op) if name not in behind and name not in products]
        if source in waiting:
            raise _NoPartsError(f"op {op.name!r} reads the step as it comes")
    if not products:
        raise _NoPartsError("it has no products")
    dense = [op for op in ops if op.name in products and isinstance(op, Dense)]
    operands = sorted({i for op in dense for i in moved[op.source]})
    columns, biases, sums = list[Ints](), list[Ints](), list[Sums]()
    for op in dense:
        matrix, bias, up = _aligned(op, body, wires, moved[op.source], operands)
        sums.append(Sums(name=op.name, first=sum(own.count for own in sums), count=len(bias), up=up))
        columns.append(matrix)
        biases.append(bias)
    parts = CellParts(
        body=body,
        units=units,
        features=features,
        operands=tuple(operands),
        matrix=np.concatenate(columns, axis=1),
        bias=np.concatenate(biases),
        sums=tuple(sums),
        ops=tuple(op for op in ops if op.name in behind),
    )
    parts.of_block(units)  # that every op can be cut
    return parts


def _moved(op: Op, body: Facts, wires: Sequence[Lane], moved: dict[str, list[int]]) -> list[int] | None:
    """Return the element of the body's input that each element of a result is, number by number; None: another."""
    if any(name not in moved for name in sources(op)):
        return None
    match op:
        case Slice():
            return moved[op.source][op.starts[0] : op.stops[0] : op.steps[0]] if op.steps[0] > 0 else None
        case Concat():
            return [i for name in op.sources for i in moved[name]]
        case Requant():
            keeps = [_keeps(op, n, wires[i], body) for n, i in enumerate(moved[op.source])]
            return moved[op.source] if all(keeps) else None
        case _:
            return None


def _keeps(op: Requant, element: int, wire: Lane, body: Facts) -> bool:
    """Tell whether a Requant leaves an element of the body's input what it is."""
    width, keep, signed = (values[element % len(values)] for values in (op.width_bits, op.keep_frac_bits, op.signed))
    drop = body.program.input.format.frac_bits - keep
    lo, hi = wire.lo << wire.shift, wire.hi << wire.shift
    top = 1 << (width - signed)
    inside = (-top < lo >> drop if signed else lo >= 0) and hi >> drop < top if drop >= 0 else False
    return inside and (wire.shift >= drop or lo == hi == 0)


def _aligned(
    op: Dense, body: Facts, wires: Sequence[Lane], reads: Sequence[int], operands: Sequence[int]
) -> tuple[Ints, Ints, int]:
    """Return a Dense's matrix, (operands, columns), for the numbers on the wires, its bias, and the sums' shift."""
    weight, bias = (body.program.constants[key] for key in (op.weight, op.bias))
    frac, own = body.ranges[op.name].frac_bits, body.ranges[op.source].frac_bits
    up, coarser = frac - own - weight.frac_bits, body.program.input.format.frac_bits - own
    matrix = np.zeros((len(operands), weight.q.shape[1]), dtype=np.int64)
    places = {element: place for place, element in enumerate(operands)}
    for row, element in zip(weight.q, reads, strict=True):
        scale = wires[element].shift - coarser + up
        matrix[places[element]] += row << scale if scale >= 0 else row * 0  # a wire that is always 0
    offsets = bias.q << (frac - bias.frac_bits)
    common = int(np.bitwise_or.reduce(np.concatenate([matrix.ravel(), offsets])))
    shift = max((common & -common).bit_length() - 1, 0)
    return matrix >> shift, offsets >> shift, shift


@dataclass(frozen=True, slots=True)
class _Cut:
    """What treats all units of a cell, as what treats `each` of them."""

    parts: CellParts
    each: int

    def op(self, op: Op, tables: dict[str, Constant]) -> Op:
        """Return an op on a block; constants of its own are added to tables."""
        units, sizes = self.parts.units, self.parts.body.shapes
        size = sizes[op.name][0] if op.name in sizes else 0
        match op:
            case Slice():
                first = self.parts.features if op.source == self.parts.body.program.input.name else 0
                start, stop = op.starts[0] - first, op.stops[0] - first
                if start < 0 or start % units or stop % units or op.steps != (1,):
                    raise _NoPartsError(f"op {op.name!r} takes other elements than runs of the cell's {units} units")
                return replace(op, starts=(start // units * self.each,), stops=(stop // units * self.each,))
            case Requant():
                return replace(
                    op,
                    width_bits=self._spread(op, op.width_bits, size),
                    keep_frac_bits=self._spread(op, op.keep_frac_bits, size),
                    signed=self._spread(op, op.signed, size),
                )
            case Lookup():
                return replace(op, table=self._constant(op, op.table, size, tables))
            case Thresholds():
                return replace(op, thresholds=self._constant(op, op.thresholds, size, tables))
            case Const():
                return replace(op, value=self._constant(op, op.value, size, tables))
            case Concat() | Relu():
                return op
            case Add() | Sub() | Mul() | Max() | Min():
                if {sizes[name][0] for name in (op.left, op.right)} - {size, 1}:
                    raise _NoPartsError(f"op {op.name!r} joins values of different sizes")
                return op
            case _:
                raise _NoPartsError(f"op {op.name!r} is a {type(op).__name__}")

    def _constant(self, op: Op, key: str, size: int, tables: dict[str, Constant]) -> str:
        """Return the name of a constant's rows for a block."""
        whole = self.parts.body.program.constants[key]
        if len(whole.q) == 1:
            return key
        if len(whole.q) != size:
            raise _NoPartsError(f"op {op.name!r} has {len(whole.q)} rows of constants for {size} elements")
        rows = self._spread(op, tuple(range(size)), size, whole.q)
        tables[f"{key}.block"] = Constant(whole.q[list(rows)], whole.frac_bits)
        return f"{key}.block"

    def _spread(self, op: Op, values: tuple[Any, ...], size: int, rows: Ints | None = None) -> tuple[Any, ...]:
        """Return one value for all, or those of a block, where no unit differs from the others."""
        if len(values) == 1:
            return values
        units = self.parts.units
        if len(values) != size or size % units:
            raise _NoPartsError(f"op {op.name!r} has {len(values)} formats for {size} elements")
        for start in range(0, size, units):
            run = values[start : start + units]
            alike = [a == b if rows is None else bool((rows[a] == rows[b]).all()) for a, b in pairwise(run)]
            if not all(alike):
                raise _NoPartsError(f"op {op.name!r} differs from unit to unit")
        return tuple(values[start + i] for start in range(0, size, units) for i in range(self.each))
