"""Dataflow in; estimated LUT, FF, DSP, block RAM and clock of its core out, in milliseconds and without synthesis.

The sum of what its units take, each in its own file (`unrolled.py`, `folded/unit.py`). Compared with yosys by
`python -m benchmarks estimate`; the stream shell and the board's link are not included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gatewright.lower.cost.delays import delays
from gatewright.lower.dataflow import Dataflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """lut: LUT cells (xc7, xcup), else sites in the family's unit; dsp and bram: 0 without folded layers.

    fmax_mhz: the highest clock by the delay model, which rests on `basis`; clock_range_mhz: what to expect of it.
    reachable_mhz: the clock asked for, or fmax_mhz where that is lower; latency_ns is at this clock.
    """

    family: str
    lut: int
    ff: int
    dsp: int
    bram: int
    adders: int
    latency_cycles: int
    latency_ns: float
    reachable_mhz: float
    fmax_mhz: float
    clock_range_mhz: tuple[int, int]
    basis: str


def estimate(dataflow: Dataflow) -> Estimate:
    """Return the estimate of a lowered program's core on its target's family."""
    target, cost, period_ns = dataflow.target, dataflow.cost, dataflow.period_ns(dataflow.target.family)
    model, reachable_mhz = delays(target.family), dataflow.reachable_mhz
    return Estimate(
        family=target.family,
        lut=cost.lut,
        ff=cost.ff,
        dsp=cost.dsp,
        bram=cost.bram,
        adders=cost.adders,
        latency_cycles=dataflow.latency_cycles,
        latency_ns=round(dataflow.latency_cycles * 1000.0 / reachable_mhz, 3),
        reachable_mhz=reachable_mhz,
        fmax_mhz=math.floor(10_000.0 / period_ns) / 10,
        clock_range_mhz=model.clock_range_mhz(period_ns),
        basis=model.basis,
    )
