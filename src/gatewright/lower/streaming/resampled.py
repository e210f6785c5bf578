"""Resampled: a unit that repeats, drops or adds rows and columns of a stream of pixels, one pixel a beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Ints
from gatewright.lower.cost.cells import Cost
from gatewright.lower.stream import lane_bits
from gatewright.lower.streaming.memory import memory_cost
from gatewright.lower.streaming.moving import Moving
from gatewright.lower.streaming.rule import Rule

Flags = NDArray[np.bool_]
Kind = Literal["pad", "crop", "repeat", "zeros"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What happens along rows, or along columns, of which `size` come.

    pad: `before` and `after` are added. crop: of each `every` the first stays, beginning with the one behind the
    first `before`, as long as `after` are left. repeat, zeros: each becomes `every`, the others its copies or zeros.
    """

    size: int
    before: int = 0
    after: int = 0
    every: int = 1

    def steps(self, kind: Kind) -> int:
        """Return the steps that a row, or a frame, takes along this axis."""
        if kind == "pad":
            return self.before + self.size + self.after
        return self.size if kind == "crop" else self.size * self.every

    def chosen(self, kind: Kind) -> range:
        """Return the steps of the places that stay (crop), or that hold what comes (pad; repeat, zeros: the first)."""
        if kind == "pad":
            return range(self.before, self.before + self.size)
        if kind == "crop":
            return range(self.before, self.size - self.after, self.every)
        return range(0, self.size * self.every, self.every)


@dataclass(frozen=True, kw_only=True)
class Resampled(Moving):
    """takes, gives: one port each, a pixel a beat. A step is a place of the grid that is the larger of both.

    fill: for each lane of `gives` the number of a place that nothing comes for. up: by how much a lane's numbers are
    shifted up, where the fill asks for it.
    """

    kind: Kind
    rows: Axis
    columns: Axis
    fill: tuple[int, ...]
    up: tuple[int, ...]

    @property
    def grid(self) -> tuple[int, int]:
        """Steps along rows and columns."""
        return self.rows.steps(self.kind), self.columns.steps(self.kind)

    @property
    def replays(self) -> bool:
        """Whether a row comes again, from a memory."""
        return self.kind == "repeat" and self.rows.every > 1

    @cached_property
    def _chosen(self) -> tuple[Flags, Flags]:
        """The steps along rows and along columns with places that stay, as flags."""
        found = [np.zeros(size, dtype=bool) for size in self.grid]
        found[0][list(self.rows.chosen(self.kind))] = True
        found[1][list(self.columns.chosen(self.kind))] = True
        return found[0], found[1]

    def counted(self) -> Rule:
        """Return the rule. A frame's first step waits for its first beat: nothing leaves before a frame came."""
        rows, columns = self._chosen
        inside = (rows[:, None] & columns).ravel()
        everywhere = np.ones_like(inside)
        takes, waits = inside, inside
        if self.kind == "crop":
            takes = waits = everywhere
        elif self.kind == "repeat":
            last = np.roll(columns, -1)  # a beat leaves its channel with its last copy
            takes, waits = ((rows[:, None] & where).ravel() for where in (last, np.ones_like(columns)))
        elif self.kind == "pad":
            waits = inside | (np.cumsum(inside) == 0)
        return Rule(
            steps=inside.size,
            emits=tuple((inside if self.kind == "crop" else everywhere).tolist()),
            latency_cycles=1,
            takes=tuple(takes.tolist()),
            waits=tuple(waits.tolist()),
        )

    def replay(self, beats: Sequence[Ints]) -> tuple[Ints, ...]:
        """Return what leaves by `gives` for what enters by `takes`: (n, beats, lanes) each."""
        (given,) = beats
        pixels = given.reshape(len(given), self.rows.size, self.columns.size, -1) << np.array(self.up, dtype=np.int64)
        rows, columns = self._chosen
        if self.kind == "crop":
            found = pixels[:, rows][:, :, columns]
        elif self.kind == "repeat":
            found = pixels.repeat(self.rows.every, axis=1).repeat(self.columns.every, axis=2)
        else:
            found = np.full((len(given), *self.grid, len(self.fill)), self.fill, dtype=np.int64)
            found[:, rows[:, None] & columns] = pixels.reshape(len(given), -1, len(self.fill))
        return (found.reshape(len(given), -1, len(self.fill)),)

    def cost(self, family: str) -> Cost:
        """Return the estimated cells: a register for the pixel, counters, and the memory of a row that comes again."""
        bits = lane_bits(self.gives[0].lanes)
        counters = sum(max(size - 1, 1).bit_length() for size in self.grid) + 2 * self.rows.every.bit_length()
        total = Cost(lut=2 * counters + 8, ff=bits + counters)
        if self.replays and self.columns.size > 1:
            total += Cost(lut=bits) + memory_cost(self.columns.size, bits, family)
        elif self.replays:
            total += Cost(ff=bits)
        return total
