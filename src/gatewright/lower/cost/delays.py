"""A circuit node and a device family in, its delay in ns out: the linear model that pipelining uses.

The numbers, and what they rest on, stand in the family's row (chips/families.py).
"""

from __future__ import annotations

from typing import assert_never

from gatewright.chips import FAMILIES
from gatewright.chips.delays import Delays
from gatewright.errors import LowerError, nearest
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
from gatewright.lower.cost.luts import table_levels


def delays(family: str) -> Delays:
    """Return a family's delays; LowerError lists the known ones."""
    if family not in FAMILIES:
        raise LowerError(f"no delay model for family {family!r}.{nearest(family, list(FAMILIES))}")
    return FAMILIES[family].delays


def carry_bits(circuit: Circuit, node: Add | GreaterEqual) -> int:
    """Return the length of the carry chain of an adder or comparator: low bits that pass through cost nothing."""
    if isinstance(node, GreaterEqual):
        return max(width(circuit.nodes[node.a]), width(circuit.nodes[node.b]))
    if node.minus and node.shift_a:
        return width(node)
    return max(width(node) - max(node.shift_a, node.shift_b), 1)


def in_register(circuit: Circuit, index: int) -> bool:
    """Whether a flip-flop can do a node by its synchronous set or reset: a ReLU, a saturation of one reachable end.

    Both ends cannot: every bit would need a set and a reset, and a flip-flop has one of them.
    """
    node = circuit.nodes[index]
    match node:
        case Clamp():
            source = circuit.nodes[node.a]
            return (source.lo < node.lo) != (source.hi > node.hi)
        case Select():
            other = circuit.nodes[node.b]
            return isinstance(other, Const) and other.lo == 0
        case Source() | Const() | Add() | Add3() | Floor() | Shift() | Wrap() | GreaterEqual() | Table() | Join():
            return False
        case _:
            assert_never(node)


def ternary_bits(node: Add3) -> int:
    """Return the length of a ternary adder's chain: bits of the lowest operand alone pass through if it is added."""
    return max(width(node) - passing_bits(node), 1)


def passing_bits(node: Add3) -> int:
    """Return how many low bits of a ternary sum are just those of its one unshifted operand."""
    operands = [(node.shift_a, False), (node.shift_b, node.minus_b), (node.shift_c, node.minus_c)]
    (_, minus), (second, _), _ = sorted(operands)
    return 0 if minus else second


def delay_ns(circuit: Circuit, node: Node, model: Delays) -> float:
    """Return the combinational delay of one node in ns."""
    match node:
        case Source() | Const() | Floor() | Shift() | Wrap() | Join():
            return 0.0
        case Add():
            return model.carry_base_ns + model.carry_per_bit_ns * carry_bits(circuit, node)
        case GreaterEqual():
            if is_sign_test(circuit, node):
                return 0.0
            return model.carry_base_ns + model.carry_per_bit_ns * carry_bits(circuit, node)
        case Add3():
            return model.logic_ns + model.carry_base_ns + model.carry_per_bit_ns * ternary_bits(node)
        case Clamp() | Select():
            return model.logic_ns
        case Table():
            bits, luts = sum(node.widths), model.luts
            driving = model.table_ns if bits > luts.inputs + luts.free_levels else 0.0
            return model.logic_ns * table_levels(bits, luts) + driving
        case _:
            assert_never(node)
