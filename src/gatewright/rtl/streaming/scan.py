"""A window over a frame in, the counters of its scan out: which steps are made, and which complete windows.

Steps are counted by the column and row of the beat that enters. Windows that complete after a frame's last beat do so
with the next frame's, or, where none comes, in steps without beats (a flush).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gatewright.lower.streaming.window import Window
from gatewright.rtl.netlist import Assign, Binary, Choose, Expr, Heading, Literal, Name, Register
from gatewright.rtl.signals import RST_N
from gatewright.rtl.streaming.counting import NO, ROOM, VALID, YES, Logic, among, both, either, negated

Supply = Callable[[Expr], tuple[Expr, Expr]]


@dataclass(slots=True)
class Scan:
    """column, row: of the beat that the next step takes; go: a step is made; will: it completes windows, if made."""

    window: Window
    logic: Logic
    column: Name = field(init=False)
    row: Name = field(init=False)
    go: Name = field(init=False)
    will: Name = field(init=False)

    def control(self, *, supply: Supply | None = None, idle: Expr = YES) -> tuple[Expr, Expr]:
        """Count the steps; return whether a beat can be taken, and whether windows complete.

        supply: of the flush's end, whether what the next step needs is there, and whether it takes a beat; a beat is
        all it needs, where not given. idle: whether nothing that an earlier step began keeps the next one back.
        """
        window, logic = self.window, self.logic
        drain = window.last_step - window.beats + 1  # steps after the frame's last
        logic.items.append(Heading("decided below: whether a step is made, and whether it completes windows"))
        self.go, will = logic.ahead("go", "will")
        self.will = will
        finish, ended = logic.ahead("finish", "ended") if drain > 0 else (NO, NO)
        logic.items.append(Heading("where the beat of the step lies in its frame"))
        self.column = logic.counter("column", window.row_beats, self.go, restart=finish)
        last = among(self.column, window.row_beats, {window.row_beats - 1})
        self.row = logic.counter("row", window.grid[0], both(self.go, either(last, finish)), restart=finish)
        free = logic.wire("free", both(either(ROOM, negated(will)), idle))
        kept: Expr = NO
        comes, takes = supply(finish) if supply else (VALID, YES)
        if drain <= 0:
            ready: Expr = free
            logic.drives.append((self.go, both(comes, ready)))
        else:
            assert isinstance(ended, Name)
            assert isinstance(finish, Name)
            logic.items.append(Heading("old: windows of the frame before are due; a flush makes steps without beats"))
            old, flushing = Name("old", 1, False), Name("flushing", 1, False)
            closing = logic.wire("closing", self._at(window.beats - 1))
            bubble = logic.ahead("bubble")[0]
            logic.flag("old", Choose(closing, YES, both(old, negated(ended))), enable=self.go)
            logic.flag("flushing", negated(finish), enable=bubble)
            ready = both(free, negated(flushing))
            empty = both(both(self._at(0), old), negated(VALID))
            logic.drives += [
                (bubble, both(free, either(flushing, empty))),
                (self.go, either(both(comes, ready), bubble)),
                (ended, both(old, self._at(drain - 1))),
                (finish, both(bubble, ended)),
            ]
            kept = either(closing, old)
        logic.drives.append((will, self._fires(finish, kept)))
        return both(ready, takes), both(self.go, will)

    def _at(self, step: int) -> Expr:
        """Return whether the step that is to come is that with beat `step` of a frame."""
        window = self.window
        row, column = divmod(step, window.row_beats)
        return both(among(self.row, window.grid[0], {row}), among(self.column, window.row_beats, {column}))

    def _fires(self, finish: Expr, kept: Expr) -> Expr:
        """Return whether the next step completes windows: by its column, and by a flag that is kept for each row.

        kept: windows of the frame before are due after this step.
        """
        window, logic, row = self.window, self.logic, self.row
        rows, beats = window.grid[0], window.row_beats
        ahead, lag = divmod(window.lead, beats)
        logic.items.append(Heading("which steps complete windows: in every so many columns of every so many rows"))
        turn = logic.wire("turn", both(self.go, among(self.column, beats, {(lag - 1) % beats})))
        entered = row
        if lag == 0:  # the row begins with the next step
            entered = Name("next_row", row.width, False)
            onward = Binary("+", row, Literal(1, row.width, False))
            begin = Literal(0, row.width, False)
            wraps = among(row, rows, {rows - 1})
            logic.items.append(Assign(entered, begin if rows == 1 else Choose(wraps, begin, onward)))
        spanned = {(ahead + i) % rows for i in range((window.counts[0] - 1) * window.strides[0] + 1)}
        fresh = among(entered, rows, set(range(ahead, rows)))
        starts = both(among(entered, rows, spanned), either(fresh, kept))
        if window.strides[0] > 1:
            first = logic.wire("first_row", among(entered, rows, {ahead}))
            phase = logic.counter("row_phase", window.strides[0], turn, restart=first)
            due = among(phase, window.strides[0], {window.strides[0] - 1})
            starts = both(starts, either(first, due))
        fires, enable = Name("row_fires", 1, False), either(turn, finish)
        if isinstance(finish, Name):
            starts = both(starts, negated(finish))
        logic.items.append(Register(fires, starts, enable, reset=negated(RST_N), reset_value=int(window.lead == 0)))
        columns = {(lag + i) % beats for i in range((window.fired_beats - 1) * window.gap + 1)}
        fired = both(fires, among(self.column, beats, columns))
        if window.gap > 1:
            restart = logic.wire("turning", either(among(self.column, beats, {(lag - 1) % beats}), finish))
            phase = logic.counter("column_phase", window.gap, self.go, restart=restart)
            fired = both(fired, among(phase, window.gap, {0}))
        return fired
