"""A program in, an equal one out whose moves along rows and columns stand alone, as units on streams make them.

What pads, slices or repeats rows or columns and channels at once becomes two ops; zeros around what a convolution or a
sum of windows reads join its own padding; an operand that broadcasts along rows or columns is repeated first, and
the steps of a cell that runs backwards are turned round.
"""

from __future__ import annotations

from dataclasses import replace

from gatewright.ir.op_moves import Fill, Pad, Reshape, Slice, Upsample
from gatewright.ir.ops import Add, Const, Conv, Max, Min, Mul, Pool, PoolKind, Sub
from gatewright.ir.program import Op, Program, Scan
from gatewright.ir.shapes import shapes
from gatewright.lower.build.facts import Facts

Resampling = Pad | Slice | Upsample


def normal(program: Program) -> Program:
    """Return an equal program, whose results keep their names."""
    program = replace(program, ops=_without_pads(program))
    known, names = shapes(program), {op.name for op in program.ops}
    made: list[Op] = []
    for op in program.ops:
        match op:
            case Pad() | Slice() | Upsample():
                made += _apart(op, known[op.source], names)
            case Add() | Sub() | Mul() | Max() | Min():
                made += _spread(op, program, known, names)
            case Scan() if op.reverse:
                made += _forward(op, known[op.source], names)
            case _:
                made.append(op)
    return replace(program, ops=tuple(made))


def along_space(op: Resampling, shape: tuple[int, ...]) -> bool:
    """Tell whether an op on a value of a shape does anything along rows or columns."""
    return any(_does(op, shape)[:-1])


def _does(op: Resampling, shape: tuple[int, ...]) -> list[bool]:
    """Return for each axis whether an op does anything along it."""
    match op:
        case Pad():
            return [any(pair) for pair in op.pads]
        case Upsample():
            return [factor != 1 for factor in op.factors]
        case Slice():
            parts = zip(op.starts, op.stops, op.steps, shape, strict=True)
            return [(start, step) != (0, 1) or stop != size for start, stop, step, size in parts]


def _apart(op: Resampling, shape: tuple[int, ...], names: set[str]) -> list[Op]:
    """Return an op as one along channels, then one along rows and columns; itself where it does not do both."""
    if not (along_space(op, shape) and _does(op, shape)[-1]):
        return [op]
    first, rest = _new(f"{op.name}.channels", names), len(shape) - 1
    match op:
        case Pad():
            none = ((0, 0),) * rest
            return [
                replace(op, name=first, pads=(*none, op.pads[-1])),
                replace(op, source=first, pads=(*op.pads[:-1], (0, 0))),
            ]
        case Upsample():
            ones = (1,) * rest
            return [
                replace(op, name=first, factors=(*ones, op.factors[-1])),
                replace(op, source=first, factors=(*op.factors[:-1], 1)),
            ]
        case Slice():
            kept = len(range(op.starts[-1], op.stops[-1], op.steps[-1]))
            return [
                replace(
                    op,
                    name=first,
                    starts=(*(0,) * rest, op.starts[-1]),
                    stops=(*shape[:-1], op.stops[-1]),
                    steps=(*(1,) * rest, op.steps[-1]),
                ),
                replace(
                    op,
                    source=first,
                    starts=(*op.starts[:-1], 0),
                    stops=(*op.stops[:-1], kept),
                    steps=(*op.steps[:-1], 1),
                ),
            ]


def _without_pads(program: Program) -> tuple[Op, ...]:
    """Return the ops with zeros around a value joined to the padding of the one that reads it."""
    facts = Facts(program=program)
    gone: dict[str, str] = {}
    made: list[Op] = []
    for op in program.ops:
        if not isinstance(op, Conv | Pool):
            made.append(op)
            continue
        source = program.op(op.source)
        if (
            not isinstance(source, Pad)
            or source.value
            or any(source.pads[-1])
            or facts.readers[source.name] != (op.name,)
            or source.name == program.output
            or (isinstance(op, Pool) and op.kind is PoolKind.MAX)
        ):
            made.append(op)
            continue
        size = op.size if isinstance(op, Pool) else program.constants[op.weight].q.shape[:-2]
        spread = (1,) * len(size) if isinstance(op, Pool) else op.dilation
        pads = tuple((before + a, after + b) for (before, after), (a, b) in zip(op.pads, source.pads[:-1], strict=True))
        fits = all(sum(pad) < (taps - 1) * step + 1 for pad, taps, step in zip(pads, size, spread, strict=True))
        made.append(replace(op, source=source.source, pads=pads) if fits else op)
        gone |= {source.name: op.name} if fits else {}
    return tuple(op for op in made if op.name not in gone)


def _spread(
    op: Add | Sub | Mul | Max | Min, program: Program, known: dict[str, tuple[int, ...]], names: set[str]
) -> list[Op]:
    """Return an op of two values with one that is smaller brought to the other's shape."""
    shape, made = known[op.name], list[Op]()
    sides = {"left": op.left, "right": op.right}
    for side, name in sides.items():
        given = known[name]
        if given == shape or isinstance(program.op(name), Const):
            continue
        if len(given) < len(shape):
            given = (*(1,) * (len(shape) - len(given)), *given)
            wide = _new(f"{op.name}.{side}", names)
            made.append(Reshape(name=wide, layer=op.layer, source=name, shape=given))
            name = wide
        if given != shape:
            factors = tuple(size // own for size, own in zip(shape, given, strict=True))
            full = _new(f"{op.name}.{side}_copies", names)
            each = Upsample(name=full, layer=op.layer, source=name, factors=factors, fill=Fill.REPEAT)
            made += _apart(each, given, names)
            name = full
        sides[side] = name
    return [*made, replace(op, left=sides["left"], right=sides["right"])]


def _forward(op: Scan, shape: tuple[int, ...], names: set[str]) -> list[Op]:
    """Return a cell that takes the last step first as one behind the steps in that order."""
    steps, features = shape
    turned = _new(f"{op.name}.turned", names)
    last_first = Slice(
        name=turned, layer=op.layer, source=op.source, starts=(steps - 1, 0), stops=(-1, features), steps=(-1, 1)
    )
    return [last_first, replace(op, source=turned, reverse=False)]


def _new(name: str, names: set[str]) -> str:
    """Return a name that no op has."""
    while name in names:
        name += "_"
    names.add(name)
    return name
