"""Facts: what follows from a program alone, computed once, on demand, and given to every pass that asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gatewright.ir.interp import Interpreter
from gatewright.ir.ops import Input
from gatewright.ir.program import Program, sources
from gatewright.ir.ranges import Range, range_of
from gatewright.ir.shapes import shapes
from gatewright.lower.build.live import live_elements


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A verified program and what is known of its results, by name.

    inputs: ranges of inputs that are narrower than their formats.
    """

    program: Program
    inputs: Mapping[str, Range] = field(default_factory=dict[str, Range])

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each result's shape, without the sample axis."""
        return shapes(self.program)

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """The lowest and highest integer of each result's elements, and its frac_bits."""
        known = dict[str, Range]()
        for op in self.program.ops:
            known[op.name] = self.inputs.get(op.name) or range_of(op, self.program, known)
        return known

    @cached_property
    def interpreter(self) -> Interpreter:
        """What evaluates the program."""
        return Interpreter(self.program, self.ranges)

    @cached_property
    def live(self) -> dict[str, list[bool]]:
        """Which elements of each result can reach the output."""
        return live_elements(self.program, self.shapes)

    @cached_property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """The ops that read each result, in order."""
        found: dict[str, list[str]] = {op.name: [] for op in self.program.ops}
        for op in self.program.ops:
            for name in dict.fromkeys(sources(op)):
                found[name].append(op.name)
        return {name: tuple(names) for name, names in found.items()}

    @cached_property
    def results(self) -> dict[str, str]:
        """For each layer the op that gives its result, in the order of the layers."""
        return {op.layer: op.name for op in self.program.ops if not isinstance(op, Input)}
