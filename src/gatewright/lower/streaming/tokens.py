"""Units' rules and FIFO depths in; when beats move, how full FIFOs get and what a frame takes, out: no data, no RTL.

The model of rtl/streaming/core.py, cycle by cycle: a place in a FIFO is promised with the step in front and free again
in the cycle after the word was taken; a word is there in the cycle after it was written. Frames come back to back, as
fast as the design takes them, and results leave at once. Schedules depend on counters only, so what moves here moves
in hardware; and stalls at either end only delay it (the graph is a Kahn network with bounded channels: whether it
stops for good depends on depths alone).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from gatewright.errors import LowerError
from gatewright.lower.streaming.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A unit's rule, and the numbers of the channels that it takes from and gives to."""

    name: str
    rule: Rule
    takes: tuple[int, ...]
    gives: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """nodes: in the order of the dataflow. entering: channels that the input writes; leaving: the result's.

    depths: words of each channel, 0 for wires behind the input. beats: of a frame that enter, results: that leave.
    """

    nodes: tuple[Node, ...]
    entering: tuple[int, ...]
    leaving: int
    depths: tuple[int, ...]
    beats: int
    results: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """What a run of frames back to back shows.

    interval_cycles: between the last results of the last two frames; latency_cycles: from the first frame's first beat
    to its last result, written to the last channel, in the empty design. places: of each channel the most that were
    promised or held at once; frames: the most that were in the design at once.
    """

    interval_cycles: int
    latency_cycles: int
    places: tuple[int, ...]
    frames: int


_UNBOUNDED = 1 << 40


def run(net: Net, *, frames: int, unbounded: bool = False) -> Paced:
    """Return how a run goes. Raises LowerError, naming who waits, where nothing moves any more."""
    return _Run(net, frames, unbounded).paced()


@dataclass(slots=True)
class _Run:
    net: Net
    frames: int
    unbounded: bool
    free: list[int] = field(init=False)
    words: list[int] = field(init=False)
    used: list[int] = field(init=False)
    places: list[int] = field(init=False)
    due: list[list[tuple[int, ...]]] = field(init=False)

    def __post_init__(self) -> None:
        depths = self.net.depths
        self.free = [_UNBOUNDED if self.unbounded else depth for depth in depths]
        self.words = [0] * len(depths)
        self.used, self.places = [0] * len(depths), [0] * len(depths)
        slowest = max(node.rule.latency_cycles for node in self.net.nodes)
        self.due = [[] for _ in range(slowest + 1)]  # a ring: channels that are written in a cycle

    def paced(self) -> Paced:
        net, free, words = self.net, self.free, self.words
        ring = len(self.due)
        wired = {number for number in net.entering if not net.depths[number]}
        first = [i for i, node in enumerate(net.nodes) if wired & set(node.takes)]
        step, old, flushing = ([0] * len(net.nodes) for _ in range(3))
        rested = [0] * len(net.nodes)
        tails = [len(node.rule.emits) - node.rule.steps for node in net.nodes]
        stored = [number for number in net.entering if net.depths[number]]
        cycle = given = left = entered = known = inside = most = quiet = written = 0
        first_result = -1
        ended: list[int] = []
        patience = 2 * ring + 2 * max(node.rule.pause(starts=True) for node in net.nodes) + 64
        while left < self.frames * net.results:
            taken: list[int] = []
            reserved: list[int] = []
            moves: list[tuple[int, bool, bool]] = []  # unit, whether it takes a beat, whether a result starts
            readies: dict[int, bool] = {}
            wills: list[bool] = []
            for i, node in enumerate(net.nodes):
                t, rule = step[i], node.rule
                will = rule.emits[t] or bool(old[i] and t < tails[i] and rule.emits[rule.steps + t])
                wills.append(will)
                room = not will or all(free[c] > 0 for c in node.gives)
                readies[i] = room and not flushing[i] and cycle >= rested[i]
                if i in first:
                    if rule.takes and not rule.takes[t]:
                        if readies[i]:
                            moves.append((i, False, will))
                        readies[i] = False
                    continue
                needs = not rule.takes or rule.takes[t]
                waits = all(words[c] > 0 for c in node.takes)
                if readies[i] and (waits or not needs):
                    moves.append((i, needs, will))
                elif room and cycle >= rested[i] and (flushing[i] or (old[i] and t == 0 and not waits)):
                    moves.append((i, False, will))
            x_ready = all(readies[i] for i in first) and all(free[c] > 0 for c in stored)
            x_valid = x_ready and given < self.frames * net.beats
            for i in first:
                room = cycle >= rested[i] and (not wills[i] or all(free[c] > 0 for c in net.nodes[i].gives))
                if x_valid:
                    moves.append((i, True, wills[i]))
                elif room and (flushing[i] or (old[i] and step[i] == 0)):
                    moves.append((i, False, wills[i]))
            if x_valid:
                given += 1
                reserved += stored
                self._write(stored, cycle)
            last = left % net.results == net.results - 1
            if words[net.leaving] > 0 and (not last or known > left // net.results):
                taken.append(net.leaving)
                left += 1
                if last:
                    ended.append(cycle)
                    inside -= 1
            for i, takes, emits in moves:
                node = net.nodes[i]
                rested[i] = cycle + node.rule.pause(starts=emits)
                if takes:
                    taken += [c for c in node.takes if c not in wired]
                if emits:
                    reserved += node.gives
                    self.due[(cycle + node.rule.latency_cycles) % ring].extend([node.gives])
                self._advance(i, node.rule, step, old, flushing, tails[i], dry=not takes)
            for channels in self.due[cycle % ring]:
                for c in channels:
                    words[c] += 1
                    written += c == net.leaving
            if first_result < 0 and written == net.results:
                first_result = cycle
            self.due[cycle % ring].clear()
            for c in reserved:
                free[c] -= 1
                self.used[c] += 1
                self.places[c] = max(self.places[c], self.used[c])
            for c in taken:
                words[c] -= 1
                free[c] += 1
                self.used[c] -= 1
            if x_valid and given % net.beats == 0:
                entered += 1
                inside += 1
                most = max(most, inside)
            known = entered
            quiet = 0 if x_valid or taken or moves else quiet + 1
            if quiet > patience:
                raise LowerError(self._stuck())
            cycle += 1
        gaps = [b - a for a, b in pairwise(ended)]
        return Paced(
            interval_cycles=gaps[-1] if gaps else 0,
            latency_cycles=first_result,
            places=tuple(self.places),
            frames=most + 1,
        )

    def _write(self, channels: Sequence[int], cycle: int) -> None:
        self.due[cycle % len(self.due)].append(tuple(channels))

    @staticmethod
    def _advance(
        i: int, rule: Rule, step: list[int], old: list[int], flushing: list[int], tail: int, *, dry: bool
    ) -> None:
        """Move a unit's counters on, as its hardware does. dry: no beat was taken."""
        t = step[i]
        ends_old = bool(old[i]) and t == tail - 1
        if ends_old:
            old[i] = 0
        if dry and (flushing[i] or not rule.takes or rule.takes[t]):  # a flush
            flushing[i] = not ends_old
            step[i] = 0 if ends_old else t + 1
            return
        step[i] = t + 1
        if step[i] == rule.steps:
            step[i], old[i] = 0, int(tail > 0)

    def _stuck(self) -> str:
        waiting = [
            node.name
            for node in self.net.nodes
            if any(self.words[c] > 0 for c in node.takes) and any(self.free[c] < 1 for c in node.gives)
        ]
        full = [number for number, free in enumerate(self.free) if free < 1]
        return f"nothing moves any more: {', '.join(waiting) or 'no unit'} wait for places; channels {full} are full"
