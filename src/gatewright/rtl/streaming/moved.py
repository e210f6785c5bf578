"""Units that gather, cut, join or reorder beats in, the module of each out: registers and memories behind counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatewright.lower.folded.plan import BLOCK_DEPTH
from gatewright.lower.stream import Lane
from gatewright.lower.streaming.joined import Joined
from gatewright.lower.streaming.memory import in_blocks
from gatewright.lower.streaming.regrouped import Regrouped
from gatewright.lower.streaming.reordered import Reordered
from gatewright.rtl.netlist import (
    Assign,
    Choose,
    Concat,
    Expr,
    Heading,
    Literal,
    Memory,
    Module,
    Name,
    Port,
    Register,
    Rom,
    ram_style,
)
from gatewright.rtl.nodes import bits
from gatewright.rtl.signals import EXTENDED, RST_N, START, UnitModules, outward, shown, signal
from gatewright.rtl.streaming.counting import (
    NO,
    READY,
    ROOM,
    VALID,
    YES,
    Logic,
    all_of,
    among,
    both,
    either,
    negated,
    unit_ports,
)
from gatewright.rtl.streaming.regroup import Lanes
from gatewright.rtl.units import shifted

_BEGINS = "a beat begins, there {} cycle{} later"


def compile_regrouped(unit: Regrouped, *, name: str, origin: tuple[str, ...], lanes: Lanes) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid, room, ready, start, x<lane> of the lanes that vary, o_y<lane>.

    A beat is taken with valid and ready; a step with start gives one, which o_y show in the next cycle.
    """
    logic, made, times = Logic(), unit.gives[0].lanes, unit.times
    logic.items.append(Heading("which part of the wide beat the step is"))
    (go,) = logic.ahead("go")
    part = logic.counter("part", times, go)
    first, last = (logic.wire(w, among(part, times, {at})) for w, at in (("first", 0), ("last", times - 1)))
    results: dict[int, Name] = {}
    if unit.gathers:
        logic.drives.append((go, both(VALID, free := logic.wire("free", either(ROOM, negated(last))))))
        width = len(lanes)
        for i, lane in lanes.items():
            moving: Expr = lane
            for at in reversed(range(times)):
                if isinstance(lane, Literal):
                    continue
                own = results[at * width + i] = Name(f"y{at * width + i}", lane.width, lane.signed)
                logic.items.append(Register(own, moving, go))
                moving = own
        drives = ((READY, free), (START, both(go, last)))
    else:
        logic.drives.append((go, both(ROOM, either(VALID, negated(first)))))
        logic.items.append(Heading("the first part leaves, the others move up"))
        for i in range(len(made)):
            results |= _cut(logic, unit, lanes, i, first, go)
        drives = ((READY, both(ROOM, first)), (START, go))
    what = f"{times} beats of {len(lanes)} elements in one" if unit.gathers else f"One beat of {len(lanes)} in {times}"
    return _module(logic, (name, (*origin, f"{what}.")), unit.rule.latency_cycles, lanes, results, drives, made)


def _cut(logic: Logic, unit: Regrouped, lanes: Lanes, i: int, first: Name, go: Name) -> dict[int, Name]:
    """Add the registers of one lane that leaves, of which a beat that comes holds several."""
    taken, (made,) = unit.takes[0].lanes, unit.gives
    lane, places = made.lanes[i], range(i, len(taken), len(made.lanes))
    if lane.lo == lane.hi:
        return {}
    own = signal(f"y{i}", (lane.lo, lane.hi))
    given = [shifted(lanes[place], taken[place].shift - lane.shift, own.width) for place in places]
    moving: Expr = Literal(0, own.width, own.signed)
    for at in reversed(range(1, len(given))):
        held = Name(f"later{i}_{at}", own.width, own.signed)
        logic.items.append(Register(held, Choose(first, given[at], moving), go))
        moving = held
    logic.items.append(Register(own, Choose(first, given[0], moving), go))
    return {i: own}


def compile_joined(unit: Joined, *, name: str, origin: tuple[str, ...], lanes: Sequence[Lanes]) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid<port>, room, ready<port>, start, x<port>_<lane>, o_y<lane>.

    Of one port a beat is taken with its valid and ready; a step with start gives it, as o_y show in the next cycle.
    """
    logic, made, size = Logic(), unit.gives[0].lanes, sum(unit.runs)
    logic.items.append(Heading("whose turn it is"))
    (go,) = logic.ahead("go")
    at = logic.counter("at", size, go)
    turns: list[Name] = []
    begin = 0
    for port, run in enumerate(unit.runs):
        turns.append(logic.wire(f"turn{port}", among(at, size, set(range(begin, begin + run)))))
        begin += run
    valid, ready = ([Name(f"{w}{port}", 1, False) for port in range(len(turns))] for w in ("valid", "ready"))
    there: Expr = NO
    for own, turn in zip(valid, turns, strict=True):
        there = either(there, both(own, turn))
    logic.drives.append((go, both(ROOM, logic.wire("there", there))))
    results: dict[int, Name] = {}
    for i, lane in enumerate(made):
        if lane.lo == lane.hi:
            continue
        own = results[i] = signal(f"y{i}", (lane.lo, lane.hi))
        given = [
            logic.like(own, f"x{port}_{i}_wide", shifted(part[i], up[i], own.width))
            for port, (part, up) in enumerate(zip(lanes, unit.ups, strict=True))
        ]
        value: Expr = given[-1]
        for turn, part in reversed(list(zip(turns[:-1], given[:-1], strict=True))):
            value = Choose(turn, part, value)
        logic.items.append(Register(own, value, go))
    module = Module(
        name=name,
        header=(
            *origin,
            f"Beats of {len(turns)} values in turn: {' and '.join(map(str, unit.runs))}, {unit.turns} times a frame.",
            *EXTENDED,
        ),
        ports=(
            Port(RST_N, False),
            *(Port(own, False, "a beat waits") for own in valid),
            Port(ROOM, False, "a result has a place"),
            *(Port(own, True, "takes the beat") for own in ready),
            Port(START, True, _BEGINS.format(1, "")),
            *(Port(lane, False) for part in lanes for lane in part.values() if isinstance(lane, Name)),
            *(Port(outward(own), True) for own in results.values()),
        ),
        items=tuple(logic.items),
        drives=(
            *logic.drives,
            *((own, both(ROOM, turn)) for own, turn in zip(ready, turns, strict=True)),
            (START, go),
            *((outward(own), own) for own in results.values()),
        ),
    )
    return UnitModules(module=module, inner=(), results=shown(made, results))


def compile_reordered(unit: Reordered, *, name: str, origin: tuple[str, ...], lanes: Lanes, family: str) -> UnitModules:
    """Return module `name`: ports as of compile_regrouped; o_y show what a step gives two cycles later."""
    logic, rule, made = Logic(), unit.rule, unit.gives[0].lanes
    taken, given, steps = unit.takes[0].stream.beats, len(unit.order), rule.steps
    logic.items.append(Heading("old: the frame before leaves; a flush makes steps without beats"))
    go, finish, bubble = logic.ahead("go", "finish", "bubble")
    at = logic.counter("at", steps, go, restart=finish)
    old, flushing = Name("old", 1, False), Name("flushing", 1, False)
    takes, gives = (among(at, steps, set(range(count))) for count in (taken, given))
    begins, closing = (logic.wire(w, among(at, steps, {t})) for w, t in (("begins", 0), ("closing", steps - 1)))
    ended = logic.wire("ended", both(old, among(at, steps, {given - 1})))
    page = logic.flag(
        "page", negated(Name("page", 1, False)), enable=logic.wire("turn", all_of([go, closing, negated(bubble)]))
    )
    logic.flag("old", either(both(closing, negated(bubble)), both(old, negated(ended))), enable=go)
    logic.flag("flushing", negated(finish), enable=bubble)
    will = logic.wire("will", both(old, gives))
    free = logic.wire("free", either(ROOM, negated(will)))
    ready = logic.wire("can_take", all_of([free, negated(flushing), takes]))
    there = VALID if takes == YES else either(VALID, negated(logic.wire("comes", takes)))
    logic.drives += [
        (bubble, both(free, either(flushing, all_of([begins, old, negated(VALID)])))),
        (finish, both(bubble, ended)),
        (go, either(all_of([there, free, negated(flushing)]), bubble)),
    ]
    results = _frames(logic, unit, lanes, (go, bubble, at, page), takes, family)
    return _module(
        logic,
        (
            name,
            (*origin, f"Frames of {taken} beats, which leave as {given} in another order while the next comes."),
        ),
        rule.latency_cycles,
        lanes,
        results,
        ((READY, ready), (START, both(go, will))),
        made,
    )


def _frames(
    logic: Logic, unit: Reordered, lanes: Lanes, scan: tuple[Name, Name, Name, Name], takes: Expr, family: str
) -> dict[int, Name]:
    """Add the memory of two frames, which is written a cycle after a beat came and read by the table of the order."""
    (go, bubble, at, page), entry = scan, (unit.page - 1).bit_length()
    varying = {i: lane for i, lane in lanes.items() if isinstance(lane, Name)}
    if not varying:
        return {}
    logic.items.append(Heading("two frames: one is written, one read"))
    width = sum(lane.width for lane in varying.values())
    word, held = Name("word", width, False), Name("held", width, False)
    logic.items.append(Register(word, Concat(tuple(reversed(list(varying.values()))))))
    store = logic.flag("store", all_of([go, negated(bubble), takes]))
    low = bits(at, entry - 1, 0, False) if at.width > entry else at
    own, others = Name("own", entry + 1, False), Name("others", entry + 1, False)
    padding = () if at.width >= entry else (Literal(0, entry - at.width, False),)
    logic.items.append(Register(own, Concat((page, *padding, low))))
    place, opposite = Name("place", entry, False), Name("opposite", 1, False)
    order = (*unit.order, *(0,) * (unit.rule.steps - len(unit.order)))
    logic.items.append(Rom(place, order, at, block=len(order) >= BLOCK_DEPTH))
    logic.items.append(Register(opposite, negated(page)))
    logic.items.append(Assign(others, Concat((opposite, place))))
    clocked = in_blocks(2 * unit.page, width, family)
    read = held if clocked else Name("read", width, False)
    logic.items.append(
        Memory(
            target=read,
            depth=2 * unit.page,
            write_enable=store,
            write_address=own,
            write_data=word,
            read_address=others,
            clocked=clocked,
            style=ram_style(family, "block" if clocked else "distributed"),
        )
    )
    if not clocked:
        logic.items.append(Register(held, read))
    results: dict[int, Name] = {}
    begin = 0
    for i, lane in varying.items():
        results[i] = Name(f"y{i}", lane.width, lane.signed)
        logic.items.append(Assign(results[i], bits(held, begin + lane.width - 1, begin, lane.signed)))
        begin += lane.width
    return results


def _module(
    logic: Logic,
    title: tuple[str, tuple[str, ...]],
    latency: int,
    lanes: Lanes,
    results: Mapping[int, Name],
    drives: tuple[tuple[Name, Expr], ...],
    made: Sequence[Lane],
) -> UnitModules:
    """Return a unit's module. title: its name and header; drives: of ready and start."""
    module = Module(
        name=title[0],
        header=(*title[1], *EXTENDED),
        ports=unit_ports(_BEGINS.format(latency, "s" * (latency > 1)), lanes.values(), results.values()),
        items=tuple(logic.items),
        drives=(*logic.drives, *drives, *((outward(own), own) for own in results.values())),
    )
    return UnitModules(module=module, inner=(), results=shown(made, results))
