"""A circuit node and a device family in, its delay in ns out: the linear model that pipelining uses.

A combinational node costs base + per_bit * carry length; a register stage costs `register_ns` (clock to output,
set-up, and the route between). Numbers are calibrated against place and route where an open router exists: ECP5,
iCE40, Gowin, GateMate (`python -m benchmarks delays`), on the safe side. For Xilinx parts they come from the cell
delays of the open timing data in Yosys' xc7 library scaled for routing; Nexus takes ECP5's, which is made in an older
process; Intel's and the generic ones are guesses. Those are labelled by `basis` wherever a clock is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

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
from gatewright.lower.cost.luts import ALM, LUT4, LUT4_MUX7, LUT4_MUX8, LUT6, Luts, table_levels

UNCALIBRATED = "estimate, not calibrated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Delays in ns of one family. ternary: whether its LUTs add three numbers in one carry chain.

    luts: what its tables are built of.
    keep_sums: whether yosys is kept from merging adders: without that it turns sums of sums between two registers
    into carry-save logic, which takes more LUTs than the carry chains that it saves.
    basis: what the numbers rest on, printed beside every clock that comes of them.
    """

    register_ns: float
    carry_base_ns: float
    carry_per_bit_ns: float
    logic_ns: float
    ternary: bool = False
    keep_sums: bool = False
    luts: Luts = LUT4
    basis: str = UNCALIBRATED


FAMILIES: dict[str, Delays] = {
    "xc7": Delays(register_ns=0.9, carry_base_ns=1.25, carry_per_bit_ns=0.03, logic_ns=0.75, ternary=True, luts=LUT6),
    "xcup": Delays(register_ns=0.5, carry_base_ns=0.70, carry_per_bit_ns=0.015, logic_ns=0.40, ternary=True, luts=LUT6),
    "ecp5": Delays(
        register_ns=1.3,
        carry_base_ns=2.15,
        carry_per_bit_ns=0.075,
        logic_ns=1.20,
        luts=LUT4_MUX7,
        keep_sums=True,
        basis="nextpnr, LFE5U speed 6",
    ),
    "nexus": Delays(
        register_ns=1.3, carry_base_ns=2.15, carry_per_bit_ns=0.075, logic_ns=1.20, luts=LUT4_MUX7, keep_sums=True
    ),
    "ice40": Delays(
        register_ns=1.7,
        carry_base_ns=2.1,
        carry_per_bit_ns=0.16,
        logic_ns=1.20,
        basis="nextpnr, iCE40HX8K",
    ),
    "gowin": Delays(
        register_ns=1.8,
        carry_base_ns=1.0,
        carry_per_bit_ns=0.04,
        logic_ns=1.00,
        luts=LUT4_MUX8,
        keep_sums=True,
        basis="nextpnr, GW2A-18 C8/I7",
    ),
    "gatemate": Delays(
        register_ns=2.6,
        carry_base_ns=4.3,
        carry_per_bit_ns=0.12,
        logic_ns=2.50,
        keep_sums=True,
        basis="nextpnr, CCGM1A1",
    ),
    "intel": Delays(register_ns=1.2, carry_base_ns=1.60, carry_per_bit_ns=0.04, logic_ns=1.00, ternary=True, luts=ALM),
    "generic": Delays(register_ns=2.0, carry_base_ns=3.0, carry_per_bit_ns=0.50, logic_ns=2.00),
}


def delays(family: str) -> Delays:
    """Return a family's delays; LowerError lists the known ones."""
    if family not in FAMILIES:
        raise LowerError(f"no delay model for family {family!r}.{nearest(family, list(FAMILIES))}")
    return FAMILIES[family]


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
            return model.logic_ns * table_levels(sum(node.widths), model.luts)
        case _:
            assert_never(node)
