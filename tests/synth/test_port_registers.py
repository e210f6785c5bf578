"""Flip-flops at the ports of a netlist that is placed without I/O buffers: no path begins at a port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatewright.chips import part
from gatewright.synth import place_and_route, synthesize
from gatewright.synth.port_registers import register_ports


def netlist(folder: Path, clocks: int = 1) -> Path:
    """Return a file with a LUT between a port and a flip-flop, and a constant output."""
    lut = {
        "type": "LUT4",
        "parameters": {},
        "port_directions": {"A": "input", "Z": "output"},
        "connections": {"A": [10], "Z": [11]},
    }
    flip_flop = {
        "type": "TRELLIS_FF",
        "parameters": {},
        "port_directions": {"CLK": "input", "DI": "input", "Q": "output"},
        "connections": {"CLK": [2], "DI": [11], "Q": [12]},
    }
    second = {**flip_flop, "connections": {"CLK": [3], "DI": [12], "Q": [13]}}
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "clk2": {"direction": "input", "bits": [3]},
        "d": {"direction": "input", "bits": [10]},
        "q": {"direction": "output", "bits": [12, "0"]},
    }
    if clocks == 1:
        del ports["clk2"]
    cells = {"l": lut, "f": flip_flop} | ({"g": second} if clocks == 2 else {})
    module = {"attributes": {"top": "1"}, "ports": ports, "cells": cells, "netnames": {}}
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": module}}))
    return path


def test_each_port_but_the_clock_gets_one(tmp_path: Path):
    assert register_ports(netlist(tmp_path), tmp_path / "out.json")
    top = json.loads((tmp_path / "out.json").read_text())["modules"]["top"]
    added: dict[str, Any] = {name: cell for name, cell in top["cells"].items() if name.startswith("gw_port")}
    assert set(added) == {"gw_port_d_0", "gw_port_q_0"}
    assert added["gw_port_d_0"]["connections"]["Q"] == [10]
    assert added["gw_port_d_0"]["connections"]["DI"] == top["ports"]["d"]["bits"]
    assert added["gw_port_q_0"]["connections"]["DI"] == [12]
    assert top["ports"]["q"]["bits"] == [*added["gw_port_q_0"]["connections"]["Q"], "0"]
    assert {tuple(cell["connections"]["CLK"]) for cell in added.values()} == {(2,)}
    assert top["ports"]["clk"]["bits"] == [2]


def test_a_design_of_two_clocks_stays_as_it_is(tmp_path: Path):
    assert not register_ports(netlist(tmp_path, clocks=2), tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


@pytest.mark.place
def test_a_stage_that_begins_at_a_port_is_timed(tmp_path: Path):
    """Four adders in a row behind a port are slower than the register behind them."""
    (tmp_path / "deep.v").write_text(
        "module deep (input clk, input [15:0] a, b, output reg [15:0] y);\n"
        "    wire [15:0] s = a + b, t = s + {a[7:0], b[7:0]}, u = t + {b[3:0], a[11:0]};\n"
        "    always @(posedge clk) y <= u + {s[4:0], t[10:0]};\nendmodule\n"
    )
    synthesize(sources=[tmp_path / "deep.v"], top="deep", family="ecp5", out=tmp_path)
    placed = place_and_route(
        netlist=tmp_path / "netlist.json", part=part("LFE5U-25F"), pins=None, freq_mhz=100, seed=1, out=tmp_path,
        out_of_context=True,
    )  # fmt: skip
    assert placed.slowest_mhz is not None
    assert placed.slowest_mhz < 150
    assert placed.used["TRELLIS_FF"] == 16 + 48
