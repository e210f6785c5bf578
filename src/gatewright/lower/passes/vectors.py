"""Program of images or signals in, equal program of vectors out: for designs that take a whole image in one cycle.

Each result keeps its name and its integers, in row-major order. What is linear becomes one dense layer, its matrix read
off the interpreter: the op's results for each unit vector. What only moves elements is such a layer of ones, which is
wires. The maximum of windows is one of two vectors at a time. So nothing behind this pass knows of images.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from math import prod
from typing import assert_never

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir.interp import Interpreter
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK, Trees
from gatewright.ir.ops import Add, Binary, Const, Conv, Dense, Input, Max, Min, Mul, Pool, PoolKind, Relu, Requant, Sub
from gatewright.ir.program import Constant, Op, Program, Scan, constants_of, sources
from gatewright.ir.rounding import spread
from gatewright.ir.verify import verify
from gatewright.ir.windows import windows
from gatewright.lower.build.facts import Facts
from gatewright.lower.build.support import no_hardware
from gatewright.lower.passes.constants import constants_to_dense

MOST_PRODUCTS = 100_000
"""Products that one design may compute at once: some hundred thousand LUTs."""
MOST_CELLS = 1 << 24
"""Elements of a layer's matrix over whole images: 128 MiB."""


def of_vectors(program: Program) -> Program:
    """Return the verified program with vectors for all its values; one of vectors alone as it is.

    Raises LowerError naming the layer, for what has no such form and for what would take more than MOST_PRODUCTS.
    """
    if all(len(shape) == 1 for shape in Facts(program=program).shapes.values()):
        return program
    work = _Work(Facts(program=program))
    for op in program.ops:
        work.add(op)
    used = {key for op in work.ops for key in constants_of(op)}
    constants = {key: value for key, value in work.constants.items() if key in used}
    made = dataclasses.replace(program, ops=tuple(work.ops), constants=constants)
    verify(made)
    return constants_to_dense(made)


def streams_needed(op: Op, why: str) -> LowerError:
    """Return the error that refuses an op of images in a design that takes a whole image at once."""
    return LowerError(
        f"layer {op.layer!r}: {type(op).__name__} (op {op.name!r}) {why} in the parallel and the folded architecture; "
        'set hardware.architecture = "stream"'
    )


@dataclass(slots=True)
class _Work:
    """facts: of the program of images; ops, constants: of the one of vectors; products: at once, so far."""

    facts: Facts
    ops: list[Op] = field(default_factory=list[Op])
    constants: dict[str, Constant] = field(init=False)
    products: int = 0

    def __post_init__(self) -> None:
        self.constants = dict(self.facts.program.constants)

    def add(self, op: Op) -> None:
        """Add the ops of vectors that give an op's integers, the last of them under its name."""
        size = prod(self.facts.shapes[op.name])
        match op:
            case Input():
                self.ops.append(dataclasses.replace(op, shape=(size,)))
            case Const():
                value = self.facts.program.constants[op.value]
                self.constants[f"{op.name}.flat"] = Constant(value.q.reshape(-1), value.frac_bits)
                self.ops.append(dataclasses.replace(op, value=f"{op.name}.flat"))
            case Relu() | Trees():
                self.ops.append(op)
            case Reshape():
                self.ops.append(dataclasses.replace(op, shape=(size,)))
            case Dense() | Conv():
                self._linear(op)
            case Pool():
                if op.kind is PoolKind.SUM:
                    self._linear(op)
                else:
                    self._maxima(op)
            case Slice() | Pad() | Upsample() | Transpose():
                self._linear(op)
            case Concat():
                self._joined(op)
            case Requant():
                self._requant(op)
            case Lookup():
                self.ops.append(dataclasses.replace(op, table=self._tables(op, op.table)))
            case Thresholds():
                self.ops.append(dataclasses.replace(op, thresholds=self._tables(op, op.thresholds)))
            case Add() | Sub() | Mul() | Max() | Min():
                left, right = self._spread(op, op.left, "left"), self._spread(op, op.right, "right")
                self.ops.append(dataclasses.replace(op, left=left, right=right))
            case ArgMax() | TopK() | Softmax():
                if prod(self.facts.shapes[op.source][:-1]) > 1:
                    raise streams_needed(op, "of each position is not built")
                self.ops.append(op)
            case Scan():
                raise no_hardware(op)
            case _:
                assert_never(op)

    def _constant(self, op: Const) -> None:
        value = self.facts.program.constants[op.value]
        self.ops.append(dataclasses.replace(op, value=self._keep(op, "flat", value.q.reshape(-1), value.frac_bits)))

    def _linear(self, op: Dense | Conv | Pool | Slice | Pad | Upsample | Transpose) -> None:
        """Add the dense layer whose bias is the op's result for 0, and whose matrix are those for unit vectors."""
        facts, read = self.facts, self.facts.shapes[op.source]
        frac, given = facts.ranges[op.name].frac_bits, facts.ranges[op.source].frac_bits
        n_in, n_out = prod(read), prod(facts.shapes[op.name])
        if n_in * n_out > MOST_CELLS:
            raise streams_needed(op, f"of {n_in:,} numbers to {n_out:,} is too large to be computed at once")
        zero, units = np.zeros((1, *read), np.int64), np.eye(n_in, dtype=np.int64).reshape(n_in, *read)
        bias, sums = (_alone(op, facts.program, given, x).reshape(len(x), n_out) for x in (zero, units))
        weight_frac = facts.program.constants[op.weight].frac_bits if isinstance(op, Dense | Conv) else 0
        matrix = (sums - bias) >> (frac - given - weight_frac)
        if isinstance(op, Dense | Conv):
            self.products += int(np.count_nonzero(matrix))
            if self.products > MOST_PRODUCTS:
                raise streams_needed(op, f"is the layer with which more than {MOST_PRODUCTS:,} products come at once")
        self._dense(op, op.name, op.source, Constant(matrix, weight_frac), Constant(bias[0], frac))

    def _dense(self, op: Op, name: str, source: str, matrix: Constant, bias: Constant) -> str:
        weight, shift = f"{name}.whole", f"{name}.offset"
        self.constants |= {weight: matrix, shift: bias}
        self.ops.append(Dense(name=name, layer=op.layer, source=source, weight=weight, bias=shift))
        return name

    def _gathered(self, op: Op, name: str, source: str, index: Ints, size: int, frac: int) -> str:
        """Add the layer of ones that takes elements, by number, of a vector."""
        matrix = np.zeros((size, index.size), np.int64)
        matrix[index, np.arange(index.size)] = 1
        return self._dense(op, name, source, Constant(matrix, 0), Constant(np.zeros(index.size, np.int64), frac))

    def _maxima(self, op: Pool) -> None:
        """Add the greater of two vectors at a time; where a window has padding stands an element of it again."""
        shape = self.facts.shapes[op.source]
        size, frac, one = prod(shape), self.facts.ranges[op.source].frac_bits, (1,) * len(op.size)
        index = windows(np.arange(size).reshape(1, *shape), op.size, op.strides, one, op.pads, fill=-1)
        cells = np.moveaxis(index, -1, len(op.size) + 1).reshape(-1, prod(op.size))
        cells = np.where(cells < 0, cells.max(axis=1, keepdims=True), cells)
        if len(cells) * size > MOST_CELLS:
            raise streams_needed(op, f"of {size:,} numbers to {len(cells):,} is too large to be computed at once")
        names = [f"{op.name}.cell{at}" for at in range(cells.shape[1])] if cells.shape[1] > 1 else [op.name]
        found = [self._gathered(op, name, op.source, cells[:, at], size, frac) for at, name in enumerate(names)]
        while len(found) > 1:
            left, right, *rest = found
            name = f"{op.name}.of{len(found)}" if rest else op.name
            self.ops.append(Max(name=name, layer=op.layer, left=left, right=right))
            found = [*rest, name]

    def _joined(self, op: Concat) -> None:
        """Join vectors end to end, and put the elements in the order that the axis gives them."""
        given = [self.facts.shapes[name] for name in op.sources]
        ends = np.cumsum([0, *map(prod, given)])
        numbers = [np.arange(a, b).reshape(shape) for a, b, shape in zip(ends[:-1], ends[1:], given, strict=True)]
        index = np.concatenate(numbers, axis=op.axis).reshape(-1)
        if np.array_equal(index, np.arange(index.size)):
            self.ops.append(dataclasses.replace(op, axis=0))
            return
        joined = dataclasses.replace(op, name=f"{op.name}.joined", axis=0)
        self.ops.append(joined)
        self._gathered(op, op.name, joined.name, index, index.size, self.facts.ranges[op.name].frac_bits)

    def _requant(self, op: Requant) -> None:
        """Give each element the format of its channel."""
        size = prod(self.facts.shapes[op.name])
        self.ops.append(
            dataclasses.replace(
                op,
                width_bits=spread(op.width_bits, size),
                keep_frac_bits=spread(op.keep_frac_bits, size),
                signed=spread(op.signed, size),
            )
        )

    def _tables(self, op: Lookup | Thresholds, key: str) -> str:
        """Return the key of a table with a row for each element, where there is one for each channel."""
        value, positions = self.facts.program.constants[key], prod(self.facts.shapes[op.name][:-1])
        if len(value.q) == 1 or positions == 1:
            return key
        self.constants[f"{op.name}.each"] = Constant(np.tile(value.q, (positions, 1)), value.frac_bits)
        return f"{op.name}.each"

    def _spread(self, op: Binary, name: str, side: str) -> str:
        """Return the operand with as many elements as the result has."""
        shape, source = self.facts.shapes[op.name], self.facts.program.op(name)
        given = self.facts.shapes[name]
        if isinstance(source, Const):
            value, made = self.facts.program.constants[source.value], f"{op.name}.{side}"
            self.constants[made] = Constant(np.broadcast_to(value.q, shape).reshape(-1), value.frac_bits)
            self.ops.append(Const(name=made, layer=op.layer, value=made))
            return made
        if prod(given) == prod(shape):
            return name
        index = np.broadcast_to(np.arange(prod(given)).reshape(given), shape).reshape(-1)
        frac = self.facts.ranges[name].frac_bits
        return self._gathered(op, f"{op.name}.{side}", name, index, prod(given), frac)


def _alone(op: Op, program: Program, frac: int, x: Ints) -> Ints:
    """Return an op's result for codes x of its one operand, which has so many fractional bits."""
    (source,) = sources(op)
    unit = Fixed(width_bits=2, frac_bits=frac, signed=True)
    given = Input(name=source, layer=source, shape=x.shape[1:], format=unit)
    return Interpreter(Program(name=program.name, ops=(given, op), output=op.name, constants=program.constants)).run(x)
