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
from gatewright.lower.streaming.rule import Counted, Rule
from gatewright.lower.streaming.tokens import Net, Node, run
from gatewright.lower.unrolled import Unrolled

_FRAMES, _SHORT_BEATS = 5, 16
_EFFORT_STEPS = 2_000_000  # of units, in all runs that try whether depths can be less: some ten seconds


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
    net, frames = net_of(dataflow), frames_of(dataflow)
    free = run(net, frames=frames, unbounded=True)
    depths = [max(free.places[i], 1) if channel.depth else 0 for i, channel in enumerate(channels)]
    bits = [dataflow.word_bits(channel) for channel in channels]
    depths = shrunk(net, depths, bits, free.interval_cycles, frames)
    paced = run(replace(net, depths=tuple(depths)), frames=frames)
    return replace(
        dataflow,
        channels=tuple(replace(c, depth=d) for c, d in zip(channels, depths, strict=True)),
        paced=paced,
    )


def shrunk(net: Net, depths: list[int], bits: list[int], interval: int, frames: int) -> list[int]:
    """Return depths of which each is as small as keeps the interval, one channel after the other.

    bits: of each channel's words; where not all can be tried, those come first that have most bits to lose.
    """
    depths = [*depths]
    each = frames * sum(node.rule.steps for node in net.nodes)
    order = list(range(len(depths)))
    if 2 * each * len(depths) > _EFFORT_STEPS:
        order.sort(key=lambda i: -depths[i] * bits[i])
    spent = 0
    for number in (number for number in order if depths[number] > 1):
        if spent + each > _EFFORT_STEPS:
            break
        depths[number], tries = _least(net, depths, number, interval, frames)
        spent += tries * each
    return depths


def _least(net: Net, depths: list[int], number: int, interval: int, frames: int) -> tuple[int, int]:
    """Return the least depth of one channel, the others as they are, that keeps the interval, and the runs it took.

    One word less than ever fills it is tried first, for most often that is too few.
    """
    low, high, tries = 1, depths[number], 0
    middle = high - 1
    while low < high:
        tries += 1
        tried = replace(net, depths=(*depths[:number], middle, *depths[number + 1 :]))
        try:
            run(tried, frames=frames, within=interval)
        except LowerError:
            low = middle + 1
        else:
            high = middle
        middle = (low + high) // 2
    return high, tries


def interval_of(dataflow: Dataflow, depths: list[int]) -> float:
    """Return the cycles that a frame takes with given depths; infinity where nothing moves any more."""
    try:
        return run(net_of(dataflow, depths), frames=frames_of(dataflow)).interval_cycles
    except LowerError:
        return float("inf")


def frames_of(dataflow: Dataflow) -> int:
    """Return how many frames show a steady state: more where several short ones are in the design at once."""
    return _FRAMES + _SHORT_BEATS // dataflow.source.stream.beats


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
        case Counted():
            return unit.rule
        case Folded():
            raise AssertionError(f"unit {unit.name!r} is of the folded architecture, which has no streams")
        case _:
            assert_never(unit)
