"""Table `place`: Fmax and cells after place and route on an ECP5-85, beside da4ml, identical flow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import networks, ours, peers
from benchmarks.cells import count
from benchmarks.tables import BUILD, publish
from gatewright.chips import part
from gatewright.rtl.manifest import RtlManifest
from gatewright.synth import place_and_route
from gatewright.tools import write_atomic

NETWORK, PART, TARGET_MHZ, SEEDS = "hgq_openml_2571", "LFE5U-85F", 400.0, (1, 2, 3)


def run() -> None:
    """Place both designs at both of da4ml's settings and print medians over the seeds."""
    baseline = networks.load(NETWORK)
    rows: list[dict[str, Any]] = []
    for setting in peers.SETTINGS[:2]:
        peer = peers.compile_design(NETWORK, baseline, setting)
        folder = BUILD / "place" / f"{NETWORK}-{setting.latency_cutoff:g}"
        mine = ours.compile_design(baseline, family="ecp5", stages=peer.stages, folder=folder / "rtl", repeats=1)
        wrapper = registered_inputs(mine.manifest, folder / "rtl")
        theirs = _place(peer.sources, peers.TOP, folder / "peer")
        rows.append({"compiler": f"{peer.label} {peer.version}", "stages": peer.stages, **theirs})
        cells = _place((*mine.sources, wrapper), wrapper.stem, folder / "ours")
        rows.append({"compiler": f"gatewright {mine.clock_mhz:g} MHz", "stages": mine.stages, **cells})
        rows.append({"compiler": "  ratio", **{key: round(cells[key] / theirs[key], 3) for key in theirs}})
    notes = (
        f"{NETWORK} on {PART}, speed 6, out of context, target {TARGET_MHZ:g} MHz, median of {len(SEEDS)} seeds.",
        "Both have registers in front of the first stage: da4ml's Verilog has them, ours gets them from a wrapper.",
        "COMB: nextpnr's TRELLIS_COMB, LUT4 sites with those of the carry chains; an Fmax ratio above 1 is faster.",
    )
    publish("place", "place: after place and route on ECP5-85", rows, notes)


def registered_inputs(manifest: RtlManifest, folder: Path) -> Path:
    """Write a module that registers the core's input once, as the peers do, and return its file."""
    name = f"{manifest.core}_registered"
    text = f"""module {name} (
    input  wire clk,
    input  wire [{manifest.source.packed_bits - 1}:0] x,
    output wire [{manifest.result.packed_bits - 1}:0] y
);
    reg [{manifest.source.packed_bits - 1}:0] x_q;
    always @(posedge clk) x_q <= x;
    {manifest.core} u_core (.clk(clk), .x(x_q), .y(y));
endmodule
"""
    write_atomic(folder / f"{name}.v", text)
    return folder / f"{name}.v"


def _place(sources: Sequence[Path], top: str, out: Path) -> dict[str, Any]:
    cells = count(sources, top=top, family="ecp5", out=out)
    placed = [
        place_and_route(
            netlist=out / "netlist.json",
            part=part(PART),
            pins=None,
            freq_mhz=TARGET_MHZ,
            seed=seed,
            out=out / f"seed{seed}",
            out_of_context=True,
        )
        for seed in SEEDS
    ]
    mhz = [report.slowest_mhz or 0.0 for report in placed]
    used = placed[0].used
    return {
        "Fmax MHz": statistics.median(mhz),
        "lowest": min(mhz),
        "highest": max(mhz),
        "COMB": used["TRELLIS_COMB"],
        "FF": used["TRELLIS_FF"],
        "CCU2C": cells.carry,
    }
