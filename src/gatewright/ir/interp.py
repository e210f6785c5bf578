"""The definition of every op: Program and input codes in, result integers out. NumPy only, exact.

It is also the fast emulator: `trace` computes every op as it is defined, on int64; `run` and `stream` compute the same
integers in floating point wherever that is provably exact (gatewright.ir.fast), as many samples at a time as the caches
like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ProgramError
from gatewright.fixedpoint import Ints
from gatewright.ir.fast import Step, steps
from gatewright.ir.fast_scan import FastScan
from gatewright.ir.linear import Linear, matmul, matmul_carrier
from gatewright.ir.lookups import cuts, look_up, softmax, threshold
from gatewright.ir.moves import aligned, moved
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK, Trees
from gatewright.ir.ops import Add, Binary, Const, Conv, Dense, Input, MatMul, Max, Min, Mul, Pool, Relu, Requant, Sub
from gatewright.ir.program import Op, Program, Scan
from gatewright.ir.ranges import Range, ranges, scan_ranges
from gatewright.ir.rounding import requant
from gatewright.ir.trees import Forest
from gatewright.ir.windows import pool

Codes = NDArray[np.integer[Any]]
WORKING_SET = 1 << 18  # elements that one op may touch at once: larger batches leave the caches


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Evaluates one program many times.

    ranges: the range of every result, by name; analysed once, where they are not given.
    """

    program: Program
    ranges: dict[str, Range] = field(default_factory=dict[str, Range])
    _ready: dict[str, Linear | Interpreter | FastScan | Forest | Ints | np.dtype[Any]] = field(init=False)
    _steps: list[Step] = field(default_factory=list[Step], init=False, repr=False, compare=False)  # once asked for

    def __post_init__(self) -> None:
        if not self.ranges:
            object.__setattr__(self, "ranges", ranges(self.program))
        object.__setattr__(
            self, "_ready", {op.name: r for op in self.program.ops if (r := self._prepared(op)) is not None}
        )

    def run(self, x: Codes) -> Ints:
        """Return the output for input codes x: (n, *input shape) -> (n, *output shape), int64."""
        self._check(x)
        if not len(x):
            return np.empty((0, *self.ranges[self.program.output].lo.shape), dtype=np.int64)
        size = self.chunk
        return np.concatenate([self._output(x[at : at + size]) for at in range(0, len(x), size)])

    def stream(self, batches: Iterable[Codes]) -> Iterator[Ints]:
        """Yield the output of each batch as it comes: a generator, so that an endless source needs no memory.

        batches: input codes, each (n, *input shape) -> (n, *output shape), or single samples (*input shape) ->
        (*output shape).
        """
        for x in batches:
            single = x.shape == self.program.input.shape
            result = self.run(x[None] if single else x)
            yield result[0] if single else result

    def trace(self, x: Codes) -> dict[str, Ints]:
        """Return every op's result by name for input codes x: (n, *input shape)."""
        self._check(x)
        values: dict[str, Ints] = {}
        for op in self.program.ops:
            values[op.name] = self._evaluate(op, values, x)
        return values

    @property
    def chunk(self) -> int:
        """How many samples `run` evaluates at a time."""
        return max(1, WORKING_SET // max(map(self._elements, self.program.ops)))

    def _elements(self, op: Op) -> int:
        """Return how many elements an op touches per sample; a convolution gathers its windows, and reads them once."""
        size = prod(self.ranges[op.name].lo.shape)
        if isinstance(op, Conv):
            gathered = prod(self.ranges[op.name].lo.shape[:-1]) * prod(self.program.constants[op.weight].q.shape[:-1])
            return max(size, gathered // 2)
        if isinstance(op, Trees):
            return max(size, self.program.constants[op.roots].q.size)
        return size

    def _prepared(self, op: Op) -> Linear | Interpreter | FastScan | Forest | Ints | np.dtype[Any] | None:
        if isinstance(op, Dense | Conv):
            x = self.ranges[op.source]
            return Linear.ready(op, self.program, x.magnitude[None], x.frac_bits, self.ranges[op.name].frac_bits)
        if isinstance(op, MatMul):
            return np.dtype(matmul_carrier(self.ranges[op.left].magnitude, self.ranges[op.right].magnitude))
        if isinstance(op, Scan):
            inside, _ = scan_ranges(op, self.program, self.ranges[op.source])
            return FastScan.of(op, self.program, inside) or Interpreter(op.body, inside)
        if isinstance(op, Trees):
            return Forest.of(op, self.program.constants, self.ranges[op.source].frac_bits)
        if isinstance(op, Thresholds):
            return cuts(self.program.constants[op.thresholds], self.ranges[op.source].frac_bits)
        return None

    def _check(self, x: Codes) -> None:
        source = self.program.input
        if x.shape[1:] != source.shape:
            raise ProgramError(f"input of {self.program.name!r} must be (n, {source.shape}), not {x.shape}")
        if not np.issubdtype(x.dtype, np.integer):
            raise ProgramError(
                f"input of {self.program.name!r} must be integer codes, not {x.dtype}; use the dataset's codes"
            )
        if x.size and (x.min() < source.format.lo or x.max() > source.format.hi):
            raise ProgramError(
                f"input codes of {self.program.name!r} must lie in {source.format.lo}..{source.format.hi} "
                f"({source.format}), not {x.min()}..{x.max()}"
            )

    def _output(self, x: Codes) -> Ints:
        """Return the output, forgetting each result after its last use."""
        if not self._steps:
            self._steps.extend(steps(self.program, self.ranges))
        values: dict[str, NDArray[Any]] = {}
        for step in self._steps:
            if step.op is not None:
                read = {name: values[name].astype(np.int64, copy=False) for name in step.reads}
                values[step.name] = self._evaluate(step.op, read, x)
            elif step.compute is not None:
                values[step.name] = step.compute([values[name] for name in step.reads] or [x])
            for name in step.done:
                del values[name]
        return values[self.program.output].astype(np.int64, copy=False)

    def _evaluate(self, op: Op, values: dict[str, Ints], x: Codes) -> Ints:
        match op:
            case Input():
                return x.astype(np.int64)
            case Const():
                constant = self.program.constants[op.value].q
                return np.broadcast_to(constant, (len(x), *constant.shape))
            case Dense() | Conv():
                ready = self._ready[op.name]
                assert isinstance(ready, Linear)
                return ready(values[op.source])
            case Pool():
                return pool(values[op.source], op.kind.value, op.size, op.strides, op.pads)
            case Relu():
                return np.maximum(values[op.source], 0)
            case Requant():
                return requant(values[op.source], self.ranges[op.source].frac_bits, op)
            case Add() | Sub() | Mul() | Max() | Min():
                return self._binary(op, values)
            case MatMul():
                kind = self._ready[op.name]
                assert isinstance(kind, np.dtype)
                return matmul(values[op.left].astype(kind), values[op.right].astype(kind)).astype(np.int64)
            case Concat():
                frac = self.ranges[op.name].frac_bits
                return np.concatenate([self._at(name, frac, values) for name in op.sources], axis=op.axis + 1)
            case Reshape() | Transpose() | Slice() | Pad() | Upsample():
                return moved(op, values[op.source])
            case Scan():
                return self._scan(op, values[op.source])
            case ArgMax():
                return np.argmax(values[op.source], axis=-1, keepdims=True).astype(np.int64)
            case TopK():
                return np.argsort(-values[op.source], axis=-1, kind="stable")[..., : op.k].astype(np.int64)
            case Thresholds():
                at = self._ready[op.name]
                assert isinstance(at, np.ndarray)
                return threshold(values[op.source], at, op)
            case Trees():
                forest = self._ready[op.name]
                assert isinstance(forest, Forest)
                return forest(values[op.source])
            case Lookup():
                return look_up(values[op.source], self.program.constants[op.table].q, op)
            case Softmax():
                table = self.program.constants
                return softmax(values[op.source], table[op.exp_table].q, table[op.reciprocal_table].q, op)
            case _:
                assert_never(op)

    def _at(self, name: str, frac_bits: int, values: dict[str, Ints]) -> Ints:
        """Return a value shifted up to frac_bits."""
        return values[name] << (frac_bits - self.ranges[name].frac_bits)

    def _binary(self, op: Binary, values: dict[str, Ints]) -> Ints:
        rank = self.ranges[op.name].lo.ndim
        if isinstance(op, Mul):
            return aligned(values[op.left], rank) * aligned(values[op.right], rank)
        frac = self.ranges[op.name].frac_bits
        a, b = (aligned(self._at(name, frac, values), rank) for name in (op.left, op.right))
        match op:
            case Add():
                return a + b
            case Sub():
                return a - b
            case Max():
                return np.maximum(a, b)
            case Min():
                return np.minimum(a, b)
            case _:
                assert_never(op)

    def _scan(self, op: Scan, x: Ints) -> Ints:
        body = self._ready[op.name]
        frac = op.body.input.format.frac_bits
        steps = x << (frac - self.ranges[op.source].frac_bits)
        if isinstance(body, FastScan):
            return body(steps)
        assert isinstance(body, Interpreter)
        initial = self.program.constants[op.initial]
        up = frac - self.ranges[op.name].frac_bits
        state = np.broadcast_to(initial.q << (frac - initial.frac_bits), (len(x), initial.q.size))
        first, end = op.emit
        results: list[Ints] = []
        for step in range(x.shape[1])[:: -1 if op.reverse else 1]:
            after = body._output(np.concatenate([steps[:, step], state], axis=1))
            state = after[:, : initial.q.size] << up
            results.append(after[:, first:end])
        return np.stack(results, axis=1) if op.sequences else results[-1]


def run(program: Program, x: Codes) -> Ints:
    """Return the program's output for input codes x: (n, *input shape) -> (n, *output shape)."""
    return Interpreter(program).run(x)
