"""A program of scores and the wanted output stage in, the program with that stage out."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from gatewright.errors import ProgramError
from gatewright.fixedpoint import MAX_BITS, Fixed
from gatewright.ir.op_tables import ArgMax, Softmax, SoftmaxVariant, Thresholds, TopK
from gatewright.ir.program import Constant, Op, Program
from gatewright.ir.ranges import Range, ranges
from gatewright.ir.softmax import softmax_error_bound, softmax_op
from gatewright.ir.verify import verify
from gatewright.words import OutputKind


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputStage:
    """What leaves the chip.

    kind: "scores", the class number ("argmax"), the `top_k` best class numbers ("topk"), for each score 1 where it
    reaches its threshold else 0 ("threshold"), or probabilities in `softmax_format` ("softmax", by tables of at most
    `softmax_entries`). threshold: in units of the scores, one for all or one per score.
    """

    kind: OutputKind = "argmax"
    top_k: int = 2
    threshold: float | tuple[float, ...] = 0.0
    softmax: Literal["stable", "latency"] = "stable"
    softmax_format: str = "ufixed<8,0>"
    softmax_entries: int = 1024

    def check_scores(self, scores: int) -> None:
        """Raise ProgramError where the stage does not suit so many scores."""
        if self.kind == "topk" and not 1 <= self.top_k <= scores:
            raise ProgramError(f"hardware.top_k must be 1..{scores}, the number of scores, not {self.top_k}")
        given = len(self.threshold) if isinstance(self.threshold, tuple) else 1
        if self.kind == "threshold" and given not in (1, scores):
            raise ProgramError(f"hardware.threshold must be one number or {scores}, one per score, not {given}")


def add_output_stage(program: Program, stage: OutputStage) -> Program:
    """Return the verified program with the stage's op after its scores: `class`, `top`, `decision` or `probability`.

    Raises ProgramError where the stage does not suit the number of scores.
    """
    values, source = ranges(program)[program.output], program.output
    stage.check_scores(values.lo.size)
    op: Op
    constants: dict[str, Constant] = {}
    match stage.kind:
        case "scores":
            return program
        case "argmax":
            op = ArgMax(name="class", layer="argmax", source=source)
        case "topk":
            op = TopK(name="top", layer="topk", source=source, k=stage.top_k)
        case "threshold":
            op = Thresholds(
                name="decision",
                layer="threshold",
                source=source,
                thresholds="decision.threshold",
                start=0,
                step=1,
                frac_bits=0,
            )
            constants[op.thresholds] = _thresholds(stage.threshold, values)
        case "softmax":
            op, constants = softmax_op(
                name="probability",
                layer="softmax",
                source=source,
                values=values,
                output=Fixed.parse(stage.softmax_format),
                variant=SoftmaxVariant(stage.softmax),
                max_entries=stage.softmax_entries,
            )
    staged = dataclasses.replace(
        program, ops=(*program.ops, op), output=op.name, constants={**program.constants, **constants}
    )
    verify(staged)
    return staged


def softmax_error(program: Program) -> float | None:
    """Return the proven error bound of the softmax that is a program's output; None where its output is another."""
    op = program.op(program.output)
    if not isinstance(op, Softmax):
        return None
    return softmax_error_bound(op, program.constants, ranges(program)[op.source])


def _thresholds(given: float | tuple[float, ...], values: Range) -> Constant:
    """Return thresholds on the scores' own grid: x >= t is the same as x >= t rounded up to it. (1 or scores, 1)."""
    wanted = given if isinstance(given, tuple) else (given,)
    end = 1 << MAX_BITS
    q = [min(max(math.ceil(Fraction(t) * Fraction(2) ** values.frac_bits), -end), end) for t in wanted]
    return Constant(np.array(q, dtype=np.int64)[:, None], values.frac_bits)
