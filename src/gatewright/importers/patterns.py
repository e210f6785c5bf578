"""Functions that exporters write as arithmetic (GELU by erf, softsign by a quotient) in, their one node out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gatewright.graph.nodes import Activation, Affine
from gatewright.importers import elementwise
from gatewright.importers.builder import Builder, Const, Tensor, Value

ROOT_HALF = float(np.sqrt(0.5))
_NEAR = 1e-6  # float32's roots of two differ from the real one by less
_GELU = "the error function, which is supported inside a GELU only: x (1 + erf(x / sqrt(2))) / 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErfTerm:
    """factor * erf(x / sqrt(2)), or factor * (erf(x / sqrt(2)) + 1): a part of a GELU that no node stands for."""

    x: Tensor
    factor: float = 1.0
    plus_one: bool = False
    what: str = _GELU


def erf(b: Builder, x: Tensor) -> ErfTerm:
    """Return the error function of a value that is another one over the root of two."""
    scaled = _scaled(b, x)
    if scaled is None or abs(scaled[1] - ROOT_HALF) > _NEAR:
        b.fail(f"is {_GELU}")
    return ErfTerm(x=scaled[0])


def combine(b: Builder, kind: elementwise.Arithmetic, left: Value | ErfTerm, right: Value | ErfTerm) -> Value | ErfTerm:
    """Return what becomes of a part of a GELU in a sum or product: another part, or the whole."""
    term, other = (left, right) if isinstance(left, ErfTerm) else (right, left)
    if not isinstance(term, ErfTerm) or isinstance(other, ErfTerm):
        b.fail(f"reads {_GELU}")
    if isinstance(other, Const):
        number = float(other.value.reshape(-1)[0]) if other.value.size == 1 else np.nan
        if kind == "add" and not term.plus_one and number == term.factor:
            return replace(term, plus_one=True)
        if kind == "mul" and np.isfinite(number):
            return replace(term, factor=term.factor * number)
        b.fail(f"reads {_GELU}")
    scaled = (other, 1.0) if other.result == term.x.result else _scaled(b, other)
    if kind != "mul" or not term.plus_one or scaled is None or scaled[0].result != term.x.result:
        b.fail(f"reads {_GELU}")
    gelu = elementwise.activation(b, term.x, "gelu")
    gain = 2 * term.factor * scaled[1]
    return gelu if gain == 1 else elementwise.affine(b, gelu, np.array(gain), np.zeros(()))


def quotient(b: Builder, left: Tensor, right: Tensor) -> Tensor:
    """Return left / right where that is a softsign, x / (1 + |x|); other quotients of computed values are refused."""
    shifted = b.node(right.result)
    size = b.node(shifted.sources[0]) if isinstance(shifted, Affine) else None
    if (
        isinstance(shifted, Affine)
        and isinstance(size, Activation)
        and (size.kind, size.sources) == ("abs", (left.result,))
        and (shifted.scale == 1).all()
        and (shifted.offset == 1).all()
    ):
        return elementwise.activation(b, left, "softsign")
    return b.fail("divides by a value computed from the model's input; division by a constant is supported")


def _scaled(b: Builder, x: Tensor) -> tuple[Tensor, float] | None:
    """Return what x is a multiple of, and the factor."""
    node = b.node(x.result)
    if not isinstance(node, Affine) or node.offset.any() or (node.scale != node.scale.flat[0]).any():
        return None
    return replace(x, result=node.sources[0]), float(node.scale.flat[0])
