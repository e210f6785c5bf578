"""A summed unit in, its module out: it counts a frame's steps, reads weights by them, and adds up over all beats."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatewright.lower.streaming.summed import Summed
from gatewright.rtl.names import Names
from gatewright.rtl.netlist import (
    Assign,
    Choose,
    Expr,
    Heading,
    Literal,
    Module,
    Name,
    Register,
)
from gatewright.rtl.nodes import as_signed, bits
from gatewright.rtl.products import accumulators, sums_of_products, weight_rom
from gatewright.rtl.signals import CUT, START, UnitModules, Values, constant, outward, signal
from gatewright.rtl.streaming.counting import READY, ROOM, VALID, Logic, among, both, either, negated, unit_ports
from gatewright.rtl.streaming.regroup import Lanes


def compile_summed(
    unit: Summed, *, name: str, origin: tuple[str, ...], lanes: Lanes, names: Names, program_hash: str
) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid, room, ready, start, x<lane> of the lanes read, o_y<output>.

    A beat is taken with valid and ready; start: it is a frame's last, whose results o_y show `latency_cycles` later,
    for one cycle.
    """
    return _Compiler(unit, name, origin, lanes, names, program_hash).modules()


@dataclass(slots=True)
class _Compiler:
    unit: Summed
    name: str
    origin: tuple[str, ...]
    lanes: Lanes
    names: Names
    program_hash: str
    logic: Logic = field(default_factory=Logic)

    def modules(self) -> UnitModules:
        unit, plan, logic = self.unit, self.unit.plan, self.logic
        logic.items.append(Heading(f"step of the frame, {unit.steps} for each beat"))
        go, active = logic.ahead("go", "active")
        size = plan.cycles
        at = logic.counter("t", size, active)
        idle: Expr = Literal(1, 1, False)
        if unit.steps > 1:
            step = logic.counter("step", unit.steps, active)
            idle = logic.wire("idle", among(step, unit.steps, {0}))
            logic.drives.append((active, either(go, negated(idle))))
        else:
            logic.drives.append((active, go))
        will = logic.wire("will", among(at, size, {size - unit.steps}))
        free = logic.wire("free", both(either(ROOM, negated(will)), idle))
        logic.drives.append((go, both(VALID, free)))
        logic.items.append(Heading("weights, lowest bits first multiplier; mark of a frame's first step"))
        weights, first, _ = weight_rom(logic.items, plan, at, rom_register=False)
        values = self._values(go)
        items, inner, sums = sums_of_products(
            plan, unit.tree, unit.schedule, weights, values, names=self.names, program_hash=self.program_hash
        )
        logic.items += items
        results = self._accumulators(sums, active, first)
        beats = unit.takes[0].stream.beats
        module = Module(
            name=self.name,
            header=(
                *self.origin,
                f"Layer {plan.layer} over {beats} beats a frame: {len(plan.multipliers)} multipliers,",
                f"{unit.steps} cycle{'s' * (unit.steps > 1)} a beat.",
                "Accumulators hold every partial sum of the timetable: no overflow. Narrower operands extend by the",
                "context rule of IEEE 1364-2005 clause 5.4, products are cut to their proven range; hence the waivers.",
                *CUT,
            ),
            ports=unit_ports(
                f"of a frame's last beat; results {unit.rule.latency_cycles} cycles later", self.lanes.values(), results
            ),
            items=tuple(logic.items),
            drives=(
                *logic.drives,
                (READY, free),
                (START, both(go, will)),
                *((outward(y), y) for y in results if isinstance(y, Name)),
            ),
            attributes=(("use_dsp", "yes" if plan.dsp else "no"),),
        )
        return UnitModules(module=module, inner=inner, results=tuple(results))

    def _values(self, go: Name) -> list[Name]:
        """Return each multiplier's input: what the shift register of its slot shows."""
        unit, logic = self.unit, self.logic
        logic.items.append(Heading("the beat's lanes: every slot shows one of them in each step"))
        heads: dict[int, Name] = {}
        for slot, places in unit.slots.items():
            given = [self.lanes.get(place, Literal(0, 1, False)) for place in places]
            spans = [unit.plan.inputs[place] for place in places]
            wide = signal("", (min(lo for lo, _ in spans), max(hi for _, hi in spans)))
            names = [Name(f"r{slot}_{k}", wide.width, wide.signed) for k in range(len(places))]
            for k, value in enumerate(given):
                load = as_signed(value) if wide.signed else value
                follow = names[k + 1] if k + 1 < len(names) else None
                logic.items.append(Register(names[k], load if follow is None else Choose(go, load, follow)))
            heads[slot] = names[0]
        return [heads[multiplier.slot] for multiplier in unit.plan.multipliers]

    def _accumulators(self, sums: list[Expr], active: Name, first: Name) -> Values:
        """Add each accumulator's sums over the frame's steps; return the outputs."""
        plan, logic = self.unit.plan, self.logic
        late = self.unit.tree_cycles
        logic.items.append(Heading("accumulators; the marks pass the same registers as the sums"))
        adds = active
        for number in range(late + 2):
            adds = logic.flag(f"active_d{number + 1}", adds)
        results: Values = [constant(plan.constants.get(output, 0)) for output in range(plan.outputs)]
        made = accumulators(logic.items, plan, sums, first, None, late=late, enable=adds)
        for accumulator, (own, _) in zip(plan.accumulators, made, strict=True):
            output = accumulator.outputs[0]
            y = signal(f"y{output}", plan.results[output])
            logic.items.append(Assign(y, bits(own, y.width - 1, 0, y.signed)))
            results[output] = y
        return results
