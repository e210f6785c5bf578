"""Dataflow in; a row for each unit out: what it is, how long a vector takes it, what it costs, and what feeds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from gatewright.lower.dataflow import Channel, Dataflow, Less, Unit
from gatewright.lower.folded.unit import Folded
from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.lower.streaming.joined import Joined
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.streaming.regrouped import Regrouped
from gatewright.lower.streaming.reordered import Reordered
from gatewright.lower.streaming.resampled import Resampled
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.tensor.depths import rule_of
from gatewright.lower.unrolled import Cost, Unrolled

INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a unit reads. source: the unit that makes it, or "input"; words: of the FIFO, 0 for wires; bits: of a word.

    beats: that a vector, or a frame, takes. less: what one word less would do, where that was tried.
    """

    source: str
    value: str
    words: int
    bits: int
    beats: int
    less: Less


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One unit, or an end of the core: "input" or "output".

    kind: how it works; cycles: that a vector, or a frame, takes it at least; the cells are estimated, and hold the
    FIFOs that it feeds and what starts it.
    """

    name: str
    kind: str
    cycles: int
    latency_cycles: int
    lut: int
    ff: int
    dsp: int
    bram: int
    feeds: tuple[Feed, ...]


def inventory(dataflow: Dataflow) -> tuple[Row, ...]:
    """Return the input, the units in their order and the output of a core; the cells add up to the dataflow's."""
    own = _row(dataflow, INPUT, "the bus", dataflow.source.stream.beats, 0, Cost(), feeds=())
    rows = [_unit(dataflow, unit) for unit in dataflow.units]
    leaving = tuple(_feed(dataflow, channel) for channel in dataflow.channels if channel.consumer is None)
    end = Row(
        name=OUTPUT,
        kind="the bus",
        cycles=dataflow.result.stream.beats,
        latency_cycles=0,
        lut=0,
        ff=0,
        dsp=0,
        bram=0,
        feeds=leaving,
    )
    return (own, *rows, end)


def slowest(rows: tuple[Row, ...]) -> Row:
    """Return what takes most cycles for a vector: with it the interval falls or stays. Of equals the first."""
    return max(rows, key=lambda row: row.cycles)


def kind_of(unit: Unit) -> str:
    """Return how a unit works, in a few words."""
    match unit:
        case Unrolled():
            return "parallel"
        case Folded():
            return "folded"
        case Windowed():
            return "window, parallel"
        case Pooled():
            return "pool"
        case Summed():
            return "sum over beats"
        case Swept():
            return f"window, {unit.sweep.cycles} cycles"
        case Resampled():
            return {"pad": "padding", "crop": "slice", "repeat": "upsampling", "zeros": "upsampling"}[unit.kind]
        case Regrouped():
            return "beats gathered" if unit.gathers else "beats cut"
        case Joined():
            return "join"
        case Reordered():
            return "frame memory"
        case Recurrent():
            return f"recurrent, {unit.rule.rest} cycles a step"
        case FoldedCell():
            return f"recurrent, {unit.each} of {unit.units} units at a time, {unit.rule.rest} cycles a step"
        case _:
            assert_never(unit)


def _unit(dataflow: Dataflow, unit: Unit) -> Row:
    paced = dataflow.paced is not None
    cycles = rule_of(unit).interval if paced else unit.timing.initiation_interval
    latency = rule_of(unit).latency_cycles if paced else unit.timing.latency_cycles
    cost = unit.cost(dataflow.target.family)
    if dataflow.initiation_interval > 1 and not paced:
        cost += unit.start_cost
    feeds = tuple(_feed(dataflow, channel) for channel in dataflow.into(unit))
    return _row(dataflow, unit.name, kind_of(unit), cycles, latency, cost, feeds=feeds)


def _row(
    dataflow: Dataflow, name: str, kind: str, cycles: int, latency: int, cost: Cost, *, feeds: tuple[Feed, ...]
) -> Row:
    producer = None if name == INPUT else name
    for channel in dataflow.channels:
        if channel.producer == producer:
            cost += dataflow.channel_cost(channel)
    return Row(
        name=name,
        kind=kind,
        cycles=cycles,
        latency_cycles=latency,
        lut=cost.lut,
        ff=cost.ff,
        dsp=cost.dsp,
        bram=cost.bram,
        feeds=feeds,
    )


def _feed(dataflow: Dataflow, channel: Channel) -> Feed:
    return Feed(
        source=channel.producer or INPUT,
        value=channel.value,
        words=channel.depth,
        bits=dataflow.word_bits(channel),
        beats=channel.stream.beats,
        less=channel.less,
    )
