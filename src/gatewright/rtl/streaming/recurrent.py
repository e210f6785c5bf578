"""A recurrent unit in, its module out: the registers of the state around the pipeline of the body, and counters."""

from __future__ import annotations

from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.rtl.names import Names
from gatewright.rtl.netlist import Expr, Heading, Literal, Module, Name, Register, Wire
from gatewright.rtl.nodes import bits
from gatewright.rtl.signals import CUT, RST_N, START, UnitModules, Values, constant, outward, shown, signal
from gatewright.rtl.streaming.counting import READY, ROOM, VALID, YES, Logic, among, both, either, negated, unit_ports
from gatewright.rtl.streaming.regroup import Lanes
from gatewright.rtl.units import pipeline, shifted


def compile_recurrent(
    unit: Recurrent, *, name: str, origin: tuple[str, ...], lanes: Lanes, names: Names, program_hash: str
) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid, room, ready, start, x<lane> of the lanes read, o_y<lane>.

    A beat is taken with valid and ready; start: it is a step whose results o_y show `latency_cycles` later, for one
    cycle.
    """
    logic, rule = Logic(), unit.rule
    logic.items.append(Heading(f"step of the frame, {rule.rest} cycles each; the last of them keeps the state"))
    (go,) = logic.ahead("go")
    idle, keeps = YES, go
    if rule.rest > 1:
        (active,) = logic.ahead("active")
        cycle = logic.counter("cycle", rule.rest, active)
        idle = logic.wire("idle", among(cycle, rule.rest, {0}))
        logic.drives.append((active, either(go, negated(idle))))
        keeps = logic.wire("keeps", among(cycle, rule.rest, {rule.rest - 1}))
    step = logic.counter("t", rule.steps, go)
    ends = {0} if rule.rest > 1 else {rule.steps - 1}  # the count has gone on when a step of several cycles ends
    restart = logic.wire("restart", either(negated(RST_N), both(keeps, among(step, rule.steps, ends))))
    will: Expr = YES if unit.every_step else logic.wire("will", among(step, rule.steps, {rule.steps - 1}))
    free: Expr = both(ROOM if unit.every_step else either(ROOM, negated(Name("will", 1, False))), idle)
    free = logic.wire("free", free)
    logic.drives.append((go, both(VALID, free)))
    logic.items.append(Heading("state, the initial one before a frame"))
    state: Values = [constant(lane.lo) for lane in unit.states]
    for i in unit.held:
        lane = unit.states[i]
        own, after = signal(f"s{i}", (lane.lo, lane.hi)), signal(f"s{i}_next", (lane.lo, lane.hi))
        logic.items += [Wire(after), Register(own, after, keeps, restart, unit.initial[i])]
        state[i] = own
    unread = Literal(0, 1, False)
    elements = [*(lanes.get(i, unread) for i in range(len(unit.takes[0].lanes))), *state]
    made, items, found = pipeline(
        "body", unit.circuit, unit.before_state, elements, names=names, program_hash=program_hash
    )
    logic.items += items
    for i in unit.held:
        lane, value = unit.states[i], found[i]
        after = signal(f"s{i}_next", (lane.lo, lane.hi))
        logic.drives.append((after, shifted(value, unit.shift_of(i), after.width)))
    logic.items.append(Heading("results"))
    results: dict[int, Name] = {}
    for number, lane in enumerate(unit.gives[0].lanes):
        value = found[unit.emit[0] + number]
        if isinstance(value, Name):
            results[number] = signal(f"y{number}", (lane.lo, lane.hi))
            logic.items.append(Register(results[number], bits(value, value.width - 1, 0, value.signed)))
    module = Module(
        name=name,
        header=(
            *origin,
            f"Unit {unit.name}: {rule.steps} steps a frame, a step every {rule.rest} cycles, for it reads the state",
            f"that the one before leaves; results of {'every step' if unit.every_step else 'the last step'}.",
            "States hold the proven range of every step; the pipeline's outputs are cut to it.",
            *CUT,
        ),
        ports=unit_ports(
            f"a step whose results are there {rule.latency_cycles} cycles later", lanes.values(), results.values()
        ),
        items=tuple(logic.items),
        drives=(
            *logic.drives,
            (READY, free),
            (START, both(go, will)),
            *((outward(own), own) for own in results.values()),
        ),
    )
    return UnitModules(module=module, inner=made.modules, results=shown(unit.gives[0].lanes, results))
