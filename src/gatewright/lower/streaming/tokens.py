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
from collections.abc import Iterable, Sequence
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

    interval_cycles: the most between the last results of two frames in steady state. latency_cycles: from the first
    frame's first beat to its last result, written to the last channel, in the empty design. places: of each channel the
    most that were promised or held at once; frames: the most that were in the design at once.
    """

    interval_cycles: int
    latency_cycles: int
    places: tuple[int, ...]
    frames: int


class StuckError(LowerError):
    """Nothing moves any more."""


_UNBOUNDED = 1 << 40
_ENTRY, _EXIT = -1, -2  # who else moves beside units: the input with those that it reaches by wires, the output


def run(net: Net, *, frames: int, unbounded: bool = False, within: int = 0) -> Paced:
    """Return how a run goes. within: an interval; a run ends as soon as it shows whether its own is longer.

    Raises StuckError where nothing moves any more, naming who waits; LowerError where the interval is longer than
    `within`.
    """
    return _Run(net, frames, unbounded, within).paced()


def steady(gaps: Sequence[int]) -> Sequence[int]:
    """Return the later half of the cycles between frames, without the last, which a flush may make shorter."""
    return gaps[(len(gaps) - 1) // 2 : -1] or gaps[-1:]


@dataclass(slots=True)
class _Unit:
    """A node, and where it stands. wills: for each step whether it starts a result, without and with an old frame."""

    node: Node
    wills: tuple[list[bool], list[bool]]
    takes: tuple[bool, ...]
    waits: tuple[bool, ...]
    tail: int
    wired: bool
    steps: int
    latency: int
    rest: int
    busy: int
    gives: tuple[int, ...]
    reads: tuple[int, ...]
    turns: tuple[int, ...]
    step: int = 0
    old: bool = False
    flushing: bool = False
    rested: int = 0

    def advance(self, *, dry: bool) -> None:
        """Move the counters on, as the hardware does. dry: no beat was taken."""
        t = self.step
        ends_old = self.old and t == self.tail - 1
        if ends_old:
            self.old = False
        if dry and (self.flushing or self.takes[t]):  # a flush
            self.flushing = not ends_old
            self.step = 0 if ends_old else t + 1
            return
        t += 1
        if t == len(self.takes):
            self.step, self.old = 0, self.tail > 0
        else:
            self.step = t


@dataclass(slots=True)
class _Run:
    """free, words, least: of each channel places that can be promised, words that wait, and the fewest places so far.

    Only who takes from a channel reads its words, and only who writes it reads its places, so both change at once;
    what is `freed` and what is `due` is there in the next cycle. due: channels that are written in a cycle.
    """

    net: Net
    frames: int
    unbounded: bool
    within: int
    units: list[_Unit] = field(init=False)
    free: list[int] = field(init=False)
    words: list[int] = field(init=False)
    least: list[int] = field(init=False)
    freed: list[int] = field(init=False)
    due: defaultdict[int, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        depths = self.net.depths
        self.free = [_UNBOUNDED if self.unbounded else depth for depth in depths]
        self.words, self.least, self.freed = [0] * len(depths), [*self.free], []
        self.due = defaultdict(list)
        wired = {number for number in self.net.entering if not depths[number]}
        self.units = [_unit(node, wired=not wired.isdisjoint(node.takes)) for node in self.net.nodes]

    def paced(self) -> Paced:
        net, words, free, due, units = self.net, self.words, self.free, self.due, self.units
        firsts = [unit for unit in units if unit.wired]
        stored = [number for number in net.entering if net.depths[number]]
        reader, writer = self._ends()
        wakes: defaultdict[int, set[int]] = defaultdict(set)
        cycle = given = left = known = written = most = 0
        first_result, leaving, total, results = -1, net.leaving, self.frames * net.beats, net.results
        ended: list[int] = []
        awake = {_ENTRY, _EXIT, *(i for i, unit in enumerate(units) if not unit.wired)}
        deadline = _UNBOUNDED
        while left < self.frames * results:
            if cycle > deadline:
                raise LowerError(f"a frame takes more than {self.within} cycles")
            enters = leaves = some = False
            if _EXIT in awake:
                awake.remove(_EXIT)
                leaves = words[leaving] > 0 and (left % results < results - 1 or known > left // results)
            if _ENTRY in awake:
                awake.remove(_ENTRY)
                enters, some = self._enter(firsts, stored, cycle, given < total)
                for unit in firsts:
                    if unit.rested > cycle:
                        wakes[unit.rested].add(_ENTRY)
            moved = self._moved(awake, cycle, wakes)
            if some:
                moved.add(_ENTRY)
            if leaves:
                moved.add(_EXIT)
                words[leaving] -= 1
                self.freed.append(leaving)
                left += 1
                if left % results == 0:
                    ended.append(cycle)
                    if self.within and len(ended) > (self.frames - 2) // 2:
                        deadline = cycle + self.within
                        if len(ended) == self.frames - 1:
                            break
            awake = moved
            for c in due.pop(cycle, ()):
                words[c] += 1
                awake.add(reader[c])
                if c == leaving:
                    written += 1
                    if written == results:
                        first_result = cycle
            for c in self.freed:
                free[c] += 1
                awake.add(writer[c])
            self.freed.clear()
            if enters:
                given += 1
                if given % net.beats == 0:
                    known += 1
                    most = max(most, known - len(ended))
                    awake.add(_EXIT)
            cycle += 1
            if wakes:
                awake |= wakes.pop(cycle, set[int]())
            if not awake and cycle not in due and left < self.frames * results:
                if not due and not wakes:
                    raise StuckError(self._stuck())
                cycle = min((*due, *wakes))
                awake = wakes.pop(cycle, set[int]())
        gaps = [b - a for a, b in pairwise(ended)] + [0] * (self.frames - len(ended))
        full = [_UNBOUNDED] * len(free) if self.unbounded else net.depths
        return Paced(
            interval_cycles=max(steady(gaps), default=0),
            latency_cycles=first_result,
            places=tuple(depth - least for depth, least in zip(full, self.least, strict=True)),
            frames=most + 1,
        )

    def _ends(self) -> tuple[list[int], list[int]]:
        """Return who takes from each channel, and who writes it."""
        count = len(self.words)
        reader, writer = [_EXIT] * count, [_ENTRY] * count
        for i, unit in enumerate(self.units):
            for c in unit.node.takes:
                reader[c] = _ENTRY if unit.wired else i
            for c in unit.node.gives:
                writer[c] = _ENTRY if unit.wired else i
        return reader, writer

    def _moved(self, awake: Iterable[int], cycle: int, wakes: defaultdict[int, set[int]]) -> set[int]:
        """Make the step of each of some units that can; return which did. wakes: when those that rest look again.

        The innermost loop of a run: no calls, so that sizing takes seconds.
        """
        units, words, free, least, due, freed = self.units, self.words, self.free, self.least, self.due, self.freed
        moved: set[int] = set()
        for i in awake:
            unit = units[i]
            if unit.rested > cycle:
                wakes[unit.rested].add(i)
                continue
            t, gives, reads, takes = unit.step, unit.gives, unit.reads, False
            will = unit.wills[unit.old][t]
            blocked = False
            if will:
                for c in gives:
                    if free[c] < 1:
                        blocked = True
            if blocked:
                continue
            if unit.turns:
                reads = (reads[unit.turns[t]],)
            there = True
            for c in reads:
                if words[c] < 1:
                    there = False
            if (there or not unit.waits[t]) and not unit.flushing:
                takes = unit.takes[t]
            elif not (unit.flushing or (unit.old and t == 0 and not there)):
                continue
            moved.add(i)
            unit.rested = cycle + (unit.busy if will else unit.rest)
            if will:
                for c in gives:
                    free[c] -= 1
                    if free[c] < least[c]:
                        least[c] = free[c]
                due[cycle + unit.latency] += gives
            if takes:
                for c in reads:
                    words[c] -= 1
                freed += reads
                if not unit.old:
                    t += 1
                    if t < unit.steps:
                        unit.step = t
                    else:
                        unit.step, unit.old = 0, unit.tail > 0
                    continue
            unit.advance(dry=not takes)
        return moved

    def _enter(self, firsts: list[_Unit], stored: list[int], cycle: int, more: bool) -> tuple[bool, bool]:
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
            room = cycle >= unit.rested and (not will or all(self.free[c] > 0 for c in unit.node.gives))
            ready = room and not unit.flushing
            if not unit.takes[t]:
                enters = False
                if ready:
                    self._start(unit, cycle, will=will, takes=False)
                    some = True
                    continue
            elif not ready:
                enters = False
            moves.append((unit, will, room))
        for unit, will, room in moves:
            if enters:
                self._start(unit, cycle, will=will, takes=True)
            elif room and (unit.flushing or (unit.old and unit.step == 0)):
                self._start(unit, cycle, will=will, takes=False)
                some = True
        if enters and stored:
            self._promise(stored)
            self.due[cycle] += stored
        return enters, some or enters

    def _start(self, unit: _Unit, cycle: int, *, will: bool, takes: bool) -> None:
        """Make a unit's step, and promise and schedule the result that begins with it."""
        unit.rested = cycle + (unit.busy if will else unit.rest)
        if will:
            node = unit.node
            self._promise(node.gives)
            self.due[cycle + node.rule.latency_cycles] += node.gives
        unit.advance(dry=not takes)

    def _promise(self, channels: Sequence[int]) -> None:
        """Take a place in each of some channels."""
        free, least = self.free, self.least
        for c in channels:
            free[c] -= 1
            if free[c] < least[c]:
                least[c] = free[c]

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
    return _Unit(
        node=node,
        wills=(now, both),
        takes=takes,
        waits=rule.waits or takes,
        tail=len(later),
        wired=wired,
        steps=rule.steps,
        latency=rule.latency_cycles,
        rest=rule.rest,
        busy=rule.pause(starts=True),
        gives=node.gives,
        reads=node.takes,
        turns=rule.reads,
    )
