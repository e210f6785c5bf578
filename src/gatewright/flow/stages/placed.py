"""hardware.timing = "placed": a program and a clock in, the fewest pipeline stages that meet it once placed out.

The delay model stays below what a router reaches, and pays for that in stages. Here a pipeline of fewer is placed, then
one of fewer or of more, by halves, until the fewest is known or PLACEMENTS are spent. What is chosen was placed and
meets the clock; else it is the delay model's own pipeline, as with timing = "estimated".
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.errors import BudgetError, LowerError

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.deploy import Board
    from gatewright.lower.dataflow import Dataflow
    from gatewright.rtl.manifest import RtlManifest

PLACEMENTS = 5
MARGIN = 1.35  # how much faster than the delay model says the first pipeline is hoped to be
FILE = "placed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One pipeline that was placed. pipeline_mhz: its clock by the delay model; placed_mhz None: not known, missed."""

    latency_cycles: int
    pipeline_mhz: float
    placed_mhz: float | None
    meets: bool


def fewest_stages(*, above: int, first: int, place: Callable[[int], Trial], most: int = PLACEMENTS) -> list[Trial]:
    """Return the pipelines placed, in order; the last of them that meets the clock is the one of the fewest cycles.

    above: no pipeline of so many cycles or more is wanted; first: the one to place first. place(cycles) returns one of
    at most so many cycles.
    """
    tried: list[Trial] = []
    low, high, cycles = 0, above, first
    while high - low > 1 and len(tried) < most:
        cycles = min(max(cycles, low + 1), high - 1)
        tried.append(place(cycles))
        if tried[-1].meets:
            high = tried[-1].latency_cycles
        else:
            low = cycles
        cycles = (low + high) // 2
    return tried


def placed_pipeline(
    lowered: Dataflow, clock_mhz: float, limit: int, place: Callable[[Dataflow, int], float | None]
) -> dict[str, Any]:
    """Return what FILE holds. lowered: the delay model's pipeline, without limits; limit: of cycles, 0 for none.

    place(design, number) returns the clock that a design reaches, in MHz; None where it misses the one it must meet.
    Raises LowerError where no pipeline within the limit meets the clock.
    """
    from gatewright.lower.pipeline.schedule import schedule
    from gatewright.lower.unrolled import Unrolled

    (unit,) = lowered.units
    assert isinstance(unit, Unrolled), "hardware.timing is checked with the configuration"
    family, today = lowered.target.family, lowered.latency_cycles
    number = 0

    def trial(cycles: int) -> Trial:
        nonlocal number
        number += 1
        pipeline = schedule(unit.circuit, family=family, clock_mhz=0, max_latency_cycles=cycles)
        target = dataclasses.replace(lowered.target, clock_mhz=clock_mhz)
        units = (dataclasses.replace(unit, schedule=pipeline),)
        placed_mhz = place(dataclasses.replace(lowered, units=units, target=target), number)
        return Trial(
            latency_cycles=pipeline.latency_cycles,
            pipeline_mhz=pipeline.clock_mhz,
            placed_mhz=placed_mhz,
            meets=placed_mhz is not None and placed_mhz >= clock_mhz,
        )

    above = min(today, limit + 1) if limit else today
    hoped = schedule(unit.circuit, family=family, clock_mhz=clock_mhz / MARGIN).latency_cycles
    tried = fewest_stages(above=above, first=hoped, place=trial)
    chosen = next((one for one in reversed(tried) if one.meets), None)
    if chosen is None and limit and today > limit:
        best = max((one.placed_mhz or 0.0 for one in tried), default=0.0)
        raise LowerError(
            f"{lowered.program.name!r} needs more than the {limit} cycles that are allowed at {clock_mhz:g} MHz on "
            f"{family}: placed with them it reaches {int(best)} MHz; lower hardware.clock_mhz, or make the network "
            "shallower"
        )
    return {
        "clock_mhz": clock_mhz,
        "estimated_cycles": today,
        "latency_cycles": chosen.latency_cycles if chosen else today,
        "pipeline_mhz": chosen.pipeline_mhz if chosen else 0.0,
        "placed_mhz": chosen.placed_mhz if chosen else 0.0,
        "tried": [dataclasses.asdict(one) for one in tried],
    }


def place_design(
    manifest: RtlManifest, *, rtl: Path, board: Board | None, part: Part, seed: int, out: Path
) -> float | None:
    """Return the clock in MHz that a design reaches: with the board's link and pins, or bare where there is no board.

    None: nothing was timed, it does not fit, or the board's clock is missed.
    """
    from gatewright.deploy.bitstream import build_bitstream
    from gatewright.synth import tool_for

    if board is not None:
        try:
            build_bitstream(
                manifest=manifest,
                rtl=rtl,
                board=board,
                part=part,
                clock_mhz=manifest.claims.clock_mhz,
                seed=seed,
                seeds=1,
                out=out,
            )
        except BudgetError:
            return None
        return json.loads((out / "board.json").read_text())["fmax_mhz"]
    tool = tool_for(part.family)
    tool.synthesize(
        sources=manifest.sources(rtl),
        top=manifest.top,
        family=part.family,
        out=out,
        keep=(manifest.core,),
        part=part.name,
        dsp=manifest.claims.dsp,
    )
    try:
        placed = tool.place(
            netlist=out / "netlist.json",
            part=part,
            pins=None,
            freq_mhz=manifest.claims.clock_mhz,
            seed=seed,
            out=out,
            out_of_context=True,
        )
    except BudgetError:
        return None
    return placed.slowest_mhz
