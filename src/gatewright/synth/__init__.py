"""Synthesis: a design's Verilog in; cell counts, placed timing and bitstream out."""

from gatewright.synth.doctor import ToolStatus, doctor, format_table
from gatewright.synth.families import TARGETS, Target
from gatewright.synth.nextpnr import PlaceReport, pack, place_and_route
from gatewright.synth.report import SynthReport
from gatewright.synth.routers import ROUTERS, Router
from gatewright.synth.yosys import synthesize

__all__ = [
    "ROUTERS",
    "TARGETS",
    "PlaceReport",
    "Router",
    "SynthReport",
    "Target",
    "ToolStatus",
    "doctor",
    "format_table",
    "pack",
    "place_and_route",
    "synthesize",
]
