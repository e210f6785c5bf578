"""Program in, equal Program out: sums, products, maxima and minima of a vector with a constant become dense layers.

x + c and x * c are dense layers with a diagonal matrix, max(x, c) is relu(x - c) + c, min(x, c) is c - relu(c - x):
so that what only moves or scales numbers needs no hardware of its own. Every result keeps its name and its integers.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gatewright.ir.ops import Add, Binary, Const, Dense, Max, Min, Mul, Relu, Sub
from gatewright.ir.program import Constant, Op, Program, constants_of, sources
from gatewright.ir.verify import verify
from gatewright.lower.build.facts import Facts


def constants_to_dense(program: Program) -> Program:
    """Return the verified program; ops on more than one axis, and of two results, stay as they are."""
    facts = Facts(program=program)
    known, sizes = facts.ranges, facts.shapes
    ops: list[Op] = []
    constants = dict(program.constants)
    for op in program.ops:
        found = _operands(op, program) if isinstance(op, Binary) and len(sizes[op.name]) == 1 else None
        if found is None:
            ops.append(op)
            continue
        assert isinstance(op, Binary)
        source, constant, swapped = found
        value = program.constants[constant.value]
        if sizes[source] != sizes[op.name]:
            ops.append(op)
            continue
        value = Constant(np.broadcast_to(value.q.reshape(-1), sizes[source]), value.frac_bits)
        ops += _dense_form(op, source, constants, value, known[op.name].frac_bits, swapped)
    read = {name for op in ops for name in sources(op)} | {program.output}
    ops = [op for op in ops if not isinstance(op, Const) or op.name in read]
    used = {key for op in ops for key in constants_of(op)}
    made = dataclasses.replace(
        program, ops=tuple(ops), constants={key: value for key, value in constants.items() if key in used}
    )
    verify(made)
    return made


def _operands(op: Binary, program: Program) -> tuple[str, Const, bool] | None:
    """Return (the result read, the constant, whether the constant is on the left) where one operand is constant."""
    left, right = program.op(op.left), program.op(op.right)
    if isinstance(right, Const) and not isinstance(left, Const):
        return op.left, right, False
    if isinstance(left, Const) and not isinstance(right, Const):
        return op.right, left, True
    return None


def _dense_form(
    op: Binary, source: str, constants: dict[str, Constant], value: Constant, frac: int, swapped: bool
) -> list[Op]:
    """Return the ops that give op's integers, the last under its name; their tables join `constants`."""
    size = value.q.size
    one, none = np.ones(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    q = value.q.reshape(-1)

    def dense(name: str, read: str, diagonal: Constant, shift: Constant) -> Dense:
        made = Dense(name=name, layer=op.layer, source=read, weight=f"{name}.diagonal", bias=f"{name}.shift")
        constants[made.weight] = Constant(np.diag(diagonal.q), diagonal.frac_bits)
        constants[made.bias] = shift
        return made

    plus, minus = Constant(one, 0), Constant(-one, 0)
    shift, back = Constant(q, value.frac_bits), Constant(-q, value.frac_bits)
    match op:
        case Add():
            return [dense(op.name, source, plus, shift)]
        case Sub():
            return [dense(op.name, source, minus, shift) if swapped else dense(op.name, source, plus, back)]
        case Mul():
            return [dense(op.name, source, shift, Constant(none, frac))]
        case Max():
            over, last = dense(f"{op.name}.over", source, plus, back), plus
        case Min():
            over, last = dense(f"{op.name}.over", source, minus, shift), minus
    clipped = Relu(name=f"{op.name}.clipped", layer=op.layer, source=over.name)
    return [over, clipped, dense(op.name, clipped.name, last, shift)]
