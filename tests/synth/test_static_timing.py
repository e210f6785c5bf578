"""Static timing of netlists: small ones by hand, exact; the delays against yosys' own; SRLs end in registers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gatewright.chips import part
from gatewright.chips.xilinx_cells import CELLS, FAR, GRADES, NEAR, cell_timing
from gatewright.errors import ConfigError, GatewrightError, ToolError
from gatewright.synth import synthesize, time_netlist
from gatewright.synth.netlist import Cell, read_netlist
from gatewright.synth.static_timing import lut_inputs, srl_into_logic

INPUTS = {
    "C",
    "CE",
    "D",
    "R",
    "I0",
    "I1",
    "I2",
    "CI",
    "CYINIT",
    "DI",
    "S",
    "CLK",
    "A0",
    "A1",
    "A2",
    "A3",
    "I",
    "clk",
    "x",
}


def cell(kind: str, pins: dict[str, list[int | str]], **parameters: str) -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": parameters,
        "port_directions": {pin: "input" if pin in INPUTS else "output" for pin in pins},
        "connections": pins,
    }


def ff(d: int, q: int) -> dict[str, Any]:
    return cell("FDRE", {"C": [1], "CE": ["1"], "D": [d], "R": ["0"], "Q": [q]})


def lut2(a: int | str, b: int | str, y: int, table: str = "0110") -> dict[str, Any]:
    return cell("LUT2", {"I0": [a], "I1": [b], "O": [y]}, INIT=table)


def module(cells: dict[str, dict[str, Any]], **ports: tuple[str, list[int | str]]) -> dict[str, Any]:
    named = {name: {"direction": direction, "bits": bits} for name, (direction, bits) in ports.items()}
    return {"attributes": {}, "ports": named, "cells": cells}


def saved(folder: Path, **modules: dict[str, Any]) -> Path:
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": modules}))
    return path


def test_two_registers_and_a_lut_are_added_up_exactly(tmp_path: Path):
    """Clock to output, a wire of one load, the LUT's input I0, and no wire into the register beside it."""
    top = module({"a": ff(9, 2), "l": lut2(2, "1", 3), "b": ff(3, 4)}, clk=("input", [1]))
    timed = time_netlist(saved(tmp_path, top=top), "top", family="xc7")
    assert round(timed.near_ns, 6) == round(0.303 + NEAR.base_ns + 0.238, 6)
    assert round(timed.far_ns, 6) == round(0.456 + FAR.base_ns + 0.238, 6)
    assert timed.range_mhz == (int(1e3 / timed.far_ns), int(1e3 / timed.near_ns) + 1)
    assert timed.path == ("FDRE", "LUT2", "FDRE")
    assert timed.untimed == ()


def test_loads_and_grades_count(tmp_path: Path):
    loads = {f"l{i}": lut2(2, "1", 10 + i) for i in range(8)} | {f"b{i}": ff(10 + i, 30 + i) for i in range(8)}
    path = saved(tmp_path, top=module({"a": ff(9, 2), **loads}, clk=("input", [1])))
    slowest = time_netlist(path, "top", family="xc7")
    assert round(slowest.far_ns, 6) == round(0.456 + FAR.base_ns + 3 * FAR.doubling_ns + 0.238, 6)
    for grade, factor in GRADES.items():
        graded = time_netlist(path, "top", family="xc7", speed=grade)
        assert round(graded.far_ns, 6) == round(factor * slowest.far_ns, 6)
        assert f"speed grade {grade}" in graded.basis
    assert "all delays times 0.55 of 7 series'" in time_netlist(path, "top", family="xcup").basis
    assert "not placed: wires of one load 0.3 to 0.65 ns, of 100 loads 1.0 to 2.1 ns" in slowest.basis


@pytest.mark.parametrize(
    ("table", "a", "b", "used"),
    [
        ("0110", 5, 6, {"I0", "I1"}),
        ("1100", 5, 6, {"I1"}),  # O = I1, whatever I0 is
        ("1000", 5, "0", set[str]()),  # an AND with 0
        ("1000", 5, "1", {"I0"}),
        ("1111", 5, 6, set[str]()),
    ],
)
def test_inputs_that_a_table_does_not_depend_on_have_no_arc(table: str, a: int, b: int | str, used: set[str]):
    lut = Cell(name="l", kind="LUT2", inputs={"I0": a, "I1": b}, outputs={"O": 7}, parameters={"INIT": table})
    assert lut_inputs(lut, "O") == used


def test_a_false_path_through_a_table_is_left_out(tmp_path: Path):
    cells = {"a": ff(9, 2), "b": ff(8, 3), "l": lut2(2, 3, 4), "m": lut2(4, 3, 5, "1100"), "c": ff(5, 6)}
    timed = time_netlist(saved(tmp_path, top=module(cells, clk=("input", [1]))), "top", family="xc7")
    assert timed.path == ("FDRE", "LUT2", "FDRE")


def test_the_lower_output_of_a_lut_of_two_functions():
    pins: dict[str, int | str] = {f"I{i}": i for i in range(5)} | {"I5": "1"}
    lut = Cell(
        name="l", kind="LUT6_2", inputs=pins, outputs={"O6": 7, "O5": 8}, parameters={"INIT": f"{0xCA << 32:064b}"}
    )
    assert lut_inputs(lut, "O6") == {"I0", "I1", "I2", "I3", "I4"}
    assert lut_inputs(lut, "O5") == set()


def test_hierarchy_and_wires_that_only_pass_are_followed(tmp_path: Path):
    inner = module({"l": lut2(1, 2, 3)}, x=("input", [1, 2]), y=("output", [3]), z=("output", [1]), k=("output", ["1"]))
    below = cell("inner", {"x": [2, 5], "y": [6], "z": [7], "k": [5]})
    cells = {"a": ff(9, 2), "i": below, "b": ff(6, 10), "c": ff(7, 11)}
    path = saved(tmp_path, top=module(cells, clk=("input", [1])), inner=inner)
    timed = time_netlist(path, "top", family="xc7")
    assert timed.path == ("FDRE", "LUT2", "FDRE")
    netlist = read_netlist(path, "top")
    (lut,) = (c for c in netlist.cells if c.kind == "LUT2")
    assert lut.name == "i.l"
    assert lut.inputs["I1"] == "1"
    assert lut_inputs(lut, "O") == {"I0"}


def test_a_loop_and_broken_files_are_errors(tmp_path: Path):
    path = saved(tmp_path, top=module({"l": lut2(2, 3, 3), "a": ff(3, 2)}, clk=("input", [1])))
    with pytest.raises(ToolError, match="a loop without a register, of 1 arcs or fewer"):
        time_netlist(path, "top", family="xc7")
    with pytest.raises(ToolError, match=r"must be a netlist of yosys with module 'other'"):
        time_netlist(path, "other", family="xc7")
    with pytest.raises(
        GatewrightError, match="netlists of 'ecp5' cannot be timed before placement; those of xc7, xcup can"
    ):
        time_netlist(path, "top", family="ecp5")
    with pytest.raises(GatewrightError, match="speed grade must be one of -1, -2, -3, not '-4'"):
        time_netlist(path, "top", family="xc7", speed="-4")


def test_cells_without_delays_are_named(tmp_path: Path):
    cells = {"a": ff(9, 2), "p": cell("PLLE2", {"D": [2], "Q": [3]}), "b": ff(3, 4)}
    timed = time_netlist(saved(tmp_path, top=module(cells, clk=("input", [1]))), "top", family="xc7")
    assert timed.untimed == ("PLLE2",)
    assert timed.basis.endswith("; without PLLE2")


def test_a_design_without_paths_has_no_clock(tmp_path: Path):
    timed = time_netlist(saved(tmp_path, top=module({"a": ff(9, 2)}, clk=("input", [1]))), "top", family="xc7")
    assert timed.range_mhz is None
    assert timed.to_json()["range_mhz"] is None


def test_a_shift_register_in_front_of_logic_is_found(tmp_path: Path):
    pins: dict[str, list[int | str]] = {"A0": ["1"], "A1": ["1"], "A2": ["0"], "A3": ["0"], "CE": ["1"], "CLK": [1]}
    srl = cell("SRL16E", {**pins, "D": [2], "Q": [3]})
    logic = saved(tmp_path, top=module({"s": srl, "l": lut2(3, "1", 4), "b": ff(4, 5)}, clk=("input", [1])))
    assert srl_into_logic(read_netlist(logic, "top")) == ["s"]
    assert time_netlist(logic, "top", family="xc7").near_ns > 1.472 + NEAR.base_ns
    register = saved(tmp_path, top=module({"s": srl, "b": ff(3, 4)}, clk=("input", [1])))
    assert srl_into_logic(read_netlist(register, "top")) == []
    assert round(time_netlist(register, "top", family="xc7").near_ns, 6) == 1.472


def test_speed_grades_are_part_of_a_name():
    assert part("xc7a35t-2").speed == "-2"
    assert part("XC7A35T-3").name == "XC7A35T-3"
    assert part("XC7A35T").speed == "-1"
    with pytest.raises(ConfigError, match="speed grade of XC7A35T must be one of -1, -2, -3, not '-7'"):
        part("XC7A35T-7")


def library() -> dict[str, str]:
    """Return the text of each cell in yosys' library."""
    spec = find_spec("pyosys")
    if spec is None or spec.origin is None:
        pytest.skip("pyosys, whose library the delays are of, is not installed")
    text = (Path(spec.origin).parent / "share" / "xilinx" / "cells_sim.v").read_text()
    return {m[1]: m[0] for m in re.finditer(r"^module (\w+)\s*\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)}


@pytest.mark.synth
@pytest.mark.parametrize(
    "kind", ["INV", *(f"LUT{n}" for n in range(1, 7)), "MUXF7", "MUXF8", "CARRY4", "FDRE", "FDSE", "SRL16E", "SRLC32E"]
)
def test_delays_are_those_of_the_library(kind: str):
    text = re.sub(r"//.*|/\*.*?\*/", "", library()[kind])
    arcs = re.findall(r"\(([\w\[\]]+)\s*=>\s*([\w\[\]]+)\)\s*=\s*(\d+);", text)
    own = CELLS[kind]
    if not kind.startswith("SRL"):  # their addresses are constants
        assert {(a, y): int(ps) for a, y, ps in arcs} == {
            (a, y): ps for y, row in own.arcs.items() for a, ps in row.items()
        }
    clocked = re.findall(r"\(posedge \w+\s*=>\s*\((\w+)\s*:.*?\)\)\s*=\s*(\d+);", text)
    assert {pin: int(ps) for pin, ps in clocked} == dict(own.clock_to_out)
    setup = re.findall(r"\$setup\((\w+)\s*, posedge [^,]*,\s*(\d+)\)", text)
    listed = {pin: int(ps) for pin, ps in setup}
    assert listed == {pin: ps for pin, ps in own.setup.items() if pin in listed}


@pytest.mark.synth
def test_delays_of_memories_and_multipliers_are_those_of_the_library():
    cells = library()
    for kind, pins in (("RAM32M", "ABCD"), ("RAM64M", "ABCD")):
        for p in pins:
            reads = {
                f"ADDR{p}[{i}]": int(ps)
                for i, ps in re.findall(rf"\(ADDR{p}\[(\d)\] \*?=> DO{p}\) = (\d+)", cells[kind])
            }
            own = CELLS[kind].arcs[f"DO{p}"]
            assert reads.items() <= own.items()
    for kind, most in (("RAM32M", 1190), ("RAM64M", 1190), ("RAM32X1D", 1153)):
        written = {int(ps) for ps in re.findall(r"\(posedge WCLK => .*?\)\)\s*= (\d+)", cells[kind])}
        assert max(written) <= most == max(CELLS[kind].clock_to_out.values())
    assert "(DOADO : 16'bx)) = 2454" in cells["RAMB18E1"]
    assert "(DOADO : 16'bx)) = 882" in cells["RAMB18E1"]
    assert "$setup(ADDRARDADDR, posedge CLKARDCLK, 566)" in cells["RAMB18E1"]
    dsp = cells["DSP48E1"]
    plain, piped = (cell_timing("DSP48E1", {"PREG": True, "AREG": a, "BREG": a}) for a in (False, True))
    assert plain is not None
    assert piped is not None
    assert plain.setup["A"] == 2739
    assert ": 2739)" in dsp
    assert plain.setup["B"] == 2608
    assert ": 2608)" in dsp
    assert dict(plain.clock_to_out) == {"P": 329}
    assert r"\P.arrival =  329" in dsp
    assert (piped.setup["A"], piped.setup["B"]) == (254, 324)


BENCH = """
module tb;
    reg clk = 0;
    reg ce = 1, d = 0;
    integer n, errors = 0;
    always #1 clk = !clk;
    genvar a;
    generate
        for (a = 1; a < 32; a = a + 1) begin : lengths
            wire q, r;
            if (a < 16) begin : short
                SRL16E #(.INIT(16'hB5C3)) whole (
                    .Q(q), .A0(a[0]), .A1(a[1]), .A2(a[2]), .A3(a[3]), .CE(ce), .CLK(clk), .D(d)
                );
                gw_srl16_register #(
                    .INIT(16'hB5C3), ._TECHMAP_CONSTMSK_A0_(1), ._TECHMAP_CONSTMSK_A1_(1), ._TECHMAP_CONSTMSK_A2_(1),
                    ._TECHMAP_CONSTMSK_A3_(1), ._TECHMAP_CONSTVAL_A0_(a & 1), ._TECHMAP_CONSTVAL_A1_(a >> 1 & 1),
                    ._TECHMAP_CONSTVAL_A2_(a >> 2 & 1), ._TECHMAP_CONSTVAL_A3_(a >> 3 & 1)
                ) parted (.Q(r), .A0(1'b0), .A1(1'b0), .A2(1'b0), .A3(1'b0), .CE(ce), .CLK(clk), .D(d));
            end else begin : long
                SRLC32E #(.INIT(32'h1234B5C3)) whole (.Q(q), .Q31(), .A(a[4:0]), .CE(ce), .CLK(clk), .D(d));
                gw_srl32_register #(
                    .INIT(32'h1234B5C3), ._TECHMAP_CONSTMSK_A_(5'd31), ._TECHMAP_CONSTVAL_A_(a)
                ) parted (.Q(r), .Q31(), .A(5'd0), .CE(ce), .CLK(clk), .D(d));
            end
            always @(negedge clk) if ($time > 0 && q !== r) errors = errors + 1;
        end
    endgenerate
    initial begin
        for (n = 0; n < 500; n = n + 1) begin
            #2 ce = $random;
            d = $random;
        end
        $display("errors %0d", errors);
        $finish;
    end
endmodule
"""


@pytest.mark.icarus
def test_a_delay_line_with_its_last_register_outside_is_the_same_line(tmp_path: Path):
    if shutil.which("iverilog") is None:
        pytest.skip("no iverilog")
    spec = find_spec("pyosys")
    assert spec is not None
    assert spec.origin is not None
    cells = Path(spec.origin).parent / "share" / "xilinx" / "cells_sim.v"
    mapped = Path(__file__).parents[2] / "src" / "gatewright" / "synth" / "srl_register.v"
    (tmp_path / "tb.v").write_text(BENCH)
    build = ["iverilog", "-g2005", "-o", "tb", "-s", "tb", "tb.v", str(mapped), str(cells)]
    subprocess.run(build, cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "tb"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "errors 0" in done.stdout


LINE = """
module line (input clk, input [3:0] x, output reg [3:0] y);
    reg [3:0] a, b, c, d;
    always @(posedge clk) begin
        a <= x; b <= a; c <= b; d <= c;
        y <= d + x;
    end
endmodule
"""


@pytest.mark.synth
@pytest.mark.parametrize("family", ["xc7", "xcup"])
def test_no_shift_register_feeds_logic(tmp_path: Path, family: Any):
    (tmp_path / "line.v").write_text(LINE)
    report = synthesize(sources=[tmp_path / "line.v"], top="line", family=family, out=tmp_path / "out")
    assert report.srl == 4
    assert report.ff == 8
    assert srl_into_logic(read_netlist(tmp_path / "out" / "netlist.json", "line")) == []
    timed = time_netlist(tmp_path / "out" / "netlist.json", "line", family=family)
    assert timed.range_mhz is not None
    assert timed.range_mhz[0] > 200
