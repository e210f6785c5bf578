"""Lowering in one line: what a test or benchmark does not say is unlimited, unrolled, in logic and rigid."""

from collections.abc import Mapping

from gatewright.fixedpoint import Ints
from gatewright.ir import Program
from gatewright.lower.compile import lower
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.target import Boundaries, Choices, Engine, Multiplier, Room, Streams, Target
from gatewright.lower.unrolled import Unrolled


def lower_for(
    program: Program,
    x: Ints,
    *,
    family: str,
    clock_mhz: float,
    dsp_blocks: int = 0,
    lut: int = 1 << 30,
    max_latency_cycles: int = 0,
    max_latency_ns: float = 0.0,
    reuse: int | tuple[int, ...] = 1,
    multiplier: Multiplier = "lut",
    truth_tables: bool = True,
    boundaries: Boundaries = "rigid",
    stream: Streams = "never",
    pixels_per_beat: int = 1,
    interval: int = 0,
    fit: bool = False,
    engine: Engine = "auto",
    engines: Mapping[str, Engine] | None = None,
    fifo_depths: Mapping[str, int] | None = None,
) -> Dataflow:
    """Return `lower` of the Target and the Choices that these make."""
    target = Target(
        family=family,
        clock_mhz=clock_mhz,
        room=Room(lut=lut, ff=1 << 30, dsp=dsp_blocks, bram=1 << 30),
        max_latency_cycles=max_latency_cycles,
        max_latency_ns=max_latency_ns,
    )
    choices = Choices(
        reuse=reuse,
        multiplier=multiplier,
        truth_tables=truth_tables,
        boundaries=boundaries,
        stream=stream,
        pixels_per_beat=pixels_per_beat,
        interval=interval,
        fit=fit,
        engine=engine,
        engines=engines or {},
        fifo_depths=fifo_depths or {},
    )
    return lower(program, x, target, choices)


def only(dataflow: Dataflow) -> Unrolled:
    """Return the one unit of a parallel design."""
    (unit,) = dataflow.units
    assert isinstance(unit, Unrolled)
    return unit
