"""A program, or a circuit with or without its schedule, in; readable text out: one line for each op or node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from gatewright.ir.program import Program
from gatewright.ir.ranges import ranges
from gatewright.ir.shapes import shapes
from gatewright.ir.text import print_op
from gatewright.lower.circuit.nodes import (
    Add,
    Add3,
    Circuit,
    Clamp,
    Const,
    Floor,
    GreaterEqual,
    Join,
    Node,
    Ref,
    Select,
    Shift,
    Source,
    Table,
    Wrap,
    width,
)
from gatewright.lower.pipeline.schedule import Schedule

ENTRIES = 16  # of a table that are shown

Row = tuple[str, ...]


def program_text(program: Program) -> str:
    """Return a program's ops: number, layer, op (of constants the names), shape, range of all elements, bits."""
    known, sizes = ranges(program), shapes(program)
    rows: list[Row] = [("#", "layer", "op", "shape", "range", "bits")]
    for index, op in enumerate(program.ops):
        low, high = known[op.name].ends
        text = print_op(op).replace(f" layer={op.layer}", "", 1)
        shape = "x".join(map(str, sizes[op.name]))
        rows.append((str(index), op.layer, text, shape, f"{low}..{high}", str(known[op.name].width_bits)))
    title = f"program {program.name}: {len(program.ops)} ops"
    return "\n".join([title, *_columns(rows, right={0, 5}), f"output %{program.output}"]) + "\n"


def circuit_text(circuit: Circuit, schedule: Schedule | None = None) -> str:
    """Return a circuit's nodes: number, stage where there is a schedule, layer, operation, range, bits.

    Then each layer's result, element by element: `#n` is a node, `-` an element that cannot reach the output.
    """
    stages = None if schedule is None else list(map(str, schedule.stages))
    rows: list[Row] = [("#", *(("stage",) if stages else ()), "layer", "operation", "range", "bits")]
    for index, node in enumerate(circuit.nodes):
        stage = (stages[index],) if stages else ()
        rows.append((str(index), *stage, node.layer, operation(node), f"{node.lo}..{node.hi}", str(width(node))))
    title = f"circuit {circuit.name}: {len(circuit.nodes)} nodes, {circuit.adders} adders"
    if schedule is not None:
        title += f", {schedule.latency_cycles} cycles at {schedule.clock_mhz:g} MHz on {schedule.family}"
    results = [f"layer {layer}: {_elements(refs)}" for layer, refs in circuit.layer_values]
    results.append(f"output {circuit.output_format}: {_elements(circuit.outputs)}")
    right = {0, 1, 5} if stages else {0, 4}
    return "\n".join([title, *_columns(rows, right=right), *results]) + "\n"


def operation(node: Node) -> str:
    """Return what a node does, in the notation of C: `#3 + (#5 << 2)`."""
    match node:
        case Source():
            return f"x[{node.element}]"
        case Const():
            return str(node.lo)
        case Add():
            return f"{_shifted(node.a, node.shift_a)} {_sign(node.minus)} {_shifted(node.b, node.shift_b)}"
        case Add3():
            second = f"{_sign(node.minus_b)} {_shifted(node.b, node.shift_b)}"
            return f"{_shifted(node.a, node.shift_a)} {second} {_sign(node.minus_c)} {_shifted(node.c, node.shift_c)}"
        case Floor():
            return f"#{node.a} >> {node.drop}"
        case Shift():
            return f"#{node.a} << {node.up}"
        case Clamp():
            return f"clamp(#{node.a}, {node.lo}, {node.hi})"
        case Wrap():
            return f"{'signed' if node.signed else 'unsigned'}(#{node.a}[{node.width_bits - 1}:0])"
        case GreaterEqual():
            return f"#{node.a} >= #{node.b}"
        case Select():
            return f"#{node.condition} ? #{node.a} : #{node.b}"
        case Table():
            shown = " ".join(map(str, node.values[:ENTRIES])) + " ..." * (len(node.values) > ENTRIES)
            return f"table{_bits(node.reads, node.widths)}: {shown}"
        case Join():
            return f"join{_bits(node.reads, node.widths)}"
        case _:
            assert_never(node)


def _sign(minus: bool) -> str:
    return "-" if minus else "+"


def _shifted(index: int, shift: int) -> str:
    return f"(#{index} << {shift})" if shift else f"#{index}"


def _bits(reads: Sequence[int], widths: Sequence[int]) -> str:
    """Return the slices that make an index, the lowest first."""
    slices = [f"#{read}[{bits - 1}:0]" for read, bits in zip(reads, widths, strict=True)]
    return f"({', '.join(slices)})"


def _elements(refs: Sequence[Ref | None]) -> str:
    return " ".join("-" if ref is None else _shifted(ref.node, ref.shift) for ref in refs)


def _columns(rows: list[Row], *, right: set[int]) -> list[str]:
    """Return the rows as lines, cells aligned; right: columns of numbers."""
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(size) if at in right else cell.ljust(size)
            for at, (cell, size) in enumerate(zip(row, sizes, strict=True))
        ).rstrip()
        for row in rows
    ]
