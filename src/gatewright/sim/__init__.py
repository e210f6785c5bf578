"""Cycle-accurate simulation: Verilog and the program's values in, a SimReport out."""

from gatewright.sim.build import Bench, build_bench, lint
from gatewright.sim.compiled import simulate_compiled
from gatewright.sim.design import ChannelProbe, LaneProbe, Probe
from gatewright.sim.report import ChannelReport, Mismatch, SimReport, Speed, require_match
from gatewright.sim.run import run_bench, simulate
from gatewright.sim.trial import Device, Trial, Vectors
from gatewright.sim.watch import channel_probes, channel_values, watch_probes, watched_values

__all__ = [
    "Bench",
    "ChannelProbe",
    "ChannelReport",
    "Device",
    "LaneProbe",
    "Mismatch",
    "Probe",
    "SimReport",
    "Speed",
    "Trial",
    "Vectors",
    "build_bench",
    "channel_probes",
    "channel_values",
    "lint",
    "require_match",
    "run_bench",
    "simulate",
    "simulate_compiled",
    "watch_probes",
    "watched_values",
]
