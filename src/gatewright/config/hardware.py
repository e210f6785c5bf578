"""Tables [hardware], [simulation] and [synthesis]: what is built, and how it is checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gatewright.chips import Family
from gatewright.config.section import Cost, Count, Fraction, Number, Section, Seed
from gatewright.words import OutputKind

CellMapping = Literal["auto", "cells", "behavioural"]
Framing = Literal["auto", "packets", "none"]
Prefix = Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*_?)?$", max_length=24)]
Depth = Annotated[int, Field(ge=1, le=2**20)]
Reuse = Annotated[int, Field(ge=1, le=2**24)]


_STREAMED = ("pixels_per_beat", "interval", "frames_per_second", "engine", "engines", "fifo_depths")


class Hardware(Section):
    """What is built: part, clock target, output stage, architecture, bus.

    part: the chip whose budget counts and whose delays set the pipeline; empty: the board's, else XC7A35T.
    output, and the settings of its kinds, top_k to softmax_entries: see ir.OutputStage, made of them. softmax: "stable"
    subtracts the greatest score first, "latency" does not, and clips.
    architecture: "parallel" unrolls every layer, a new sample may enter every cycle; "folded" shares each multiplier
    among reuse_factor weights (one number, or one per dense layer; 1 unrolls a layer), one sample every so many cycles.
    "stream" builds images and signals as units on streams of pixels (docs/streaming); "auto" is that where not all
    values are vectors, else "parallel". pixels_per_beat: positions of the input that come in one beat of a stream;
    interval: cycles that a frame may take on it, 0: no more than its beats, "fit": as few as fit the part, by estimate;
    frames_per_second: says the same by the clock, 0: nothing. engine: of its convolutions: "parallel"
    takes a window in every cycle, "folded" shares multipliers over as many as the interval leaves, "auto" chooses for
    each layer what is estimated to be smaller; engines says it for single layers, by their names. fifo_depths: words of
    single FIFOs, by the names that the report gives them, where not the least that keep the interval.
    multiplier: of folded layers: "dsp" blocks, "lut" logic, "auto" blocks where the part has enough of them.
    stream_bits: width of TDATA; 0 = a whole vector in one beat (initiation interval 1). framing: "packets" end with
    TLAST, which cuts torn vectors, and at which the input is in step again after a reset; "none": TLAST cuts nothing,
    vectors are counted from the reset on; "auto": packets where a vector takes several beats. io_registers: a register
    on every wire of both streams, for a cycle of latency each.
    clock_mhz: 0 chooses the fastest clock, by the family's delay model, that keeps max_latency_cycles and
    max_latency_ns; 0 in these sets no limit. board: empty builds no bitstream; see `gatewright boards`.
    mapping: what synthesis reads of the hand-mapped leaf cells; see docs/families. "auto": instantiated cells in our
    own yosys runs, plain sums in tools that define nothing; "cells": instantiated by every synthesizer;
    "behavioural": plain sums everywhere. prefix: stands before the name of every module and file of the design, so that
    it can share a project with anything. truth_tables: "auto" builds what depends on few input bits, a neuron or a
    sum, as a table where that is estimated to take fewer LUTs; "never" adds. boundaries: "rigid" starts every part of
    the core at a fixed cycle after the input; "elastic" makes each layer a unit and joins them by FIFOs (docs/elastic).
    timing: "estimated" takes the stages that the delay model asks for; "placed" places pipelines of fewer, on families
    that are placed here, and takes the fewest that meet clock_mhz (docs/timing).
    """

    part: str = ""
    clock_mhz: float = Field(default=200.0, ge=0, le=1000)
    output: OutputKind = "argmax"
    top_k: int = Field(default=2, ge=1, le=65_536)
    threshold: Number | tuple[Number, ...] = 0.0
    softmax: Literal["stable", "latency"] = "stable"
    softmax_format: str = "ufixed<8,0>"
    softmax_entries: int = Field(default=1024, ge=2, le=16384)
    architecture: Literal["parallel", "folded", "stream", "auto"] = "parallel"
    pixels_per_beat: int = Field(default=1, ge=1, le=2**24)
    interval: Count | Literal["fit"] = 0
    frames_per_second: Cost = 0.0
    engine: Literal["auto", "parallel", "folded"] = "auto"
    engines: dict[str, Literal["auto", "parallel", "folded"]] = Field(default_factory=dict)
    fifo_depths: dict[str, Depth] = Field(default_factory=dict)
    reuse_factor: Reuse | tuple[Reuse, ...] = 1
    multiplier: Literal["auto", "dsp", "lut"] = "auto"
    stream_bits: int = Field(default=0, ge=0, le=65536)
    max_latency_cycles: Count = 0
    max_latency_ns: Cost = 0.0
    board: str = ""
    mapping: CellMapping = "auto"
    prefix: Prefix = ""
    framing: Framing = "auto"
    io_registers: bool = False
    truth_tables: Literal["auto", "never"] = "auto"
    boundaries: Literal["rigid", "elastic"] = "rigid"
    timing: Literal["estimated", "placed"] = "estimated"

    @model_validator(mode="after")
    def _placed(self) -> Hardware:
        if self.timing == "placed" and not (
            self.clock_mhz and self.architecture == "parallel" and self.boundaries == "rigid"
        ):
            raise ValueError(
                'timing "placed" needs a clock_mhz above 0, architecture "parallel" and boundaries "rigid"; set these, '
                'or timing = "estimated"'
            )
        return self

    @model_validator(mode="after")
    def _clock(self) -> Hardware:
        if not (self.clock_mhz or self.max_latency_cycles or self.max_latency_ns):
            raise ValueError("clock_mhz 0 needs max_latency_cycles or max_latency_ns, which then choose the clock")
        if self.boundaries == "elastic" and not self.clock_mhz:
            raise ValueError(
                'clock_mhz must be above 0 with boundaries "elastic", where a limit of latency cannot choose it; '
                'give a clock, or set boundaries = "rigid"'
            )
        return self

    @model_validator(mode="after")
    def _reused(self) -> Hardware:
        if self.architecture != "folded" and self.reuse_factor != 1:
            raise ValueError(
                f'reuse_factor must be 1 with architecture "{self.architecture}", not {self.reuse_factor}; '
                'set architecture = "folded"'
            )
        fields = type(self).model_fields
        given = [
            name for name in _STREAMED if getattr(self, name) != fields[name].get_default(call_default_factory=True)
        ]
        if self.architecture in ("parallel", "folded") and given:
            raise ValueError(
                f"{', '.join(given)} must be left out, being of streams, with architecture "
                f'"{self.architecture}"; set architecture = "stream"'
            )
        if self.interval and self.frames_per_second:
            raise ValueError(
                f"interval ({self.interval}) and frames_per_second ({self.frames_per_second:g}) both say how long a "
                "frame may take; leave one out"
            )
        return self

    @model_validator(mode="after")
    def _streamed(self) -> Hardware:
        if self.architecture in ("stream", "folded") and not self.clock_mhz:
            raise ValueError(f'clock_mhz must be above 0 with architecture "{self.architecture}"; give a clock')
        return self


class Simulation(Section):
    """Cycle-accurate check: how many test vectors, and the share of cycles in which each stream stalls."""

    vectors: int = Field(default=1000, ge=1, le=10_000_000)
    stall_fraction: Fraction = 0.3
    seed: Seed = 1


COMPARED: tuple[Family, ...] = ("xc7", "xcup", "ecp5")


class Synthesis(Section):
    """How Verilog is counted and placed.

    families: those to synthesize beside the part's own (docs/families), all of the Verilog that was compiled for the
    part; absent: none with a board, else those of COMPARED. place: place and route where open tools can.
    """

    families: tuple[Family, ...] | None = None
    place: bool = True
    seed: Seed = 1
