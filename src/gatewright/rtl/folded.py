"""A planned dense layer in, its module out: counter, weight ROM, input registers, multipliers, accumulators.

The timetable is fixed. With `start` in cycle 0 the inputs are taken; products of step t leave their registers in cycle
t + 2, their sums `tree_cycles` later, and the accumulators hold the results in cycle `latency_cycles`, for one cycle.
A gathering layer has one register more, behind its multiplexers, and so has one whose weights' block RAM needs one
behind it: there the inputs wait a cycle too. The next start may come `cycles` later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatewright.lower.folded.plan import Accumulator, Multiplier
from gatewright.lower.folded.unit import Folded
from gatewright.rtl.names import Names
from gatewright.rtl.netlist import (
    AnyBit,
    Assign,
    Binary,
    Choose,
    Expr,
    Heading,
    Instance,
    Item,
    Literal,
    Module,
    Name,
    Pick,
    Port,
    Register,
    Slice,
)
from gatewright.rtl.nodes import as_signed, bits
from gatewright.rtl.products import accumulators, delayed, sums_of_products, union, weight_rom
from gatewright.rtl.signals import CLK, CUT, RST_N, START, UnitModules, Values, constant, outward, signal


def compile_folded(unit: Folded, *, names: Names, origin: tuple[str, ...], program_hash: str) -> UnitModules:
    """Return the layer's module: ports clk, rst_n, start, x<i> for each input read, o_y<j> for each result, done."""
    return _Compiler(unit, names, origin, program_hash).modules()


@dataclass(slots=True)
class _Compiler:
    unit: Folded
    names: Names
    origin: tuple[str, ...]
    program_hash: str
    items: list[Item] = field(default_factory=list[Item])
    inner: tuple[Module, ...] = ()

    def modules(self) -> UnitModules:
        unit, plan = self.unit, self.unit.plan
        step = Name("t", max((plan.cycles - 1).bit_length(), 1), False)
        end = self._timetable(step)
        self.items.append(Heading("weights, lowest bits first multiplier; mark of a group's first step; group"))
        weights, first, group = weight_rom(self.items, plan, step, rom_register=unit.rom_register)
        values = self._gathered(step) if plan.gather else self._rotating()
        if unit.rom_register:
            values = self._later(values)
        items, self.inner, sums = sums_of_products(
            plan, unit.tree, unit.schedule, weights, values, names=self.names, program_hash=self.program_hash
        )
        self.items += items
        self.items.append(Heading("accumulators; the marks pass the same registers as the sums"))
        totals = accumulators(self.items, plan, sums, first, group, late=unit.tree_cycles)
        results = self._results(totals)
        self.items.append(Heading("the results are valid with done"))
        self.items.append(
            Instance(
                "gw_start_delay",
                "u_done",
                (("clk", CLK), ("rst_n", RST_N), ("in", end), ("out", Name("done", 1, False))),
                (("CYCLES", unit.tree_cycles + 3 + unit.rom_register),),
                leaf=True,
            )
        )
        found = [y for y in results if isinstance(y, Name)]
        ports = [Port(RST_N, False), Port(START, False, "x is a vector")]
        ports += [Port(signal(f"x{i}", ends), False) for i, ends in zip(unit.reads, plan.inputs, strict=True)]
        ports += [Port(outward(y), True) for y in found]
        ports.append(Port(Name("done", 1, False), True, f"start, {unit.timing.latency_cycles} cycles ago"))
        module = Module(
            name=self.names.folded(unit.name),
            header=(*self.origin, *self._header()),
            ports=tuple(ports),
            items=tuple(self.items),
            drives=tuple((outward(y), y) for y in found),
            attributes=(("use_dsp", "yes" if plan.dsp else "no"),),
        )
        return UnitModules(module=module, inner=self.inner, results=tuple(results))

    def _header(self) -> tuple[str, ...]:
        plan, unit = self.unit.plan, self.unit
        total, count = sum(multiplier.weights != () for multiplier in plan.multipliers), len(plan.groups)
        inputs = "each multiplier's list holds non-zero weights only" if plan.gather else "the inputs rotate"
        return (
            f"Layer {plan.layer}, time-multiplexed: {total} multipliers, {plan.cycles} cycles a vector, {inputs}.",
            f"{len(plan.accumulators)} accumulators; {count} output{'s' * (count > 1)} each, one after the other.",
            f"latency {unit.timing.latency_cycles} cycles; a start at least {plan.cycles} cycles after the last one.",
            "Accumulators hold every partial sum of the timetable: no overflow. Narrower operands extend by the",
            "context rule of IEEE 1364-2005 clause 5.4, products are cut to their proven range; hence the waivers.",
            *CUT,
        )

    def _timetable(self, step: Name) -> Name:
        """Count the steps of a vector: from the start on, or one later where multiplexers read the inputs' registers.

        Between vectors the counter rests at 0. Returns the mark of the last step.
        """
        plan = self.unit.plan
        self.items.append(Heading(f"step of the vector, 0..{plan.cycles - 1}"))
        begin = START
        if plan.gather:
            begin = Name("begin_q", 1, False)
            self.items.append(Register(begin, Choose(RST_N, START, _zero(1))))
        last = Literal(plan.cycles - 1, step.width, False)
        moving = Choose(AnyBit(Slice(step, step.width - 1, 0)), Literal(1, 1, False), begin)
        onward = Choose(Binary("==", step, last), _zero(step.width), Binary("+", step, moving))
        self.items.append(Register(step, Choose(RST_N, onward, _zero(step.width))))
        end = Name("end_of_vector", 1, False)
        self.items.append(Assign(end, Binary("==", step, last) if plan.cycles > 1 else begin))
        return end

    def _rotating(self) -> list[Name]:
        """Return each multiplier's input: the head of its slot."""
        plan, heads = self.unit.plan, dict[int, Name]()
        depth, once = plan.groups[0], len(plan.groups) == 1
        used = sorted({multiplier.slot for multiplier in plan.multipliers})
        self.items.append(Heading("inputs: every slot shows one of them in each step, in turn"))
        for slot in used:
            places = plan.slots[slot]
            wide = signal("", union([plan.inputs[i] for i in places if i >= 0]))
            names = [Name(f"r{slot}_{k}", wide.width, wide.signed) for k in range(depth)]
            for k, i in enumerate(places):
                load = self._input(i, wide)
                follow = names[(k + 1) % depth]
                self.items.append(
                    Register(names[k], load if once and depth > 1 and k == depth - 1 else Choose(START, load, follow))
                )
            heads[slot] = names[0]
        return [heads[multiplier.slot] for multiplier in plan.multipliers]

    def _input(self, place: int, wide: Name) -> Expr:
        """Return an input in the signedness of the register that takes it; place -1 is the number 0."""
        if place < 0:
            return Literal(0, wide.width, wide.signed)
        x = signal(f"x{self.unit.reads[place]}", self.unit.plan.inputs[place])
        return as_signed(x) if wide.signed else x

    def _gathered(self, step: Name) -> list[Name]:
        """Return each multiplier's input: a multiplexer over the inputs of its list."""
        plan = self.unit.plan
        self.items.append(Heading("inputs, held for the vector's steps"))
        held: list[Name] = []
        for place, ends in enumerate(plan.inputs):
            own = signal(f"h{self.unit.reads[place]}", ends)
            held.append(own)
            self.items.append(Register(own, Choose(START, self._input(place, own), own)))
        self.items.append(Heading("each multiplier's input in each step"))
        values: list[Name] = []
        for number, multiplier in enumerate(plan.multipliers):
            wide = signal(f"v{number}", union([plan.inputs[i] for i in multiplier.reads if i >= 0]))
            places = _filled(multiplier)
            cases = tuple(as_signed(held[i]) if wide.signed else held[i] for i in places)
            self.items.append(Pick(wide, step, cases))
            values.append(wide)
        return values

    def _later(self, values: list[Name]) -> list[Name]:
        """Return each multiplier's input a cycle later, as its weight is; a slot's register is shared."""
        self.items.append(Heading("inputs, as late as the weights behind their block RAM's register"))
        late = {value.name: value for value in values}
        late = {name: delayed(self.items, value, 1) for name, value in late.items()}
        return [late[value.name] for value in values]

    def _results(self, totals: list[tuple[Name, Name]]) -> Values:
        plan = self.unit.plan
        self.items.append(
            Heading("results: the last group's in the accumulator, earlier ones move up as it starts anew")
        )
        found: Values = [constant(plan.constants.get(output, 0)) for output in range(plan.outputs)]
        for number, (accumulator, (own, mark)) in enumerate(zip(plan.accumulators, totals, strict=True)):
            for group, held in enumerate(self._kept(number, accumulator, own, mark)):
                output = accumulator.outputs[group]
                if output >= 0:
                    y = signal(f"y{output}", plan.results[output])
                    self.items.append(Assign(y, bits(held, y.width - 1, 0, y.signed)))
                    found[output] = y
        return found

    def _kept(self, number: int, accumulator: Accumulator, own: Name, mark: Name) -> list[Name]:
        chain = [Name(f"c{number}_{group}", own.width, True) for group in range(len(accumulator.outputs) - 1)] + [own]
        for group in reversed(range(len(chain) - 1)):
            self.items.append(Register(chain[group], Choose(mark, chain[group + 1], chain[group])))
        return chain


def _filled(multiplier: Multiplier) -> list[int]:
    """Return the input of each step; an idle step, whose weight is 0, repeats a neighbour's."""
    places: list[int] = []
    for place in multiplier.reads:
        places.append(place if place >= 0 or not places else places[-1])
    first = next(place for place in places if place >= 0)
    return [place if place >= 0 else first for place in places]


def _zero(width: int) -> Literal:
    return Literal(0, width, False)
