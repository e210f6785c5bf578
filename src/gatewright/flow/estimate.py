"""What a Python user calls beside `run`: a saved program in, an estimate out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatewright.flow.clocks import unreachable
from gatewright.flow.codes import random_codes
from gatewright.flow.lowering import choices_of, given_hardware, taken, target_of
from gatewright.flow.room import check_room
from gatewright.ir import load_program
from gatewright.lower.compile import lower
from gatewright.lower.estimate import estimate


def estimate_program(
    path: Path | str, *, warn: Callable[[str], None] = warnings.warn, **hardware: Any
) -> dict[str, Any]:
    """Return resources and latency of a saved program for a part and clock, without synthesis.

    hardware: settings of the configuration's table of this name, with its defaults; part, clock_mhz (0: the fastest
    that keeps max_latency_cycles and max_latency_ns; beside a clock they are limits), reuse_factor, multiplier,
    truth_tables and boundaries count here. A reuse_factor other than 1 folds layers without architecture = "folded".

    The lowered program is replayed on 256 random inputs. Keys: part, family, adders, lut, lut_percent, ff,
    ff_percent, dsp, bram, initiation_interval, latency_cycles, latency_ns (at reachable_mhz), clock_mhz, reachable_mhz
    (the same, or the delay model's highest where that is lower), fmax_mhz (by the delay model, in whole MHz),
    clock_range_mhz (the lowest and the highest to expect), fmax_basis (what the model rests on).
    warn(text) hears of a clock that is out of reach. Raises ProgramError for a file that is no program, ConfigError for
    a setting that is none, BudgetError at once where the part is thought far too small, LowerError where a limit cannot
    be kept.
    """
    config, chip = given_hardware(Path(path), hardware)
    choices = choices_of(config)
    program = taken(load_program(path), choices)
    check_room(program, config, chip)
    lowered = lower(program, random_codes(program, 256), target_of(config, chip), choices)
    figures = estimate(lowered)
    if text := unreachable(lowered.target.clock_mhz, figures.reachable_mhz, figures.family):
        warn(text)
    return {
        "part": chip.name,
        "family": figures.family,
        "adders": figures.adders,
        "lut": figures.lut,
        "lut_percent": round(100 * figures.lut / chip.lut, 1),
        "ff": figures.ff,
        "ff_percent": round(100 * figures.ff / chip.ff, 1),
        "dsp": figures.dsp,
        "bram": figures.bram,
        "initiation_interval": lowered.initiation_interval,
        "latency_cycles": figures.latency_cycles,
        "latency_ns": figures.latency_ns,
        "clock_mhz": lowered.target.clock_mhz,
        "reachable_mhz": figures.reachable_mhz,
        "fmax_mhz": int(figures.fmax_mhz),
        "clock_range_mhz": figures.clock_range_mhz,
        "fmax_basis": figures.basis,
    }
