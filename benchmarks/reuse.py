"""Table `reuse`: what a reuse factor buys: LUT, FF, DSP, block RAM, cycles and clock of one network, xc7 and ecp5."""

from __future__ import annotations

from typing import Any, Literal

from benchmarks.tables import BUILD, publish
from gatewright.chips import part
from gatewright.lower.estimate import estimate
from gatewright.lower.target import Multiplier
from gatewright.rtl.manifest import write_design
from gatewright.synth import place_and_route, synthesize
from tests.lowering import lower_for
from tests.programs import codes, mlp

Family = Literal["xc7", "ecp5"]
SIZES, CLOCK_MHZ = (16, 24, 5), 100.0
FACTORS = (1, 2, 4, 8, 16, 32, 64)
SPARSITIES = (0.0, 0.75)
PLACED, PART = (1, 16), "LFE5U-85F"


def run() -> None:
    """Compile and synthesize every factor with both kinds of multipliers; place some on ECP5."""
    rows = [
        _row(family, sparsity, reuse, multiplier)
        for family in ("xc7", "ecp5")
        for sparsity in SPARSITIES
        for multiplier in ("dsp", "lut")
        for reuse in FACTORS
        if reuse > 1 or multiplier == "lut"
    ]
    notes = (
        f"random network {'-'.join(map(str, SIZES))}, 6-bit weights, zeros as given; target {CLOCK_MHZ:g} MHz.",
        "Core only, by the flow's own yosys script. LUT: LUT cells on xc7, LUT4 sites (2 per CCU2C) on ecp5.",
        "II: cycles from one vector to the next; latency: cycles. Reuse 1 is the parallel architecture.",
        f"Fmax MHz: after place and route on {PART}, out of context, shell included, one seed; elsewhere not measured.",
    )
    publish("reuse", "reuse: area against throughput and latency", rows, notes)


def _row(family: Family, sparsity: float, reuse: int, multiplier: Multiplier) -> dict[str, Any]:
    program = mlp(SIZES, seed=3, sparsity=sparsity)
    lowered = lower_for(
        program, codes(program, 100), family=family, clock_mhz=CLOCK_MHZ, reuse=reuse, multiplier=multiplier
    )
    folder = BUILD / "reuse" / f"{family}-{sparsity:g}-{multiplier}-{reuse}"
    manifest = write_design(lowered, program_hash="0" * 64, stream_bits=32, folder=folder / "rtl")
    report = synthesize(
        sources=manifest.sources(folder / "rtl"),
        top=manifest.top,
        family=family,
        out=folder,
        keep=(manifest.core,),
        dsp=manifest.claims.dsp,
    )
    core, guess = report.modules[manifest.core], estimate(lowered)
    fmax = None
    if family == "ecp5" and reuse in PLACED and sparsity == 0.0:
        placed = place_and_route(
            netlist=folder / "netlist.json",
            part=part(PART),
            pins=None,
            freq_mhz=CLOCK_MHZ,
            seed=1,
            out=folder,
            out_of_context=True,
        )
        fmax = placed.slowest_mhz
    return {
        "family": family,
        "zeros": f"{sparsity:.0%}",
        "multiplier": multiplier if lowered.multipliers else "-",
        "reuse": reuse,
        "multipliers": lowered.multipliers,
        "LUT": core["sites"],
        "LUT est.": guess.lut,
        "FF": core["ff"],
        "FF est.": guess.ff,
        "DSP": core["dsp"],
        "BRAM": core["bram"],
        "II": manifest.claims.initiation_interval,
        "latency": manifest.claims.latency_cycles,
        "Fmax MHz": fmax,
    }
