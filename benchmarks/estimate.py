"""Table `estimate`: our estimate of LUTs and flip-flops beside yosys' counts, and what coefficients would fit best."""

from __future__ import annotations

import statistics
from typing import Any, Literal

import numpy as np

from benchmarks import networks, ours
from benchmarks.cells import count
from benchmarks.networks import Baseline
from benchmarks.tables import BUILD, publish
from gatewright.ir import Interpreter, Program
from tests.programs import codes, mlp

Family = Literal["xc7", "ecp5"]
FAMILIES: tuple[Family, ...] = ("xc7", "ecp5")
# sizes, weight bits, sparsity, output
RANDOM = (
    ((10, 16, 5), 4, 0.3, "argmax"),
    ((16, 32, 16, 5), 6, 0.5, "scores"),
    ((16, 24, 24, 4), 3, 0.0, "argmax"),
    ((30, 20, 10, 2), 8, 0.7, "scores"),
)
STAGES = (4, 8)


def run() -> None:
    """Compile every network for every family at two stage counts; print errors and their medians."""
    rows: list[dict[str, Any]] = []
    for family in FAMILIES:
        for name, baseline in designs().items():
            rows += [_row(family, name, baseline, stages) for stages in STAGES]
    notes = [_summary(family, [row for row in rows if row["family"] == family]) for family in FAMILIES]
    publish("estimate", "estimate: lower.estimate beside yosys (core only)", rows, notes)


def designs() -> dict[str, Baseline]:
    """Return the published networks and some random ones, by name."""
    found = {name: networks.load(name) for name in networks.HGQ}
    for number, (sizes, bits, sparsity, output) in enumerate(RANDOM):
        program = mlp(sizes, seed=number, weight_bits=bits, sparsity=sparsity, output=output)
        found[f"mlp {'-'.join(map(str, sizes))} {bits} bit"] = _with_vectors(program)
    return found


def _with_vectors(program: Program) -> Baseline:
    x = np.asarray(codes(program, 200))
    return Baseline(program=program, x=x, y=Interpreter(program).run(x))


def _row(family: Family, name: str, baseline: Baseline, stages: int) -> dict[str, Any]:
    folder = BUILD / "estimate" / family / f"{name.replace(' ', '_')}-{stages}"
    mine = ours.compile_design(baseline, family=family, stages=stages, folder=folder / "rtl", repeats=1)
    cells = count(mine.sources, top=mine.manifest.core, family=family, out=folder)
    return {
        "family": family,
        "network": name,
        "stages": mine.stages,
        "LUT": cells.lut,
        "LUT est.": mine.estimate.lut,
        "LUT %": round(100 * (mine.estimate.lut / cells.lut - 1), 1),
        "FF": cells.ff,
        "FF est.": mine.estimate.ff,
        "FF %": round(100 * (mine.estimate.ff / cells.ff - 1), 1),
    }


def _summary(family: Family, rows: list[dict[str, Any]]) -> str:
    lut, ff = ([row[key] for row in rows] for key in ("LUT %", "FF %"))
    size = f"median |error| {statistics.median(map(abs, lut)):.1f} % LUT, {statistics.median(map(abs, ff)):.1f} % FF"
    return f"{family}: {size}; median error {statistics.median(lut):+.1f} % LUT, {statistics.median(ff):+.1f} % FF"
