"""A windowed unit in, the module that slides its window out: counters, line memories and the registers of the window.

Steps are counted by the column and row of the beat that enters. A tap that lies outside the frame shows its register's
reset: where it lies left of the frame, or in a row above or below, the register that moves on may take it, for nobody
reads the pixel in that row any more; right of the frame it is the first pixel of the next row, which moves on, so a
register beside it takes the reset.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatewright.lower.circuit.nodes import Source
from gatewright.lower.streaming.memory import in_blocks
from gatewright.lower.streaming.windowed import Windowed
from gatewright.rtl.netlist import (
    Assign,
    Binary,
    Choose,
    Concat,
    Expr,
    Heading,
    Literal,
    Memory,
    Module,
    Name,
    Register,
    ram_style,
)
from gatewright.rtl.nodes import bits
from gatewright.rtl.signals import EXTENDED, START, UnitModules, outward, signal
from gatewright.rtl.streaming.counting import (
    NO,
    READY,
    VALID,
    Logic,
    among,
    both,
    either,
    negated,
    unit_ports,
)
from gatewright.rtl.streaming.regroup import Lanes, any_of, regrouped
from gatewright.rtl.streaming.scan import Scan


def compile_window(unit: Windowed, *, name: str, origin: tuple[str, ...], lanes: Lanes, family: str) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid, room, ready, start, x<lane> for each lane read, o_w<element>.

    lanes: by number the signals of those that are read; a constant has no port. A beat is taken with valid and ready;
    start: a step completes windows, which o_w show in the next cycle.
    """
    return _Compiler(unit, name, origin, lanes, family).modules()


def _shown(unit: Windowed) -> dict[int, Name]:
    """Return the signal of each element of the window that the circuit reads."""
    ends = {node.element: (node.lo, node.hi) for node in unit.circuit.nodes if isinstance(node, Source)}
    return {element: signal(f"w{element}", ends[element]) for element in sorted(ends)}


@dataclass(slots=True)
class _Compiler:
    unit: Windowed
    name: str
    origin: tuple[str, ...]
    lanes: Lanes
    family: str
    logic: Logic = field(default_factory=Logic)
    scan: Scan = field(init=False)
    outside: dict[Expr, Name] = field(default_factory=dict[Expr, Name])

    def modules(self) -> UnitModules:
        window, logic, wanted = self.unit.window, self.logic, _shown(self.unit)
        inputs = tuple(self.lanes.values())
        self.scan = Scan(window, logic)
        ready, start = self.scan.control(supply=self._supply if self.unit.regroups else None)
        entries = self._lines()
        self._registers(entries, wanted)
        (rows, columns), (taps, right) = window.grid, window.size
        module = Module(
            name=self.name,
            header=(
                *self.origin,
                f"Window of {taps} x {right} pixels over frames of {rows} x {columns}, {window.per_beat} a beat;",
                f"{window.counts[0]} x {window.counts[1]} windows, the first {window.lead} steps after a frame began.",
                "o_w<i>: element i of the window, row of taps by row, column by column, lane by lane.",
                *EXTENDED,
            ),
            ports=unit_ports("the windows of the next cycle start a result", inputs, wanted.values()),
            items=tuple(logic.items),
            drives=(
                *logic.drives,
                (READY, ready),
                (START, start),
                *((outward(own), own) for own in wanted.values()),
            ),
        )
        unread, size = Literal(0, 1, False), self.unit.circuit.input_elements
        return UnitModules(module=module, inner=(), results=tuple(wanted.get(i, unread) for i in range(size)))

    def _supply(self, finish: Expr) -> tuple[Expr, Expr]:
        """Return whether the pixels of the next step are there, and whether it takes a beat."""
        unit, logic = self.unit, self.logic
        left, size, steps = unit.left_over, unit.window.per_beat, unit.window.beats
        period = next(n for n in range(1, steps + 1) if left[n:] == left[: steps - n])
        logic.items.append(Heading("which pixels of its beats the step takes: those left over, then a new beat's"))
        again = logic.wire("frame_ends", among(self.scan.column, steps, {steps - 1}))
        turn = logic.counter("turn_of_beats", period, self.scan.go, restart=either(again, finish))
        there = {step for step in range(steps) if unit.takes_beat[step] or left[step] >= size}
        lacking = any_of(turn, {at for at in range(period) if left[at] < size}, period)
        needs = logic.wire("needs", both(lacking, among(self.scan.column, steps, there)))
        self.lanes = regrouped(logic, unit, self.lanes, turn, left[:period], self.scan.go)
        return either(VALID, negated(needs)), needs

    def _lines(self) -> list[dict[int, Expr]]:
        """Return, for each row of taps, the lanes of the beat that enters it."""
        window, logic = self.unit.window, self.logic
        newest: dict[int, Expr] = dict(self.lanes)
        rows = window.size[0]
        stored = {i: lane for i, lane in self.lanes.items() if isinstance(lane, Name)}
        if rows == 1 or not stored:
            return [newest] * rows
        width = sum(lane.width for lane in stored.values())
        total, depth = width * (rows - 1), self.unit.line_beats
        line = Name("line", total, False)
        word = Concat(tuple(reversed(list(stored.values()))))
        data: Expr = word if rows == 2 else Concat((word, bits(line, total - 1, width, False)))
        logic.items.append(Heading(f"the rows before, {depth} beats apart: the newest in the highest bits"))
        if depth <= 2:
            value = data
            if depth == 2:
                first = Name("line_d1", total, False)
                logic.items.append(Register(first, data, self.scan.go))
                value = first
            logic.items.append(Register(line, value, self.scan.go))
        else:
            clocked = in_blocks(depth, total, self.family)
            place = self._place(depth)
            shift = Name("line_data", total, False)
            logic.items.append(Assign(shift, data))
            logic.items.append(
                Memory(
                    target=line,
                    depth=depth,
                    write_enable=self.scan.go,
                    write_address=place,
                    write_data=shift,
                    read_address=self._after(place, depth) if clocked else place,
                    clocked=clocked,
                    read_enable=self.scan.go if clocked else None,
                    style=ram_style(self.family, "block" if clocked else "distributed"),
                )
            )
        found: list[dict[int, Expr]] = []
        for row in range(rows - 1):
            entry: dict[int, Expr] = {i: lane for i, lane in self.lanes.items() if isinstance(lane, Literal)}
            low = row * width
            for i, lane in stored.items():
                own = Name(f"line{row}_{i}", lane.width, lane.signed)
                logic.items.append(Assign(own, bits(line, low + lane.width - 1, low, lane.signed)))
                entry[i] = own
                low += lane.width
            found.append(entry)
        return [*found, newest]

    def _place(self, depth: int) -> Name:
        """Return where the line memory is written: the column, or a counter where it holds several rows."""
        if self.unit.window.dilation[0] == 1:
            return self.scan.column
        return self.logic.counter("line_place", depth, self.scan.go)

    def _after(self, place: Name, depth: int) -> Name:
        after = Name("line_after", place.width, False)
        ends = Binary("==", place, Literal(depth - 1, place.width, False))
        onward = Binary("+", place, Literal(1, place.width, False))
        self.logic.items.append(Assign(after, Choose(ends, Literal(0, place.width, False), onward)))
        return after

    def _registers(self, entries: list[dict[int, Expr]], wanted: dict[int, Name]) -> None:
        """Add the registers that move on, and beside some of them those that the circuit reads."""
        window, channels = self.unit.window, self.unit.pixel_lanes
        for row in range(window.size[0]):
            self.logic.items.append(Heading(f"row {row} of the taps"))
            hidden = self._row_outside(row)
            for lane in range(window.per_beat):
                for channel in range(channels):
                    entry = entries[row].get(lane * channels + channel)
                    self._chain((row, lane, channel), entry, wanted, hidden)

    def _chain(self, at: tuple[int, int, int], entry: Expr | None, wanted: dict[int, Name], hidden: Expr) -> None:
        """Add one lane's registers of one row, from the newest beat on, as far as the window reads them.

        at: row of taps, pixel of the beat, lane of the pixel. hidden: the beat that enters lies above or below.
        """
        (row, lane, channel), window = at, self.unit.window
        fill, shown_by_age = self.unit.fill[channel], dict[int, Name]()
        for age in range(window.held):
            column = window.column(age, lane)
            element = (row * window.columns + column) * self.unit.pixel_lanes + channel
            if 0 <= column < window.columns and element in wanted:
                shown_by_age[age] = wanted[element]
        if not shown_by_age:
            return
        assert entry is not None, "a lane that the window reads has a signal"
        span, last = max(shown_by_age.values(), key=lambda own: own.width), max(shown_by_age)
        moving: Expr = entry
        for age in range(last + 1):
            column, own = window.column(age, lane), shown_by_age.get(age)
            inside = 0 <= column < window.columns
            gone = either(self._left(column) if inside else NO, hidden if age == 0 else NO)
            right = self._right(column) if inside else NO
            plain = own if own is not None and right == NO else None
            if own is not None and right != NO:
                self._register(own, moving, either(gone, right), fill)
            if plain is None and age == last:
                break
            plain = plain or Name(f"m{row}_{lane}_{channel}_{age}", span.width, span.signed)
            self._register(plain, moving, gone, fill)
            moving = plain

    def _register(self, own: Name, value: Expr, outside: Expr, fill: int) -> None:
        """Add a register of the window, which a step with `outside` sets to the number of padding."""
        reset = None
        if outside != NO:
            known = self.outside.get(outside)
            if known is None:
                known = self.logic.wire(f"outside{len(self.outside)}", both(self.scan.go, outside))
                self.outside[outside] = known
            reset = known
        self.logic.items.append(Register(own, value, self.scan.go, reset, fill))

    def _row_outside(self, row: int) -> Expr:
        """Return whether the beat that enters a row of taps lies above or below the frame of the windows it is for."""
        window = self.unit.window
        rows, (above, _) = window.grid[0], window.pads[0]
        ahead = window.rows_ahead
        where = {
            (anchor + ahead) % rows
            for anchor in range(rows)
            if not 0 <= anchor - above + row * window.dilation[0] < rows
        }
        return among(self.scan.row, rows, where)

    def _left(self, column: int) -> Expr:
        """Return whether a column of the window lies left of the frame after the step that is to come."""
        begins = self._begins()
        return self._in_columns({beat for beat, x in enumerate(begins) if x + column < 0})

    def _right(self, column: int) -> Expr:
        """Return whether a column of the window lies right of the frame, in a step that completes windows."""
        window, begins = self.unit.window, self._begins()
        last = (window.fired_beats - 1) * window.gap
        return self._in_columns({beat for beat in range(last + 1) if begins[beat] + column >= window.width})

    def _begins(self) -> list[int]:
        """Return for each beat of a row the column of pixels at which the windows that begin with it begin."""
        window = self.unit.window
        return [beat * window.per_beat - window.pads[1][0] for beat in range(window.row_beats)]

    def _in_columns(self, begins: set[int]) -> Expr:
        """Return whether the windows of the step begin with one of some beats of a row."""
        window = self.unit.window
        beats = window.row_beats
        return among(self.scan.column, beats, {(beat + window.lag) % beats for beat in begins})
