"""The closed union of operations. Values are int64 tensors with one frac_bits each; see docs/program.md.

Shapes exclude the sample axis. Every op names its result `name` and reads earlier results by name; `layer` is the
user's name of the layer it belongs to. Weights sit in the program's read-only table and are named `@layer.weight`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from gatewright.ir.formats import Fixed, Overflow, Rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The program's input codes: shape (n, *shape), each within `format`."""

    name: str
    layer: str
    shape: tuple[int, ...]
    format: Fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """y = x @ W + b, exactly. x: (..., n_in); weight: (n_in, n_out); bias: (n_out,).

    Result frac_bits = max(x.frac + W.frac, b.frac); sum and bias are shifted up to it.
    """

    name: str
    layer: str
    source: str
    weight: str
    bias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu:
    """y = max(x, 0). Same shape and frac_bits."""

    name: str
    layer: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requant:
    """Round to a format, then handle overflow. Same shape; the result's frac_bits is `frac_bits`.

    width_bits, keep_frac_bits and signed are one value for all elements or one per element (flattened). Element e
    is rounded to a multiple of 2**-keep_frac_bits[e], brought into its width by `overflow`, and stored at the
    common `frac_bits` (>= every keep_frac_bits). Width 0 yields the constant 0.
    """

    name: str
    layer: str
    source: str
    frac_bits: int
    width_bits: tuple[int, ...]
    keep_frac_bits: tuple[int, ...]
    signed: tuple[bool, ...]
    rounding: Rounding
    overflow: Overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgMax:
    """Index of the greatest element of the last axis, the lowest index among equals. x: (n,) -> (1,), frac_bits 0."""

    name: str
    layer: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK:
    """Indices of the k greatest elements, greatest first, the lowest index among equals. (n,) -> (k,), frac_bits 0."""

    name: str
    layer: str
    source: str
    k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """y = start + step * (number of the channel's thresholds t with x >= t). Same shape.

    thresholds: (1 or channels, count), ascending per row; its own frac_bits, the values they mean are compared. start,
    step: integers at the result's `frac_bits`. The channel is the last axis.
    """

    name: str
    layer: str
    source: str
    thresholds: str
    start: int
    step: int
    frac_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """y = table[channel][x - first]: any function of one number. Same shape; frac_bits is the table's.

    table: (1 or channels, entries). The channel is the last axis. Every x lies in first .. first + entries - 1.
    """

    name: str
    layer: str
    source: str
    table: str
    first: int


class SoftmaxVariant(Enum):
    """How the exponentials are kept in range."""

    STABLE = "stable"  # the greatest element is subtracted first
    LATENCY = "latency"  # the exponential is read at x itself, clipped to the table's range


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """Softmax over the last axis by tables, in integers; docs/program.md defines it. Same shape, unsigned result.

    exp_table: (entries,), reciprocal_table: (entries,). drop, sum_drop: low bits that do not take part in an index;
    first, sum_first: what index 0 stands for. shift: bits dropped from the product, rounding half up.
    """

    name: str
    layer: str
    source: str
    variant: SoftmaxVariant
    exp_table: str
    drop: int
    first: int
    reciprocal_table: str
    sum_drop: int
    sum_first: int
    shift: int
    width_bits: int
    frac_bits: int


Op = Input | Dense | Relu | Requant | ArgMax | TopK | Thresholds | Lookup | Softmax


def constants_of(op: Op) -> tuple[str, ...]:
    """Return the names of the tables that an op reads."""
    match op:
        case Input() | Relu() | Requant() | ArgMax() | TopK():
            return ()
        case Dense():
            return (op.weight, op.bias)
        case Thresholds():
            return (op.thresholds,)
        case Lookup():
            return (op.table,)
        case Softmax():
            return (op.exp_table, op.reciprocal_table)
        case _:
            assert_never(op)
