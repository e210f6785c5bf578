"""A recurrent cell and the port of its steps in, the unit that runs its body's circuit once a step out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.ir.interp import Interpreter
from gatewright.ir.op_moves import Concat, Slice
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A cell's body and its steps on some frames.

    wires: by what each element of the body's input is carried, the step first; start: the initial state at its
    frac_bits; up: from those of the body's result to them; given, want: what the body reads in each step and makes of
    it, (frames * steps, elements).
    """

    body: Facts
    wires: tuple[Lane, ...]
    start: Ints
    up: int
    given: Ints
    want: Ints

    @staticmethod
    def of(op: Scan, taken: Port, facts: Facts, trace: Mapping[str, Ints], *, frames: int | None = None) -> Loop:
        """Return a cell's loop. taken: a step a beat. Raises LowerError for a body that no circuit computes."""
        for inner, shape in shapes(op.body).items():
            each = op.body.op(inner)
            if isinstance(each, Scan) or len(shape) > 1:
                raise refused(op, f"whose body holds a {type(each).__name__} of shape {shape}, op {inner!r}")
        x, result, initial = facts.ranges[op.source], facts.ranges[op.name], facts.program.constants[op.initial]
        inside, _ = scan_ranges(op, facts.program, x)
        source = op.body.input.name
        body = Facts(program=op.body, inputs={source: inside[source]})
        frac = op.body.input.format.frac_bits
        up, start = frac - result.frac_bits, initial.q << (frac - initial.frac_bits)
        steps = (Lane(lane.lo, lane.hi, lane.shift + frac - x.frac_bits) for lane in taken.lanes)
        given, want = _steps(body.interpreter, trace[op.source][:frames] << (frac - x.frac_bits), start, up)
        zeros = [up + low for low in _zeros(body)]
        wires = (*steps, *_state_lanes(inside[source], start, zeros))
        return Loop(body=body, wires=wires, start=start, up=up, given=given, want=want)

    def end(self, op: Scan) -> int:
        """Return how many elements of the body's result are a state or leave."""
        return max(len(self.start), op.emit[1])

    def ops(self, op: Scan) -> list[Op]:
        """Return the body's ops, and last those elements of its result that are a state or leave."""
        ops: list[Op] = [replace(each, layer=op.layer) for each in op.body.ops[1:]]
        names, last = {each.name for each in op.body.ops}, f"{op.body.output}.read"
        while last in names:
            last += "_"
        stops, source = (self.end(op),), op.body.output
        return [*ops, Slice(name=last, layer=op.layer, source=source, starts=(0,), stops=stops, steps=(1,))]

    def alike(self, units: int) -> Loop:
        """Return the loop with one lane for all elements of each part of the state, of so many units."""
        features = len(self.wires) - len(self.start)
        parts = [self.wires[at : at + units] for at in range(features, len(self.wires), units)]
        states: list[Lane] = []
        for part in parts:
            shift = min(lane.shift for lane in part)
            lo = min(lane.lo << (lane.shift - shift) for lane in part)
            hi = max(lane.hi << (lane.shift - shift) for lane in part)
            states += [Lane(lo, hi, shift)] * units
        return replace(self, wires=(*self.wires[:features], *states))


def recurrent(
    op: Scan, name: str, taken: Port, facts: Facts, trace: Mapping[str, Ints], target: Target, choices: Choices
) -> tuple[Recurrent, int]:
    """Return the unit of a cell that takes its steps as they come, and how many integers of it were compared.

    taken: a step a beat. Raises LowerError for a body that no circuit computes, and where the circuit differs.
    """
    loop = Loop.of(op, taken, facts, trace)
    wires, end = loop.wires, loop.end(op)
    rows = some_beats(len(loop.given))
    circuit, checked = body_circuit(
        f"{facts.program.name}_{name}",
        {op.body.input.name: wires},
        loop.ops(op),
        loop.body,
        {},
        (loop.given[rows] >> np.array([wire.shift for wire in wires]), loop.want[rows, :end]),
        target,
        choices,
    )
    shape, (first, last) = facts.shapes[op.name], op.emit
    states: Sequence[Lane] = wires[len(taken.lanes) :]
    return Recurrent(
        name=name,
        takes=(taken,),
        gives=(Port.full(op.name, Stream.in_order(shape, shape[-1]), lanes_of(circuit)[first:last]),),
        circuit=circuit,
        schedule=schedule(circuit, family=target.family, clock_mhz=target.clock_mhz),
        states=tuple(states),
        initial=tuple(int(v) >> lane.shift for v, lane in zip(loop.start, states, strict=True)),
        up=loop.up,
        emit=op.emit,
    ), checked


def _zeros(body: Facts) -> list[int]:
    """Return how many low bits of each element of a body's result are 0, for what is joined there is coarser."""
    result = body.program.op(body.program.output)
    frac = body.ranges[result.name].frac_bits
    if not isinstance(result, Concat):
        return [0] * body.shapes[result.name][0]
    return [frac - body.ranges[name].frac_bits for name in result.sources for _ in range(body.shapes[name][0])]


def _state_lanes(read: Range, start: Ints, zeros: Sequence[int]) -> tuple[Lane, ...]:
    """Return what carries each element of the state, without the zeros below what a step makes and what it starts from.

    read: of what the body reads, the state last; zeros: the low bits of what a step makes that are 0.
    """
    found: list[Lane] = []
    ends = zip(read.lo[-len(start) :].tolist(), read.hi[-len(start) :].tolist(), start.tolist(), strict=True)
    for (lo, hi, first), low in zip(ends, zeros, strict=False):
        shift = min((first & -first).bit_length() - 1, low) if first else low
        found.append(Lane(lo >> shift, hi >> shift, shift))
    return tuple(found)


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
