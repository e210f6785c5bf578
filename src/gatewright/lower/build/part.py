"""Part: some of a program's ops as one circuit, with what it is given and what leaves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatewright.fixedpoint import Fixed
from gatewright.ir.ops import Input
from gatewright.ir.program import Op, Program
from gatewright.ir.ranges import ranges
from gatewright.lower.build.builder import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """takes: what carries each value that is given from outside; gives: the values that leave.

    The circuit's input elements are those of `takes` in order, its outputs those of `gives`. fracs: every value's
    frac_bits.
    """

    name: str
    ops: tuple[Op, ...]
    takes: Mapping[str, Sequence[Wire]]
    gives: tuple[str, ...]
    fracs: Mapping[str, int]


def whole(program: Program) -> Part:
    """Return all ops of a verified program."""
    given = program.input
    return Part(
        name=program.name,
        ops=tuple(op for op in program.ops if not isinstance(op, Input)),
        takes={given.name: (Wire(given.format.lo, given.format.hi, 0),) * given.shape[-1]},
        gives=(program.output,),
        fracs={name: value.frac_bits for name, value in ranges(program).items()},
    )


def format_of(wires: Sequence[Wire], frac_bits: int) -> Fixed:
    """Return the narrowest format that holds what any of the wires carries, shifts applied."""
    return Fixed.holding(min(w.lo << w.shift for w in wires), max(w.hi << w.shift for w in wires), frac_bits)
