"""Synthesis: a design's Verilog in; cell counts, placed timing and bitstream out."""

from gatewright.synth.doctor import ToolStatus, doctor, format_table
from gatewright.synth.nextpnr import PlaceReport, pack, place_and_route
from gatewright.synth.part import FAMILIES, Family, Part
from gatewright.synth.report import SynthReport
from gatewright.synth.yosys import synthesize

__all__ = [
    "FAMILIES",
    "Family",
    "Part",
    "PlaceReport",
    "SynthReport",
    "ToolStatus",
    "doctor",
    "format_table",
    "pack",
    "place_and_route",
    "synthesize",
]
