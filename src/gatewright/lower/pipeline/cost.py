"""Scheduled circuit in, the cells it takes out.

One LUT carries one bit of an adder, comparator or multiplexer; a ReLU that ends a stage is free because the
flip-flop's synchronous reset does it. On Xilinx families two bits of a multiplexer, or of a saturation of both ends,
share one, and yosys needs a LUT only where both operands of an adder can change (elsewhere the carry chain alone
does). On the others `lower/cost/sites.py` tells what an adder takes: on ECP5 each pair of carry bits is one CCU2C of
two LUT sites. A saturation finds its overflow in the same LUTs, or in one more.
"""

from __future__ import annotations

from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.circuit.values import OUTPUT, values
from gatewright.lower.cost.cells import Cost
from gatewright.lower.cost.sites import node_sites
from gatewright.lower.pipeline.schedule import Schedule, register_bits


def circuit_cost(circuit: Circuit, schedule: Schedule, family: str) -> Cost:
    """Return the estimated cells of a scheduled circuit on a family."""
    known = values(circuit)

    def registered(index: int) -> bool:
        """Whether every reader of a node reads it from a register, whose reset then does a ReLU."""
        users = [read.reader for read in known.reads[index]]
        return all(user == OUTPUT or schedule.stages[user] > schedule.stages[index] for user in users)

    return Cost(
        lut=sum(node_sites(circuit, i, family, registered=registered(i)) for i in range(len(circuit.nodes))),
        ff=register_bits(circuit, list(schedule.stages), schedule.latency_cycles, known),
        adders=circuit.adders,
    )
