"""Program in, every form that it takes on its way to a pipeline out: after each pass and rewrite, by name.

It is what `gatewright lower --after NAME` shows, of the unrolled architecture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatewright.fixedpoint import Ints
from gatewright.ir.program import Program
from gatewright.ir.verify import verify
from gatewright.lower.build.elements import build, check_circuit
from gatewright.lower.build.facts import Facts
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.delays import delays
from gatewright.lower.passes.rounding import PASSES
from gatewright.lower.pipeline.schedule import Schedule, schedule
from gatewright.lower.rewrites.table import REWRITES, rewritten
from gatewright.lower.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """after: the step that made it. schedule: of the last circuit."""

    after: str
    value: Program | Circuit
    schedule: Schedule | None = None


def form_names(*, family: str, truth_tables: bool) -> tuple[str, ...]:
    """Return the names of the steps for a family, in their order."""
    passes = [name for name, _ in PASSES]
    rewrites = [rewrite.name for rewrite in REWRITES if rewrite.suits(family, truth_tables)]
    return ("program", *passes, "build", *rewrites, "schedule")


def forms(program: Program, x: Ints, target: Target, *, truth_tables: bool) -> Iterator[Form]:
    """Yield the form after each of `form_names`; every circuit is compared with the program on codes x: (n, elements).

    Raises LowerError where a circuit differs, or a limit cannot be met.
    """
    verify(program)
    yield Form(after="program", value=program)
    folded, model = program, delays(target.family)
    for name, run_pass in PASSES:
        folded = run_pass(Facts(program=folded))
        verify(folded)
        yield Form(after=name, value=folded)
    built = circuit = build(folded, ternary=model.ternary, luts=model.luts)
    check_circuit(program, built, x)
    yield Form(after="build", value=built)
    for name, circuit in rewritten(built, family=target.family, truth_tables=truth_tables):
        check_circuit(program, circuit, x)
        yield Form(after=name, value=circuit)
    pipeline = schedule(
        circuit,
        family=target.family,
        clock_mhz=target.clock_mhz,
        max_latency_cycles=target.max_latency_cycles,
        max_latency_ns=target.max_latency_ns,
    )
    yield Form(after="schedule", value=circuit, schedule=pipeline)
