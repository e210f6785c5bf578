"""A swept unit in, its module out: it writes pixels to a memory, and reads each window's, a word a cycle, to multiply.

With a start in cycle 0 the first word of the window is addressed in cycle 2, and stands in the register behind the
memory in cycle 4, where its weights wait; the product of cycle 4 + j of the walk leaves its register in 5 + j.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatewright.lower.folded.plan import BLOCK_DEPTH
from gatewright.lower.streaming.memory import in_blocks
from gatewright.lower.streaming.swept import Swept
from gatewright.rtl.names import Names
from gatewright.rtl.netlist import (
    Assign,
    Binary,
    Choose,
    Concat,
    Expr,
    Heading,
    Instance,
    Literal,
    Memory,
    Module,
    Name,
    Port,
    Register,
    Rom,
    Slice,
    Wire,
    ram_style,
)
from gatewright.rtl.nodes import as_signed, bits, joined
from gatewright.rtl.products import accumulators, sums_of_products, weight_rom
from gatewright.rtl.signals import CLK, CUT, RST_N, START, UnitModules, Values, outward, signal
from gatewright.rtl.streaming.counting import NO, READY, Logic, among, both, either, negated, unit_ports
from gatewright.rtl.streaming.regroup import Lanes
from gatewright.rtl.streaming.scan import Scan
from gatewright.rtl.units import pipeline

MADE = Name("made", 1, False)


def compile_swept(
    unit: Swept, *, name: str, origin: tuple[str, ...], lanes: Lanes, names: Names, program_hash: str, family: str
) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid, room, ready, start, made, x<lane> of the lanes read, o_y<lane>.

    A beat is taken with valid and ready; start: a step completes a window, whose results o_y show with made.
    """
    return _Compiler(unit, name, origin, lanes, names, program_hash, family).modules()


@dataclass(slots=True)
class _Compiler:
    unit: Swept
    name: str
    origin: tuple[str, ...]
    lanes: Lanes
    names: Names
    program_hash: str
    family: str
    logic: Logic = field(default_factory=Logic)
    inner: tuple[Module, ...] = ()

    def modules(self) -> UnitModules:
        unit, logic, sweep = self.unit, self.logic, self.unit.sweep
        idle = logic.ahead("idle")[0]
        scan = Scan(sweep.window, logic)
        ready, start = scan.control(idle=idle)
        logic.items.append(Heading("steps of a window that is computed: block by block, in each tap by tap"))
        started = logic.wire("started", start)
        running, ended = logic.ahead("running", "ends")
        step = logic.counter("t", sweep.block_cycles, running)
        last = logic.wire("block_ends", both(running, among(step, sweep.block_cycles, {sweep.block_cycles - 1})))
        block = logic.counter("block", sweep.sides.blocks, last)
        logic.drives.append((ended, both(last, among(block, sweep.sides.blocks, {sweep.sides.blocks - 1}))))
        computes = logic.flag("computes", either(started, both(running, negated(ended))))
        logic.drives.append((running, computes))
        head, written = self._intake(scan)
        waits = both(either(negated(running), ended), written)
        logic.drives.append((idle, waits))
        values = self._values(head, self._walk(step, running, ended))
        block_rom = unit.plan.cycles >= BLOCK_DEPTH
        logic.items.append(Heading("weights, lowest bits first multiplier; mark of a block's first step; block"))
        late = running
        for number in range(1 if block_rom else 2):
            late = logic.flag(f"running_d{number + 1}", late)
        at = logic.counter("n", unit.plan.cycles, late)
        weights, first, group = weight_rom(logic.items, unit.plan, at, rom_register=block_rom)
        inputs = [values[multiplier.slot] for multiplier in unit.plan.multipliers]
        items, self.inner, sums = sums_of_products(
            unit.plan, unit.tree, unit.schedule, weights, inputs, names=self.names, program_hash=self.program_hash
        )
        logic.items += [*items, Heading("accumulators; the marks pass the same registers as the sums")]
        made = accumulators(logic.items, unit.plan, sums, first, group, late=unit.tree_cycles)
        marks = self._marks(last, ended)
        results = self._results([own for own, _ in made], marks)
        return self._module(ready, started, results)

    def _module(self, ready: Expr, started: Name, results: Values) -> UnitModules:
        unit, sweep = self.unit, self.unit.sweep
        sides, (rows, columns), late = sweep.sides, sweep.window.grid, unit.rule.latency_cycles
        module = Module(
            name=self.name,
            header=(
                *self.origin,
                f"Layer {unit.plan.layer} over frames of {rows} x {columns}: {len(unit.plan.multipliers)} multipliers,",
                f"{sweep.cycles} cycles a window; at a time {sides.word} of {sides.lanes} lanes,",
                f"{sides.outputs} of {sides.results} results.",
                "Accumulators hold every partial sum of the timetable: no overflow. Narrower operands extend by the",
                "context rule of IEEE 1364-2005 clause 5.4, products are cut to their proven range; hence the waivers.",
                *CUT,
            ),
            ports=(
                *unit_ports(f"completes a window; results {late} cycles later", self.lanes.values(), results),
                Port(MADE, True, "those results"),
            ),
            items=tuple(self.logic.items),
            drives=(
                *self.logic.drives,
                (READY, ready),
                (START, started),
                (MADE, Name("window_made", 1, False)),
                *((outward(y), y) for y in results if isinstance(y, Name)),
            ),
            attributes=(("use_dsp", "yes" if unit.plan.dsp else "no"),),
        )
        return UnitModules(module=module, inner=self.inner, results=tuple(results))

    # ---- pixels

    def _fields(self) -> dict[int, Name]:
        """Return the signal of each lane of a word, by its place."""
        return {place: signal(f"v{place}", ends) for place, ends in self.unit.spans.items()}

    def _words(self) -> list[Expr]:
        """Return the words of the beat that is taken."""
        sides, logic, found = self.unit.sweep.sides, self.logic, list[Expr]()
        for number in range(sides.words):
            parts: list[Expr] = []
            for place, own in self._fields().items():
                lane = self.lanes.get(number * sides.word + place, Literal(0, own.width, own.signed))
                wide = Name(f"in{number}_{place}", own.width, own.signed)
                logic.items.append(Assign(wide, as_signed(lane) if own.signed else lane))
                parts.append(wide)
            found.append(joined(parts))
        return found

    def _intake(self, scan: Scan) -> tuple[Name, Expr]:
        """Write the words of each pixel; return the place of the last pixel's first word, and whether all are there."""
        sweep, logic, width = self.unit.sweep, self.logic, self.unit.word_bits
        count, address = sweep.sides.words, (sweep.depth - 1).bit_length()
        logic.items.append(Heading(f"pixels, {count} word{'s' * (count > 1)} each, in a ring of {sweep.depth} words"))
        words = self._words()
        head, after, place = (Name(name, address, False) for name in ("head", "head_after", "write_place"))
        data, enable = Name("write_data", width, False), Name("writes", 1, False)
        logic.items.append(Assign(after, Binary("+", head, Literal(count, address, False))))
        logic.items.append(Register(head, after, scan.go, reset=negated(RST_N)))
        if count == 1:
            logic.items += [Assign(enable, scan.go), Assign(place, after), Assign(data, words[0])]
            written: Expr = Literal(1, 1, False)
        else:
            logic.items.append(Wire(enable))
            number = logic.counter("chunk", count, enable)
            ends = logic.wire("words_end", among(number, count, {count - 1}))
            going = logic.flag("writing", either(scan.go, both(enable, negated(ends))))
            logic.drives.append((enable, going))
            queue = [Name(f"queue{k}", width, False) for k in range(count)]
            for k, word in enumerate(words):
                later = Choose(scan.go, word, queue[k + 1]) if k + 1 < count else word
                logic.items.append(Register(queue[k], later))
            exact = count & (count - 1) == 0
            low = (count - 1).bit_length()
            at = Concat((Slice(head, address - 1, low), number)) if exact else Binary("+", head, number)
            logic.items += [Assign(place, at), Assign(data, queue[0])]
            written = either(negated(enable), ends)
        clocked = in_blocks(sweep.depth, width, self.family)
        read = Name("read_place", address, False)
        logic.items.append(Wire(read))
        logic.items.append(
            Memory(
                target=Name("pixel", width, False),
                depth=sweep.depth,
                write_enable=enable,
                write_address=place,
                write_data=data,
                read_address=read,
                clocked=True,
                style=ram_style(self.family, "block" if clocked else "distributed"),
            )
        )
        return head, written

    def _walk(self, step: Name, running: Name, ended: Name) -> tuple[Name, Expr]:
        """Return the way from the last pixel's first word to the one to read; whether its pixel lies outside."""
        sweep, logic, window = self.unit.sweep, self.logic, self.unit.sweep.window
        logic.items.append(Heading("which window it is, and where its taps lie outside the frame"))
        done = logic.flag("window_ended", ended)
        across = logic.counter("across", window.counts[1], done)
        turn = logic.wire("row_ends", both(done, among(across, window.counts[1], {window.counts[1] - 1})))
        down = logic.counter("down", window.counts[0], turn)
        masks = [(0, row, among(down, window.counts[0], self._outside(0, row))) for row in range(window.size[0])]
        masks += [
            (1, column, among(across, window.counts[1], self._outside(1, column))) for column in range(sweep.columns)
        ]
        masks = [mask for mask in masks if mask[2] != NO]
        size, count, depth = (sweep.depth - 1).bit_length(), sweep.again, sweep.depth
        words: list[int] = []
        for word in sweep.walk[:count]:
            way = (word[2] - sweep.age(word) * sweep.sides.words) % depth
            words.append(way | sum((word[axis] == tap) << (size + i) for i, (axis, tap, _) in enumerate(masks)))
        at = step if count == sweep.block_cycles else logic.counter("walked", count, running)
        walk = Name("walk", size + len(masks), False)
        logic.items.append(Heading("the way to each word from the last pixel; marks of taps that may lie outside"))
        logic.items.append(Rom(walk, tuple(words) + (0,) * (len(words) == 1), at, block=len(words) >= BLOCK_DEPTH))
        way = Name("way", size, False)
        logic.items.append(Assign(way, Slice(walk, size - 1, 0)))
        hidden: Expr = NO
        for i, (_, _, outside) in enumerate(masks):
            hidden = either(hidden, both(Slice(walk, size + i, size + i), outside))
        return way, hidden

    def _outside(self, axis: int, tap: int) -> set[int]:
        """Return the windows of an axis whose tap lies outside the frame."""
        window = self.unit.sweep.window
        step, before = window.strides[axis], window.pads[axis][0]
        offset = tap * window.dilation[axis] - before
        return {at for at in range(window.counts[axis]) if not 0 <= at * step + offset < window.grid[axis]}

    def _values(self, head: Name, walk: tuple[Name, Expr]) -> dict[int, Name]:
        """Return each lane of the word that is read, behind a register; zero where its pixel lies outside."""
        way, hidden = walk
        logic, word = self.logic, Name("pixel", self.unit.word_bits, False)
        base = Name("base", head.width, False)
        logic.items.append(Register(base, head))
        logic.drives.append((Name("read_place", head.width, False), Binary("+", base, way)))
        reset = None
        if hidden != NO:
            reset = Name("hidden", 1, False)
            logic.items.append(Register(reset, hidden))
        found, low = self._fields(), 0
        for own in found.values():
            part = bits(word, low + own.width - 1, low, own.signed)
            logic.items.append(Register(own, part, reset=reset))
            low += own.width
        return found

    # ---- results

    def _marks(self, last: Name, ended: Name) -> Name:
        """Return the mark of a block's results; that of the window's is window_made."""
        unit, logic = self.unit, self.logic
        late = unit.rule.latency_cycles - unit.sweep.cycles
        found: list[Name] = []
        for name, mark in (("block_made", last), ("window_made", ended)):
            own = Name(name, 1, False)
            ports = (("clk", CLK), ("rst_n", RST_N), ("in", mark), ("out", own))
            found.append(own)
            if name == "window_made" or unit.sweep.sides.blocks > 1:
                logic.items.append(Wire(own))
                logic.items.append(Instance("gw_start_delay", f"u_{name}", ports, (("CYCLES", late),), leaf=True))
        return found[0]

    def _results(self, totals: list[Name], mark: Name) -> Values:
        """Return the lanes of the result: the last block's as they come, the others' as they were kept."""
        unit, logic, blocks = self.unit, self.logic, self.unit.sweep.sides.blocks
        made: list[Name | Literal] = []
        for number, (own, ends) in enumerate(zip(totals, unit.sums, strict=True)):
            made.append(sum_ := signal(f"sum{number}", ends))
            logic.items.append(Assign(sum_, bits(own, sum_.width - 1, 0, sum_.signed)))
        if unit.circuit is not None and unit.stages is not None:
            modules, items, made = pipeline(
                "behind", unit.circuit, unit.stages, made, names=self.names, program_hash=self.program_hash
            )
            self.inner += modules.modules
            logic.items += items
        logic.items.append(Heading("results: earlier blocks' wait for the last one's"))
        found: list[Name | Literal] = [*made] * blocks
        for place, value in enumerate(made):
            if isinstance(value, Literal):
                continue
            chain = [Name(f"kept{place}_{b}", value.width, value.signed) for b in range(blocks - 1)] + [value]
            for b in range(blocks - 1):
                logic.items.append(Register(chain[b], chain[b + 1], mark))
            for b, held in enumerate(chain):
                found[b * len(made) + place] = held
        lanes = unit.gives[0].lanes
        for j, value in enumerate(found):
            if isinstance(value, Name):
                own = signal(f"y{j}", (lanes[j].lo, lanes[j].hi))
                logic.items.append(Assign(own, bits(value, own.width - 1, 0, own.signed)))
                found[j] = own
        return found
