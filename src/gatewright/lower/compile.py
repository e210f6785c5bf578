"""Program, target and choices in, Dataflow out: the one entry of the compiler, a straight list of steps."""

from __future__ import annotations

from dataclasses import replace

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.program import Program
from gatewright.ir.verify import verify
from gatewright.lower.build.facts import Facts
from gatewright.lower.build.support import check_supported
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.elastic import elastic
from gatewright.lower.folded.factors import reuse_factors
from gatewright.lower.partition import folded_group, units_by_layer, unrolled_whole
from gatewright.lower.passes.pointwise import pointwise_to_dense
from gatewright.lower.passes.run import run_passes
from gatewright.lower.passes.windows import windows_to_dense
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.compile import streamed, streams


def lower(program: Program, x: Ints, target: Target, choices: Choices) -> Dataflow:
    """Compile to units and channels, replaying input codes x: (n, *input shape) after every pass.

    With choices.stream units work on streams of pixels. Else, without a reuse factor above 1, it is one unrolled unit;
    with choices.boundaries "elastic" each layer is a unit, and FIFOs join them. With multiplier "auto" folded layers
    take DSP blocks where the part has enough for all of them, else logic.
    Raises LowerError for what has no hardware, for factors out of range, naming the nearest legal one, where a pass
    changes any layer's result, and where a latency limit cannot be met.
    """
    verify(program)
    if streams(program, choices):
        made = streamed(program, x, target, choices)
        _check_latency(made)
        return made
    program = without_windows(program, choices)
    factors = reuse_factors(program, choices.reuse)
    folds, waits = any(factor > 1 for factor in factors.values()), choices.boundaries == "elastic"
    if folds and not target.clock_mhz:
        raise LowerError("folded layers need a clock: hardware.clock_mhz must be above 0 with hardware.reuse_factor")
    if waits and not target.clock_mhz:
        raise LowerError(
            "a latency limit cannot choose the clock of elastic boundaries: set hardware.clock_mhz above 0, or "
            'hardware.boundaries = "rigid"'
        )
    facts, checked = run_passes(Facts(program=program), x)
    trace = facts.interpreter.trace(x)
    if folds or waits:
        partition = units_by_layer if waits else folded_group
        made = partition(facts, trace, factors, target, choices)
        if choices.multiplier == "auto" and made is not None and made.multipliers > target.room.dsp:
            made = partition(facts, trace, factors, target, replace(choices, multiplier="lut"))
        if made is not None:
            made = elastic(made) if waits else made
            _check_latency(made)
            return replace(made, checked=made.checked + checked)
    made = unrolled_whole(facts, trace, target, choices)
    return replace(made, checked=made.checked + checked)


def without_windows(program: Program, choices: Choices) -> Program:
    """Return a program without convolutions and pools, as what is not on streams is built; its results stay.

    Convolutions of one cell are dense layers over the channels, the others, where nothing is folded, over whole images.
    Raises LowerError for what has no hardware.
    """
    made = pointwise_to_dense(program)
    made = windows_to_dense(made) if choices.reuse == 1 else made
    check_supported(made)
    return made


def _check_latency(dataflow: Dataflow) -> None:
    """Raise LowerError where folded layers, FIFOs between layers or streams miss a limit of latency."""
    target, cycles = dataflow.target, dataflow.latency_cycles
    cause = "with elastic boundaries" if dataflow.elastic else "with these reuse factors"
    cause = "on streams" if dataflow.paced is not None else cause
    where = f"{cause} at {target.clock_mhz:g} MHz on {target.family}"
    if target.max_latency_cycles and cycles > target.max_latency_cycles:
        raise LowerError(
            f"{dataflow.program.name!r} needs {cycles} cycles {where}, allowed are {target.max_latency_cycles}; "
            "lower hardware.reuse_factor or hardware.clock_mhz"
        )
    clock_mhz = dataflow.reachable_mhz
    latency_ns = cycles * 1000.0 / clock_mhz
    where = f"{cause} at {clock_mhz:g} MHz on {target.family}"
    if target.max_latency_ns and latency_ns > target.max_latency_ns:
        raise LowerError(
            f"{dataflow.program.name!r} needs {latency_ns:g} ns {where}, allowed are {target.max_latency_ns:g}; "
            "lower hardware.reuse_factor"
        )
