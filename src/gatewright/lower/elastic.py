"""A dataflow of rigid units in, the same units joined by FIFOs out: the depth that each channel needs, and no more.

Every unit stays a pipeline that never stops; it starts when all of its values wait and each of its readers' FIFOs has
a place to promise for the result. A place is taken with the start of the unit in front and free again a cycle after
the start of the unit behind. So the start times of one vector in the empty design, `Dataflow.starts`, tell every
depth: starts are `initiation_interval` cycles apart, and a place is held from one start to the other. Such a design
is a marked graph whose cycles all hold a place (Commoner et al. 1971): it cannot deadlock, whatever stalls.
"""

from __future__ import annotations

from dataclasses import replace

from gatewright.lower.dataflow import Channel, Dataflow


def elastic(dataflow: Dataflow) -> Dataflow:
    """Return the dataflow with a FIFO in every channel, each the shallowest that keeps the initiation interval.

    The input reaches units that read nothing else by wires: there valid comes only with ready.
    """
    first = {unit.name for unit in dataflow.units if all(channel.producer is None for channel in dataflow.into(unit))}
    joined = replace(
        dataflow,
        channels=tuple(
            replace(channel, depth=0 if channel.producer is None and channel.consumer in first else 1)
            for channel in dataflow.channels
        ),
    )
    depths = {id(channel): needed_depth(joined, channel) for channel in joined.channels}
    return replace(joined, channels=tuple(replace(c, depth=depths[id(c)]) for c in joined.channels))


def needed_depth(dataflow: Dataflow, channel: Channel) -> int:
    """Return the words that a channel's FIFO must hold so that the dataflow keeps its interval; 0 for wires.

    A vector enters the design against room that was there when its first beat came, at most an interval before its
    last one; the results leave when the last of their beats does. Both hold places for up to an interval more.
    """
    if not channel.depth:
        return 0
    starts, interval = dataflow.starts, dataflow.initiation_interval
    taken = 0 if channel.producer is None else starts[channel.producer]
    if channel.consumer is None:
        return -(-(dataflow.latency_cycles - taken + 1) // interval) + 1
    held = starts[channel.consumer] - taken
    return -(-held // interval) + 1 if taken == 0 else -(-(held + 1) // interval)


def channel_name(channel: Channel) -> str:
    """Return what a channel is called in reports: its value, and where that goes."""
    return f"{channel.value} -> {channel.consumer or 'output'}"
