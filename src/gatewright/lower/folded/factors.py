"""Program and reuse factors as configured in, each dense layer's factor out, or LowerError naming a legal one."""

from __future__ import annotations

from gatewright.errors import LowerError
from gatewright.ir.ops import Dense
from gatewright.ir.program import Program
from gatewright.ir.shapes import shapes


def reuse_factors(program: Program, reuse: int | tuple[int, ...]) -> dict[str, int]:
    """Return the factor of each dense op: 1 (unrolled) to its number of weights. reuse: one for all, or one each.

    One for all is cut down to what a layer has; the largest layer must have as many weights.
    """
    layers = [op for op in program.ops if isinstance(op, Dense)]
    given = [reuse] * len(layers) if isinstance(reuse, int) else list(reuse)
    if len(given) != len(layers):
        raise LowerError(
            f"hardware.reuse_factor must be one number or {len(layers)} numbers (one per dense layer: "
            f"{', '.join(op.layer for op in layers)}), not {len(given)}"
        )
    for op, factor in zip(layers, given, strict=True):
        most = program.constants[op.weight].q.size
        n_in, n_out = program.constants[op.weight].q.shape
        if factor < 1 or (factor > most and not isinstance(reuse, int)):
            raise LowerError(
                f"hardware.reuse_factor of layer {op.layer!r} must be 1..{most} ({n_in} inputs x {n_out} outputs), "
                f"not {factor}; the nearest legal one is {min(max(factor, 1), most)}"
            )
    known = shapes(program)
    for op, factor in zip(layers, given, strict=True):
        if factor > 1 and len(known[op.source]) > 1:
            raise LowerError(
                f"hardware.reuse_factor of layer {op.layer!r} must be 1, not {factor}: folded layers read vectors, "
                f'not values of shape {known[op.source]}; set hardware.architecture = "parallel" or "stream"'
            )
    sizes = [program.constants[op.weight].q.size for op in layers]
    most = max(sizes, default=1)
    if isinstance(reuse, int) and reuse > most:
        raise LowerError(
            f"hardware.reuse_factor must be 1..{most} (the weights of the largest layer), not {reuse}; "
            f"the nearest legal one is {most}"
        )
    return {op.name: min(factor, size) for op, factor, size in zip(layers, given, sizes, strict=True)}
