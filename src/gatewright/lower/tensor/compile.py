"""A program of images or signals in, Dataflow of units on streams out, with the FIFO depths that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from gatewright.errors import LowerError, nearest
from gatewright.fixedpoint import Ints
from gatewright.ir.ops import Conv, Dense, MatMul
from gatewright.ir.program import Program
from gatewright.ir.shapes import shapes
from gatewright.lower.build.facts import Facts
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.depths import sized, told
from gatewright.lower.tensor.ends import entering
from gatewright.lower.tensor.fitting import Point, bounds, point, shortest
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

    With multiplier "auto" layers take DSP blocks where the part has enough for all of them, else logic. With
    choices.fit the interval is the shortest that is found to fit the part. Raises LowerError for what has no such
    hardware, without a clock, where choices.interval cannot be kept, and where nothing fits.
    """
    if not target.clock_mhz:
        raise LowerError(
            "a latency limit cannot choose the clock of units on streams: set hardware.clock_mhz above 0, or "
            'hardware.architecture = "parallel"'
        )
    facts = Facts(program=normal(program))
    _check_layers(facts.program, choices)
    make = partial(_units, facts, facts.interpreter.trace(x[:REPLAYED]), target, choices)
    beats = entering(facts, choices.pixels_per_beat).stream.beats
    interval = shortest(make, bounds(facts, beats), target.room) if choices.fit else choices.interval
    if interval and interval < beats:
        raise LowerError(
            f"hardware.interval must be at least {beats}, for a frame of {program.name!r} comes in so many beats, not "
            f"{interval}; raise hardware.pixels_per_beat"
        )
    made = told(sized(make(interval)), choices.fifo_depths)
    if interval and made.initiation_interval > interval:
        raise LowerError(
            f"{program.name!r} takes {made.initiation_interval} cycles a frame, hardware.interval allows {interval}; "
            "raise it, or hardware.pixels_per_beat"
        )
    return made


def intervals(program: Program, x: Ints, target: Target, choices: Choices, made: Dataflow) -> tuple[Point, ...]:
    """Return what half, twice, four and eight times the cycles of a streamed design would take, its own among them.

    Intervals that no design has are left out, as are those that nothing can keep.
    """
    facts = Facts(program=normal(program))
    make = partial(_units, facts, facts.interpreter.trace(x[:REPLAYED]), target, choices)
    least, most = bounds(facts, made.source.stream.beats)
    own = made.initiation_interval
    cost = made.cost
    found = [Point(allowed=own, cycles=own, lut=cost.lut, ff=cost.ff, dsp=cost.dsp, bram=cost.bram)]
    for allowed in (own // 2, 2 * own, 4 * own, 8 * own):
        if least <= allowed < 2 * most:
            with suppress(LowerError):
                found.append(point(make(allowed), allowed))
    kept = {each.cycles: each for each in reversed(found)}
    return tuple(kept[cycles] for cycles in sorted(kept))


def _check_layers(program: Program, choices: Choices) -> None:
    """Raise LowerError where an engine is said for what is no layer with products."""
    known = sorted({op.layer for op in program.ops if isinstance(op, Conv | Dense)})
    for layer in choices.engines:
        if layer not in known:
            raise LowerError(
                f"hardware.engines names {layer!r}, which is no convolution and no dense layer of {program.name!r}."
                f"{nearest(layer, known)}"
            )


def _units(facts: Facts, trace: Mapping[str, Ints], target: Target, choices: Choices, interval: int) -> Dataflow:
    """Return the units of a design that may take so many cycles for a frame, the channels without depths."""
    made = streaming_units(facts, trace, target, replace(choices, interval=interval))
    if choices.multiplier == "auto" and made.multipliers > target.room.dsp:
        return streaming_units(facts, trace, target, replace(choices, multiplier="lut", interval=interval))
    return made
