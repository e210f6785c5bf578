"""Circuit in, what travels through registers out: which bits of which computed value every node reads.

Floor, Shift and Wrap only rename bits, so a register never holds them twice: a bit belongs to the value that was
computed, whatever name a reader gives it. Synthesis merges equal registers, so this is also what it counts.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import assert_never

from gatewright.lower.circuit.nodes import (
    Add,
    Add3,
    Circuit,
    Clamp,
    Const,
    Floor,
    GreaterEqual,
    Join,
    Select,
    Shift,
    Source,
    Table,
    Wrap,
    is_sign_test,
    operands,
    width,
)

OUTPUT = -1  # the reader that stands for the register rank at the outputs


@dataclass(frozen=True, slots=True)
class Read:
    """Bits low .. high-1 of a value, read by node `reader` or, where it is OUTPUT, by the circuit's output."""

    low: int
    high: int
    reader: int


@dataclass(frozen=True, slots=True)
class Values:
    """The values that a circuit's registers hold, and who reads them.

    root[i]: the computed node whose bits node i is (itself, but for wires); reads[i]: who reads which bits of it.

    before[i]: the values that node i reads. Constants are no values: they need no register. Wires read nothing here.
    """

    root: tuple[int, ...]
    before: tuple[tuple[int, ...], ...]
    reads: tuple[tuple[Read, ...], ...]

    def segments(self, index: int) -> list[tuple[int, frozenset[int]]]:
        """Return (bits, readers) for the bits of a value that have the same readers; unread bits are left out."""
        reads = self.reads[index]
        if len({(read.low, read.high) for read in reads}) <= 1:
            return [(reads[0].high - reads[0].low, frozenset(read.reader for read in reads))] if reads else []
        cuts = sorted({bit for read in reads for bit in (read.low, read.high)})
        sizes: dict[frozenset[int], int] = {}
        for low, high in itertools.pairwise(cuts):
            readers = frozenset(read.reader for read in reads if read.low <= low and high <= read.high)
            sizes[readers] = sizes.get(readers, 0) + high - low
        return [(size, readers) for readers, size in sizes.items() if readers]


def values(circuit: Circuit) -> Values:
    """Return the values of a circuit and their readers."""
    nodes = circuit.nodes
    root = list(range(len(nodes)))
    span: list[tuple[int, int, int]] = []  # low and high bit in the root, zeros below them
    before: list[list[int]] = [[] for _ in nodes]
    reads: list[list[Read]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        match node:
            case Floor() | Shift() | Wrap():
                root[index] = root[node.a]
                span.append(passed_on(node, *span[node.a]))
            case Source() | Const() | Add() | Add3() | Clamp() | GreaterEqual() | Select() | Table() | Join():
                span.append((0, width(node), 0))
                for operand in dict.fromkeys(operands(node)):
                    if isinstance(nodes[root[operand]], Const):
                        continue
                    before[index].append(root[operand])
                    low, high, _ = span[operand]
                    if isinstance(node, GreaterEqual) and is_sign_test(circuit, node):
                        low = max(high - 1, low)
                    reads[root[operand]].append(Read(low, high, index))
            case _:
                assert_never(node)
    for ref in circuit.outputs:
        if not isinstance(nodes[root[ref.node]], Const):
            reads[root[ref.node]].append(Read(*span[ref.node][:2], OUTPUT))
    unique = tuple(tuple(dict.fromkeys(found)) for found in before)
    return Values(tuple(root), unique, tuple(map(tuple, reads)))


def passed_on(node: Floor | Shift | Wrap, low: int, high: int, zeros: int) -> tuple[int, int, int]:
    """Return what a wire passes on of the bits low .. high-1 that its operand has above `zeros` zeros; a sign stays."""
    match node:
        case Floor():
            return max(min(low + node.drop - zeros, high - 1), low), high, max(zeros - node.drop, 0)
        case Wrap():
            return low, min(high, low + max(node.width_bits - zeros, 0)), zeros
        case Shift():
            return low, high, zeros + node.up
