"""A node and a family in, the sites that yosys 0.70 takes for it out: adders as measured on single ones."""

from __future__ import annotations

from typing import assert_never

from gatewright.chips import FAMILIES
from gatewright.chips.luts import Luts
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
    is_sign_test,
    width,
)
from gatewright.lower.cost.delays import carry_bits, delays, in_register
from gatewright.lower.cost.luts import table_luts
from gatewright.lower.cost.ternary_luts import ternary_luts


def adder_sites(family: str, bits: int, *, minus: bool = False, constant: bool = False) -> int:
    """Return the sites of an adder or subtractor whose carry chain has `bits` bits.

    constant: one operand is a constant. The unit is that of chips.FamilyData.site.
    """
    adders = FAMILIES[family].adders
    if bits < len(adders.short):
        return (adders.short_constant if constant else adders.short)[bits]
    if adders.paired:
        return 2 * ((bits + 1) // 2) + adders.head
    if adders.inverters and minus and not constant:
        return max(2 * bits - 1, 1)
    return bits


def node_sites(circuit: Circuit, index: int, family: str, *, registered: bool) -> int:
    """Return the sites of one node. registered: whether every reader reads it from a register, which may then do it."""
    node, paired = circuit.nodes[index], delays(family).luts.pairs
    match node:
        case Source() | Const() | Floor() | Shift() | Wrap() | Join():
            return 0
        case Add() if paired:
            return _live_bits(circuit, node)
        case Add():
            constant = any(isinstance(circuit.nodes[i], Const) for i in (node.a, node.b))
            return adder_sites(family, carry_bits(circuit, node), minus=node.minus, constant=constant)
        case Add3():
            return ternary_luts(circuit, node)
        case GreaterEqual():
            length = 0 if is_sign_test(circuit, node) else carry_bits(circuit, node)
            return adder_sites(family, length, minus=True)
        case Clamp():
            free = registered and in_register(circuit, index)
            return _clamp_sites(circuit.nodes[node.a], node, free, paired=paired, luts=delays(family).luts)
        case Table():
            return table_luts(node.values, delays(family).luts)
        case Select():
            if registered and in_register(circuit, index):
                return 0
            apart = any(isinstance(circuit.nodes[i], Const) for i in (node.a, node.b)) or not paired
            return width(node) if apart else (width(node) + 1) // 2
        case _:
            assert_never(node)


def _clamp_sites(source: Node, node: Clamp, free: bool, *, paired: bool, luts: Luts) -> int:
    """Return the sites of a saturation. free: its one end is the set or reset of a register, which the flag drives."""
    over, under = source.hi > node.hi, source.lo < node.lo
    above = max(width(source) - (source.lo < 0) - width(node), 1)  # bits that tell an overflow
    flag = 0 if not over and node.lo == 0 else -(-(above - 1) // (luts.inputs - 1))
    if free:
        return flag
    if over and under and paired:
        return (width(node) + 1) // 2 + flag
    return width(node) + (over and luts.inputs == 4 and above > 2)


def _live_bits(circuit: Circuit, node: Add) -> int:
    """Return the bits of an adder in which both operands can change; none where one of them is a constant."""
    a, b = circuit.nodes[node.a], circuit.nodes[node.b]
    if isinstance(a, Const) or isinstance(b, Const):
        return 0
    top_a = width(node) if a.lo < 0 else node.shift_a + width(a)
    top_b = width(node) if b.lo < 0 else node.shift_b + width(b)
    return max(min(top_a, top_b, width(node)) - max(node.shift_a, node.shift_b), 0)
