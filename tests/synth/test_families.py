"""Every family: its yosys command, what its cells count, and place and route where a wheel is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import get_args

import pytest

from gatewright.chips import FAMILIES, PARTS, Family, part, router
from gatewright.chips.delays import UNCALIBRATED
from gatewright.errors import GatewrightError
from gatewright.rtl.harness import harness
from gatewright.rtl.manifest import write_design
from gatewright.synth import pack, place_and_route, synthesize, tool_for
from gatewright.synth.yosys import count_cells, script
from tests.lowering import lower_for, only
from tests.programs import codes, mlp

ADDER = """module adder(input clk, input [7:0] a, b, output reg [8:0] y, output reg z);
    always @(posedge clk) begin y <= a + b; z <= &a; end
endmodule
"""
# carry cells that yosys 0.70 makes of the sum of 8 bits
CARRIES: dict[Family, int] = {
    "xc7": 3, "xcup": 3, "ecp5": 5, "nexus": 6, "ice40": 8, "gowin": 9, "gatemate": 9, "intel": 9, "generic": 0,
}  # fmt: skip


def test_every_family_is_whole_and_has_parts():
    placed = {name for name, row in FAMILIES.items() if row.router}
    assert set(FAMILIES) == set(get_args(Family))
    assert {item.family for item in PARTS.values()} == set(FAMILIES) - {"generic"}
    assert {item.family for item in PARTS.values() if item.nextpnr} == placed
    timed = {name for name, row in FAMILIES.items() if row.router and row.router.timed}
    assert {name for name, row in FAMILIES.items() if row.delays.basis.startswith("nextpnr")} == timed
    assert placed - timed == {"gowin"}
    assert all(FAMILIES[name].delays.basis.startswith(UNCALIBRATED) for name in set(FAMILIES) - timed)
    assert tool_for("ecp5").packs(part("LFE5U-25F"))
    assert tool_for("ice40").places(part("ICE40HX8K"))
    assert tool_for("ice40").packs(part("ICE40HX8K"))
    assert not tool_for("xc7").places(part("XC7A35T"))


def test_a_family_that_no_flow_knows_is_refused():
    with pytest.raises(GatewrightError, match="no tool flow synthesizes for 'xc5'; there are open"):
        tool_for("xc5")


def test_wide_cells_and_carries_take_more_sites():
    counts, other = count_cells(
        {"MISTRAL_ALUT6": 3, "MISTRAL_ALUT_ARITH": 4, "MISTRAL_NOT": 1}, family="intel", modules={}
    )
    assert (counts["lut"], counts["inv"], counts["carry"], counts["sites"], other) == (3, 1, 4, 10, {})
    counts, _ = count_cells({"CC_L2T5": 2, "CC_L2T4": 5, "CC_ADDF": 7}, family="gatemate", modules={})
    assert (counts["lut"], counts["sites"]) == (7, 2 * 2 + 5 + 7)
    counts, other = count_cells({"SB_LUT4": 9, "SB_CARRY": 4, "SB_DFFESS": 2, "VCC": 1}, family="ice40", modules={})
    assert (counts["sites"], counts["ff"], other) == (9, 2, {"VCC": 1})


def test_pads_take_the_bare_options_away(tmp_path: Path):
    source = tmp_path / "a.v"
    bare = script(sources=[source], top="a", family="gowin", keep=(), out=tmp_path)
    assert "synth_gowin -family gw2a -nodsp -top a -noiopads\n" in bare
    assert "-noiopads" not in script(sources=[source], top="a", family="gowin", keep=(), out=tmp_path, pads=True)


@pytest.mark.synth
@pytest.mark.parametrize("family", FAMILIES)
def test_a_registered_adder_leaves_no_unknown_cells(tmp_path: Path, family: Family):
    (tmp_path / "adder.v").write_text(ADDER)
    report = synthesize(sources=[tmp_path / "adder.v"], top="adder", family=family, out=tmp_path / "out")
    assert report.other == {}
    assert report.ff == 10
    assert report.carry == CARRIES[family]
    assert report.sites >= report.lut + FAMILIES[family].carry_sites * report.carry
    assert report.lut >= 1


@pytest.mark.synth
@pytest.mark.place
@pytest.mark.slow
@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if row.router and name != "ecp5"])
def test_a_small_network_places_behind_its_harness(tmp_path: Path, family: Family):
    if importlib.util.find_spec(router(family).module) is None:
        pytest.skip(f"no {router(family).package}; pip install 'gatewright[place-more]'")
    if family == "gatemate":
        pytest.skip("GateMate's router takes minutes and 1.9 GB; `python -m benchmarks delays` runs it")
    program = mlp((4, 3), seed=1, weight_bits=3, output="scores")
    lowered = lower_for(program, codes(program, 50), family=family, clock_mhz=100.0)
    manifest = write_design(lowered, program_hash="0" * 64, stream_bits=0, folder=tmp_path)
    inputs, outputs = {"x": manifest.source.packed_bits}, {"y": manifest.result.packed_bits}
    (tmp_path / "top.v").write_text(
        harness(name="top", module=manifest.core, clock="clk", inputs=inputs, outputs=outputs)
    )
    sources = [*manifest.sources(tmp_path), tmp_path / "top.v"]
    report = synthesize(sources=sources, top="top", family=family, out=tmp_path / "synth", pads=True)
    pins = tmp_path / "pins.cst"
    pins.write_text('IO_LOC "clk" H11;\nIO_LOC "d" T10;\nIO_LOC "q" C13;\n')
    chip = {"ice40": "ICE40HX8K", "gowin": "GW2A-18"}[family]
    placed = place_and_route(
        netlist=tmp_path / "synth" / "netlist.json",
        part=part(chip),
        pins=pins if family == "gowin" else None,
        freq_mhz=100,
        seed=1,
        out=tmp_path / "place",
    )
    assert sum(placed.used[cell] for cell in router(family).comb) >= report.sites
    packed = pack(placed.textcfg, tmp_path / "place" / f"net{router(family).packer.suffix}", part=part(chip))
    assert packed.stat().st_size > 50_000
    if family == "gowin":
        assert placed.meets_timing is None
        assert placed.slowest_mhz is None
        return
    assert placed.meets_timing
    assert placed.slowest_mhz is not None
    assert placed.slowest_mhz >= 0.8 * only(lowered).schedule.fmax_mhz


def test_families_without_out_of_context_name_the_harness(tmp_path: Path):
    with pytest.raises(GatewrightError, match=r"ice40 has no out_of_context placing; wrap .* gatewright\.rtl\.harness"):
        place_and_route(
            netlist=tmp_path / "n.json", part=part("ICE40HX8K"), pins=None, freq_mhz=1, seed=1, out=tmp_path,
            out_of_context=True,
        )  # fmt: skip


def test_pads_and_kept_modules_exclude_each_other(tmp_path: Path):
    (tmp_path / "a.v").write_text(ADDER)
    with pytest.raises(GatewrightError, match="pads would surround the kept modules too"):
        synthesize(
            sources=[tmp_path / "a.v"], top="adder", family="gowin", out=tmp_path / "o", keep=("adder",), pads=True
        )
