"""Program in, after all program passes out: each replayed on the data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.verify import verify
from gatewright.lower.build.facts import Facts
from gatewright.lower.passes.rounding import PASSES


def run_passes(facts: Facts, x: Ints) -> tuple[Facts, int]:
    """Run the program passes, each replayed on x; return the program's facts and the number of integers compared."""
    want, given = facts.interpreter.trace(x), facts
    checked = 0
    for name, run_pass in PASSES:
        changed = run_pass(facts)
        if changed != facts.program:
            verify(changed)
            facts = Facts(program=changed)
        checked += _replay(name, given, want, facts.interpreter.trace(x))
    return facts, checked


def _replay(name: str, given: Facts, want: Mapping[str, Ints], got: Mapping[str, Ints]) -> int:
    for layer, result in given.results.items():
        if not np.array_equal(want[result], got[result]):
            sample, element = (int(v) for v in np.argwhere(want[result] != got[result])[0])
            raise LowerError(
                f"pass {name!r} changed layer {layer!r}, element {element}, sample {sample}: "
                f"{want[result][sample, element]} became {got[result][sample, element]}; this is a bug, report it"
            )
    return sum(want[result].size for result in given.results.values())
