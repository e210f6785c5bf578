"""A ternary adder in, its LUTs out: one for each bit in which two operands or more can change."""

from __future__ import annotations

from gatewright.lower.circuit.nodes import Add3, Circuit, Const, width
from gatewright.lower.cost.delays import passing_bits

Bit = int | None
"""0 or 1 where it is constant, None where it can change."""


def chain_bits(node: Add3) -> tuple[int, int]:
    """Return (bits that pass through below the chain, length of the chain)."""
    passing = min(passing_bits(node), width(node) - 1)
    return passing, width(node) - passing


def pair_span(circuit: Circuit, node: Add3) -> tuple[int, int]:
    """Return first and one past the last bit of the chain in which two operands or more can change; 0, 0 for none."""
    pairs = [i for i, column in enumerate(_columns(circuit, node)) if column.count(None) > 1]
    return (pairs[0], pairs[-1] + 1) if pairs else (0, 0)


def ternary_luts(circuit: Circuit, node: Add3) -> int:
    """Return the LUTs of rtl/leaf/gw_add3.v as instantiated cells: its span, and what does not fold outside it."""
    first, last = pair_span(circuit, node)
    saved: Bit = int(node.minus_b and node.minus_c)
    luts = last - first
    for i, column in enumerate(_columns(circuit, node)):
        if not first <= i < last:
            luts += (*column, saved).count(None) > 1
        saved = _majority(column)
    return luts


def _columns(circuit: Circuit, node: Add3) -> list[tuple[Bit, Bit, Bit]]:
    """Return the chain's three operand bits, those of subtracted ones inverted, lowest first."""
    passing, length = chain_bits(node)
    terms = ((node.a, node.shift_a, False), (node.b, node.shift_b, node.minus_b), (node.c, node.shift_c, node.minus_c))
    a, b, c = (_bits(circuit, *term, range(passing, passing + length)) for term in terms)
    return list(zip(a, b, c, strict=True))


def _bits(circuit: Circuit, index: int, shift: int, minus: bool, positions: range) -> list[Bit]:
    source = circuit.nodes[index]
    if isinstance(source, Const):
        value = source.lo << shift
        return [value >> i & 1 ^ minus for i in positions]
    end = positions.stop if source.lo < 0 else shift + width(source)
    return [None if shift <= i < end else int(minus) for i in positions]


def _majority(column: tuple[Bit, Bit, Bit]) -> Bit:
    known = [bit for bit in column if bit is not None]
    if known.count(1) > 1 or known.count(0) > 1:
        return int(known.count(1) > 1)
    return None
