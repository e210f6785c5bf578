"""Program in, equal Program out: convolutions that meet one cell at a time become dense layers over the channels."""

from __future__ import annotations

import dataclasses

from gatewright.ir.ops import Conv, Dense
from gatewright.ir.program import Constant, Op, Program, constants_of


def pointwise_to_dense(program: Program) -> Program:
    """Return the program; every result keeps its name and its integers. Other convolutions stay as they are."""
    constants = dict(program.constants)
    ops = tuple(_dense(op, constants) if isinstance(op, Conv) else op for op in program.ops)
    used = {key for op in ops for key in constants_of(op)}
    return dataclasses.replace(program, ops=ops, constants={key: constants[key] for key in constants if key in used})


def _dense(op: Conv, constants: dict[str, Constant]) -> Op:
    weight = constants[op.weight]
    alone = weight.q.shape[:-2] == op.strides == (1,) * (weight.q.ndim - 2)
    if not alone or op.groups > 1 or any(map(any, op.pads)):
        return op
    made = Dense(name=op.name, layer=op.layer, source=op.source, weight=f"{op.name}.channels", bias=op.bias)
    constants[made.weight] = Constant(weight.q.reshape(weight.q.shape[-2:]), weight.frac_bits)
    return made
