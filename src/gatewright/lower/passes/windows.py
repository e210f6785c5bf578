"""Program in, equal Program out: convolutions and pools of images are dense layers over the whole image.

So that a design may take a whole image in one cycle, and nothing behind this pass knows of windows. What is linear
becomes one dense layer, its matrix read off the interpreter: the op's results for each unit vector. A maximum of
windows is that of two vectors at a time, each taken from the image by a layer of ones, which is wires.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from math import prod

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.ir.interp import Interpreter
from gatewright.ir.op_moves import Reshape
from gatewright.ir.ops import Conv, Dense, Input, Max, Pool, PoolKind
from gatewright.ir.program import Constant, Op, Program, constants_of
from gatewright.ir.verify import verify
from gatewright.ir.windows import windows
from gatewright.lower.build.facts import Facts

MOST_PRODUCTS = 100_000
"""Products that the convolutions of one design may compute at once: some hundred thousand LUTs."""
MOST_CELLS = 1 << 24
"""Elements of a layer's matrix over a whole image: 128 MiB."""


def windows_to_dense(program: Program) -> Program:
    """Return the verified program; every result keeps its name and its integers.

    Raises LowerError naming the layer that is too large for it, or with which more than MOST_PRODUCTS come at once.
    """
    if not any(isinstance(op, Conv | Pool) for op in program.ops):
        return program
    work = _Work(Facts(program=program))
    for op in program.ops:
        work.add(op)
    used = {key for op in work.ops for key in constants_of(op)}
    constants = {key: value for key, value in work.constants.items() if key in used}
    made = dataclasses.replace(program, ops=tuple(work.ops), constants=constants)
    verify(made)
    return made


@dataclass(slots=True)
class _Work:
    """facts: of the given program; ops, constants: of the new one; products: of its convolutions, so far."""

    facts: Facts
    ops: list[Op] = field(default_factory=list[Op])
    constants: dict[str, Constant] = field(init=False)
    products: int = 0

    def __post_init__(self) -> None:
        self.constants = dict(self.facts.program.constants)

    def add(self, op: Op) -> None:
        """Add an op, or the ops of vectors that give its integers."""
        if not isinstance(op, Conv | Pool):
            self.ops.append(op)
            return
        read, given = self.facts.shapes[op.source], self.facts.shapes[op.name]
        if prod(read) * prod(given) > MOST_CELLS:
            raise _refused(op, f"of {prod(read):,} numbers to {prod(given):,} is too large to be computed at once")
        flat = Reshape(name=f"{op.name}.flat", layer=op.layer, source=op.source, shape=(prod(read),))
        self.ops.append(flat)
        if isinstance(op, Pool) and op.kind is PoolKind.MAX:
            found = self._maxima(op, flat.name)
        else:
            found = self._sums(op, flat.name)
        self.ops.append(Reshape(name=op.name, layer=op.layer, source=found, shape=given))

    def _sums(self, op: Conv | Pool, source: str) -> str:
        """Add the dense layer whose bias is the op's result for 0, and whose matrix are those for unit vectors."""
        facts, read = self.facts, self.facts.shapes[op.source]
        frac, given, size = facts.ranges[op.name].frac_bits, facts.ranges[op.source].frac_bits, prod(read)
        zero, units = np.zeros((1, *read), np.int64), np.eye(size, dtype=np.int64).reshape(size, *read)
        bias, sums = (_alone(op, facts.program, given, x).reshape(len(x), -1) for x in (zero, units))
        weight_frac = facts.program.constants[op.weight].frac_bits if isinstance(op, Conv) else 0
        matrix = (sums - bias) >> (frac - given - weight_frac)
        self.products += int(np.count_nonzero(matrix)) if isinstance(op, Conv) else 0
        if self.products > MOST_PRODUCTS:
            raise _refused(op, f"is the layer with which more than {MOST_PRODUCTS:,} products come at once")
        return self._dense(op, f"{op.name}.sums", source, Constant(matrix, weight_frac), Constant(bias[0], frac))

    def _maxima(self, op: Pool, source: str) -> str:
        """Add the greater of two vectors at a time; where a window has padding stands an element of it again."""
        shape, frac = self.facts.shapes[op.source], self.facts.ranges[op.source].frac_bits
        size, one = prod(shape), (1,) * len(op.size)
        index = windows(np.arange(size).reshape(1, *shape), op.size, op.strides, one, op.pads, fill=-1)
        cells = np.moveaxis(index, -1, len(op.size) + 1).reshape(-1, prod(op.size))
        cells = np.where(cells < 0, cells.max(axis=1, keepdims=True), cells)
        found: list[str] = []
        for number, taken in enumerate(cells.T):
            matrix = np.zeros((size, len(taken)), np.int64)
            matrix[taken, np.arange(len(taken))] = 1
            none = Constant(np.zeros(len(taken), np.int64), frac)
            found.append(self._dense(op, f"{op.name}.cell{number}", source, Constant(matrix, 0), none))
        while len(found) > 1:
            left, right, *rest = found
            made = Max(name=f"{op.name}.of{len(found)}", layer=op.layer, left=left, right=right)
            self.ops.append(made)
            found = [*rest, made.name]
        return found[0]

    def _dense(self, op: Op, name: str, source: str, matrix: Constant, bias: Constant) -> str:
        weight, shift = f"{name}.weight", f"{name}.bias"
        self.constants |= {weight: matrix, shift: bias}
        self.ops.append(Dense(name=name, layer=op.layer, source=source, weight=weight, bias=shift))
        return name


def _refused(op: Op, why: str) -> LowerError:
    return LowerError(
        f"layer {op.layer!r}: {type(op).__name__} (op {op.name!r}) {why} in the parallel architecture; "
        'set hardware.architecture = "stream"'
    )


def _alone(op: Conv | Pool, program: Program, frac: int, x: Ints) -> Ints:
    """Return an op's result for codes x of its operand, which has so many fractional bits."""
    unit = Fixed(width_bits=2, frac_bits=frac, signed=True)
    given = Input(name=op.source, layer=op.source, shape=x.shape[1:], format=unit)
    return Interpreter(Program(name=program.name, ops=(given, op), output=op.name, constants=program.constants)).run(x)
