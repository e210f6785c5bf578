"""The definition of every op: Program and input codes in, result integers out. NumPy only, exact.

It is also the fast emulator: a dense product whose partial sums provably stay below 2**53 runs in float64 BLAS,
which is then exact; otherwise in int64.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from gatewright.errors import ProgramError
from gatewright.ir.formats import Ints, Overflow, Rounding
from gatewright.ir.ops import ArgMax, Dense, Input, Lookup, Op, Relu, Requant, Softmax, Thresholds, TopK
from gatewright.ir.program import Program
from gatewright.ir.ranges import Range, ranges, spread
from gatewright.ir.tables import cuts, look_up, softmax, threshold

FLOAT_EXACT_BITS = 53  # IEEE 754-2019 binary64 holds every integer up to 2**53


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Evaluates one program many times; range analysis is done once."""

    program: Program
    _ranges: dict[str, Range] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ranges", ranges(self.program))

    def run(self, x: Ints) -> Ints:
        """Return the output for input codes x: (n, *input shape) -> (n, *output shape), int64."""
        return self.trace(x)[self.program.output]

    def trace(self, x: Ints) -> dict[str, Ints]:
        """Return every op's result by name for input codes x: (n, *input shape)."""
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
        values: dict[str, Ints] = {}
        for op in self.program.ops:
            values[op.name] = x.astype(np.int64) if isinstance(op, Input) else self._evaluate(op, values)
        return values

    def _evaluate(self, op: Op, values: dict[str, Ints]) -> Ints:
        match op:
            case Input():
                raise ProgramError(f"op {op.name!r}: a program has one Input, its first op")
            case Dense():
                return self._dense(op, values[op.source])
            case Relu():
                return np.maximum(values[op.source], 0)
            case Requant():
                return requant(values[op.source], self._ranges[op.source].frac_bits, op)
            case ArgMax():
                return np.argmax(values[op.source], axis=-1, keepdims=True).astype(np.int64)
            case TopK():
                return np.argsort(-values[op.source], axis=-1, kind="stable")[..., : op.k].astype(np.int64)
            case Thresholds():
                at = cuts(self.program.constants[op.thresholds], self._ranges[op.source].frac_bits)
                return threshold(values[op.source], at, op)
            case Lookup():
                return look_up(values[op.source], self.program.constants[op.table].q, op)
            case Softmax():
                table = self.program.constants
                return softmax(values[op.source], table[op.exp_table].q, table[op.reciprocal_table].q, op)
            case _:
                assert_never(op)

    def _dense(self, op: Dense, x: Ints) -> Ints:
        weight, bias = self.program.constants[op.weight], self.program.constants[op.bias]
        frac = self._ranges[op.name].frac_bits
        up = frac - self._ranges[op.source].frac_bits - weight.frac_bits
        source = self._ranges[op.source]
        magnitude = np.maximum(abs(source.lo), abs(source.hi)) @ abs(weight.q.astype(object))
        if max(magnitude.flat, default=0) < 1 << FLOAT_EXACT_BITS:
            product = (x.astype(np.float64) @ weight.q.astype(np.float64)).astype(np.int64)
        else:
            product = x @ weight.q
        return (product << up) + (bias.q << (frac - bias.frac_bits))


def run(program: Program, x: Ints) -> Ints:
    """Return the program's output for input codes x: (n, *input shape) -> (n, *output shape)."""
    return Interpreter(program).run(x)


def requant(q: Ints, frac_bits: int, op: Requant) -> Ints:
    """Apply one Requant to integers at frac_bits. q: (n, *shape), same shape out."""
    size = int(np.prod(q.shape[1:]))
    shape = q.shape[1:]
    width = np.array(spread(op.width_bits, size), dtype=np.int64).reshape(shape)
    keep = np.array(spread(op.keep_frac_bits, size), dtype=np.int64).reshape(shape)
    sign = np.array(spread(op.signed, size), dtype=np.int64).reshape(shape)
    drop = frac_bits - keep
    kept = _round(q << np.maximum(-drop, 0), np.maximum(drop, 0), op.rounding)
    one = np.int64(1)
    low, high = -sign * (one << np.maximum(width - 1, 0)), (one << np.maximum(width - sign, 0)) - 1
    match op.overflow:
        case Overflow.SATURATE:
            inside = np.clip(kept, low, high)
        case Overflow.WRAP:
            inside = ((kept - low) & ((one << width) - 1)) + low
        case _:
            assert_never(op.overflow)
    return np.where(width == 0, 0, inside << (op.frac_bits - keep))


def _round(q: Ints, drop: Ints, rounding: Rounding) -> Ints:
    """Return q * 2**-drop rounded to integers; drop >= 0, broadcast over q."""
    half = (np.int64(1) << drop) >> 1
    match rounding:
        case Rounding.TRUNCATE:
            return q >> drop
        case Rounding.HALF_UP:
            return (q + half) >> drop
        case Rounding.HALF_EVEN:
            odd = (q >> drop) & 1
            return np.where(drop == 0, q, (q + half - 1 + odd) >> drop)
        case _:
            assert_never(rounding)
