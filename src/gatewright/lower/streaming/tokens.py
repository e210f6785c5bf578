"""Units' rules and FIFO depths in; when beats move, how full FIFOs get and what a frame takes, out: no data, no RTL.

The model of rtl/streaming/core.py, cycle by cycle: a place in a FIFO is promised with the step in front and free again
in the cycle after the word was taken; a word is there in the cycle after it was written. Frames come back to back, as
fast as the design takes them, and results leave at once. Schedules depend on counters only, so what moves here moves
in hardware; and stalls at either end only delay it (the graph is a Kahn network with bounded channels: whether it
stops for good depends on depths alone). Only what can have changed is looked at: a unit again when it moved, when a
word came for it or a place became free; cycles in which nothing can are left out.
"""

from __future__ import annotations

from collections import defaultdict
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

    interval_cycles: between the last results of two frames, the last two that another one follows (the very last may
    leave faster, by a flush). latency_cycles: from the first frame's first beat to its last result, written to the last
    channel, in the empty design. places: of each channel the most that were promised or held at once; frames: the most
    that were in the design at once.
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
class _Unit:
    """A node, and where it stands. wills: for each step whether it starts a result, without and with an old frame."""

    node: Node
    wills: tuple[list[bool], list[bool]]
    takes: tuple[bool, ...]
    waits: tuple[bool, ...]
    tail: int
    wired: bool
    step: int = 0
    old: bool = False
    flushing: bool = False
    rested: int = 0

    def advance(self, *, dry: bool) -> None:
        """Move the counters on, as the hardware does. dry: no beat was taken."""
        ends_old = self.old and self.step == self.tail - 1
        if ends_old:
            self.old = False
        if dry and (self.flushing or self.takes[self.step]):  # a flush
            self.flushing = not ends_old
            self.step = 0 if ends_old else self.step + 1
            return
        self.step += 1
        if self.step == len(self.takes):
            self.step, self.old = 0, self.tail > 0


@dataclass(slots=True)
class _Run:
    """free, words, used, places: of each channel. due: channels written in a cycle; wakes: units to look at in it."""

    net: Net
    frames: int
    unbounded: bool
    units: list[_Unit] = field(init=False)
    free: list[int] = field(init=False)
    words: list[int] = field(init=False)
    used: list[int] = field(init=False)
    places: list[int] = field(init=False)
    due: defaultdict[int, list[tuple[int, ...]]] = field(init=False)
    wakes: defaultdict[int, set[int]] = field(init=False)

    def __post_init__(self) -> None:
        depths = self.net.depths
        self.free = [_UNBOUNDED if self.unbounded else depth for depth in depths]
        self.words = [0] * len(depths)
        self.used, self.places = [0] * len(depths), [0] * len(depths)
        self.due, self.wakes = defaultdict(list), defaultdict(set)
        wired = {number for number in self.net.entering if not depths[number]}
        self.units = [_unit(node, wired=not wired.isdisjoint(node.takes)) for node in self.net.nodes]

    def paced(self) -> Paced:
        net, words, free, due = self.net, self.words, self.free, self.due
        firsts = [unit for unit in self.units if unit.wired]
        stored = tuple(number for number in net.entering if net.depths[number])
        reads = {number: i for i, node in enumerate(net.nodes) for number in node.takes}
        writes = {number: i for i, node in enumerate(net.nodes) for number in node.gives}
        entry, ending = -1, -2  # who else is looked at: the input with the units that it reaches by wires, the output
        own = {i: entry if unit.wired else i for i, unit in enumerate(self.units)}
        reader = {number: ending if number == net.leaving else own[reads[number]] for number in range(len(words))}
        writer = {number: own[writes[number]] if number in writes else entry for number in range(len(words))}
        cycle = given = left = entered = known = inside = most = written = 0
        first_result, total = -1, self.frames * net.beats
        ended: list[int] = []
        awake = {entry, ending, *own.values()}
        while left < self.frames * net.results:
            taken: list[int] = []
            reserved: list[int] = []
            moved: set[int] = set()
            enters = False
            for i in awake:
                if i >= 0:
                    if self._move(self.units[i], cycle, taken, reserved):
                        moved.add(i)
                    elif self.units[i].rested > cycle:
                        self.wakes[self.units[i].rested].add(i)
                elif i == ending:
                    last = left % net.results == net.results - 1
                    if words[net.leaving] > 0 and (not last or known > left // net.results):
                        taken.append(net.leaving)
                        moved.add(ending)
                        left += 1
                        if last:
                            ended.append(cycle)
                            inside -= 1
                else:
                    enters, some = self._enter(firsts, stored, cycle, given < total, reserved)
                    if some:
                        moved.add(entry)
                    for unit in firsts:
                        if unit.rested > cycle:
                            self.wakes[unit.rested].add(entry)
            given += enters
            awake = moved
            for channels in due.pop(cycle, ()):
                for c in channels:
                    words[c] += 1
                    written += c == net.leaving
                    awake.add(reader[c])
            if first_result < 0 and written == net.results:
                first_result = cycle
            for c in reserved:
                free[c] -= 1
                self.used[c] += 1
                if self.used[c] > self.places[c]:
                    self.places[c] = self.used[c]
            for c in taken:
                words[c] -= 1
                free[c] += 1
                self.used[c] -= 1
                awake.add(writer[c])
            if enters and given % net.beats == 0:
                entered += 1
                inside += 1
                most = max(most, inside)
                awake.add(ending)
            known = entered
            cycle += 1
            awake |= self.wakes.pop(cycle, set())
            if not awake and cycle not in due and left < self.frames * net.results:
                if not due and not self.wakes:
                    raise LowerError(self._stuck())
                cycle = min((*due, *self.wakes))
                awake = self.wakes.pop(cycle, set())
        gaps = [b - a for a, b in pairwise(ended)]
        return Paced(
            interval_cycles=(gaps[-2:] or [0])[0],
            latency_cycles=first_result,
            places=tuple(self.places),
            frames=most + 1,
        )

    def _move(self, unit: _Unit, cycle: int, taken: list[int], reserved: list[int]) -> bool:
        """Make a unit's step where it can; return whether it did."""
        t, words, node = unit.step, self.words, unit.node
        will = unit.wills[unit.old][t]
        if will and not self._room(node):
            return False
        reads = (node.takes[node.rule.reads[t]],) if node.rule.reads else node.takes
        there = True
        for c in reads:
            if words[c] < 1:
                there = False
        takes = False
        if cycle < unit.rested:
            return False
        if not unit.flushing and (there or not unit.waits[t]):
            takes = unit.takes[t]
        elif not (unit.flushing or (unit.old and t == 0 and not there)):
            return False
        if takes:
            taken += reads
        self._start(unit, cycle, reserved, will=will, takes=takes)
        return True

    def _enter(
        self, firsts: list[_Unit], stored: tuple[int, ...], cycle: int, more: bool, reserved: list[int]
    ) -> tuple[bool, bool]:
        """Make the step of the input and of the units that it reaches by wires.

        Return whether a beat came, and whether any moved.
        """
        enters, some, moves = more, False, list[tuple[_Unit, bool, bool]]()
        for c in stored:
            if self.free[c] < 1:
                enters = False
        for unit in firsts:
            t = unit.step
            will = unit.wills[unit.old][t]
            room = not will or self._room(unit.node)
            room = room and cycle >= unit.rested
            ready = room and not unit.flushing
            if not unit.takes[t]:
                enters = False
                if ready:
                    self._start(unit, cycle, reserved, will=will, takes=False)
                    some = True
                    continue
            elif not ready:
                enters = False
            moves.append((unit, will, room))
        for unit, will, room in moves:
            if enters:
                self._start(unit, cycle, reserved, will=will, takes=True)
            elif room and (unit.flushing or (unit.old and unit.step == 0)):
                self._start(unit, cycle, reserved, will=will, takes=False)
                some = True
        if enters:
            reserved += stored
            self.due[cycle].append(stored)
        return enters, some or enters

    def _room(self, node: Node) -> bool:
        """Tell whether each channel that a unit feeds has a place."""
        free = self.free
        for c in node.gives:  # noqa: SIM110  (a generator takes twice as long, and this is the innermost loop)
            if free[c] < 1:
                return False
        return True

    def _start(self, unit: _Unit, cycle: int, reserved: list[int], *, will: bool, takes: bool) -> None:
        """Make a unit's step, and promise and schedule the result that begins with it."""
        node = unit.node
        unit.rested = cycle + node.rule.pause(starts=will)
        if will:
            reserved += node.gives
            self.due[cycle + node.rule.latency_cycles].append(node.gives)
        unit.advance(dry=not takes)

    def _stuck(self) -> str:
        waiting = [
            node.name
            for node in self.net.nodes
            if any(self.words[c] > 0 for c in node.takes) and any(self.free[c] < 1 for c in node.gives)
        ]
        full = [number for number, free in enumerate(self.free) if free < 1]
        return f"nothing moves any more: {', '.join(waiting) or 'no unit'} wait for places; channels {full} are full"


def _unit(node: Node, *, wired: bool) -> _Unit:
    rule = node.rule
    takes = rule.takes or (True,) * rule.steps
    now, later = list(rule.emits[: rule.steps]), rule.emits[rule.steps :]
    both = [will or due for will, due in zip(now, (*later, *(False,) * (rule.steps - len(later))), strict=True)]
    return _Unit(node=node, wills=(now, both), takes=takes, waits=rule.waits or takes, tail=len(later), wired=wired)
