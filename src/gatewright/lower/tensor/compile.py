"""A program of images or signals in, Dataflow of units on streams out, with the FIFO depths that it needs."""

from __future__ import annotations

from dataclasses import replace

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.ops import MatMul
from gatewright.ir.program import Program
from gatewright.ir.shapes import shapes
from gatewright.lower.build.facts import Facts
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.depths import sized
from gatewright.lower.tensor.normal import normal
from gatewright.lower.tensor.partition import streaming_units

REPLAYED = 8  # frames


def streams(program: Program, choices: Choices) -> bool:
    """Tell whether a program is built of units on streams: as chosen, or because not all of its values are vectors."""
    if choices.stream != "auto":
        return choices.stream == "always"
    if any(isinstance(op, MatMul) for op in program.ops):  # whose two operands meet only where both are whole
        return False
    return any(len(shape) > 1 for shape in shapes(program).values())


def streamed(program: Program, x: Ints, target: Target, choices: Choices) -> Dataflow:
    """Return a verified program as units on streams, each replayed on the first of input codes x: (n, *input shape).

    With multiplier "auto" dense layers take DSP blocks where target.dsp_blocks are enough for all of them, else logic.
    Raises LowerError for what has no such hardware, without a clock, and where choices.interval cannot be kept.
    """
    if not target.clock_mhz:
        raise LowerError(
            "a latency limit cannot choose the clock of units on streams: set hardware.clock_mhz above 0, or "
            'hardware.architecture = "parallel"'
        )
    facts = Facts(program=normal(program))
    interval = choices.interval
    trace = facts.interpreter.trace(x[:REPLAYED])
    made = streaming_units(facts, trace, target, choices)
    if choices.multiplier == "auto" and made.multipliers > target.dsp_blocks:
        made = streaming_units(facts, trace, target, replace(choices, multiplier="lut"))
    beats = made.source.stream.beats
    if interval and interval < beats:
        raise LowerError(
            f"hardware.interval must be at least {beats}, for a frame of {program.name!r} comes in so many beats, not "
            f"{interval}; raise hardware.pixels_per_beat"
        )
    made = sized(made)
    if interval and made.initiation_interval > interval:
        raise LowerError(
            f"{program.name!r} takes {made.initiation_interval} cycles a frame, hardware.interval allows {interval}; "
            "raise it, or hardware.pixels_per_beat"
        )
    return made
