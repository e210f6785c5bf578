"""A recurrent cell and the port of its steps in, the unit that runs its body's circuit once a step out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.ir.interp import Interpreter
from gatewright.ir.op_moves import Slice
from gatewright.ir.program import Op, Scan
from gatewright.ir.ranges import Range, scan_ranges
from gatewright.ir.shapes import shapes
from gatewright.lower.build.facts import Facts
from gatewright.lower.pipeline.schedule import schedule
from gatewright.lower.stream import Lane, Port, Stream
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.target import Choices, Target
from gatewright.lower.tensor.beats import refused
from gatewright.lower.tensor.bodies import body_circuit, lanes_of, some_beats


def recurrent(
    op: Scan, name: str, taken: Port, facts: Facts, trace: Mapping[str, Ints], target: Target, choices: Choices
) -> tuple[Recurrent, int]:
    """Return the unit of a cell that takes its steps as they come, and how many integers of it were compared.

    taken: a step a beat. Raises LowerError for a body that no circuit computes, and where the circuit differs.
    """
    for inner, shape in shapes(op.body).items():
        each = op.body.op(inner)
        if isinstance(each, Scan) or len(shape) > 1:
            raise refused(op, f"whose body holds a {type(each).__name__} of shape {shape}, op {inner!r}")
    x, result, initial = facts.ranges[op.source], facts.ranges[op.name], facts.program.constants[op.initial]
    inside, _ = scan_ranges(op, facts.program, x)
    body = Facts(program=op.body, inputs={op.body.input.name: inside[op.body.input.name]})
    frac, count = op.body.input.format.frac_bits, initial.q.size
    up, start = frac - result.frac_bits, initial.q << (frac - initial.frac_bits)
    states = _state_lanes(inside[op.body.input.name], start, up)
    steps = [Lane(lane.lo, lane.hi, lane.shift + frac - x.frac_bits) for lane in taken.lanes]
    wires, end = [*steps, *states], max(count, op.emit[1])
    given, want = _steps(body.interpreter, trace[op.source] << (frac - x.frac_bits), start, up)
    rows = some_beats(len(given))
    circuit, checked = body_circuit(
        f"{facts.program.name}_{name}",
        {op.body.input.name: wires},
        _ops(op, end),
        body,
        {},
        (given[rows] >> np.array([wire.shift for wire in wires]), want[rows, :end]),
        target,
        choices,
    )
    shape, (first, last) = facts.shapes[op.name], op.emit
    return Recurrent(
        name=name,
        takes=(taken,),
        gives=(Port.full(op.name, Stream.in_order(shape, shape[-1]), lanes_of(circuit)[first:last]),),
        circuit=circuit,
        schedule=schedule(circuit, family=target.family, clock_mhz=target.clock_mhz),
        states=states,
        initial=tuple(int(v) >> lane.shift for v, lane in zip(start, states, strict=True)),
        up=up,
        emit=op.emit,
    ), checked


def _state_lanes(read: Range, start: Ints, up: int) -> tuple[Lane, ...]:
    """Return what carries each element of the state, without the zeros below what a step makes and what it starts from.

    read: of what the body reads, the state last.
    """
    found: list[Lane] = []
    ends = zip(read.lo[-len(start) :].tolist(), read.hi[-len(start) :].tolist(), start.tolist(), strict=True)
    for lo, hi, first in ends:
        shift = min((first & -first).bit_length() - 1, up) if first else up
        found.append(Lane(lo >> shift, hi >> shift, shift))
    return tuple(found)


def _ops(op: Scan, end: int) -> list[Op]:
    """Return the body's ops, and last those elements of its result that are a state or leave."""
    ops: list[Op] = [replace(each, layer=op.layer) for each in op.body.ops[1:]]
    names, last = {each.name for each in op.body.ops}, f"{op.body.output}.read"
    while last in names:
        last += "_"
    return [*ops, Slice(name=last, layer=op.layer, source=op.body.output, starts=(0,), stops=(end,), steps=(1,))]


def _steps(body: Interpreter, x: Ints, start: Ints, up: int) -> tuple[Ints, Ints]:
    """Return what the body reads in every step of some frames and what it makes of it, (frames * steps, elements)."""
    state = np.broadcast_to(start, (len(x), len(start)))
    read: list[Ints] = []
    made: list[Ints] = []
    for step in range(x.shape[1]):
        read.append(np.concatenate([x[:, step], state], axis=1))
        made.append(body.run(read[-1]))
        state = made[-1][:, : len(start)] << up
    return np.concatenate(read), np.concatenate(made)
