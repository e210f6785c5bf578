"""Units and channels on streams in, the same with the FIFO depth of each channel, interval and latency out.

Depths come from a run of tokens (tokens.py), never from a simulation of the hardware: first with room without end,
which shows how many places each channel ever needs, then smaller, one channel after the other, while a frame takes no
longer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from gatewright.errors import LowerError
from gatewright.lower.dataflow import Dataflow, Unit
from gatewright.lower.folded.unit import Folded
from gatewright.lower.streaming.joined import Joined
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.regrouped import Regrouped
from gatewright.lower.streaming.reordered import Reordered
from gatewright.lower.streaming.resampled import Resampled
from gatewright.lower.streaming.rule import Rule
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.tokens import Net, Node, run
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.unrolled import Unrolled

_FRAMES = 5
_SHRUNK_STEPS = 20_000_000  # a frame's cycles times units times channels, up to which depths are tried one by one


def sized(dataflow: Dataflow) -> Dataflow:
    """Return the dataflow with the least depths that keep the interval, and what it then does.

    The input reaches the units that read nothing else by wires, but those that look at a beat before they take it.
    """
    reads = {unit.name: dataflow.into(unit) for unit in dataflow.units}
    wired = {
        unit.name
        for unit in dataflow.units
        if len(reads[unit.name]) == 1
        and all(channel.producer is None for channel in reads[unit.name])
        and not rule_of(unit).waits
    }
    channels = tuple(
        replace(channel, depth=int(not (channel.producer is None and channel.consumer in wired)))
        for channel in dataflow.channels
    )
    dataflow = replace(dataflow, channels=channels)
    free = run(net_of(dataflow), frames=_FRAMES, unbounded=True)
    depths = [max(free.places[i], 1) if channel.depth else 0 for i, channel in enumerate(channels)]
    paced = run(net_of(dataflow, depths), frames=_FRAMES)
    effort = paced.interval_cycles * len(dataflow.units) * len(depths)
    for number in range(len(depths)) if effort <= _SHRUNK_STEPS else ():
        depths[number] = _least(dataflow, depths, number, free.interval_cycles)
    paced = run(net_of(dataflow, depths), frames=_FRAMES)
    return replace(
        dataflow,
        channels=tuple(replace(c, depth=d) for c, d in zip(channels, depths, strict=True)),
        paced=paced,
    )


def _least(dataflow: Dataflow, depths: list[int], number: int, interval: int) -> int:
    """Return the least depth of one channel, the others as they are, that keeps the interval."""
    low, high = 1, depths[number]
    while low < high:
        middle = (low + high) // 2
        tried = [*depths[:number], middle, *depths[number + 1 :]]
        if interval_of(dataflow, tried) <= interval:
            high = middle
        else:
            low = middle + 1
    return high if depths[number] else 0


def interval_of(dataflow: Dataflow, depths: list[int]) -> float:
    """Return the cycles that a frame takes with given depths; infinity where nothing moves any more."""
    try:
        return run(net_of(dataflow, depths), frames=_FRAMES).interval_cycles
    except LowerError:
        return float("inf")


def net_of(dataflow: Dataflow, depths: list[int] | None = None) -> Net:
    """Return what tokens need to know of a dataflow. depths: of the channels, their own where not given."""
    numbered = list(enumerate(dataflow.channels))
    own = [channel.depth for channel in dataflow.channels]
    (leaving,) = (number for number, channel in numbered if channel.consumer is None)
    return Net(
        nodes=tuple(
            Node(
                name=unit.name,
                rule=rule_of(unit),
                takes=tuple(number for number, channel in numbered if channel.consumer == unit.name),
                gives=tuple(number for number, channel in numbered if channel.producer == unit.name),
            )
            for unit in dataflow.units
        ),
        entering=tuple(number for number, channel in numbered if channel.producer is None),
        leaving=leaving,
        depths=tuple(own if depths is None else depths),
        beats=dataflow.source.stream.beats,
        results=dataflow.result.stream.beats,
    )


def rule_of(unit: Unit) -> Rule:
    """Return when a unit takes and gives; a pipeline gives for each beat that it takes."""
    match unit:
        case Unrolled():
            beats = unit.gives[0].stream.beats
            return Rule(steps=beats, emits=(True,) * beats, latency_cycles=unit.timing.latency_cycles)
        case Windowed() | Pooled() | Summed() | Swept() | Resampled() | Regrouped() | Joined() | Reordered():
            return unit.rule
        case Folded():
            raise AssertionError(f"unit {unit.name!r} is of the folded architecture, which has no streams")
        case _:
            assert_never(unit)
