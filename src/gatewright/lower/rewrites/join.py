"""Circuit in, equal Circuit out: sums of operands whose bits never meet become wires side by side.

Such a sum makes no carry, so it costs neither a LUT nor time; the bits of a table's address are one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from gatewright.lower.circuit.nodes import (
    Add,
    Add3,
    Circuit,
    Clamp,
    Const,
    Floor,
    GreaterEqual,
    Join,
    Node,
    Select,
    Shift,
    Source,
    Table,
    Wrap,
    width,
)
from gatewright.lower.rewrites.narrow import drop_dead


def join_disjoint(circuit: Circuit) -> Circuit:
    """Replace adders of two or three operands that fill one another's place exactly; joins of joins become one.

    Where there are none it returns the circuit itself.
    """
    nodes = list(circuit.nodes)
    for index, node in enumerate(nodes):
        terms = sorted(_terms(node), key=lambda term: term[1])
        if terms and _fit(nodes, terms) == width(node):
            pieces = [piece for read, _ in terms for piece in _pieces(nodes, read)]
            reads, widths = zip(*pieces, strict=True)
            nodes[index] = Join(layer=node.layer, lo=node.lo, hi=node.hi, reads=reads, widths=widths)
    return drop_dead(replace(circuit, nodes=tuple(nodes))) if nodes != list(circuit.nodes) else circuit


def _fit(nodes: list[Node], terms: list[tuple[int, int]]) -> int | None:
    """Return the bits of terms of which each begins where the one before ends; None where bits meet or are empty."""
    end, signed = 0, False
    for read, shift in terms:
        if shift != end or signed:
            return None
        end, signed = shift + width(nodes[read]), nodes[read].lo < 0
    return end


def _terms(node: Node) -> list[tuple[int, int]]:
    """Return (node, shift) of what a node adds; nothing where it subtracts or is no adder."""
    match node:
        case Add(minus=False):
            return [(node.a, node.shift_a), (node.b, node.shift_b)]
        case Add3(minus_b=False, minus_c=False):
            return [(node.a, node.shift_a), (node.b, node.shift_b), (node.c, node.shift_c)]
        case Add() | Add3() | Source() | Const() | Floor() | Shift() | Clamp() | Wrap():
            return []
        case GreaterEqual() | Select() | Table() | Join():
            return []
        case _:
            assert_never(node)


def _pieces(nodes: list[Node], read: int) -> list[tuple[int, int]]:
    """Return (node, bits) of what makes a node, lowest first: of a join its parts."""
    node = nodes[read]
    if isinstance(node, Join) and sum(node.widths) == width(node):
        return list(zip(node.reads, node.widths, strict=True))
    return [(read, width(node))]
