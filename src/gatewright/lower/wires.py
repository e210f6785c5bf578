"""Circuit in, equal Circuit out: sums of operands whose bits never meet become wires side by side.

Such a sum makes no carry, so it costs neither a LUT nor time; the bits of a table's address are one.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from gatewright.lower.circuit import Add, Add3, Circuit, Join, Node, width
from gatewright.lower.narrow import drop_dead


def join_disjoint(circuit: Circuit) -> Circuit:
    """Replace adders of two or three operands that fill one another's place exactly; joins of joins become one."""
    nodes = list(circuit.nodes)
    for index, node in enumerate(nodes):
        terms = sorted(_terms(node), key=lambda term: term[1])
        ends = [shift + width(nodes[read]) for read, shift in terms]
        if not terms or terms[0][1] or ends[-1] != width(node):
            continue
        if all(end == after[1] and nodes[read].lo >= 0 for (read, _), end, after in _neighbours(terms, ends)):
            pieces = [piece for read, _ in terms for piece in _pieces(nodes, read)]
            reads, widths = zip(*pieces, strict=True)
            nodes[index] = Join(layer=node.layer, lo=node.lo, hi=node.hi, reads=reads, widths=widths)
    return drop_dead(replace(circuit, nodes=tuple(nodes)))


def _terms(node: Node) -> list[tuple[int, int]]:
    """Return (node, shift) of what a node adds; nothing where it subtracts or is no adder."""
    match node:
        case Add(minus=False):
            return [(node.a, node.shift_a), (node.b, node.shift_b)]
        case Add3(minus_b=False, minus_c=False):
            return [(node.a, node.shift_a), (node.b, node.shift_b), (node.c, node.shift_c)]
        case _:
            return []


def _neighbours(terms: list[tuple[int, int]], ends: list[int]) -> list[tuple[tuple[int, int], int, tuple[int, int]]]:
    return [(term, end, after) for (term, after), end in zip(pairwise(terms), ends, strict=False)]


def _pieces(nodes: list[Node], read: int) -> list[tuple[int, int]]:
    """Return (node, bits) of what makes a node, lowest first: of a join its parts."""
    node = nodes[read]
    if isinstance(node, Join) and sum(node.widths) == width(node):
        return list(zip(node.reads, node.widths, strict=True))
    return [(read, width(node))]
