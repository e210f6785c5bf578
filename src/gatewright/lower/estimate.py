"""Dataflow in; estimated LUT, FF, DSP, block RAM and clock of its core out, in milliseconds and without synthesis.

The sum of what its units take, each in its own file (`unrolled.py`, `folded/unit.py`). Compared with yosys by
`python -m benchmarks estimate`; the stream shell and the board's link are not included.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.lower.cost.delays import delays
from gatewright.lower.dataflow import Dataflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """lut: LUT cells (xc7, xcup), else sites in the family's unit; dsp and bram: 0 without folded layers.

    basis: what the delay model behind fmax_mhz rests on.
    """

    family: str
    lut: int
    ff: int
    dsp: int
    bram: int
    adders: int
    latency_cycles: int
    latency_ns: float
    fmax_mhz: float
    basis: str


def estimate(dataflow: Dataflow) -> Estimate:
    """Return the estimate of a lowered program's core on its target's family."""
    target, cost = dataflow.target, dataflow.cost
    return Estimate(
        family=target.family,
        lut=cost.lut,
        ff=cost.ff,
        dsp=cost.dsp,
        bram=cost.bram,
        adders=cost.adders,
        latency_cycles=dataflow.latency_cycles,
        latency_ns=round(dataflow.latency_cycles * 1000.0 / target.clock_mhz, 3),
        fmax_mhz=round(1000.0 / dataflow.period_ns(target.family), 1),
        basis=delays(target.family).basis,
    )
