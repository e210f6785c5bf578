"""Program in, nothing out, or LowerError naming the first layer that the `parallel` architecture cannot build yet."""

from __future__ import annotations

from gatewright.errors import LowerError
from gatewright.ir.ops import Conv, Pool
from gatewright.ir.program import Program, Scan
from gatewright.ir.shapes import shapes

Unsupported = Conv | Pool | Scan


def no_hardware(op: Unsupported) -> LowerError:
    """Return the error that refuses an op without hardware."""
    kind = "a recurrent cell (Scan)" if isinstance(op, Scan) else type(op).__name__
    return LowerError(
        f"layer {op.layer!r}: no hardware for {kind} (op {op.name!r}) yet; hardware for {kind} follows, use the "
        "interpreter (gatewright.ir.Interpreter) until then, or a fully connected network"
    )


def check_supported(program: Program) -> None:
    """Raise LowerError for the first op whose kind has no hardware, else for the first whose result is not a vector.

    So a convolution is named before the reshape that feeds it, and what an input of several axes goes into before it.
    """
    known = shapes(program)
    for op in program.ops:
        if isinstance(op, Unsupported):
            raise no_hardware(op)
    for op in (*program.ops[1:], program.input):
        if len(known[op.name]) != 1:
            raise LowerError(
                f"layer {op.layer!r}: {type(op).__name__} (op {op.name!r}) has shape {known[op.name]}, hardware for "
                "more than one axis follows; use the interpreter (gatewright.ir.Interpreter) until then, or a vector "
                "as input"
            )
