"""What a Python user calls beside `run`: a saved program in, an estimate out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatewright.chips import part as find_part
from gatewright.flow.codes import random_codes
from gatewright.ir import load_program
from gatewright.lower.compile import Lowered
from gatewright.lower.folded_estimate import estimate_lowered
from gatewright.lower.reuse import Multiplier, lower_reuse


def estimate_program(
    path: Path,
    *,
    part: str = "XC7A35T",
    clock_mhz: float = 200.0,
    max_latency_cycles: int = 0,
    max_latency_ns: float = 0.0,
    reuse_factor: int | Sequence[int] = 1,
    multiplier: Multiplier = "auto",
) -> dict[str, Any]:
    """Return resources and latency of a saved program for a part and clock, without synthesis.

    clock_mhz 0: the fastest clock that keeps max_latency_cycles and max_latency_ns; beside a clock they are limits.

    The lowered program is replayed on 256 random inputs. Keys: part, family, adders, lut, lut_percent, ff,
    ff_percent, dsp, bram, initiation_interval, latency_cycles, latency_ns, clock_mhz, fmax_mhz (by the delay model),
    fmax_basis (what the model rests on).
    reuse_factor, multiplier: as in the configuration's table hardware; factors above 1 fold layers.
    Raises ProgramError for a file that is no program, LowerError where a limit cannot be kept.
    """
    program, chip = load_program(path), find_part(part)
    x = random_codes(program, 256)
    lowered = lower_reuse(
        program,
        x,
        family=chip.family,
        clock_mhz=clock_mhz,
        reuse=reuse_factor,
        multiplier=multiplier,
        dsp_blocks=chip.dsp,
        max_latency_cycles=max_latency_cycles,
        max_latency_ns=max_latency_ns,
    )
    figures = estimate_lowered(lowered)
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
        "initiation_interval": 1 if isinstance(lowered, Lowered) else lowered.initiation_interval,
        "latency_cycles": figures.latency_cycles,
        "latency_ns": figures.latency_ns,
        "clock_mhz": lowered.schedule.clock_mhz if isinstance(lowered, Lowered) else lowered.clock_mhz,
        "fmax_mhz": figures.fmax_mhz,
        "fmax_basis": figures.basis,
    }
