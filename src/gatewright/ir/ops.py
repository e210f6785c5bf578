"""The closed union of operations. Values are int64 tensors with one frac_bits each; see docs/program.md.

Shapes exclude the sample axis. Every op names its result `name` and reads earlier results by name; `layer` is the
user's name of the layer it belongs to. Weights sit in the program's read-only table and are named `@layer.weight`.
"""

from __future__ import annotations

from dataclasses import dataclass

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


Op = Input | Dense | Relu | Requant | ArgMax
