"""Part: some of a program's ops as one circuit, with what it is given and what leaves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from gatewright.fixedpoint import Fixed
from gatewright.ir.ops import Input
from gatewright.ir.program import Op
from gatewright.ir.shapes import Shape
from gatewright.lower.build.builder import Wire
from gatewright.lower.build.facts import Facts
from gatewright.lower.build.live import live_elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """takes: what carries each value that is given from outside; gives: the values that leave.

    The circuit's input elements are those of `takes` in order, its outputs those of `gives`. fracs: every value's
    frac_bits, and shape; live: which elements of each value can reach what leaves. Elements are row-major.
    """

    name: str
    ops: tuple[Op, ...]
    takes: Mapping[str, Sequence[Wire]]
    gives: tuple[str, ...]
    fracs: Mapping[str, int]
    shapes: Mapping[str, Shape]
    live: Mapping[str, Sequence[bool]]


def part_of(
    facts: Facts, name: str, ops: Sequence[Op], takes: Mapping[str, Sequence[Wire]], gives: Sequence[str]
) -> Part:
    """Return some of a program's ops."""
    return Part(
        name=name,
        ops=tuple(ops),
        takes=takes,
        gives=tuple(gives),
        fracs={value: known.frac_bits for value, known in facts.ranges.items()},
        shapes=facts.shapes,
        live=live_elements(facts.program, facts.shapes, ops, gives),
    )


def whole(facts: Facts) -> Part:
    """Return all ops of a verified program."""
    program = facts.program
    given = program.input
    wires = (Wire(given.format.lo, given.format.hi, 0),) * prod(given.shape)
    ops = [op for op in program.ops if not isinstance(op, Input)]
    return part_of(facts, program.name, ops, {given.name: wires}, (program.output,))


def format_of(wires: Sequence[Wire], frac_bits: int) -> Fixed:
    """Return the narrowest format that holds what any of the wires carries, shifts applied."""
    return Fixed.holding(min(w.lo << w.shift for w in wires), max(w.hi << w.shift for w in wires), frac_bits)


def number_format(wires: Iterable[Wire]) -> Fixed:
    """Return what holds the number on any of the wires, shifts left out."""
    ends = [(wire.lo, wire.hi) for wire in wires]
    return Fixed.holding(min(lo for lo, _ in ends), max(hi for _, hi in ends), 0)
