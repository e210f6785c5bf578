"""Table `delays`: the delay models' periods beside nextpnr's, the measurement that calibrates lower/cost/delays.py."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks.tables import BUILD, publish
from gatewright.chips import Family, part, router
from gatewright.ir.program import Program
from gatewright.lower.estimate import estimate
from gatewright.rtl.harness import harness
from gatewright.rtl.manifest import write_design
from gatewright.synth import place_and_route, synthesize
from gatewright.tools import write_atomic
from tests.lowering import lower_for, only
from tests.programs import codes, mlp

PARTS: dict[Family, str] = {"ecp5": "LFE5U-25F", "ice40": "ICE40HX8K", "gowin": "GW2A-18", "gatemate": "CCGM1A1"}
PINS: dict[Family, str] = {"gowin": 'IO_LOC "clk" H11;\nIO_LOC "d" T10;\nIO_LOC "q" C13;\n'}
NETWORKS = {
    "12-6-4": mlp((12, 6, 4), seed=3, weight_bits=5, sparsity=0.5, output="scores"),
    "8-8-4 argmax": mlp((8, 8, 4), seed=4, weight_bits=4, sparsity=0.4),
}
STEPS = (0.4, 0.65, 0.9)
"""Clock targets as shares of the family's clock for one adder of 8 bits per stage."""


def run() -> None:
    """Compile two small networks at three clocks for each family, place them and compare."""
    publish("delays", "delays: longest path by the model and after routing", [*rows(tuple(PARTS))], NOTES)


NOTES = (
    "model ns: Schedule.period_ns; routed ns: 1000 / nextpnr's Fmax, harness of rtl/harness.py included.",
    "sites: synthesized, then placed (nextpnr's own cells); est.: lower.estimate of the core alone.",
)


def rows(families: tuple[Family, ...]) -> list[dict[str, Any]]:
    """Return a row per family, network and clock."""
    found: list[dict[str, Any]] = []
    for family in families:
        mine = [_row(family, name, program, step) for name, program in NETWORKS.items() for step in STEPS]
        middle = statistics.median(row["routed / model"] for row in mine)
        found += [*mine, {"family": family, "network": "median", "routed / model": round(middle, 3)}]
    return found


def _row(family: Family, name: str, program: Program, step: float) -> dict[str, Any]:
    from gatewright.lower.cost.delays import delays

    model = delays(family)
    clock = round(step * 1000 / (model.register_ns + model.carry_base_ns + 8 * model.carry_per_bit_ns), 1)
    folder = BUILD / "delays" / family / f"{name.replace(' ', '_')}-{step:g}"
    lowered = lower_for(program, codes(program, 100), family=family, clock_mhz=clock)
    manifest = write_design(lowered, program_hash="0" * 64, stream_bits=0, folder=folder / "rtl")
    top = folder / "rtl" / "placed.v"
    inputs, outputs = {"x": manifest.source.packed_bits}, {"y": manifest.result.packed_bits}
    write_atomic(top, harness(name="placed", module=manifest.core, clock="clk", inputs=inputs, outputs=outputs))
    sources = [*manifest.sources(folder / "rtl"), top]
    report = synthesize(sources=sources, top="placed", family=family, out=folder / "synth", pads=True)
    placed = place_and_route(
        netlist=folder / "synth" / "netlist.json",
        part=part(PARTS[family]),
        pins=_pins(family, folder),
        freq_mhz=2 * clock,
        seed=1,
        out=folder / "place",
    )
    guess = estimate(lowered)
    routed = 1000 / (placed.slowest_mhz or 1.0)
    return {
        "family": family,
        "network": name,
        "target MHz": clock,
        "stages": only(lowered).schedule.latency_cycles,
        "model ns": round(only(lowered).schedule.period_ns, 2),
        "routed ns": round(routed, 2),
        "routed / model": round(routed / only(lowered).schedule.period_ns, 3),
        "LUT est.": guess.lut,
        "sites": report.sites,
        "placed": sum(placed.used.get(cell, 0) for cell in router(family).comb),
        "FF est.": guess.ff,
        "FF": report.ff,
    }


def _pins(family: Family, folder: Path) -> Path | None:
    if family not in PINS:
        return None
    write_atomic(folder / "pins", PINS[family])
    return folder / "pins"
