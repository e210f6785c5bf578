"""A folded cell in, its module out: operands that rotate past few multipliers, and the circuit behind their sums.

With a step taken in cycle 0 its operands stand in their registers from cycle 1 on; weights of the first word are read
in cycle 1 and meet it in cycle 2, in 3 with a register behind a block RAM; the product leaves its own a cycle later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.rtl.names import Names
from gatewright.rtl.netlist import (
    Assign,
    Choose,
    Expr,
    Heading,
    Instance,
    Literal,
    Module,
    Name,
    Port,
    Register,
    Wire,
)
from gatewright.rtl.nodes import as_signed, bits
from gatewright.rtl.products import accumulators, sums_of_products, weight_rom
from gatewright.rtl.signals import CLK, CUT, RST_N, START, UnitModules, Values, constant, outward, shown, signal
from gatewright.rtl.streaming.counting import READY, ROOM, VALID, Logic, among, both, either, negated, unit_ports
from gatewright.rtl.streaming.regroup import Lanes
from gatewright.rtl.units import pipeline, shifted

MADE = Name("made", 1, False)


def compile_folded_cell(
    unit: FoldedCell, *, name: str, origin: tuple[str, ...], lanes: Lanes, names: Names, program_hash: str
) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid, room, ready, start, made, x<lane> of the lanes read, o_y<lane>.

    A beat is taken with valid and ready; start: it is a step whose results o_y show with made.
    """
    return _Compiler(unit, name, origin, lanes, names, program_hash).modules()


@dataclass(slots=True)
class _Compiler:
    """kept: the registers of each part of the result, unit by unit."""

    unit: FoldedCell
    name: str
    origin: tuple[str, ...]
    lanes: Lanes
    names: Names
    program_hash: str
    logic: Logic = field(default_factory=Logic)
    inner: tuple[Module, ...] = ()
    kept: dict[int, Values] = field(default_factory=dict[int, Values])

    def modules(self) -> UnitModules:
        unit, logic = self.unit, self.logic
        go, fresh, start, ready = self._control()
        logic.items.append(Heading("words of the step, block by block"))
        running, ended = logic.ahead("running", "ends")
        word = logic.counter("word_number", unit.sides.words, running)
        last = logic.wire("block_ends", both(running, among(word, unit.sides.words, {unit.sides.words - 1})))
        block = logic.counter("block", unit.sides.blocks, last)
        logic.drives.append((ended, both(last, among(block, unit.sides.blocks, {unit.sides.blocks - 1}))))
        logic.drives.append((running, logic.flag("computes", either(go, both(running, negated(ended))))))
        logic.items.append(Heading("weights, lowest bits first multiplier; mark of a block's first word; block"))
        at = logic.counter("n", unit.plan.cycles, running)
        weights, first, group = weight_rom(logic.items, unit.plan, at, rom_register=unit.in_block_ram)
        turns = logic.flag("running_d1", running)
        if unit.in_block_ram:
            turns = logic.flag("running_d2", turns)
        (done,) = logic.ahead("block_done")
        self._keep(done)
        heads = self._operands(go, fresh, turns)
        inputs = [heads[multiplier.slot] for multiplier in unit.plan.multipliers]
        items, self.inner, sums = sums_of_products(
            unit.plan, unit.tree, unit.schedule, weights, inputs, names=self.names, program_hash=self.program_hash
        )
        logic.items += [*items, Heading("accumulators; the marks pass the same registers as the sums")]
        made = accumulators(logic.items, unit.plan, sums, first, group, late=unit.tree_cycles)
        logic.items.append(Heading("marks: a block's sums are there, its results are, and those of the last block"))
        summed = self._late("block_summed", last, unit.sums_late)
        behind = unit.before_results.latency_cycles
        logic.drives.append((done, self._late("results_there", summed, behind)))
        logic.drives.append((Name("step_done", 1, False), self._late("last_done", ended, unit.sums_late + behind)))
        own = self._own(go, fresh, summed)
        self._results([accumulator for accumulator, _ in made], own)
        return self._module(start, ready)

    def _control(self) -> tuple[Name, Name, Expr, Expr]:
        """Return whether a step is taken, whether it is a frame's first, whether its result leaves, and readiness."""
        unit, logic = self.unit, self.logic
        logic.items.append(Heading(f"step of the frame, {unit.rule.rest} cycles each"))
        go, done = logic.ahead("go", "step_done")
        busy = logic.flag("busy", either(go, both(Name("busy", 1, False), negated(done))))
        step = logic.counter("t", unit.rule.steps, go)
        fresh = logic.wire("fresh", both(go, among(step, unit.rule.steps, {0})))
        will: Expr = Literal(1, 1, False)
        room: Expr = ROOM
        if not unit.every_step:
            will = logic.wire("will", among(step, unit.rule.steps, {unit.rule.steps - 1}))
            room = either(ROOM, negated(Name("will", 1, False)))
        free = logic.wire("free", both(room, negated(busy)))
        logic.drives.append((go, both(VALID, free)))
        leaves = done
        if not unit.every_step:
            kept = Name("leaves", 1, False)
            logic.items.append(Register(kept, will, go))
            leaves = both(done, kept)
        logic.flag("result_made", leaves)
        return go, fresh, both(go, will), free

    def _late(self, name: str, mark: Name, cycles: int) -> Name:
        """Return a mark as of some cycles ago."""
        if cycles == 0:
            return self.logic.wire(name, mark)
        own = Name(name, 1, False)
        ports = (("clk", CLK), ("rst_n", RST_N), ("in", mark), ("out", own))
        self.logic.items.append(Wire(own))
        self.logic.items.append(Instance("gw_start_delay", f"u_{name}", ports, (("CYCLES", cycles),), leaf=True))
        return own

    # ---- what is carried from step to step

    def _keep(self, done: Name) -> None:
        """Add the registers of the results, which move on with each block. done: its results are there."""
        unit, logic = self.unit, self.logic
        logic.items.append(Heading("results, block by block"))
        chains: list[tuple[Name, Name]] = []
        for part in unit.kept:
            nodes = [unit.circuit.nodes[unit.circuit.outputs[part * unit.each + i].node] for i in range(unit.each)]
            made = [signal(f"r{part}_next{i}", (node.lo, node.hi)) for i, node in enumerate(nodes)]
            logic.items += [Wire(own) for own, node in zip(made, nodes, strict=True) if node.lo < node.hi]
            found: Values = []
            for number in range(unit.units):
                node = nodes[number % unit.each]
                varies = node.lo < node.hi
                found.append(signal(f"r{part}_{number}", (node.lo, node.hi)) if varies else constant(node.lo))
            for number, held in enumerate(found):
                later = number + unit.each
                value = found[later] if later < unit.units else made[later - unit.units]
                if isinstance(held, Name) and isinstance(value, Name):
                    chains.append((held, value))
            self.kept[part] = found
        logic.items += [Register(held, value, done) for held, value in chains]

    def _state(self, part: int, number: int, name: str, ends: tuple[int, int]) -> Name:
        """Return a wire with a unit's state as the last step left it. ends: what it must hold."""
        own = signal(name, ends)
        value = shifted(self.kept[part][number], self.unit.shift_of(part, number % self.unit.each), own.width)
        self.logic.items.append(Assign(own, as_signed(value) if own.signed else value))
        return own

    def _operands(self, go: Name, fresh: Name, turns: Name) -> dict[int, Name]:
        """Add the registers of the operands, which a step fills; return what each place of a word shows."""
        unit, logic = self.unit, self.logic
        lanes, heads = len(unit.takes[0].lanes), dict[int, Name]()
        logic.items.append(Heading("operands: the step and the state, a word after the other past the multipliers"))
        for place in unit.columns:
            ends, column = unit.span(place), unit.column(place)
            chain = [signal(f"v{place}_{depth}", ends) for depth in range(len(column))]
            heads[place] = chain[0]
            registers: list[Register] = []
            for depth, (own, element) in enumerate(zip(chain, column, strict=True)):
                begin, reset = 0, None
                if element < 0:
                    given: Name = Name(f"{own.name}_in", own.width, own.signed)
                    logic.items.append(Assign(given, Literal(0, own.width, own.signed)))
                elif element < lanes:
                    lane = self.lanes.get(element, Literal(0, 1, False))
                    given = Name(f"{own.name}_in", own.width, own.signed)
                    logic.items.append(Assign(given, as_signed(lane) if own.signed else lane))
                else:
                    part, number = divmod(element - lanes, unit.units)
                    given = self._state(part, number, f"{own.name}_in", ends)
                    begin, reset = unit.initial[element - lanes], fresh
                onward = Choose(go, given, chain[(depth + 1) % len(chain)])
                moves = (given, go) if len(chain) == 1 else (onward, either(go, turns))
                registers.append(Register(own, *moves, reset, begin))
            logic.items += registers
        return heads

    def _own(self, go: Name, fresh: Name, summed: Name) -> dict[int, Values]:
        """Add the registers of the state that the circuit reads, and return what it shows of a block's units."""
        unit, logic, found = self.unit, self.logic, dict[int, Values]()
        blocks, each = unit.sides.blocks, unit.each
        if unit.owned:
            logic.items.append(
                Heading("the state of the units that are computed; that of the next block comes with its sums")
            )
        for part in unit.owned:
            ends = unit.states[part].lo, unit.states[part].hi
            chain = [signal(f"c{part}_{number}", ends) for number in range(unit.units)]
            registers: list[Register] = []
            for number, own in enumerate(chain):
                given = self._state(part, number, f"{own.name}_in", ends)
                begin = unit.initial[part * unit.units + number]
                onward = Choose(go, given, chain[(number + each) % unit.units])
                moves = (given, go) if blocks == 1 else (onward, either(go, summed))
                registers.append(Register(own, *moves, fresh, begin))
            logic.items += registers
            found[part] = [*chain[:each]]
        return found

    def _results(self, totals: list[Name], own: dict[int, Values]) -> None:
        """Add the circuit behind the sums, in front of the registers of its results."""
        unit, logic = self.unit, self.logic
        elements: Values = []
        for number, (total, ends) in enumerate(zip(totals, unit.sums, strict=True)):
            elements.append(sum_ := signal(f"sum{number}", ends))
            logic.items.append(Assign(sum_, bits(total, sum_.width - 1, 0, sum_.signed)))
        for part, lane in enumerate(unit.states):
            elements += own.get(part, [constant(lane.lo)] * unit.each)
        modules, items, found = pipeline(
            "behind", unit.circuit, unit.before_results, elements, names=self.names, program_hash=self.program_hash
        )
        self.inner += modules.modules
        logic.items += items
        for part in unit.kept:
            for i, value in enumerate(found[part * unit.each : (part + 1) * unit.each]):
                if isinstance(value, Name):
                    logic.drives.append((Name(f"r{part}_next{i}", value.width, value.signed), value))

    def _module(self, start: Expr, ready: Expr) -> UnitModules:
        unit, logic = self.unit, self.logic
        logic.items.append(Heading("what leaves"))
        lanes, results = unit.gives[0].lanes, dict[int, Name]()
        for number, held in enumerate(self.kept[unit.emit]):
            if isinstance(held, Name):
                lane = lanes[number]
                results[number] = own = signal(f"y{number}", (lane.lo, lane.hi))
                logic.items.append(Assign(own, bits(held, own.width - 1, 0, own.signed)))
        sides, every = unit.sides, "every step" if unit.every_step else "the last step"
        module = Module(
            name=self.name,
            header=(
                *self.origin,
                f"Unit {unit.name}: {unit.rule.steps} steps a frame, a step every {unit.rule.rest} cycles;",
                f"{len(unit.plan.multipliers)} multipliers, at a time {sides.word} of {len(unit.operands)} operands",
                f"and {unit.each} of {unit.units} units; results of {every}.",
                "Accumulators hold every partial sum of the timetable: no overflow. States hold the proven range of",
                "every step; the pipeline's outputs and products are cut to their proven range.",
                *CUT,
            ),
            ports=(
                *unit_ports(
                    f"a step whose results are there {unit.rule.latency_cycles} cycles later",
                    self.lanes.values(),
                    results.values(),
                ),
                Port(MADE, True, "those results"),
            ),
            items=tuple(logic.items),
            drives=(
                *logic.drives,
                (READY, ready),
                (START, start),
                (MADE, Name("result_made", 1, False)),
                *((outward(own), own) for own in results.values()),
            ),
            attributes=(("use_dsp", "yes" if unit.plan.dsp else "no"),),
        )
        return UnitModules(module=module, inner=self.inner, results=shown(lanes, results))
