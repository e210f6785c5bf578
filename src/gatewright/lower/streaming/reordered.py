"""Reordered: a unit that holds a frame and gives its beats in another order: transposes, and what runs backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.fixedpoint import Ints
from gatewright.lower.cost.cells import Cost
from gatewright.lower.folded.plan import BLOCK_DEPTH
from gatewright.lower.stream import lane_bits
from gatewright.lower.streaming.memory import memory_cost
from gatewright.lower.streaming.moving import Moving
from gatewright.lower.streaming.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Reordered(Moving):
    """takes, gives: one port each, with the same lanes. order: for each beat that leaves the number of one that came.

    While a frame comes, the one before leaves: a memory holds two.
    """

    order: tuple[int, ...]

    @property
    def page(self) -> int:
        """Words between the frames in the memory, a power of two."""
        return 1 << max((self.takes[0].stream.beats - 1).bit_length(), 1)

    def counted(self) -> Rule:
        """Return the rule. A frame leaves in the steps after it: the next one's, or, where none comes, a flush."""
        taken, given = self.takes[0].stream.beats, len(self.order)
        steps = max(taken, given)
        return Rule(
            steps=steps,
            emits=(False,) * steps + (True,) * given,
            latency_cycles=2,
            takes=(True,) * taken + (False,) * (steps - taken) if steps > taken else (),
        )

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        return (given[:, list(self.order)],)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: the memory of two frames, the table of the order, counters."""
        bits, counter = lane_bits(self.takes[0].lanes), self.counter_bits
        entry = (self.page - 1).bit_length()
        total = memory_cost(2 * self.page, bits, family) + Cost(lut=3 * counter + 8, ff=bits + 3 * entry + counter + 6)
        if len(self.order) >= BLOCK_DEPTH:
            return total + Cost(bram=-(-entry // 36) * -(-len(self.order) // 512))
        return total + Cost(lut=entry * -(-len(self.order) // 16))
