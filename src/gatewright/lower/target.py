"""What the hardware is built for (Target) and how (Choices): made once from the configuration, then passed whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Multiplier = Literal["auto", "dsp", "lut"]
Boundaries = Literal["rigid", "elastic"]
Streams = Literal["never", "auto", "always"]
Engine = Literal["auto", "parallel", "folded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a part holds, in the units of an Estimate: LUTs of any use, flip-flops, multiplier blocks, block RAMs."""

    lut: int
    ff: int
    dsp: int
    bram: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The chip's family and the limits that the design must keep.

    clock_mhz: 0 stands for the fastest clock, by the family's delay model, that keeps the latency limits; a lowered
    design's own target says which it became. room: what the part has. A latency limit of 0 is none.
    pipeline_mhz: the clock that a rigid pipeline is made for, where place and route has shown that it then reaches
    placed_mhz; 0: clock_mhz itself.
    """

    family: str
    clock_mhz: float
    room: Room
    max_latency_cycles: int
    max_latency_ns: float
    pipeline_mhz: float = 0.0
    placed_mhz: float = 0.0

    def without_limits(self) -> Target:
        """Return the same family and clock without limits of latency."""
        return replace(self, max_latency_cycles=0, max_latency_ns=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How the program is built.

    reuse: weights that share a multiplier, one number for all dense layers or one each; 1 unrolls a layer.
    multiplier: of folded layers: "dsp" blocks, "lut" logic, "auto" blocks where the part has enough for all.
    truth_tables: whether what has few input bits may become tables, where those are fewer LUTs.
    boundaries: "rigid" starts every unit at a fixed cycle after the input; "elastic" joins units by valid and ready.
    stream: units on streams of pixels "always", "never", or, "auto", where not all values are vectors. pixels_per_beat:
    positions of the input that come at a time; interval: cycles that a frame may take, where more than its beats; 0: no
    more than those. fit: instead as few as a design takes that fits the part, by estimate. engine: of convolutions on
    streams: "parallel" takes a window in every cycle, "folded" shares multipliers over several, "auto" chooses for each
    what is estimated to be smaller; engines: of single layers, by name. fifo_depths: words of single channels, by the
    name that channel_name gives them.
    """

    reuse: int | tuple[int, ...]
    multiplier: Multiplier
    truth_tables: bool
    boundaries: Boundaries
    stream: Streams = "never"
    pixels_per_beat: int = 1
    interval: int = 0
    fit: bool = False
    engine: Engine = "auto"
    engines: Mapping[str, Engine] = field(default_factory=dict[str, Engine])
    fifo_depths: Mapping[str, int] = field(default_factory=dict[str, int])

    def engine_of(self, layer: str) -> Engine:
        """Return the engine that a layer was given, or the one for all."""
        return self.engines.get(layer, self.engine)
