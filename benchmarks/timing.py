"""Tables `timing` and `timing_placed`: claimed clocks beside an independent timer, and cycles saved by placing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.opensta import BASE_NS, DOUBLING_NS, longest_ns
from benchmarks.tables import BUILD, publish
from gatewright.chips import part
from gatewright.flow.stages.placed import place_design, placed_pipeline
from gatewright.ir import OutputStage, Program, add_output_stage
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.estimate import estimate
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.synth import synthesize, time_netlist
from gatewright.synth.netlist import read_netlist
from gatewright.synth.static_timing import srl_into_logic
from tests.lowering import lower_for
from tests.programs import codes, mlp

PART = "LFE5U-25F"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """One small design: what it shows, its program, the clock asked for and how it is folded."""

    name: str
    program: Program
    clock_mhz: float = 200.0
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def _softmax() -> Program:
    return add_output_stage(mlp((6, 5, 3), seed=4, output="scores"), OutputStage(kind="softmax"))


FOLDED: dict[str, Any] = {"reuse": 8, "multiplier": "dsp", "dsp_blocks": 90}
XILINX = (
    Design(name="adders 8-8-4", program=mlp((8, 8, 4), seed=4, weight_bits=4, sparsity=0.4)),
    Design(name="argmax 16-12-4", program=mlp((16, 12, 4), seed=5)),
    Design(
        name="delay lines 12-8-6-4",
        program=mlp((12, 8, 6, 4), seed=3, weight_bits=4, sparsity=0.4, output="scores"),
        clock_mhz=300.0,
    ),
    Design(name="softmax 6-5-3", program=_softmax()),
    Design(name="folded 16-12-4, DSP", program=mlp((16, 12, 4), seed=5), options=FOLDED),
)
ECP5 = (
    Design(name="adders 8-8-4", program=mlp((8, 8, 4), seed=4, weight_bits=4, sparsity=0.4), clock_mhz=150.0),
    Design(name="argmax 10-8-3", program=mlp((10, 8, 3), seed=5), clock_mhz=125.0),
    Design(name="scores 12-6-4", program=mlp((12, 6, 4), seed=3, weight_bits=5, output="scores"), clock_mhz=100.0),
)


def run() -> None:
    """Synthesize five designs for xc7 and time each twice."""
    rows = [_xilinx(number, design) for number, design in enumerate(XILINX)]
    publish("timing", "timing: claimed range of xc7 (-1) beside OpenSTA, MHz", rows, NOTES)


def run_placed() -> None:
    """Place three designs for ECP5 with the delay model's stages, and with the fewest that meet the clock."""
    rows = [_ecp5(number, design) for number, design in enumerate(ECP5)]
    publish("timing_placed", f"timing: claimed and placed on {PART}", rows, ("seed 1; cycles of the core",))


NOTES = (
    f"OpenSTA: library made of yosys' cells_sim.v; every wire {BASE_NS} ns, {DOUBLING_NS} more when its loads double.",
    "SRL: shift-register LUTs, and how many of them feed logic.",
)


def _built(design: Design, family: str, folder: Path) -> tuple[Dataflow, RtlManifest]:
    x = codes(design.program, 50)
    lowered = lower_for(design.program, x, family=family, clock_mhz=design.clock_mhz, **design.options)
    return lowered, write_design(lowered, program_hash="0" * 64, stream_bits=0, folder=folder)


def _xilinx(number: int, design: Design) -> dict[str, Any]:
    folder = BUILD / "timing" / str(number)
    lowered, manifest = _built(design, "xc7", folder / "rtl")
    sources, dsp = manifest.sources(folder / "rtl"), manifest.claims.dsp
    report = synthesize(sources=sources, top=manifest.top, family="xc7", out=folder, keep=(manifest.core,), dsp=dsp)
    netlist = folder / "netlist.json"
    low, high = time_netlist(netlist, manifest.top, family="xc7").range_mhz or (0, 0)
    ns = longest_ns(netlist, manifest.top, folder / "opensta")
    return {
        "design": design.name,
        "asked": design.clock_mhz,
        "cycles": lowered.latency_cycles,
        "model": int(estimate(lowered).fmax_mhz),
        "range": f"{low} to {high}",
        "OpenSTA": round(1e3 / ns) if ns else None,
        "SRL": f"{report.srl}, {len(srl_into_logic(read_netlist(netlist, manifest.top)))}",
    }


def _ecp5(number: int, design: Design) -> dict[str, Any]:
    folder, chip = BUILD / "timing_placed" / str(number), part(PART)
    lowered, manifest = _built(design, "ecp5", folder / "rtl")
    today = place_design(manifest, rtl=folder / "rtl", board=None, part=chip, seed=1, out=folder / "today")

    def place(made: Dataflow, trial: int) -> float | None:
        rtl = folder / f"rtl{trial}"
        own = write_design(made, program_hash="0" * 64, stream_bits=0, folder=rtl)
        return place_design(own, rtl=rtl, board=None, part=chip, seed=1, out=folder / f"place{trial}")

    found = placed_pipeline(lowered, design.clock_mhz, 0, place)
    low, high = manifest.claims.clock_range_mhz
    return {
        "design": design.name,
        "asked": design.clock_mhz,
        "cycles": lowered.latency_cycles,
        "claimed": f"{low} to {high}",
        "placed": today and int(today),
        '"placed": cycles': found["latency_cycles"],
        '"placed": MHz': int(found["placed_mhz"]),
        "saved": lowered.latency_cycles - found["latency_cycles"],
        "placements": len(found["tried"]),
    }
