"""Circuit in, equal Circuit out: pairs of dependent adders become ternary adders, where the family has them.

An adder whose one reader is another adder can be merged into it. Each adder takes part in one merge at most, so the
choice is a matching of greatest saving in a forest, which a single pass from the leaves decides exactly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from gatewright.lower.circuit.nodes import Add, Add3, Circuit, Node, operands
from gatewright.lower.cost.delays import carry_bits, ternary_bits
from gatewright.lower.rewrites.narrow import drop_dead, roots


def fuse_ternary(circuit: Circuit) -> Circuit:
    """Merge adders so that the carry bits left are as few as possible."""
    reads = Counter(operand for node in circuit.nodes for operand in operands(node))
    kept = roots(circuit)
    merge = _choose(circuit, reads, kept)
    nodes: list[Node] = list(circuit.nodes)
    for outer, inner in merge.items():
        nodes[outer] = _merged(circuit, outer, inner)
    return drop_dead(replace(circuit, nodes=tuple(nodes)))


def _choose(circuit: Circuit, reads: Counter[int], kept: set[int]) -> dict[int, int]:
    """Return outer -> inner of the matching with the greatest saving."""
    alone: dict[int, int] = {}  # best saving below a node that is left for its reader
    taken: dict[int, int] = {}  # best saving below a node that may merge with an operand
    partner: dict[int, int] = {}
    for index, node in enumerate(circuit.nodes):
        if not isinstance(node, Add):
            continue
        inner = [i for i in {node.a, node.b} if isinstance(circuit.nodes[i], Add) and reads[i] == 1 and i not in kept]
        below = sum(taken[i] for i in inner)
        alone[index] = taken[index] = below
        for i in inner:
            saving = below - taken[i] + alone[i] + _saving(circuit, index, i)
            if saving > taken[index]:
                taken[index], partner[index] = saving, i
    merge: dict[int, int] = {}
    used: set[int] = set()
    for outer in sorted(partner, reverse=True):
        if outer not in used:
            merge[outer] = partner[outer]
            used.add(partner[outer])
    return merge


def _saving(circuit: Circuit, outer: int, inner: int) -> int:
    first, second = circuit.nodes[inner], circuit.nodes[outer]
    assert isinstance(first, Add)
    assert isinstance(second, Add)
    return carry_bits(circuit, first) + carry_bits(circuit, second) - ternary_bits(_merged(circuit, outer, inner))


def _merged(circuit: Circuit, outer: int, inner: int) -> Add3:
    node, child = circuit.nodes[outer], circuit.nodes[inner]
    assert isinstance(node, Add)
    assert isinstance(child, Add)
    if node.a == inner:
        shift, sign, other = node.shift_a, False, (node.b, node.shift_b, node.minus)
    else:
        shift, sign, other = node.shift_b, node.minus, (node.a, node.shift_a, False)
    terms = [(child.a, child.shift_a + shift, sign), (child.b, child.shift_b + shift, sign != child.minus), other]
    (a, shift_a, _), (b, shift_b, minus_b), (c, shift_c, minus_c) = sorted(terms, key=lambda term: term[2])
    return Add3(
        layer=node.layer,
        lo=node.lo,
        hi=node.hi,
        a=a,
        b=b,
        c=c,
        shift_a=shift_a,
        shift_b=shift_b,
        shift_c=shift_c,
        minus_b=minus_b,
        minus_c=minus_c,
    )
