"""How many drawn programs hls4ml computes to the bit: `python -m benchmarks.hls_drawn vitis 40`; needs [hls], [dev].

A third are chains of dense layers, ReLUs and casts of any width, sign, rounding and overflow; a third networks of
convolutions, pools, products, tables and joins, io_parallel; a third such ones on streams, io_stream. Each is exact on
64 vectors, every layer, or refused with its reasons; anything else is a fault, and ends with 1.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
from hypothesis.strategies import SearchStrategy

from gatewright.errors import GatewrightError, LowerError
from gatewright.hls import Backend, Io, Settings, build, compare, translate, write_project
from gatewright.ir import Interpreter, Program
from gatewright.sim.toolchain import find_compiler
from tests.images import image_programs
from tests.operators import samples
from tests.programs import programs

FAMILIES = (
    ("dense", programs(chain=True), Io.PARALLEL),
    ("image", image_programs(), Io.PARALLEL),
    ("image", image_programs(), Io.STREAM),
)


def drawn(family: SearchStrategy[Program], count: int, seed: int) -> list[Program]:
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
    @hypothesis.given(family)
    def take(program: Program) -> None:
        found.append(program)

    take()
    return found


def outcome(program: Program, target: Backend, io: Io) -> tuple[str, str]:
    """Return "exact", "refused" or "wrong", and the reason of the last two."""
    try:
        network = translate(program, target, io)
    except LowerError as refusal:
        return "refused", str(refusal)
    x = samples(program, 64, 1)
    with tempfile.TemporaryDirectory() as folder:
        results = Interpreter(network.program).run(x)
        try:
            project = write_project(network, Settings(backend=target, io=io), x, results, Path(folder))
            build(project, find_compiler(), level=0)
            compare(project, x)
        except GatewrightError as fault:
            return "wrong", str(fault)
    return "exact", ""


def main(backend: str, count: str = "40", seed: str = "1") -> int:
    """Print what became of the programs; 1 where one differs."""
    target = Backend[backend.upper()]
    each = -(-int(count) // len(FAMILIES))
    wrong = 0
    for name, family, io in FAMILIES:
        outcomes: Counter[str] = Counter()
        for number, program in enumerate(drawn(family, each, int(seed))[:each]):
            found, reason = outcome(program, target, io)
            outcomes[found] += 1
            if reason:
                print(f"{name} {io.value} {number}: {found}: {reason}", flush=True)
        print(f"{name} {io.value}: " + ", ".join(f"{n} {found}" for found, n in sorted(outcomes.items())), flush=True)
        wrong += outcomes["wrong"]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
