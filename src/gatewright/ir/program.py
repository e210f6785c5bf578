"""Program: an ordered op list and its weight table; the golden meaning of a network from export on.

`Op`, the closed union of operations, and `Scan`, whose body is a program, lie here: they and Program are one recursion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

import numpy as np

from gatewright.errors import ProgramError
from gatewright.fixedpoint import Ints
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK, Trees
from gatewright.ir.ops import (
    Add,
    Basic,
    Const,
    Conv,
    Dense,
    Elementwise,
    Input,
    MatMul,
    Max,
    Min,
    Mul,
    Pool,
    Requant,
    Sub,
)


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """Read-only integers of any shape; element q means q * 2**-frac_bits."""

    q: Ints
    frac_bits: int

    def __post_init__(self) -> None:
        q = np.array(self.q, dtype=np.int64)
        q.setflags(write=False)
        object.__setattr__(self, "q", q)

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.frac_bits == other.frac_bits and np.array_equal(self.q, other.q)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A body program run over axis 0 of x, carrying a state. x: (steps, features).

    initial: (states,), a constant. At each step the body reads concat(x[t], state), (features + states,), shifted up
    to its input's frac_bits, and returns a vector whose first `states` elements are the next state; the step's result
    is elements emit[0] .. emit[1] - 1 of that vector. The result is every step's in the order in which they were
    taken, (steps, emitted), or (emitted,) of the last where `sequences` is false. `reverse` takes the last step
    first. frac_bits: the body's result's.
    """

    name: str
    layer: str
    source: str
    body: Program
    initial: str
    emit: tuple[int, int]
    reverse: bool
    sequences: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A network as integer operations, in the order in which they are done.

    name: identifier; ops: the first is the Input; output: name of the result; classes: () for scores.

    Two programs are equal when every op, table and name is. Call `gatewright.ir.verify.verify` on anything built
    by hand.
    """

    name: str
    ops: tuple[Op, ...]
    output: str
    constants: Mapping[str, Constant]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))

    @property
    def input(self) -> Input:
        """The one input op."""
        first = self.ops[0] if self.ops else None
        if not isinstance(first, Input):
            raise ProgramError(f"program {self.name!r}: the first op must be an Input, not {first!r}")
        return first

    def op(self, name: str) -> Op:
        """Return the op whose result is `name`."""
        for op in self.ops:
            if op.name == name:
                return op
        raise ProgramError(f"program {self.name!r} has no op {name!r}; it has {[op.name for op in self.ops]}")

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers' names in order, without the input's."""
        return tuple(dict.fromkeys(op.layer for op in self.ops if not isinstance(op, Input)))


Op = (  # the closed union: a new operation joins it here, one of ops.py joins Basic there
    Basic
    | Concat
    | Reshape
    | Transpose
    | Slice
    | Pad
    | Upsample
    | Scan
    | ArgMax
    | TopK
    | Thresholds
    | Trees
    | Lookup
    | Softmax
)


def sources(op: Op) -> tuple[str, ...]:
    """Return the names of the results an op reads."""
    match op:
        case Input() | Const():
            return ()
        case Add() | Sub() | Mul() | Max() | Min() | MatMul():
            return op.left, op.right
        case Concat():
            return op.sources
        case Elementwise() | Dense() | Conv() | Pool() | Requant() | Scan():
            return (op.source,)
        case Reshape() | Transpose() | Slice() | Pad() | Upsample():
            return (op.source,)
        case ArgMax() | TopK() | Thresholds() | Trees() | Lookup() | Softmax():
            return (op.source,)
        case _:
            assert_never(op)


def constants_of(op: Op) -> tuple[str, ...]:
    """Return the names of the constants an op reads."""
    match op:
        case Dense() | Conv():
            return op.weight, op.bias
        case Const():
            return (op.value,)
        case Scan():
            return (op.initial,)
        case Thresholds():
            return (op.thresholds,)
        case Trees():
            return op.feature, op.thresholds, op.children, op.roots, op.leaves, op.bias
        case Lookup():
            return (op.table,)
        case Softmax():
            return op.exp_table, op.reciprocal_table
        case Input() | Elementwise() | Pool() | Requant() | Add() | Sub() | Mul() | Max() | Min() | MatMul():
            return ()
        case Concat() | Reshape() | Transpose() | Slice() | Pad() | Upsample() | ArgMax() | TopK():
            return ()
        case _:
            assert_never(op)
