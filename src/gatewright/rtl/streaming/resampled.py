"""A resampled unit in, its module out: counters of its steps, a register for the pixel, a memory for a row's copies."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.lower.streaming.memory import in_blocks
from gatewright.lower.streaming.resampled import Axis, Resampled
from gatewright.rtl.netlist import Assign, Choose, Expr, Heading, Literal, Memory, Module, Name, Register
from gatewright.rtl.netlist import ram_style as style_of
from gatewright.rtl.nodes import bits, joined
from gatewright.rtl.signals import EXTENDED, START, UnitModules, outward, shown, signal
from gatewright.rtl.streaming.counting import (
    NO,
    READY,
    ROOM,
    VALID,
    YES,
    Logic,
    among,
    both,
    either,
    negated,
    unit_ports,
)
from gatewright.rtl.streaming.regroup import Lanes
from gatewright.rtl.units import shifted

_WHAT = {
    "pad": "The padding's number around",
    "crop": "Some rows and columns of",
    "repeat": "Copies of the rows and columns of",
    "zeros": "Zeros between the rows and columns of",
}


def compile_resampled(unit: Resampled, *, name: str, origin: tuple[str, ...], lanes: Lanes, family: str) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid, room, ready, start, x<lane> of all lanes that vary, o_y<lane>.

    A beat is taken with valid and ready; a step with start gives a pixel, which o_y show in the next cycle.
    """
    logic = Logic()
    logic.items.append(Heading("where the step lies in the grid"))
    (go,) = logic.ahead("go")
    column = _along(logic, unit, "column", unit.columns, go)
    row = _along(logic, unit, "row", unit.rows, logic.wire("turn", both(go, column.ends)))
    inside = logic.wire("holds", both(row.chosen, column.chosen))
    emits, takes, waits = YES, inside, inside
    match unit.kind:
        case "crop":
            emits, takes, waits = inside, YES, YES
        case "repeat":
            takes, waits = both(row.chosen, column.last), logic.wire("fresh", row.chosen)
        case "pad":
            waits = logic.wire("waits", either(inside, _before(unit, row, column)))
        case "zeros":
            pass
    free = logic.wire("free", either(ROOM, negated(inside)) if unit.kind == "crop" else ROOM)
    there = either(VALID, negated(waits)) if isinstance(waits, Name) else VALID
    logic.drives.append((go, both(free, there)))
    results = _pixels(logic, unit, lanes, go, waits if unit.kind == "repeat" else inside, column.place, family)
    module = Module(
        name=name,
        header=(
            *origin,
            f"{_WHAT[unit.kind]} frames of {unit.rows.size} x {unit.columns.size} pixels.",
            *EXTENDED,
        ),
        ports=unit_ports("a pixel begins, there in the next cycle", lanes.values(), results.values()),
        items=tuple(logic.items),
        drives=(
            *logic.drives,
            (READY, both(free, takes)),
            (START, both(go, emits)),
            *((outward(own), own) for own in results.values()),
        ),
    )
    return UnitModules(module=module, inner=(), results=shown(unit.gives[0].lanes, results))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """Of one axis. place: the step's number, or that of what it copies. chosen, last: the step holds what comes, and
    is the last that does; ends: it is the last of the axis."""

    place: Name
    size: int
    chosen: Expr
    last: Expr
    ends: Expr


def _along(logic: Logic, unit: Resampled, name: str, axis: Axis, step: Expr) -> _Scan:
    """Add the counters of an axis, which go on with `step`."""
    size = axis.steps(unit.kind)
    if unit.kind in ("repeat", "zeros"):
        copy = logic.counter(f"{name}_copy", axis.every, step)
        last = logic.wire(f"{name}_last", among(copy, axis.every, {axis.every - 1}))
        place = logic.counter(name, axis.size, both(step, last))
        ends = both(last, among(place, axis.size, {axis.size - 1}))
        return _Scan(place=place, size=axis.size, chosen=among(copy, axis.every, {0}), last=last, ends=ends)
    place = logic.counter(name, size, step)
    chosen, ends = axis.chosen(unit.kind), among(place, size, {size - 1})
    within = among(place, size, set(range(chosen[0], chosen[-1] + 1)))
    if axis.every > 1 and len(chosen) > 1:
        restart = logic.wire(f"{name}_begins", among(place, size, {(chosen[0] - 1) % size}))
        phase = logic.counter(f"{name}_phase", axis.every, step, restart=restart)
        within = both(within, among(phase, axis.every, {0}))
    return _Scan(place=place, size=size, chosen=within, last=within, ends=ends)


def _before(unit: Resampled, row: _Scan, column: _Scan) -> Expr:
    """Return whether a step of padding comes before the frame's first beat is taken."""
    above, left = unit.rows.before, unit.columns.before
    first = among(row.place, row.size, {above})
    return either(
        among(row.place, row.size, set(range(above))),
        both(first, among(column.place, column.size, set(range(left)))),
    )


def _pixels(
    logic: Logic, unit: Resampled, lanes: Lanes, go: Name, fresh: Expr, place: Name, family: str
) -> dict[int, Name]:
    """Add the registers of the pixel that leaves, and the memory of a row that comes again.

    fresh: the pixel is the beat's, else the number of what nothing comes for, or that of the row before.
    """
    made = unit.gives[0].lanes
    varying = {i: signal(f"y{i}", (lane.lo, lane.hi)) for i, lane in enumerate(made) if lane.lo < lane.hi}
    given = {i: shifted(lanes[i], unit.up[i], own.width) for i, own in varying.items()}
    logic.items.append(Heading("the pixel"))
    if not unit.replays or not varying:
        for i, own in varying.items():
            other: Expr = Literal(unit.fill[i], own.width, own.signed)
            value = given[i] if unit.kind in ("crop", "repeat") else Choose(fresh, given[i], other)
            logic.items.append(Register(own, value, go))
        return varying
    parts = [logic.like(own, f"p{i}", given[i]) for i, own in varying.items()]
    width = sum(own.width for own in varying.values())
    held, word = Name("held", width, False), Name("word", width, False)
    logic.items.append(Assign(word, joined(parts)))
    store = logic.wire("store", both(go, fresh))
    deep = unit.columns.size
    clocked = deep > 1 and in_blocks(deep, width, family)
    if deep == 1:
        logic.items.append(Register(held, word, store))
    else:
        logic.items.append(
            Memory(
                target=held,
                depth=deep,
                write_enable=store,
                write_address=place,
                write_data=word,
                read_address=place,
                clocked=clocked,
                read_enable=go if clocked else None,
                style=style_of(family, "block" if clocked else "distributed"),
            )
        )
    shown = held
    if clocked:
        newest, again = Name("word_q", width, False), Name("again", 1, False)
        logic.items += [Register(newest, word, go), Register(again, Choose(fresh, NO, YES), go)]
        shown = Name("shown", width, False)
        logic.items.append(Assign(shown, Choose(again, held, newest)))
    low = 0
    for own in varying.values():
        value = bits(shown, low + own.width - 1, low, own.signed)
        if clocked:
            logic.items.append(Assign(own, value))
        else:
            new = bits(word, low + own.width - 1, low, own.signed)
            logic.items.append(Register(own, Choose(fresh, new, value), go))
        low += own.width
    return varying
