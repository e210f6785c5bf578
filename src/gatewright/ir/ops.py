"""The operations that every network needs: a dataclass each, joined to the closed union `Op` in program.py.

Values are int64 tensors with one frac_bits each; see docs/program.md.

Shapes and axes exclude the sample axis; images and signals are channels-last. Every op names its result `name` and
reads earlier results by name; `layer` is the user's name of the layer it belongs to. Weights sit in the program's
read-only table and are named `@layer.weight`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir.op_moves import Pads


class PoolKind(Enum):
    """How Pool reduces a window."""

    MAX = "max"
    SUM = "sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The program's input codes: shape (n, *shape), each within `format`."""

    name: str
    layer: str
    shape: tuple[int, ...]
    format: Fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Const:
    """A constant of the table, the same for every sample. Its shape and frac_bits."""

    name: str
    layer: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A matrix product and a bias, exactly: y = x @ W + b.

    x: (..., n_in) -> (..., n_out); weight: (n_in, n_out); bias: (n_out,).
    Result frac_bits = max(x.frac + W.frac, b.frac); sum and bias are shifted up to it.
    """

    name: str
    layer: str
    source: str
    weight: str
    bias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """Correlation over the axes before the last, zero padded, plus bias. frac_bits as Dense.

    x: (*space, c_in) -> (*space', c_out) with 1 or 2 axes of space; weight: (*kernel, c_in / groups, c_out);
    bias: (c_out,). y[p, o] = bias[o] + sum over k, c of x[p * strides + k * dilation - before, c] * weight[k, c, o].
    Output channels come in `groups` equal runs; run g reads run g of the input channels (depthwise: groups = c_in).
    """

    name: str
    layer: str
    source: str
    weight: str
    bias: str
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Greatest value or sum of each window over the axes before the last. x: (*space, c) -> (*space', c), same frac.

    Padding never wins a maximum and adds nothing to a sum. A mean is a sum followed by a Requant, a Mul or a Lookup;
    `gatewright.ir.windows.pool_cells` counts the cells of each window.
    """

    name: str
    layer: str
    source: str
    kind: PoolKind
    size: tuple[int, ...]
    strides: tuple[int, ...]
    pads: Pads


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise:
    """What ops have in common that make one element of one other: shape and frac_bits stay. No op itself."""

    name: str
    layer: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu(Elementwise):
    """The greater of each element and 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requant:
    """Round to a format, then handle overflow. Same shape; the result's frac_bits is `frac_bits`.

    width_bits, keep_frac_bits and signed have one value for all elements, one per channel (last axis), or one per
    element (row-major). Element e is rounded to a multiple of 2**-keep_frac_bits[e], brought into its width by
    `overflow`, and stored at the common `frac_bits` (>= every keep_frac_bits). Width 0 yields the constant 0.
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
class Add:
    """left + right, with NumPy's broadcasting of the shapes; frac_bits is the larger, the other is shifted up."""

    name: str
    layer: str
    left: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sub:
    """left - right; shapes and frac_bits as Add."""

    name: str
    layer: str
    left: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mul:
    """left * right, shapes as Add; the result's frac_bits is the sum of both."""

    name: str
    layer: str
    left: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Max:
    """The greater of left and right; shapes and frac_bits as Add."""

    name: str
    layer: str
    left: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Min:
    """The lesser of left and right; shapes and frac_bits as Add."""

    name: str
    layer: str
    left: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MatMul:
    """The matrix product of two values over their last two axes: (..., n, k) @ (..., k, m) -> (..., n, m), exactly.

    The axes before the last two broadcast as NumPy's do. The result's frac_bits is the sum of both.
    """

    name: str
    layer: str
    left: str
    right: str


Binary = Add | Sub | Mul | Max | Min
Basic = Input | Const | Dense | Conv | Pool | Relu | Requant | Binary | MatMul
"""Every op of this file: a new one joins here."""
