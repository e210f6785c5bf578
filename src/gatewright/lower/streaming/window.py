"""Sizes of a sliding window in, which step of a frame's scan completes each window, and from which registers, out.

Pixels arrive row by row, `per_beat` of a row at a time: a step takes one beat. A row of a window lies in a chain of
registers that every step moves on by a beat; line memories delay the rows before it. Padding inserts no beats: where a
tap lies outside the frame, the register that shows it is set to the padding's number instead. So windows at a frame's
lower end complete while the next frame's first rows come, or in steps without a beat (a *flush*).

With time t = 0 for a frame's first beat, the windows whose leftmost beat is (row y, beat x) of the scan complete in the
step t = y * row_beats + x + lead: all that hardware needs are the counters of t.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.windows import Pads, window_counts

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window over a frame of grid = (rows, columns) pixels.

    size, strides, dilation: along rows and columns; pads: ((above, below), (left, right)), smaller than the window.
    per_beat: pixels of a row in a step. width: columns that there are, where steps do not divide them and those behind
    fill up the last step; 0: all. Raises LowerError for what does not suit.
    """

    grid: Pair
    size: Pair
    strides: Pair
    dilation: Pair
    pads: tuple[Pair, Pair]
    per_beat: int = 1
    width: int = 0

    def __post_init__(self) -> None:
        columns, stride = self.grid[1], self.strides[1]
        object.__setattr__(self, "width", self.width or columns)
        if min(self.counts) < 1:
            raise LowerError(f"a window of {self.reach} pixels does not fit {self.grid} with padding {self.pads}")
        for (before, after), reach in zip(self.pads, self.reach, strict=True):
            if before + after >= reach:
                raise LowerError(
                    f"padding {before} and {after} must be less than the {reach} pixels that a window spans"
                )
        if self.lead >= self.beats:
            raise LowerError(
                f"a frame of {self.grid} pixels must reach the last tap of its first window; with padding {self.pads} "
                f"a window of {self.reach} does not"
            )
        if columns % self.per_beat or (self.per_beat % stride and stride % self.per_beat):
            raise LowerError(
                f"{self.per_beat} pixels a beat must divide a row of {columns}, and divide or be divided by the "
                f"stride of {stride}"
            )
        if self.counts[1] % self.outputs:
            raise LowerError(
                f"{self.per_beat} pixels a beat make {self.outputs} of {self.counts[1]} windows of a row at a time, "
                "which does not divide them"
            )

    @property
    def counts(self) -> Pair:
        """Windows along rows and columns."""
        grid = (self.grid[0], self.width)
        rows, columns = window_counts(grid, self.size, self.strides, self.dilation, self.pads)
        return rows, columns

    @property
    def reach(self) -> Pair:
        """Pixels from a window's first to its last, both included."""
        (rows, columns), (down, right) = self.size, self.dilation
        return (rows - 1) * down + 1, (columns - 1) * right + 1

    @property
    def outputs(self) -> int:
        """Windows that one step completes, neighbours in a row."""
        return max(self.per_beat // self.strides[1], 1)

    @property
    def columns(self) -> int:
        """Columns of pixels that the windows of a step span together."""
        return (self.outputs - 1) * self.strides[1] + self.reach[1]

    @property
    def row_beats(self) -> int:
        """Beats of a row."""
        return self.grid[1] // self.per_beat

    @property
    def beats(self) -> int:
        """Beats of a frame."""
        return self.grid[0] * self.row_beats

    @property
    def gap(self) -> int:
        """Steps from one that completes windows to the next one of a row."""
        return max(self.strides[1] // self.per_beat, 1)

    @property
    def fired_beats(self) -> int:
        """Steps that complete windows, in a row that has any."""
        return self.counts[1] // self.outputs

    @property
    def lag(self) -> int:
        """Steps from a window's leftmost beat to its last, in its row."""
        return (self.columns - 1 - self.pads[1][0]) // self.per_beat

    @property
    def rows_ahead(self) -> int:
        """Rows from a window's anchor, the row of its first tap without padding, to the row that completes it."""
        return self.reach[0] - 1 - self.pads[0][0]

    @property
    def lead(self) -> int:
        """Steps from a frame's first beat to its first windows."""
        return self.rows_ahead * self.row_beats + self.lag

    @property
    def last_step(self) -> int:
        """The step that completes a frame's last windows; beyond `beats - 1` it needs the next frame or a flush."""
        rows = (self.counts[0] - 1) * self.strides[0]
        return rows * self.row_beats + (self.fired_beats - 1) * self.gap + self.lead

    @cached_property
    def fires(self) -> tuple[bool, ...]:
        """For each step of a frame, and those up to last_step, whether it completes windows of this frame."""
        found = np.zeros(max(self.last_step + 1, self.beats), dtype=bool)
        rows = np.arange(self.counts[0])[:, None] * self.strides[0] * self.row_beats
        found[rows + np.arange(self.fired_beats) * self.gap + self.lead] = True
        return tuple(found.tolist())

    def place(self, column: int) -> Pair:
        """Return (age, lane) of a column of the window: it is lane `lane` of the beat of `age` steps ago."""
        offset = column - self.pads[1][0] - self.per_beat * self.lag
        return -(offset // self.per_beat), offset % self.per_beat

    def column(self, age: int, lane: int) -> int:
        """Return the column of the window that a lane of an earlier beat is: the inverse of place."""
        return lane - age * self.per_beat + self.pads[1][0] + self.per_beat * self.lag

    @property
    def held(self) -> int:
        """Beats of a row that stay in registers, the newest included."""
        return self.place(0)[0] + 1

    def cells(self) -> Iterator[tuple[int, int, int]]:
        """Yield (row of taps, column of pixels) and the position in the window of everything that hardware holds."""
        for row in range(self.size[0]):
            for column in range(self.columns):
                yield row, column, row * self.columns + column

    def gather(self, pixels: Ints, fill: Ints) -> Ints:
        """Return what the registers show at each step that completes windows, in order.

        pixels: (n, rows, width, lanes); fill: (lanes,), the number of padding. (n, steps, size[0] * columns, lanes).
        """
        (above, _), (left, _) = self.pads
        rows = np.arange(self.counts[0])[:, None] * self.strides[0] - above + np.arange(self.size[0]) * self.dilation[0]
        begins = np.arange(self.fired_beats)[:, None] * self.outputs * self.strides[1] - left
        columns = begins + np.arange(self.columns)
        inside = ((rows >= 0) & (rows < self.grid[0]))[:, None, :, None]
        inside = inside & ((columns >= 0) & (columns < self.width))[None, :, None, :]
        y = rows.clip(0, self.grid[0] - 1)[:, None, :, None]
        x = columns.clip(0, self.width - 1)[None, :, None, :]
        found = np.where(inside[None, ..., None], pixels[:, y, x], fill)
        return found.reshape(len(pixels), self.counts[0] * self.fired_beats, -1, pixels.shape[-1])


def along_rows(pads: Pads) -> tuple[Pair, Pair]:
    """Return the padding of one or two axes as that of rows and columns."""
    (*rows, columns) = ((int(a), int(b)) for a, b in pads)
    return (rows[0] if rows else (0, 0)), columns
