"""Scheduled circuit in, estimated LUT, FF and clock of its core out, in milliseconds and without synthesis.

One LUT carries one bit of an adder, comparator or multiplexer; a ReLU that ends a stage is free because the
flip-flop's synchronous reset does it. On Xilinx families two bits of a multiplexer, or of a saturation of both ends,
share one, and yosys needs a LUT only where both operands of an adder can change (elsewhere the carry chain alone
does). On the others `lower/cost/sites.py` tells what an adder takes: on ECP5 each pair of carry bits is one CCU2C of
two LUT sites. A saturation finds its overflow in the same LUTs, or in one more.
Compared with yosys by `python -m benchmarks estimate`; the stream shell and the board's link are not included.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.circuit.values import OUTPUT, values
from gatewright.lower.cost.delays import delays
from gatewright.lower.cost.sites import node_sites
from gatewright.lower.pipeline.schedule import Schedule, register_bits


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
    known = values(circuit)

    def registered(index: int) -> bool:
        """Whether every reader of a node reads it from a register, whose reset then does a ReLU."""
        users = [read.reader for read in known.reads[index]]
        return all(user == OUTPUT or schedule.stages[user] > schedule.stages[index] for user in users)

    sites = 0
    for index in range(len(circuit.nodes)):
        sites += node_sites(circuit, index, family, registered=registered(index))
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
