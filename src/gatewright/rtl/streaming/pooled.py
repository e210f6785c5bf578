"""A pooled unit in, its module out: a reduction along the row, then one with the rows before, held for each window."""

from __future__ import annotations

from gatewright.ir.ops import PoolKind
from gatewright.lower.streaming.memory import in_blocks
from gatewright.lower.streaming.pooled import Pooled
from gatewright.rtl.netlist import (
    Assign,
    Binary,
    Choose,
    Concat,
    Expr,
    Heading,
    Memory,
    Module,
    Name,
    Register,
    Wire,
    ram_style,
)
from gatewright.rtl.nodes import as_signed, bits
from gatewright.rtl.signals import EXTENDED, START, UnitModules, outward, shown, signal
from gatewright.rtl.streaming.counting import READY, ROOM, VALID, YES, Logic, among, both, either, negated, unit_ports
from gatewright.rtl.streaming.regroup import Lanes


def compile_pooled(unit: Pooled, *, name: str, origin: tuple[str, ...], lanes: Lanes, family: str) -> UnitModules:
    """Return module `name`: ports clk, rst_n, valid, room, ready, start, x<lane> of all lanes that vary, o_y<lane>.

    A beat is taken with valid and ready; with start a result begins, which o_y show `latency_cycles` later.
    """
    logic, varying = Logic(), {i: lane for i, lane in lanes.items() if isinstance(lane, Name)}
    (rows, columns), (down, right), (high, wide) = unit.grid, unit.size, unit.counts
    logic.items.append(Heading("where the beat lies in its window, and the window in the frame"))
    (go,) = logic.ahead("go")
    across = logic.counter("across", right, go) if columns == wide * right else None
    if across is None:  # columns beyond the last window: the count begins anew with the row
        last_column = logic.ahead("last_column")[0]
        across = logic.counter("across", right, go, restart=last_column)
        column = logic.counter("column", columns, go)
        logic.drives.append((last_column, among(column, columns, {columns - 1})))
        place, inside = _window_column(logic, across, go, right, wide, last_column)
    else:
        place, inside = _window_column(logic, across, go, right, wide, None)
        column = None
    ends_window = among(across, right, {right - 1})
    ends_row = (
        among(column, columns, {columns - 1})
        if column is not None
        else both(ends_window, among(place, wide, {wide - 1}))
    )
    turn = logic.wire("turn", both(go, ends_row))
    row = logic.counter("row", rows, turn)
    below = logic.counter("below", down, turn, restart=logic.wire("last_row", among(row, rows, {rows - 1})))
    within = both(inside, among(row, rows, set(range(high * down))))
    ends = logic.wire("ends", both(ends_window, within))
    will = logic.wire("will", both(ends, among(below, down, {down - 1})))
    free = logic.wire("free", either(ROOM, negated(will)))
    logic.drives.append((go, both(VALID, free)))
    logic.items.append(Heading("along the row"))
    spans = {i: _spans(unit, i) for i in varying}
    along: dict[int, Name] = {}
    for i, lane in varying.items():
        own = along[i] = signal(f"r{i}", spans[i][0])
        reduced = lane if right == 1 else Choose(among(across, right, {0}), lane, _reduced(unit.kind, own, lane))
        logic.items.append(Register(own, reduced, go))
    results = along
    if down > 1 and along:
        results = _along_columns(logic, unit, along, spans, (go, ends, below, place), family)
    outputs = {i: Name(f"y{i}", own.width, own.signed) for i, own in results.items()}
    kind = "greatest" if unit.kind is PoolKind.MAX else "sum"
    module = Module(
        name=name,
        header=(
            *origin,
            f"The {kind} of windows of {down} x {right} pixels over frames of {rows} x {columns}: {high} x {wide}.",
            *EXTENDED,
        ),
        ports=unit_ports(
            f"a result begins, there {unit.rule.latency_cycles} cycles later", lanes.values(), outputs.values()
        ),
        items=tuple(logic.items),
        drives=(
            *logic.drives,
            (READY, free),
            (START, both(go, will)),
            *((outward(outputs[i]), own) for i, own in results.items()),
        ),
    )
    return UnitModules(module=module, inner=(), results=shown(unit.gives[0].lanes, outputs))


def _window_column(
    logic: Logic, across: Name, go: Name, right: int, wide: int, last_column: Name | None
) -> tuple[Name, Expr]:
    """Return the number of the window in its row, and whether there is one."""
    step = logic.wire("step", both(go, among(across, right, {right - 1})))
    if last_column is None:
        return logic.counter("place", wide, step), YES
    count = logic.counter("place", wide + 1, both(go, either(step, last_column)), restart=last_column)
    return count, among(count, wide + 1, set(range(wide)))


def _spans(unit: Pooled, lane: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the ends of a lane's number along the row, and of the window's."""
    given, made = unit.takes[0].lanes[lane], unit.gives[0].lanes[lane]
    cells = 1 if unit.kind is PoolKind.MAX else unit.size[1]
    part = sorted((given.lo, given.hi, given.lo * cells, given.hi * cells))
    return (part[0], part[-1]), (min(made.lo, part[0]), max(made.hi, part[-1]))


def _reduced(kind: PoolKind, a: Name, b: Name) -> Expr:
    """Return the greater, or the sum. The comparison is the way round that takes no wide multiplexers on ECP5."""
    signed = a.signed or b.signed
    left, right = (as_signed(a), as_signed(b)) if signed else (a, b)
    if kind is PoolKind.SUM:
        return Binary("+", left, right)
    return Choose(Binary(">=", left, right), left, right)


def _along_columns(
    logic: Logic,
    unit: Pooled,
    along: dict[int, Name],
    spans: dict[int, tuple[tuple[int, int], tuple[int, int]]],
    scan: tuple[Name, Name, Name, Name],
    family: str,
) -> dict[int, Name]:
    """Reduce with the rows before, held for each window of a row; return the registers of the results."""
    go, ends, below, place = scan  # go: a beat is taken; ends: it is the last of a window in its row
    down, wide = unit.size[0], unit.counts[1]
    logic.items.append(Heading("with the rows before, a cycle later"))
    done = logic.flag("done", both(go, ends))
    first = Name("first", 1, False)
    logic.items.append(Register(first, among(below, down, {0})))
    partial = {i: signal(f"p{i}", spans[i][1]) for i in along}
    width = sum(own.width for own in partial.values())
    held, word = Name("held", width, False), Name("word", width, False)
    given: dict[int, Name] = {}
    items = logic.items
    items.append(Wire(word))
    if wide == 1:
        items.append(Register(held, word, done))
    else:
        size = max((wide - 1).bit_length(), 1)
        here = Name("place_q", place.width, False)
        items.append(Register(here, place))
        clocked = in_blocks(wide, width, family)
        address = here if here.width == size else _low(logic, here, "write_place", size)
        reads = (place if place.width == size else _low(logic, place, "read_place", size)) if clocked else address
        items.append(
            Memory(
                target=held,
                depth=wide,
                write_enable=done,
                write_address=address,
                write_data=word,
                read_address=reads,
                clocked=clocked,
                style=ram_style(family, "block" if clocked else "distributed"),
            )
        )
    low = 0
    for i, own in partial.items():
        given[i] = Name(f"h{i}", own.width, own.signed)
        items.append(Assign(given[i], bits(held, low + own.width - 1, low, own.signed)))
        low += own.width
    for i, own in partial.items():
        value = as_signed(along[i]) if own.signed and not along[i].signed else along[i]
        items.append(Assign(own, Choose(first, value, _reduced(unit.kind, given[i], along[i]))))
    logic.drives.append((word, Concat(tuple(reversed(list(partial.values()))))))
    results: dict[int, Name] = {}
    for i, own in partial.items():
        made = unit.gives[0].lanes[i]
        results[i] = signal(f"y{i}", (made.lo, made.hi))
        items.append(Register(results[i], bits(own, results[i].width - 1, 0, results[i].signed)))
    return results


def _low(logic: Logic, value: Name, name: str, size: int) -> Name:
    """Return a counter's low bits, where it counts one further than the memory has words."""
    own = Name(name, size, False)
    logic.items.append(Assign(own, bits(value, size - 1, 0, False)))
    return own
