"""Ops on the beats of a value in, the same with those behind them that one circuit can hold too, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from gatewright.errors import LowerError
from gatewright.ir.op_moves import Concat, Reshape, Transpose
from gatewright.ir.ops import Add, Const, Conv, Dense, Input, MatMul, Max, Min, Mul, Pool, Sub
from gatewright.ir.program import Constant, Op, Scan, sources
from gatewright.lower.build.facts import Facts
from gatewright.lower.stream import Stream
from gatewright.lower.tensor.beats import beat_op, pool_in_beat

_TOGETHER = 16  # ops that may lie between a value and where what it branches into is one value again


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusing:
    """streams, tables, inside: of the whole partition, which grow: values that no unit gives are inside."""

    facts: Facts
    streams: dict[str, Stream]
    tables: dict[str, Constant]
    inside: set[str]

    def followed(self, ops: Sequence[Op], value: str) -> tuple[list[Op], str]:
        """Return ops and those behind them that one circuit can hold too, and the value that leaves."""
        made, last = list(ops), value
        while True:
            shaped, after = self._behind(last)
            self._shape(last, shaped)
            given = shaped[-1] if shaped else last
            found = self._fitting(after, given, dict.fromkeys(shaped, last))
            if not found:
                return made, last
            made += found
            self.inside.update((last, *shaped, *(op.name for op in after[:-1])))
            last = after[-1].name

    def _behind(self, value: str) -> tuple[list[str], list[Op]]:
        """Return the names that a value gets by reshapes, and the ops behind it, up to where one value leaves again."""
        facts, shaped = self.facts, list[str]()
        while value != facts.program.output and len(facts.readers[value]) == 1:
            after = facts.program.op(facts.readers[value][0])
            if not isinstance(after, Reshape):
                return shaped, [after] if self._varying(after) == {value} else []
            shaped.append(value := after.name)
        return shaped, [] if value == facts.program.output else self._closed(value)

    def _closed(self, value: str) -> list[Op]:
        """Return the ops between a value that several read and the first one through which all of them pass."""
        facts, inside, found = self.facts, {value}, list[Op]()
        ops = facts.program.ops
        begin = next(i for i, op in enumerate(ops) if op.name == value) + 1
        for op in ops[begin : begin + _TOGETHER]:
            varying = self._varying(op)
            if not varying or not varying <= inside:
                continue
            inside.add(op.name)
            found.append(op)
            leaving = [n for n in inside if n == facts.program.output or not inside.issuperset(facts.readers[n])]
            if leaving == [op.name]:
                return found
        return []

    def _varying(self, op: Op) -> set[str]:
        return {name for name in sources(op) if not isinstance(self.facts.program.op(name), Const)}

    def _fitting(self, after: Sequence[Op], value: str, renamed: Mapping[str, str]) -> list[Op]:
        """Return ops behind a value as ops on beats, none where one of them does not fit."""
        made: list[Op] = []
        stream = self.streams[value]
        for op in after:
            if not self._fits(op, value):
                return []
            shape = self.facts.shapes[op.name]
            per_beat = prod(shape) // stream.beats
            self.streams[op.name] = Stream.in_order(shape, per_beat)
            try:
                made += [reading(each, renamed) for each in beat_op(op, self.facts, self.streams, self.tables)]
            except LowerError:  # what beats do not hold begins a unit of its own, which may say why
                return []
        return made

    def _fits(self, op: Op, value: str) -> bool:
        """Tell whether an op makes each beat of one beat of the value, so that it fits into the value's circuit."""
        facts, stream = self.facts, self.streams[value]
        if isinstance(op, Conv | Scan | Concat | Transpose | Reshape):
            return False
        if isinstance(op, Pool):
            return bool(pool_in_beat(op, facts.shapes[value], stream))
        if isinstance(op, Dense) and (stream.beats > 1 or len(facts.shapes[value]) > 1):
            return False
        return prod(facts.shapes[op.name]) % stream.beats == 0

    def _shape(self, value: str, shaped: Sequence[str]) -> None:
        for name in shaped:
            shape, per_beat = self.facts.shapes[name], self.streams[value].per_beat
            self.streams[name] = Stream.in_order(shape, per_beat)


def reading(op: Op, renamed: Mapping[str, str]) -> Op:
    """Return an op that reads values by the names of the ports that carry them."""
    if isinstance(op, Add | Sub | Mul | Max | Min | MatMul):
        return replace(op, left=renamed.get(op.left, op.left), right=renamed.get(op.right, op.right))
    if isinstance(op, Concat):
        return replace(op, sources=tuple(renamed.get(name, name) for name in op.sources))
    if isinstance(op, Const | Input):
        return op
    return replace(op, source=renamed.get(op.source, op.source))
