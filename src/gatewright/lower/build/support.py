"""Program in, nothing out, or LowerError naming the layer that the `parallel` architecture cannot build yet."""

from __future__ import annotations

from gatewright.errors import LowerError
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, Thresholds, TopK
from gatewright.ir.ops import Dense, Input, Relu, Requant
from gatewright.ir.program import Op, Program, Scan
from gatewright.ir.shapes import shapes

_BUILT = (Input, Dense, Relu, Requant, ArgMax, TopK, Thresholds, Lookup, Softmax)


def check_supported(program: Program) -> None:
    """Raise LowerError for the first op without hardware, and for a value that is not a vector."""
    for op in program.ops:
        if not isinstance(op, _BUILT):
            raise unsupported(op)
    for op, shape in zip(program.ops, shapes(program).values(), strict=True):
        if len(shape) != 1:
            raise LowerError(
                f"layer {op.layer!r}: {type(op).__name__} (op {op.name!r}) has shape {shape}, hardware for more than "
                "one axis follows; use the interpreter (gatewright.ir.Interpreter) until then, or a vector as input"
            )


def unsupported(op: Op) -> LowerError:
    """Return the error for an op without hardware."""
    kind = "a recurrent cell (Scan)" if isinstance(op, Scan) else type(op).__name__
    return LowerError(
        f"layer {op.layer!r}: no hardware for {kind} (op {op.name!r}) yet; hardware for {kind} follows, use the "
        "interpreter (gatewright.ir.Interpreter) until then, or a fully connected network"
    )
