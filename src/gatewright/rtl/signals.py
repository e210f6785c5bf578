"""Intervals and numbers in, the signals that hold them out; the names that every module's ports share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatewright.fixedpoint import Fixed
from gatewright.lower.folded.plan import Interval
from gatewright.lower.stream import Lane
from gatewright.rtl.netlist import Literal, Module, Name

CLK, RST_N = Name("clk", 1, False), Name("rst_n", 1, False)
START = Name("start", 1, False)

Values = list[Name | Literal]

EXTENDED = ("verilator lint_off WIDTHEXPAND", "verilator lint_off UNUSEDSIGNAL")
"""Of a header: narrower operands extend by the context rule of IEEE 1364-2005 clause 5.4, not every bit is read."""
CUT = ("verilator lint_off WIDTHEXPAND", "verilator lint_off WIDTHTRUNC", "verilator lint_off UNUSEDSIGNAL")
"""The same, and numbers are cut to their proven range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitModules:
    """A unit's module, those it instantiates, and its results: a signal inside the module, or a constant."""

    module: Module
    inner: tuple[Module, ...]
    results: tuple[Name | Literal, ...]


def signal(name: str, interval: Interval) -> Name:
    """Return a signal that holds an interval."""
    fixed = Fixed.holding(*interval, 0)
    return Name(name, fixed.width_bits, fixed.signed)


def constant(value: int) -> Literal:
    """Return a number in as few bits as hold it."""
    return Literal(value, max(value.bit_length(), 1) + (value < 0), value < 0)


def outward(value: Name) -> Name:
    """Return the output port of a module for a signal inside it."""
    return Name(f"o_{value.name}", value.width, value.signed)


def shown(lanes: Sequence[Lane], results: Mapping[int, Name]) -> tuple[Name | Literal, ...]:
    """Return each lane that leaves a unit: its signal, or its number where it never varies."""
    return tuple(results[i] if i in results else constant(lane.lo) for i, lane in enumerate(lanes))
