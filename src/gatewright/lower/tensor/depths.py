"""Units and channels on streams in, the same with the FIFO depth of each channel, interval and latency out.

Depths come from a run of tokens (tokens.py), never from a simulation of the hardware: first with room without end,
which shows how many places each channel ever needs, then smaller, one channel after the other, while a frame takes no
longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import assert_never

from gatewright.errors import LowerError, nearest
from gatewright.lower.dataflow import Dataflow, Less, Unit
from gatewright.lower.elastic import channel_name
from gatewright.lower.folded.unit import Folded
from gatewright.lower.streaming.rule import Counted, Rule
from gatewright.lower.streaming.tokens import Net, Node, Paced, StuckError, run
from gatewright.lower.unrolled import Unrolled

_FRAMES, _SHORT_BEATS = 5, 16
_EFFORT_STEPS = 1_000_000  # of units, in all runs that try whether depths can be less: some five seconds


def roughly_sized(dataflow: Dataflow) -> Dataflow:
    """Return the dataflow with depths that keep the interval, of which none is above one limit: a few runs."""
    full = _filled(dataflow)
    net, frames, interval = net_of(full), frames_of(full), full.initiation_interval
    limit, most = 1, max(net.depths, default=1)
    while limit < most:
        depths = tuple(min(depth, limit) for depth in net.depths)
        with suppress(LowerError):
            return _with(full, depths, run(replace(net, depths=depths), frames=frames, within=interval))
        limit *= 2
    return full


def sized(dataflow: Dataflow) -> Dataflow:
    """Return the dataflow with the least depths that keep the interval, and what it then does."""
    full = _filled(dataflow)
    net, frames = net_of(full), frames_of(full)
    bits = [full.word_bits(channel) for channel in full.channels]
    depths, shown = shrunk(net, list(net.depths), bits, full.initiation_interval, frames)
    made = _with(full, depths, run(replace(net, depths=tuple(depths)), frames=frames))
    return replace(made, channels=tuple(replace(c, less=shown.get(n, "")) for n, c in enumerate(made.channels)))


def told(dataflow: Dataflow, words: Mapping[str, int]) -> Dataflow:
    """Return a sized dataflow with the depths that were told for some channels, and what it then does.

    words: by channel_name. Raises LowerError for a name that no FIFO has, and where nothing would move any more, naming
    the channel and the least words that let frames pass.
    """
    if not words:
        return dataflow
    places = {channel_name(channel): n for n, channel in enumerate(dataflow.channels) if channel.depth}
    for name in words:
        if name not in places:
            raise LowerError(f"hardware.fifo_depths names {name!r}, which is no FIFO.{nearest(name, sorted(places))}")
    depths = [channel.depth for channel in dataflow.channels]
    for name, count in words.items():
        depths[places[name]] = count
    channels = tuple(replace(c, less="" if channel_name(c) in words else c.less) for c in dataflow.channels)
    dataflow = replace(dataflow, channels=channels)
    net, frames = net_of(dataflow, depths), frames_of(dataflow)
    try:
        return _with(dataflow, depths, run(net, frames=frames))
    except LowerError as error:
        needs = [
            f"{name!r} has {count:,} words and needs {least:,}"
            for name, count in words.items()
            if (least := _alive(dataflow, places[name], count)) > count
        ]
        raise LowerError(
            f"hardware.fifo_depths stops the design for good: {'; '.join(needs) or error}, beside the others' depths; "
            "a board would hang. Give it more, or leave it out"
        ) from None


def _alive(dataflow: Dataflow, number: int, words: int) -> int:
    """Return the least words, from `words` on, of one channel with which frames pass, the others as they are."""
    low, high = words, max(dataflow.channels[number].depth, words)
    while low < high:
        middle = (low + high) // 2
        depths = [middle if n == number else channel.depth for n, channel in enumerate(dataflow.channels)]
        low, high = (middle + 1, high) if interval_of(dataflow, depths) == inf else (low, middle)
    return high


def _filled(dataflow: Dataflow) -> Dataflow:
    """Return the dataflow with depths that no FIFO ever exceeds, and what it then does.

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
    wide = replace(dataflow, channels=channels)
    free = run(net_of(wide), frames=frames_of(wide), unbounded=True)
    return _with(wide, [max(free.places[i], 1) if channel.depth else 0 for i, channel in enumerate(channels)], free)


def _with(dataflow: Dataflow, depths: Sequence[int], paced: Paced) -> Dataflow:
    channels = tuple(replace(c, depth=d) for c, d in zip(dataflow.channels, depths, strict=True))
    return replace(dataflow, channels=channels, paced=paced)


def shrunk(
    net: Net, depths: list[int], bits: list[int], interval: int, frames: int
) -> tuple[list[int], dict[int, Less]]:
    """Return depths of which each is as small as keeps the interval, one channel after the other.

    And by number what one word less showed. bits: of each channel's words; where not all can be tried, those come first
    that have most bits to lose.
    """
    depths, shown = [*depths], dict[int, Less]()
    each = frames * sum(node.rule.steps for node in net.nodes)
    order = list(range(len(depths)))
    if 2 * each * len(depths) > _EFFORT_STEPS:
        order.sort(key=lambda i: -depths[i] * bits[i])
    spent = 0
    for number in (number for number in order if depths[number] > 1):
        if spent + each > _EFFORT_STEPS:
            break
        depths[number], tries, shown[number] = _least(net, depths, number, interval, frames)
        spent += tries * each
    return depths, shown


def _least(net: Net, depths: list[int], number: int, interval: int, frames: int) -> tuple[int, int, Less]:
    """Return the least depth of one channel, the others as they are, that keeps the interval, and the runs it took.

    And what one word less showed. One word less than ever fills it is tried first, for most often that is too few.
    """
    low, high, tries, less = 1, depths[number], 0, dict[int, Less]()
    middle = high - 1
    while low < high:
        tries += 1
        tried = replace(net, depths=(*depths[:number], middle, *depths[number + 1 :]))
        try:
            run(tried, frames=frames, within=interval)
        except LowerError as error:
            low = middle + 1
            less[low] = "stops" if isinstance(error, StuckError) else "slower"
        else:
            high = middle
        middle = (low + high) // 2
    return high, tries, less.get(high, "")


def interval_of(dataflow: Dataflow, depths: list[int]) -> float:
    """Return the cycles that a frame takes with given depths; infinity where nothing moves any more."""
    try:
        return run(net_of(dataflow, depths), frames=frames_of(dataflow)).interval_cycles
    except LowerError:
        return inf


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
