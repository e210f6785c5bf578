"""Program in, scheduled circuit out: the compiler's front half as a straight list of steps, each replayed exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.interp import Interpreter
from gatewright.ir.ops import Input
from gatewright.ir.program import Program
from gatewright.ir.verify import verify
from gatewright.lower.build.elements import build, check_circuit
from gatewright.lower.build.support import check_supported
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.delays import delays
from gatewright.lower.passes.rounding import PASSES
from gatewright.lower.pipeline.schedule import Schedule, schedule
from gatewright.lower.rewrites.table import run_rewrites


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """program: after the program passes; checked: integers compared with the golden program on the way."""

    program: Program
    circuit: Circuit
    schedule: Schedule
    checked: int


def lower(
    program: Program,
    x: Ints,
    *,
    family: str,
    clock_mhz: float,
    max_latency_cycles: int = 0,
    max_latency_ns: float = 0.0,
    extra_depth: int = 0,
    truth_tables: bool = True,
) -> Lowered:
    """Compile to a scheduled circuit, replaying x: (n, elements) after every pass. Clock and limits: see schedule.

    truth_tables: whether what has few input bits may become tables, where those are fewer LUTs.

    Raises LowerError when a pass changes any layer's result, or a latency limit cannot be met.
    """
    verify(program)
    check_supported(program)
    folded, checked = run_passes(program, x)
    model = delays(family)
    circuit, compared = run_rewrites(
        build(folded, extra_depth=extra_depth, ternary=model.ternary, luts=model.luts),
        family=family,
        check=lambda changed: check_circuit(program, changed, x),
        truth_tables=truth_tables,
    )
    pipeline = schedule(
        circuit,
        family=family,
        clock_mhz=clock_mhz,
        max_latency_cycles=max_latency_cycles,
        max_latency_ns=max_latency_ns,
    )
    return Lowered(program=folded, circuit=circuit, schedule=pipeline, checked=checked + compared)


def run_passes(program: Program, x: Ints) -> tuple[Program, int]:
    """Run the program passes, each replayed on x; return the program and the number of integers compared."""
    checked = 0
    folded = program
    for name, run_pass in PASSES:
        folded = run_pass(folded)
        verify(folded)
        checked += _replay(name, program, folded, x)
    return folded, checked


def _replay(name: str, program: Program, changed: Program, x: Ints) -> int:
    want, got = Interpreter(program).trace(x), Interpreter(changed).trace(x)
    last = {op.layer: op.name for op in program.ops if not isinstance(op, Input)}
    for layer, result in last.items():
        if not np.array_equal(want[result], got[result]):
            sample, element = (int(v) for v in np.argwhere(want[result] != got[result])[0])
            raise LowerError(
                f"pass {name!r} changed layer {layer!r}, element {element}, sample {sample}: "
                f"{want[result][sample, element]} became {got[result][sample, element]}; this is a bug, report it"
            )
    return sum(want[result].size for result in last.values())
