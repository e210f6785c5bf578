"""Counters of a frame's scan in, conditions on them as netlist expressions out; the ports of a unit on streams."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import reduce

from gatewright.rtl.netlist import Assign, Binary, Choose, Expr, Item, Literal, Name, Not, Port, Register, Slice, Wire
from gatewright.rtl.signals import RST_N, START, outward

VALID, ROOM, READY = (Name(what, 1, False) for what in ("valid", "room", "ready"))
YES, NO = Literal(1, 1, False), Literal(0, 1, False)


@dataclass(slots=True)
class Logic:
    """The items of a module that is being written; drives: of wires that are read before what decides them."""

    items: list[Item] = field(default_factory=list[Item])
    drives: list[tuple[Name, Expr]] = field(default_factory=list[tuple[Name, Expr]])

    def ahead(self, *names: str) -> list[Name]:
        """Return wires of one bit that `drives` must drive."""
        wires = [Name(name, 1, False) for name in names]
        self.items += [Wire(wire) for wire in wires]
        return wires

    def wire(self, name: str, value: Expr) -> Name:
        """Return a wire of one bit that carries a condition."""
        own = Name(name, 1, False)
        self.items.append(Assign(own, value))
        return own

    def like(self, other: Name, name: str, value: Expr) -> Name:
        """Return a wire as wide as another signal, and with its sign, that carries a value."""
        own = Name(name, other.width, other.signed)
        self.items.append(Assign(own, value))
        return own

    def flag(self, name: str, value: Expr, *, enable: Expr | None = None, start: int = 0) -> Name:
        """Return a register of one bit, `start` after reset."""
        own = Name(name, 1, False)
        self.items.append(Register(own, value, enable, reset=negated(RST_N), reset_value=start))
        return own

    def counter(self, name: str, size: int, step: Expr, *, restart: Expr = NO) -> Name:
        """Return a counter of 0 .. size - 1 that goes on, and round, with `step`; with a step and restart to 0."""
        own = Name(name, max((size - 1).bit_length(), 1), False)
        if size == 1:
            self.items.append(Assign(own, Literal(0, own.width, False)))
            return own
        ends: Expr = Binary("==", own, Literal(size - 1, own.width, False))
        if restart != NO:
            ends = either(ends, restart)
        zero = Literal(0, own.width, False)
        onward = Choose(ends, zero, Binary("+", own, Literal(1, own.width, False)))
        self.items.append(Register(own, onward, step, reset=negated(RST_N)))
        return own


def negated(name: Name) -> Expr:
    """Return the complement of a signal of one bit."""
    return Not(Slice(name, 0, 0))


def both(a: Expr, b: Expr) -> Expr:
    """Return a and b, of one bit."""
    if NO in (a, b):
        return NO
    if a == YES:
        return b
    return a if b == YES else Binary("&", a, b)


def either(a: Expr, b: Expr) -> Expr:
    """Return a or b, of one bit."""
    if YES in (a, b):
        return YES
    if a == NO:
        return b
    return a if b == NO else Binary("|", a, b)


def all_of(conditions: Iterable[Expr]) -> Expr:
    """Return 1 where all are."""
    return reduce(both, conditions, YES)


def among(counter: Name, size: int, values: Collection[int]) -> Expr:
    """Return whether a counter of 0 .. size - 1 is one of some values, which follow each other, or do around its end.

    The counter never holds another number.
    """
    inside = sorted(values)
    if not inside:
        return NO
    if len(inside) == size:
        return YES
    outside = sorted(set(range(size)) - set(inside))
    if inside == list(range(inside[0], inside[-1] + 1)):
        return _between(counter, size, inside[0], inside[-1])
    assert outside == list(range(outside[0], outside[-1] + 1)), "values lie in one run, or around the counter's end"
    low, high = outside[0], outside[-1]
    return Binary("|", _between(counter, size, 0, low - 1), _between(counter, size, high + 1, size - 1))


def _between(counter: Name, size: int, low: int, high: int) -> Expr:
    """Return whether low <= counter <= high."""
    if low == high:
        return Binary("==", counter, Literal(low, counter.width, False))
    above = YES if low == 0 else Binary(">=", counter, Literal(low, counter.width, False))
    below = YES if high == size - 1 else Binary("<", counter, Literal(high + 1, counter.width, False))
    return both(above, below)


def unit_ports(begins: str, lanes: Iterable[Name | Literal], results: Iterable[Name | Literal]) -> tuple[Port, ...]:
    """Return the ports of a unit on streams: the beat's lanes and the results, of both those that vary.

    begins: what `start` says.
    """
    return (
        Port(RST_N, False),
        Port(VALID, False, "a beat waits"),
        Port(ROOM, False, "a result has a place"),
        Port(READY, True, "takes the beat"),
        Port(START, True, begins),
        *(Port(lane, False) for lane in lanes if isinstance(lane, Name)),
        *(Port(outward(own), True) for own in results if isinstance(own, Name)),
    )
