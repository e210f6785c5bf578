"""Claims: what lowering says of a design; Design, manifest, bench and report carry the same value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What simulation and synthesis must find again.

    latency_cycles: core input to core output; initiation_interval: cycles from one vector to the next. adders:
    additions in hardware; dsp: whether products belong into DSP blocks. clock_mhz: the clock that the pipeline is for;
    reachable_mhz: the same, or the delay model's highest where that is lower. clock_range_mhz: the lowest and the
    highest clock to expect by that model, which rests on clock_basis; see docs/timing.
    """

    latency_cycles: int
    initiation_interval: int
    adders: int
    dsp: bool
    family: str
    clock_mhz: float
    reachable_mhz: float
    clock_range_mhz: tuple[int, int]
    clock_basis: str
