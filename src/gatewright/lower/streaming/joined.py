"""Joined: a unit that takes the beats of one value after those of another: rows below rows, columns beside columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.lower.cost.cells import Cost
from gatewright.lower.stream import lane_bits
from gatewright.lower.streaming.moving import Moving
from gatewright.lower.streaming.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Joined(Moving):
    """takes: two or more ports of as many lanes as that of `gives`.

    runs: beats of each port that follow each other, in turn, again and again until a frame ends. ups: for each port
    by how much each lane's numbers are shifted up.
    """

    runs: tuple[int, ...]
    ups: tuple[tuple[int, ...], ...]

    @property
    def turns(self) -> int:
        """How often all ports have their turn in a frame."""
        return self.gives[0].stream.beats // sum(self.runs)

    def counted(self) -> Rule:
        """Return the rule. Each step takes a beat of one port and gives it."""
        reads = tuple(port for port, run in enumerate(self.runs) for _ in range(run)) * self.turns
        return Rule(steps=len(reads), emits=(True,) * len(reads), latency_cycles=1, reads=reads)

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        parts = [
            (given << np.array(up, dtype=np.int64)).reshape(len(given), self.turns, run, -1)
            for given, up, run in zip(beats, self.ups, self.runs, strict=True)
        ]
        found = np.concatenate(parts, axis=2)
        return (found.reshape(len(found), -1, found.shape[-1]),)

    def cost(self, family: str) -> Cost:  # noqa: ARG002  (others need it)
        """Return the estimated cells: a choice of ports, a register for the beat, a counter."""
        bits, counter = lane_bits(self.gives[0].lanes), (sum(self.runs) - 1).bit_length()
        return Cost(lut=bits * -(-(len(self.runs) - 1) // 2) + 2 * counter + 2 * len(self.runs), ff=bits + counter)
