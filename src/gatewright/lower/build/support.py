"""Program in, nothing out, or LowerError naming the first layer that the parallel architecture does not build."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from gatewright.errors import LowerError
from gatewright.ir.op_moves import Reshape
from gatewright.ir.ops import Conv, Pool
from gatewright.ir.program import Program, Scan, sources

Unsupported = Conv | Pool | Scan


def no_hardware(op: Unsupported) -> LowerError:
    """Return the error that refuses an op without hardware."""
    return LowerError(
        f"layer {op.layer!r}: no hardware for {type(op).__name__} (op {op.name!r}) in the parallel and the folded "
        'architecture; set hardware.architecture = "stream"'
    )


def flat_input(program: Program) -> Program:
    """Return a program with its input as a vector, where all that read it reshape it: row-major, as ports carry it."""
    readers = [op for op in program.ops if program.input.name in sources(op)]
    if program.output == program.input.name or not all(isinstance(op, Reshape) for op in readers):
        return program
    first = replace(program.input, shape=(prod(program.input.shape),))
    return replace(program, ops=(first, *program.ops[1:]))


def check_supported(program: Program) -> None:
    """Raise LowerError for the first op whose kind has no hardware."""
    for op in program.ops:
        if isinstance(op, Unsupported):
            raise no_hardware(op)
