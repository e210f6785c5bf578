"""Cycle-accurate simulation: Verilog and the program's values in, a SimReport out."""

from gatewright.sim.build import Bench, build_bench, lint
from gatewright.sim.compiled import simulate_compiled
from gatewright.sim.design import Probe
from gatewright.sim.report import Mismatch, SimReport, Speed, require_match
from gatewright.sim.run import run_bench, simulate
from gatewright.sim.watch import watch_probes, watched_values

__all__ = [
    "Bench",
    "Mismatch",
    "Probe",
    "SimReport",
    "Speed",
    "build_bench",
    "lint",
    "require_match",
    "run_bench",
    "simulate",
    "simulate_compiled",
    "watch_probes",
    "watched_values",
]
