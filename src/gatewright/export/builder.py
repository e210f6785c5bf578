"""A Program under construction: ops are added one by one, their tables beside them, their ranges known at once."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ExportError
from gatewright.fixedpoint import Ints, frac_bits
from gatewright.graph.exact import EXACT_BITS
from gatewright.graph.nodes import AnyNode, Floats
from gatewright.graph.shapes import Shape
from gatewright.ir import Const, Constant, Mul, Op, Program
from gatewright.ir.ranges import Range, range_of


@dataclass(frozen=True, slots=True)
class Code:
    """A result of the program: value = q * 2**-frac_bits * scale; scale broadcasts over the shape."""

    op: str
    scale: Floats
    shape: Shape

    @property
    def plain(self) -> bool:
        """Whether the value is fixed point."""
        return bool((self.scale == 1).all())


@dataclass(slots=True)
class ProgramBuilder:
    """Ops, tables and ranges so far. node: the graph node whose ops are being added; layer: what it is counted to.

    Ops are named by the node, tables by the layer.
    layers: what the program calls each layer: two names of the graph stay two.
    waiting: affine nodes that a quantizer behind them takes in, as part of its table, rather than ops of their own.
    """

    name: str
    ops: list[Op] = field(default_factory=list[Op])
    constants: dict[str, Constant] = field(default_factory=dict[str, Constant])
    known: dict[str, Range] = field(default_factory=dict[str, Range])
    layer: str = ""
    node: str = ""
    layers: dict[str, str] = field(default_factory=dict[str, str])
    waiting: frozenset[str] = frozenset()

    def enter(self, node: AnyNode) -> None:
        """Say whose ops come next."""
        self.node = legal(node.name)
        name = node.layer or node.name
        if name not in self.layers:
            self.layers[name] = _unused(legal(name), self.layers.values())
        self.layer = self.layers[name]

    def add(self, op: Op) -> str:
        """Append an op whose name comes from `fresh` and return its name."""
        self.ops.append(op)
        self.known[op.name] = range_of(op, self.program(op.name), self.known)
        return op.name

    def program(self, output: str, classes: tuple[str, ...] = ()) -> Program:
        """Return what is built so far."""
        return Program(name=self.name, ops=tuple(self.ops), output=output, constants=self.constants, classes=classes)

    def fresh(self, suffix: str = "") -> str:
        """Return a legal name for an op of the current node that nothing bears yet."""
        return self._unborne(f"{self.node}.{suffix}" if suffix else self.node)

    def _unborne(self, base: str) -> str:
        return _unused(base, self.known.keys() | self.constants.keys())

    def table(self, key: str, q: Ints, frac_bits: int) -> str:
        """Add a table of the current layer and return its name."""
        name = self._unborne(f"{self.layer}.{key}")
        self.constants[name] = Constant(q, frac_bits)
        return name

    def const(self, key: str, q: Ints, frac_bits: int) -> str:
        """Add an op that yields integers and return its name."""
        name = self.fresh(key)
        value = self.table(f"{key}.value", q, frac_bits)
        return self.add(Const(name=name, layer=self.layer, value=value))

    def scaled(self, op: str, factor: Ints, frac_bits: int, suffix: str) -> str:
        """Multiply a result by integers * 2**-frac_bits and return the product's name."""
        factors = self.const(f"{suffix}.factor", np.atleast_1d(factor), frac_bits)
        return self.add(Mul(name=self.fresh(suffix), layer=self.layer, left=op, right=factors))

    def frac(self, op: str) -> int:
        """Return a result's frac_bits."""
        return self.known[op].frac_bits


def arrays_of(node: AnyNode) -> dict[str, NDArray[Any]]:
    """Return a node's fields that are arrays, by name."""
    return {f.name: v for f in fields(node) if isinstance(v := getattr(node, f.name), np.ndarray)}


def _unused(base: str, taken: Collection[str]) -> str:
    """Return the name, with a number behind it where it is taken."""
    name, count = base, 2
    while name in taken:
        name, count = f"{base}_{count}", count + 1
    return name


def legal(name: str) -> str:
    """Return a node's name with what a program's names may not contain replaced by underscores."""
    clean = re.sub(r"[^A-Za-z0-9_.]", "_", name)
    return clean if re.match(r"[A-Za-z_]", clean) else f"n{clean}"


def refusal(node: AnyNode, why: str, remedy: str) -> ExportError:
    """Return the error of a node that cannot be exported."""
    origin = f", {node.origin}" if node.origin else ""
    return ExportError(f"node {node.name!r} ({type(node).__name__}{origin}) has no exact integer form: {why}; {remedy}")


def integers(values: Floats) -> tuple[Ints, int]:
    """Return dyadic numbers as integers on the coarsest grid that holds them, and its frac_bits."""
    frac = frac_bits(values)
    q = np.ldexp(values, frac)
    if np.abs(q).max(initial=0.0) >= 2.0**EXACT_BITS:
        raise ExportError(f"numbers up to {np.abs(values).max():g} need more than {EXACT_BITS} bits; use fewer bits")
    return q.astype(np.int64), frac
