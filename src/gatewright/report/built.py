"""What the stages rtl, sim, synth and bitstream wrote in; the results' keys of the hardware out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.chips import FAMILIES, Part, router
from gatewright.chips import part as find_part
from gatewright.tools import digest

if TYPE_CHECKING:
    from gatewright.deploy import Board
    from gatewright.sim import SimReport


ASSESSED = "assess"
"""The folder of a run that `gatewright assess` writes; no stage is."""


def built(run: Path, part: Part, board: Board | None, families: Sequence[str]) -> dict[str, Any]:
    """Return the keys hardware, estimate, synthesis, bitstream, board and assessment of results.json (docs/results.md).

    run: the folder that holds the stages' folders. What the output means is the caller's to add.
    """
    from gatewright.rtl.manifest import RtlManifest
    from gatewright.sim import SimReport

    manifest, simulated = RtlManifest.load(run / "rtl"), SimReport.load(run / "sim" / "report.json")
    estimated = _json(run / "rtl" / "estimate.json")
    return {
        "hardware": {
            "part": part.name,
            "family": part.family,
            "clock_mhz": manifest.claims.clock_mhz,
            "vectors": simulated.vectors,
            "mismatches": simulated.mismatches,
            "stall_fraction": simulated.stall_fraction,
            "simulator": simulated.simulator,
            "latency_cycles": simulated.latency_cycles,
            "initiation_interval": simulated.initiation_interval,
            "transfer_latency_cycles": simulated.transfer_latency_cycles,
            "stages": manifest.claims.latency_cycles,
            "adders": manifest.claims.adders,
            "input_bits": manifest.source.beat_bits,
            "output_bits": manifest.result.beat_bits,
            **(_elastic(simulated, estimated) if simulated.elastic else {}),
            **in_front(run),
            **(_by_placement(run) if manifest.claims.clock_basis == "placed and routed" else {}),
        },
        "estimate": {
            **{key: estimated[key] for key in ("lut", "ff", "dsp", "bram", "latency_cycles", "latency_ns")},
            "fmax_mhz": int(estimated["fmax_mhz"]),
            "reachable_mhz": estimated["reachable_mhz"],
            "clock_range_mhz": estimated["clock_range_mhz"],
        },
        "synthesis": {family: _synthesis(run, family, part, board, estimated) for family in families},
        "bitstream": f"bitstream/{manifest.top}{router(manifest.claims.family).packer.suffix}" if board else None,
        "board": _board(run, board) if board else None,
        **_assessed(run),
    }


def _assessed(run: Path) -> dict[str, Any]:
    """Return what was measured behind a processor, where it was measured of the design that is there now."""
    found: dict[str, Any] = _json(file) if (file := run / ASSESSED / "assessment.json").is_file() else {}
    same = found.get("design") == digest(run / "rtl" / "design.json")
    return {"assessment": found["results"]} if same else {}


def _elastic(simulated: SimReport, estimated: Mapping[str, Any]) -> dict[str, Any]:
    """Return what only an elastic core has: a measured latency that may grow at full rate, channels and units.

    And, on streams, what other intervals would take.
    """
    return {
        "boundaries": "elastic",
        "greatest_latency_cycles": simulated.greatest_latency_cycles,
        "channels": [
            {"name": channel.channel, "depth": channel.depth, "greatest_fill": channel.greatest_fill}
            for channel in simulated.channels
        ],
        "units": estimated["units"],
        **({"intervals": estimated["intervals"]} if estimated["intervals"] else {}),
    }


def in_front(run: Path) -> dict[str, Any]:
    """Return what only a design with a unit in front has: what it takes and gives, and what was seen in simulation."""
    from gatewright.rtl.captured import Captured, rule_text
    from gatewright.rtl.manifest import RtlManifest

    captured = Captured.load(run / "rtl")
    if captured is None:
        return {}
    seen, unit = _json(run / "sim" / "frontend" / "frontend.json"), captured.unit
    return {
        "frontend": {
            "module": captured.top,
            "windows_begin": rule_text(unit),
            "adc_bits": unit.samples.width_bits,
            "ring_samples": unit.depth,
            "samples_per_cycle": unit.samples_per_cycle(RtlManifest.load(run / "rtl").stream_interval),
            **{key: seen[key] for key in ("samples", "windows", "results", "mismatches", "waited")},
            "latency_cycles": seen["latency_cycles"][0],
            "greatest_latency_cycles": seen["latency_cycles"][1],
        }
    }


def _by_placement(run: Path) -> dict[str, Any]:
    """Return what only a pipeline has that was found by placing: the cycles that the delay model alone takes."""
    return {"timing": "placed", "estimated_cycles": _json(run / "placed" / "placed.json")["estimated_cycles"]}


def _synthesis(run: Path, family: str, part: Part, board: Board | None, estimated: Mapping[str, Any]) -> dict[str, Any]:
    from gatewright.lower.cost.delays import delays
    from gatewright.synth import SynthReport

    report = SynthReport.load(run / "synth" / family / "report.json")
    if family == part.family and board is not None:
        report = report.with_fmax(_json(run / "bitstream" / "board.json")["fmax_mhz"], "place and route")
    if report.fmax_mhz is None:
        model, period_ns = delays(family), estimated["period_ns"][family]
        fmax_mhz = int(1e3 / period_ns)
        basis = f"delay model: {model.basis}"
        report = report.with_range(fmax_mhz, "estimate", model.clock_range_mhz(period_ns), basis)
    keys = ("lut", "ff", "dsp", "bram", "carry", "lutram", "srl", "inv", "mux", "sites")
    core = next((dict(counts) for name, counts in report.modules.items() if name.endswith("_core")), None)
    return {
        "part": report.part,
        "tool": report.tool,
        **{key: getattr(report, key) for key in keys},
        "fmax_mhz": report.fmax_mhz,
        "fmax_source": report.fmax_source,
        **({"fmax_range_mhz": list(report.fmax_range_mhz)} if report.fmax_range_mhz else {}),
        **({"fmax_basis": report.fmax_basis} if report.fmax_basis else {}),
        **({"core": core} if core else {}),
        **(
            {"available": {"lut": part.lut, "ff": part.ff, "dsp": part.dsp, "bram": part.bram}}
            if family == part.family
            else {}
        ),
    }


def _board(run: Path, board: Board) -> dict[str, Any]:
    built = _json(run / "bitstream" / "board.json")
    used, row = built["used"], FAMILIES[find_part(board.part).family]
    placer = router(find_part(board.part).family)
    return {
        "name": board.name,
        "title": board.title,
        "part": board.part,
        "clock_mhz": built["clock_mhz"],
        "oscillator_mhz": board.clock_mhz,
        "fmax_mhz": built["fmax_mhz"],
        "lut": sum(used.get(cell, 0) for cell in placer.comb),
        "ff": sum(used.get(cell, 0) for cell in placer.ff),
        "dsp": sum(number for cell, number in used.items() if row.kinds.get(cell, ("", 0))[0] == "dsp"),
        "bram": sum(number for cell, number in used.items() if row.kinds.get(cell, ("", 0))[0] == "bram"),
        "loader": board.loader,
        "link": f"UART, {built['baud']:,} baud".replace(",", " "),
    }


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
