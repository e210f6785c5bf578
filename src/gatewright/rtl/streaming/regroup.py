"""Lanes of a beat, and the registers of what earlier beats left, in; the lanes of a step of fewer pixels out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from gatewright.lower.streaming.windowed import Windowed
from gatewright.rtl.netlist import Assign, Binary, Choose, Expr, Literal, Name, Register
from gatewright.rtl.streaming.counting import NO, YES, Logic, either

Lanes = dict[int, Name | Literal]


def regrouped(logic: Logic, unit: Windowed, lanes: Lanes, turn: Name, left: Sequence[int], go: Name) -> Lanes:
    """Return the lanes of a step: of pixels left over, then of the beat, which the rest waits for the next step.

    lanes: of the beat; turn: which of the steps that repeat it is; left: the pixels left over before each of them.
    """
    channels, size, most = unit.pixel_lanes, unit.window.per_beat, max(left)
    stepped: Lanes = {}
    for channel in range(channels):
        beat = [lanes[pixel * channels + channel] for pixel in range(unit.beat_pixels) if channel in lanes]
        if not beat or isinstance(beat[0], Literal):
            stepped |= {pixel * channels + channel: beat[0] for pixel in range(size) if beat}
            continue
        like = beat[0]
        old = [Name(f"left{pixel}_{channel}", like.width, like.signed) for pixel in range(most)]
        rows = [[*old[:have], *beat] for have in left]  # by turn: what there is
        later = [_chosen(turn, [*_column(rows, size + at)]) for at in range(most)]
        logic.items += [Register(own, value, go) for own, value in zip(old, later, strict=True)]
        for at in range(size):
            own = Name(f"step{at}_{channel}", like.width, like.signed)
            logic.items.append(Assign(own, _chosen(turn, [*_column(rows, at)])))
            stepped[at * channels + channel] = own
    return stepped


def any_of(counter: Name, values: Collection[int], size: int) -> Expr:
    """Return whether a counter of 0 .. size - 1 is one of any values."""
    if len(values) == size:
        return YES
    found: Expr = NO
    for value in sorted(values):
        found = either(found, Binary("==", counter, Literal(value, counter.width, False)))
    return found


def _chosen(turn: Name, cases: Sequence[Name | Literal | None]) -> Expr:
    """Return the case of the turn; where there is none, any will do."""
    distinct = [case for case in dict.fromkeys(cases) if case is not None]
    value: Expr = distinct[-1]
    for case in reversed(distinct[:-1]):
        turns = {number for number, other in enumerate(cases) if other == case}
        value = Choose(any_of(turn, turns, len(cases)), case, value)
    return value


def _column(rows: Sequence[Sequence[Name | Literal]], at: int) -> Iterator[Name | Literal | None]:
    """Yield what each row holds at a place; None beyond its end."""
    for row in rows:
        yield row[at] if at < len(row) else None
