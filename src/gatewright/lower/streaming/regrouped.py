"""Regrouped: a unit that gathers beats into wider ones, whole values among them, or cuts beats into narrower ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.fixedpoint import Ints
from gatewright.lower.cost.cells import Cost
from gatewright.lower.stream import Lane, Port, Stream, lane_bits
from gatewright.lower.streaming.moving import Moving, common_lane
from gatewright.lower.streaming.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Regrouped(Moving):
    """takes, gives: one port each, of the same value in the same order; one has `times` the elements a beat."""

    @property
    def times(self) -> int:
        """Narrow beats in a wide one."""
        wide, narrow = sorted((self.takes[0].stream.per_beat, self.gives[0].stream.per_beat), reverse=True)
        return wide // narrow

    @property
    def gathers(self) -> bool:
        """Whether the beats that leave are the wider ones."""
        return self.gives[0].stream.per_beat > self.takes[0].stream.per_beat

    def counted(self) -> Rule:
        """Return the rule. A step is a narrow beat. The last of a wide beat's gives it, or the first takes it."""
        steps, times = max(self.takes[0].stream.beats, self.gives[0].stream.beats), self.times
        first = tuple(step % times == 0 for step in range(steps))
        last = tuple(step % times == times - 1 for step in range(steps))
        if self.gathers:
            return Rule(steps=steps, emits=last, latency_cycles=1)
        return Rule(steps=steps, emits=(True,) * steps, latency_cycles=1, takes=first)

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        (taken,), (made,) = self.takes, self.gives
        values = given << [lane.shift for lane in taken.lanes]
        cut = values.reshape(len(given), made.stream.beats, made.stream.per_beat)
        return (cut >> [lane.shift for lane in made.lanes],)

    def cost(self, family: str) -> Cost:  # noqa: ARG002  (others need it)
        """Return the estimated cells: a register for each element of the wider beat, and a choice for those cut."""
        port = self.gives[0] if self.gathers else self.takes[0]
        bits, counter = lane_bits(port.lanes), self.times.bit_length()
        return Cost(lut=(0 if self.gathers else bits) + 2 * counter + 3, ff=bits + counter)


def regrouped(name: str, taken: Port, per_beat: int) -> Regrouped:
    """Return the unit that gives a port's value in beats of so many elements, a divisor or a multiple of its own."""
    given = taken.stream.per_beat
    stream = Stream(shape=taken.stream.shape, order=taken.stream.order, per_beat=per_beat)
    if per_beat > given:
        lanes: list[Lane] = [*taken.lanes] * (per_beat // given)
    else:
        lanes = [common_lane(taken.lanes[i::per_beat]) for i in range(per_beat)]
    gives = Port.full(taken.value, stream, lanes)
    return Regrouped(name=name, takes=(taken,), gives=(gives,))
