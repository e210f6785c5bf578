"""hardware.timing = "placed": the search for the fewest stages, and the stage of the flow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatewright.config import parse_config
from gatewright.errors import ConfigError, LowerError
from gatewright.flow.build import build_program
from gatewright.flow.lowering import chip_of, given_hardware
from gatewright.flow.stages import hardware
from gatewright.flow.stages.placed import PLACEMENTS, Trial, fewest_stages, placed_pipeline
from gatewright.ir import save_program
from tests.lowering import lower_for
from tests.programs import codes, mlp

PROGRAM = mlp((8, 8, 4), seed=4, weight_bits=4, sparsity=0.4)
PLACED: dict[str, Any] = {"part": "LFE5U-25F", "clock_mhz": 150, "timing": "placed"}


def pipelines(least: int):
    """Return what places pipelines, of which those of `least` cycles and more meet the clock, and what it was asked."""
    asked: list[int] = []

    def place(cycles: int) -> Trial:
        asked.append(cycles)
        return Trial(latency_cycles=cycles, pipeline_mhz=10.0 * cycles, placed_mhz=100.0, meets=cycles >= least)

    return place, asked


@pytest.mark.parametrize("first", [1, 4, 7, 12])
@pytest.mark.parametrize("least", range(1, 9))
def test_the_fewest_stages_are_found(first: int, least: int):
    place, asked = pipelines(least)
    met = [one.latency_cycles for one in fewest_stages(above=8, first=first, place=place, most=8) if one.meets]
    assert met[-1:] == ([least] if least < 8 else [])
    assert len(set(asked)) == len(asked)
    assert all(1 <= cycles < 8 for cycles in asked)


def test_placements_are_bounded():
    place, asked = pipelines(1000)
    assert not any(one.meets for one in fewest_stages(above=1000, first=1, place=place))
    assert len(asked) == PLACEMENTS


def test_nothing_is_placed_where_there_is_nothing_to_save():
    place, asked = pipelines(1)
    assert fewest_stages(above=1, first=1, place=place) == []
    assert asked == []


def chosen(reaches: float, limit: int = 0) -> dict[str, Any]:
    """Return what is found where every pipeline reaches `reaches` times its clock by the delay model."""
    lowered = lower_for(PROGRAM, codes(PROGRAM, 20), family="ecp5", clock_mhz=150)
    return placed_pipeline(lowered, 150.0, limit, lambda design, _: reaches * 1e3 / design.period_ns("ecp5"))


def test_a_faster_chip_takes_fewer_cycles_and_a_slower_one_no_more():
    faster, slower = chosen(1.6), chosen(0.5)
    assert faster["latency_cycles"] < faster["estimated_cycles"] == slower["latency_cycles"]
    assert faster["placed_mhz"] >= 150 > faster["pipeline_mhz"]
    assert (slower["pipeline_mhz"], slower["placed_mhz"]) == (0.0, 0.0)
    assert len(slower["tried"]) <= PLACEMENTS


def test_a_limit_that_the_delay_model_misses_can_be_met():
    free = chosen(1.6)
    kept = chosen(1.6, limit=free["latency_cycles"])
    assert kept["latency_cycles"] == free["latency_cycles"] < free["estimated_cycles"]
    with pytest.raises(
        LowerError, match=r"needs more than the 2 cycles that are allowed at 150 MHz on ecp5: placed with"
    ):
        chosen(1.0, limit=2)


def test_only_what_is_placed_can_be_asked_for():
    for part in ("XC7A35T", "GW2A-18", "ICE40HX8K"):
        with pytest.raises(
            ConfigError, match=f'"placed" needs a part that is placed and timed here, of ecp5, not {part}'
        ):
            chip_of(given_hardware(Path("p.txt"), {"part": part, "timing": "placed"})[0])
    for more in ({"clock_mhz": 0, "max_latency_cycles": 4}, {"boundaries": "elastic"}, {"architecture": "folded"}):
        with pytest.raises(ConfigError, match='timing "placed" needs a clock_mhz above 0'):
            parse_config({"name": "n", "data": {"source": "x"}, "hardware": {"timing": "placed", **more}})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_program(PROGRAM, tmp_path / "program.txt")
    return tmp_path / "program.txt"


def built(saved: Path, out: Path, heard: list[tuple[str, str]], **more: Any) -> dict[str, Any]:
    return build_program(
        saved,
        out,
        codes=codes(PROGRAM, 64),
        hardware={**PLACED, **more},
        synthesis={"families": ["ecp5"], "place": True},
        notify=lambda stage, status: heard.append((stage.name, status)),
    )


@pytest.mark.sim
@pytest.mark.place
@pytest.mark.slow
def test_cycles_are_saved_at_a_clock_that_is_met(tmp_path: Path, saved: Path):
    heard: list[tuple[str, str]] = []
    results = built(saved, tmp_path / "build", heard)
    found = json.loads((tmp_path / "build" / "placed" / "placed.json").read_text())
    assert results["hardware"]["latency_cycles"] == found["latency_cycles"] < found["estimated_cycles"]
    assert results["hardware"]["mismatches"] == 0
    placed = results["synthesis"]["ecp5"]
    assert placed["fmax_source"] == "place and route"
    assert placed["fmax_mhz"] == found["placed_mhz"] >= 150
    assert results["hardware"]["estimated_cycles"] == found["estimated_cycles"]
    assert results["estimate"]["reachable_mhz"] == 150
    claims = json.loads((tmp_path / "build" / "rtl" / "design.json").read_text())["claims"]
    assert claims["clock_basis"] == "placed and routed"
    assert claims["clock_mhz"] == claims["reachable_mhz"] == 150
    heard.clear()
    built(saved, tmp_path / "build", heard)
    assert ("placed", "cached") in heard
    assert {status for _, status in heard} == {"cached"}


@pytest.mark.sim
@pytest.mark.synth
def test_the_stage_stands_before_rtl(tmp_path: Path, saved: Path, monkeypatch: pytest.MonkeyPatch):
    """With a place and route that says 200 MHz of everything: one stage is left, and the simulation is exact."""
    monkeypatch.setattr(hardware, "place_design", lambda *_, **__: 200.0)
    heard: list[tuple[str, str]] = []
    built(saved, tmp_path / "build", heard, timing="placed")
    names = [name for name, status in heard if status == "done"]
    assert names.index("placed") == names.index("rtl") - 1
    claims = json.loads((tmp_path / "build" / "rtl" / "design.json").read_text())["claims"]
    assert claims["latency_cycles"] == 1
    assert claims["clock_range_mhz"] == [200, 200]
    assert np.load(tmp_path / "build" / "program" / "codes.npy").shape[0] == 64
