"""Synthesis: a design's Verilog in; cell counts, placed timing and bitstream out."""

from gatewright.synth.doctor import ToolStatus, doctor, format_table
from gatewright.synth.nextpnr import PlaceReport, pack, place_and_route
from gatewright.synth.report import SynthReport
from gatewright.synth.static_timing import NetlistTiming, time_netlist
from gatewright.synth.table import TOOLS, Tool, tool_for
from gatewright.synth.yosys import synthesize

__all__ = [
    "TOOLS",
    "NetlistTiming",
    "PlaceReport",
    "SynthReport",
    "Tool",
    "ToolStatus",
    "doctor",
    "format_table",
    "pack",
    "place_and_route",
    "synthesize",
    "time_netlist",
    "tool_for",
]
