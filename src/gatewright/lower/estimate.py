"""Scheduled circuit in, estimated LUT, FF and clock of its core out, in milliseconds and without synthesis.

One LUT carries one bit of an adder, comparator or multiplexer; a ReLU that ends a stage is free because the
flip-flop's synchronous reset does it. On Xilinx families two bits of a multiplexer, or of a saturation of both ends,
share one, and yosys needs a LUT only where both operands of an adder can change (elsewhere the carry chain alone
does). On the others `lower/sites.py` tells what an adder takes: on ECP5 each pair of carry bits is one CCU2C of two LUT
sites. A saturation finds its overflow in the same LUTs, or in one more.
Compared with yosys by `python -m benchmarks estimate`; the stream shell and the board's link are not included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from gatewright.lower.circuit import (
    Add,
    Add3,
    Circuit,
    Clamp,
    Const,
    Floor,
    GreaterEqual,
    Node,
    Select,
    Shift,
    Source,
    Table,
    Wrap,
    width,
)
from gatewright.lower.live import ternary_luts
from gatewright.lower.schedule import Schedule, in_register, register_bits
from gatewright.lower.sites import adder_sites
from gatewright.lower.tables import Luts, raw_entries, table_luts
from gatewright.lower.timing import carry_bits, delays, is_sign_test
from gatewright.lower.values import OUTPUT, values


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """lut: LUT cells (xc7, xcup), else sites in the family's unit; dsp and bram are 0 by construction.

    basis: what the delay model behind fmax_mhz rests on.
    """

    family: str
    lut: int
    ff: int
    dsp: int
    bram: int
    adders: int
    latency_cycles: int
    latency_ns: float
    fmax_mhz: float
    basis: str


def estimate(circuit: Circuit, schedule: Schedule) -> Estimate:
    """Return the estimate of a scheduled circuit's core."""
    family = schedule.family
    paired = family in {"xc7", "xcup"}
    known = values(circuit)

    def registered(index: int) -> bool:
        """Whether every reader of a node reads it from a register, whose reset then does a ReLU."""
        users = [read.reader for read in known.reads[index]]
        return all(user == OUTPUT or schedule.stages[user] > schedule.stages[index] for user in users)

    sites = 0
    for index, node in enumerate(circuit.nodes):
        match node:
            case Source() | Const() | Floor() | Shift() | Wrap():
                continue
            case Add() if paired:
                sites += _live_bits(circuit, node)
            case Add():
                constant = any(isinstance(circuit.nodes[i], Const) for i in (node.a, node.b))
                sites += adder_sites(family, carry_bits(circuit, node), minus=node.minus, constant=constant)
            case Add3():
                sites += ternary_luts(circuit, node)
            case GreaterEqual():
                length = 0 if is_sign_test(circuit, node) else carry_bits(circuit, node)
                sites += adder_sites(family, length, minus=True)
            case Clamp():
                free = in_register(circuit, index) and registered(index)
                sites += _clamp_sites(circuit.nodes[node.a], node, free, paired=paired, luts=delays(family).luts)
            case Table():
                entries = raw_entries(node, circuit.nodes[node.a])
                sites += table_luts(entries, delays(family).luts)
            case Select():
                other = circuit.nodes[node.b]
                if in_register(circuit, index) and registered(index):
                    continue
                apart = isinstance(other, Const) or isinstance(circuit.nodes[node.a], Const) or not paired
                sites += width(node) if apart else (width(node) + 1) // 2
            case _:
                assert_never(node)
    return Estimate(
        family=family,
        lut=sites,
        ff=register_bits(circuit, list(schedule.stages), schedule.latency_cycles, known),
        dsp=0,
        bram=0,
        adders=circuit.adders,
        latency_cycles=schedule.latency_cycles,
        latency_ns=round(schedule.latency_cycles * 1000.0 / schedule.clock_mhz, 3),
        fmax_mhz=round(schedule.fmax_mhz, 1),
        basis=delays(schedule.family).basis,
    )


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
