"""How many drawn programs hls4ml computes to the bit: `python -m benchmarks.hls_drawn vitis 40`; needs [hls], [dev].

Each program is a chain of dense layers, ReLUs and casts of any width, sign, rounding and overflow. It is exact on 64
vectors, every layer, or refused with its reasons; anything else is a fault, and ends with 1.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis

from gatewright.errors import GatewrightError, LowerError
from gatewright.hls import Backend, Settings, compare, translate, write_project
from gatewright.ir import Interpreter, Program
from gatewright.sim.toolchain import find_compiler
from tests.programs import codes, programs


def drawn(count: int, seed: int) -> list[Program]:
    """Return so many programs, the same for the same seed."""
    found: list[Program] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
    )
    @hypothesis.given(programs(chain=True))
    def take(program: Program) -> None:
        found.append(program)

    take()
    return found


def main(backend: str, count: str = "40", seed: str = "1") -> int:
    """Print what became of the programs; 1 where one differs."""
    target = Backend[backend.upper()]
    outcomes: Counter[str] = Counter()
    for number, program in enumerate(drawn(int(count), int(seed))):
        try:
            network = translate(program, target)
        except LowerError as refusal:
            outcomes["refused"] += 1
            print(f"{number}: {refusal}")
            continue
        x = codes(program, 64, 1)
        with tempfile.TemporaryDirectory() as folder:
            results = Interpreter(network.program).run(x)
            try:
                project = write_project(network, Settings(backend=target), x, results, Path(folder))
                compare(project, x, find_compiler())
            except GatewrightError as fault:
                outcomes["wrong"] += 1
                print(f"{number}: {fault}")
            else:
                outcomes["exact"] += 1
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    return 1 if outcomes["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
