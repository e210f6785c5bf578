"""Circuit in, equal but cheaper Circuit out: the rewrites in their order, with a check after each.

They are the circuit's counterpart of the program passes (`PASSES` in lower/passes/rounding.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.delays import delays
from gatewright.lower.rewrites.join import join_disjoint
from gatewright.lower.rewrites.narrow import drop_dead, early_floor
from gatewright.lower.rewrites.neurons import tabulate
from gatewright.lower.rewrites.ternary import fuse_ternary


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A rewrite by name. suits: whether it is run, by family and whether truth tables are wanted.

    run: circuit and family in, an equal circuit out; the same object says that there was nothing to do.
    """

    name: str
    suits: Callable[[str, bool], bool]
    run: Callable[[Circuit, str], Circuit]


def _always(_family: str, _truth_tables: bool) -> bool:
    return True


REWRITES: tuple[Rewrite, ...] = (
    Rewrite(name="drop_dead", suits=_always, run=lambda circuit, _: drop_dead(circuit)),
    Rewrite(name="early_floor", suits=_always, run=lambda circuit, _: early_floor(circuit)),
    Rewrite(
        name="fuse_ternary",
        suits=lambda family, _: delays(family).ternary,
        run=lambda circuit, _: fuse_ternary(circuit),
    ),
    Rewrite(name="join_disjoint", suits=_always, run=lambda circuit, _: join_disjoint(circuit)),
    Rewrite(
        name="tabulate",
        suits=lambda _, truth_tables: truth_tables,
        run=lambda circuit, family: tabulate(circuit, family=family),
    ),
)


def rewritten(circuit: Circuit, *, family: str, truth_tables: bool) -> Iterator[tuple[str, Circuit]]:
    """Yield the name and the result of every rewrite that suits, in order."""
    for rewrite in REWRITES:
        if rewrite.suits(family, truth_tables):
            circuit = rewrite.run(circuit, family)
            yield rewrite.name, circuit


def run_rewrites(
    circuit: Circuit, *, family: str, truth_tables: bool, check: Callable[[Circuit], int]
) -> tuple[Circuit, int]:
    """Run every rewrite that suits; return the circuit and the total of what `check` returns.

    check: raises where a circuit is wrong, else returns how many integers it compared. It sees the circuit without
    dead nodes, then every one that a rewrite made anew.
    """
    checked, before = 0, None
    for _, after in rewritten(circuit, family=family, truth_tables=truth_tables):
        if after is not before:
            checked += check(after)
        before = circuit = after
    return circuit, checked
