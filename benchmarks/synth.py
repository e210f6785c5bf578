"""Tables `compiler` and `compiler_large`: LUTs, flip-flops, stages and compile seconds beside the peers'."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import networks, ours, peers
from benchmarks.cells import Cells, count
from benchmarks.netlist import latency
from benchmarks.networks import Baseline
from benchmarks.tables import BUILD, publish

NOTES = (
    "LUT: LUT1..LUT6 and LUT6_2 cells, one each; INV apart. Same yosys script for all, core only, no DSP, no BRAM.",
    "FF: flip-flops and the bits in the SRL shift registers that yosys infers (one LUT site each, not in LUT).",
    "FF core: without those whose D is an input port: the peers register their inputs, we do not.",
    "stages: combinational stages between registers. Equal stages are not equal clocks: nothing is placed on xc7, the",
    "MHz are targets of our own delay model, and the peers' clocks are not measured here (see `place`).",
    "compile s: CPU seconds, weights to Verilog, median; ours with replays of 100 vectors, without the clock search.",
    "yosys s and MB: of the run that made the netlist, which may be an earlier one.",
    "exact at: cycles after which the very netlist that was counted gives all test vectors' outputs, simulated, ==.",
    "Ratios are ours / peer at the peer's stage count or fewer; below 1 we are smaller or faster.",
)


def run() -> None:
    """Print the table for the published networks."""
    _compare("compiler", "compiler: xc7, published networks", networks.HGQ, peers.SETTINGS, repeats=5)


def run_large() -> None:
    """Print the table for the random network, which takes yosys minutes."""
    settings = (peers.SETTINGS[1],)
    _compare("compiler_large", "compiler_large: xc7, random 6-bit network", (networks.LARGE,), settings, repeats=3)


def _compare(file: str, title: str, names: Sequence[str], settings: Sequence[peers.Setting], *, repeats: int) -> None:
    rows: list[dict[str, Any]] = []
    for name in names:
        baseline = networks.load(name)
        assert baseline.matches(), f"{name}: the interpreter misses a test vector"
        for setting in settings:
            peer = peers.compile_design(name, baseline, setting)
            folder = BUILD / "compiler" / name / f"{setting.peer}-{setting.latency_cutoff:g}"
            theirs = count(peer.sources, top=peers.TOP, family="xc7", out=folder / "peer")
            mine = ours.compile_design(
                baseline, family="xc7", stages=peer.stages, folder=folder / "rtl", repeats=repeats
            )
            late = "" if mine.stages <= peer.stages else " (MORE STAGES)"
            cells = count(mine.sources, top=mine.manifest.core, family="xc7", out=folder / "ours")
            adders, label = mine.lowered.adders, f"gatewright {mine.clock_mhz:g} MHz"
            tag = {"network": name.removeprefix("hgq_openml_")}
            cycles = _cycles(folder / "peer", peers.TOP, baseline, peer)
            rows.append(
                tag | _row(f"{peer.label} {peer.version}", theirs, peer.stages, cycles, peer.seconds, peer.adders)
            )
            cycles = _cycles(folder / "ours", mine.manifest.core, baseline, mine)
            rows.append(tag | _row(label + late, cells, mine.stages, cycles, mine.seconds, adders))
            rows.append(tag | _ratio(rows[-1], rows[-2]))
    publish(file, title, rows, NOTES)


def _cycles(folder: Path, top: str, baseline: Baseline, design: ours.OurDesign | peers.PeerDesign) -> str:
    """Simulate the counted netlist on all test vectors, a new one each cycle; return its latency, or that it fails."""
    found = latency(
        folder / "netlist.json",
        top=top,
        x=baseline.x,
        y=baseline.y,
        inputs=design.inputs,
        outputs=design.outputs,
    )
    return "WRONG" if found is None else str(found)


def _row(compiler: str, cells: Cells, stages: int, cycles: str, seconds: float, adders: int) -> dict[str, Any]:
    return {
        "compiler": compiler,
        "stages": stages,
        "exact at": cycles,
        "LUT": cells.lut,
        "SRL": cells.srl,
        "INV": cells.inv,
        "FF": cells.ff,
        "FF core": cells.ff - cells.ff_in,
        "adders": adders,
        "compile s": round(seconds, 3),
        "yosys s": cells.seconds,
        "yosys MB": cells.peak_mb,
    }


def _ratio(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    keys = ("LUT", "FF", "FF core", "adders", "compile s", "yosys s", "yosys MB")
    return {"compiler": "  ratio"} | {key: round(mine[key] / theirs[key], 3) for key in keys}
