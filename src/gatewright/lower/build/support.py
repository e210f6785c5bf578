"""Program in, nothing out, or LowerError naming the first layer that the `parallel` architecture cannot build yet."""

from __future__ import annotations

from gatewright.errors import LowerError
from gatewright.ir.op_moves import Concat, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK
from gatewright.ir.ops import Add, Const, Conv, Dense, Input, Max, Min, Mul, Pool, Relu, Requant, Sub
from gatewright.ir.program import Op, Program, Scan
from gatewright.ir.shapes import shapes

Unsupported = Conv | Pool | Scan
Supported = (
    Input
    | Const
    | Dense
    | Relu
    | Requant
    | Add
    | Sub
    | Mul
    | Max
    | Min
    | Concat
    | Reshape
    | Transpose
    | Slice
    | Pad
    | Upsample
    | ArgMax
    | TopK
    | Thresholds
    | Lookup
    | Softmax
)  # on vectors; a new operation joins one of the two


def supported(op: Op) -> Supported:
    """Return the op, one that has hardware; LowerError otherwise."""
    if isinstance(op, Unsupported):
        kind = "a recurrent cell (Scan)" if isinstance(op, Scan) else type(op).__name__
        raise LowerError(
            f"layer {op.layer!r}: no hardware for {kind} (op {op.name!r}) yet; hardware for {kind} follows, use the "
            "interpreter (gatewright.ir.Interpreter) until then, or a fully connected network"
        )
    return op


def check_supported(program: Program) -> None:
    """Raise LowerError for the first op without hardware: its kind has none, or its result is not a vector.

    What an input of several axes goes into is named before the input.
    """
    known = shapes(program)
    for op in (*program.ops[1:], program.input):
        supported(op)
        if len(known[op.name]) != 1:
            raise LowerError(
                f"layer {op.layer!r}: {type(op).__name__} (op {op.name!r}) has shape {known[op.name]}, hardware for "
                "more than one axis follows; use the interpreter (gatewright.ir.Interpreter) until then, or a vector "
                "as input"
            )
