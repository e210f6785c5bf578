"""Circuit in, equal but cheaper Circuit out: the circuit passes in their order, with a check after each."""

from __future__ import annotations

from collections.abc import Callable

from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.delays import delays
from gatewright.lower.rewrites.join import join_disjoint
from gatewright.lower.rewrites.narrow import early_floor
from gatewright.lower.rewrites.neurons import tabulate
from gatewright.lower.rewrites.ternary import fuse_ternary


def optimise(
    circuit: Circuit, *, family: str, check: Callable[[Circuit], int], truth_tables: bool
) -> tuple[Circuit, int]:
    """Run the circuit passes, with `check` before the first and after each; return the circuit and check's total."""
    checked = check(circuit)
    circuit = early_floor(circuit)
    checked += check(circuit)
    if delays(family).ternary:
        circuit = fuse_ternary(circuit)
        checked += check(circuit)
    if (joined := join_disjoint(circuit)) != circuit:
        circuit = joined
        checked += check(circuit)
    if truth_tables and (tables := tabulate(circuit, family=family)) is not circuit:
        circuit = tables
        checked += check(circuit)
    return circuit, checked
