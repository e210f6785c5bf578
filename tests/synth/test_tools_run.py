"""The real tools on small designs: counts, timing, bitstream."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gatewright.chips import check_fit, part
from gatewright.deploy import board, pin_file
from gatewright.deploy.links.uart import StreamPorts, board_top
from gatewright.errors import BudgetError, ToolError
from gatewright.synth import SynthReport, pack, place_and_route, synthesize
from tests.leaf_files import UART_SOURCES

RTL = Path(__file__).parent / "rtl"
STUB = Path(__file__).parent.parent / "deploy" / "rtl" / "gw_stub.v"


@pytest.mark.synth
@pytest.mark.parametrize("family", ["xc7", "xcup", "ecp5"])
def test_counts_equal_what_yosys_prints(tmp_path, family):
    report = synthesize(sources=[RTL / "mix.v"], top="mix", family=family, out=tmp_path / "out", keep=["mix_add"])
    text = (tmp_path / "out" / "stat.txt").read_text()
    total = text[text.rindex("wires") :]

    def printed(pattern: str) -> int:
        return sum(int(count) for count in re.findall(rf"^ +(\d+) +[\d-]+   {pattern}$", total, re.MULTILINE))

    assert report.lut == printed("LUT[1-6]") > 0
    assert report.ff == printed("(?:FD[RSCP]E|TRELLIS_FF)") > 0
    assert report.carry == printed("(?:CARRY[48]|CCU2C)") > 0
    assert report.inv == printed("INV")
    assert report.bram == 1
    assert report.dsp == 0
    assert report.lutram > 0
    assert report.other == {}
    assert report.tool.startswith("pyosys ")
    kept = [counts for name, counts in report.modules.items() if name.startswith("mix_add(")]
    assert sum(counts["ff"] for counts in kept) == 12
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"synth.log", "netlist.json", "report.json"}
    assert json.loads((tmp_path / "out" / "timing.json").read_text())["synth_cpu_seconds"] > 0


@pytest.mark.synth
def test_same_sources_give_the_same_report_and_netlist(tmp_path):
    outs = [tmp_path / name for name in ("a", "b")]
    for out in outs:
        synthesize(sources=[RTL / "mix.v"], top="mix", family="ecp5", out=out)
    for name in ("report.json", "netlist.json", "synth.ys"):
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()


@pytest.mark.synth
def test_bad_verilog_shows_yosys_own_words(tmp_path):
    source = tmp_path / "bad.v"
    source.write_text("module bad(input a; endmodule\n")
    with pytest.raises(ToolError, match=r"(?s)exited with 1.*synth\.log.*bad\.v:1.*syntax error"):
        synthesize(sources=[source], top="bad", family="xc7", out=tmp_path / "out")


@pytest.mark.synth
@pytest.mark.place
@pytest.mark.slow
def test_ulx3s_from_verilog_to_bitstream(tmp_path):
    ulx3s = board("ulx3s_25f")
    chip = part(ulx3s.part)
    core = StreamPorts(module="gw_stub", input_bytes=4, output_bytes=2)
    top = board_top(board=ulx3s, core=core, clock_mhz=100)
    (tmp_path / "top.v").write_text(top.verilog)
    (tmp_path / "top.lpf").write_text(pin_file(ulx3s).text)
    report = synthesize(
        sources=[STUB, *UART_SOURCES, tmp_path / "top.v"],
        top=top.module,
        family="ecp5",
        out=tmp_path / "build",
        keep=["gw_stub", "gw_uart_host"],
    )
    assert set(report.modules) == {top.module, "gw_stub", "gw_uart_host"}
    assert report.other == {"EHXPLLL": 1}
    check_fit(chip, lut=report.sites, ff=report.ff, dsp=report.dsp, bram=report.bram)
    placed = place_and_route(
        netlist=tmp_path / "build" / "netlist.json",
        part=chip,
        pins=tmp_path / "top.lpf",
        freq_mhz=top.clock_mhz,
        seed=1,
        out=tmp_path / "build",
    )
    assert placed.target_mhz == {"clk": 100.0}  # nextpnr works it out of 25 MHz and the dividers: they are legal
    assert placed.meets_timing
    assert placed.used["EHXPLLL"] == 1
    assert placed.used["TRELLIS_FF"] == report.ff
    assert report.sites <= placed.used["TRELLIS_COMB"] <= 1.5 * report.sites
    assert placed.used["TRELLIS_IO"] == 3 + len(ulx3s.leds) + len(ulx3s.keep_high)
    bit = pack(
        placed.textcfg, tmp_path / "build" / "design.bit", part=part("LFE5U-25F"), svf=tmp_path / "build" / "design.svf"
    )
    assert b"LFE5U-25F" in bit.read_bytes()[:200]
    assert "SIR" in (tmp_path / "build" / "design.svf").read_text()
    assert set(json.loads((tmp_path / "build" / "timing.json").read_text())) == {
        "synth_cpu_seconds",
        "place_cpu_seconds",
    }
    assert SynthReport.load(tmp_path / "build" / "report.json") == report


@pytest.mark.synth
@pytest.mark.place
@pytest.mark.slow
def test_out_of_context_gives_a_frequency_without_pins(tmp_path):
    (tmp_path / "wide.v").write_text(
        "module wide(input clk, input [299:0] a, output reg y); reg [299:0] r;"
        " always @(posedge clk) begin r <= a; y <= ^r; end endmodule\n"
    )
    synthesize(sources=[tmp_path / "wide.v"], top="wide", family="ecp5", out=tmp_path / "synth")
    placed = place_and_route(
        netlist=tmp_path / "synth" / "netlist.json",
        part=part("LFE5U-25F"),
        pins=None,
        freq_mhz=100,
        seed=1,
        out=tmp_path / "place",
        out_of_context=True,
    )
    assert placed.used.get("TRELLIS_IO", 0) == 0
    assert placed.textcfg is None
    assert placed.slowest_mhz is not None
    with pytest.raises(BudgetError, match="302 pins, LFE5U-25F has 197: 105 too many"):
        place_and_route(
            netlist=tmp_path / "synth" / "netlist.json",
            part=part("LFE5U-25F"),
            pins=None,
            freq_mhz=100,
            seed=1,
            out=tmp_path / "pins",
        )


@pytest.mark.synth
@pytest.mark.place
@pytest.mark.slow
@pytest.mark.parametrize(("name", "clock_mhz"), [("colorlight_i5", 100), ("ecpix5_85f", 60)])
def test_pins_of_other_boards_exist_in_their_packages(tmp_path, name, clock_mhz):
    core = StreamPorts(module="gw_stub", input_bytes=4, output_bytes=2)
    top = board_top(board=board(name), core=core, clock_mhz=clock_mhz)
    (tmp_path / "top.v").write_text(top.verilog)
    (tmp_path / "top.lpf").write_text(pin_file(board(name)).text)
    sources = [STUB, *UART_SOURCES, tmp_path / "top.v"]
    synthesize(sources=sources, top=top.module, family="ecp5", out=tmp_path / "build")
    placed = place_and_route(
        netlist=tmp_path / "build" / "netlist.json",
        part=part(board(name).part),
        pins=tmp_path / "top.lpf",
        freq_mhz=clock_mhz,
        seed=1,
        out=tmp_path / "build",
    )
    assert placed.target_mhz == {"clk": clock_mhz}
    assert placed.meets_timing
