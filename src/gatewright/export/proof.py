"""A graph's program and samples in; the proof that both give the same, node by node, or the first difference, out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ExportError
from gatewright.export.program import CHUNK, Exported
from gatewright.fixedpoint import Ints
from gatewright.graph.evaluate import exact_trace
from gatewright.graph.functions import softmax, top_k
from gatewright.graph.nodes import Floats
from gatewright.ir import ArgMax, Interpreter, Program, Softmax, Thresholds, TopK

FAULT = "this is a fault of gatewright, report it with the model"


def check_graph_export(exported: Exported, x: NDArray[Any]) -> int:
    """Compare graph and program on every sample, node by node, with ==; a last softmax within its proven bound.

    x: (n, *input shape). Returns n. Raises ExportError naming op, sample, element and the difference in LSBs.
    """
    program = exported.program
    interpreter = Interpreter(program, exported.known)
    fracs = {key: value.frac_bits for key, value in exported.known.items()}
    staged = program.output not in exported.where.values()
    for at in range(0, len(x), CHUNK):
        part = x[at : at + CHUNK]
        expected = exact_trace(exported.graph, part, tuple(exported.where), precision=exported.precision)
        got = interpreter.trace(exported.encode(part))
        for node, op in exported.where.items():
            compare(op, expected[node], got[op], fracs[op], at)
        if staged:
            scores = expected[exported.graph.output].reshape(len(part), -1)
            _compare_stage(program, scores, got[program.output], exported.probability_error, at)
    return len(x)


def compare(op: str, expected: Floats, got: Ints, frac_bits: int, at: int) -> None:
    """Raise ExportError at the first integer that does not mean the expected value. at: the number of sample 0.

    expected: (n, ...); got: as many integers, in the same order.
    """
    values = np.ldexp(got.astype(np.float64), -frac_bits).reshape(expected.shape)
    wrong = np.argwhere(values != expected)
    if not len(wrong):
        return
    where = tuple(int(v) for v in wrong[0])
    raise ExportError(
        f"export: op {op!r}, sample {at + where[0]}, element {_element(where[1:])}: the network gives "
        f"{float(expected[where])!r}, the program {float(values[where])!r} (difference "
        f"{(values[where] - expected[where]) * 2.0**frac_bits:g} LSB; {len(wrong)} of {values.size} values differ); "
        f"{FAULT}"
    )


def _compare_stage(program: Program, scores: Floats, got: Ints, bound: float | None, at: int) -> None:
    """Compare what leaves the chip with what float64 makes of the scores. scores: (n, scores)."""
    match op := program.op(program.output):
        case ArgMax():
            compare(op.name, top_k(scores, 1).astype(np.float64), got, 0, at)
        case TopK():
            compare(op.name, top_k(scores, op.k).astype(np.float64), got, 0, at)
        case Thresholds():
            table = program.constants[op.thresholds]
            at_least = np.ldexp(table.q[:, 0].astype(np.float64), -table.frac_bits)
            compare(op.name, (scores >= at_least).astype(np.float64), got, 0, at)
        case Softmax():
            off = np.abs(np.ldexp(got.astype(np.float64), -op.frac_bits) - softmax(scores))
            if bound is None or not (off <= bound).all():
                where = tuple(int(v) for v in np.unravel_index(int(off.argmax()), off.shape))
                raise ExportError(
                    f"export: softmax {op.name!r}, sample {at + where[0]}, element {_element(where[1:])}: "
                    f"{off.max():g} away from the exact softmax, at most {bound} was proven; {FAULT}"
                )
        case _:
            raise AssertionError(f"{op!r} is neither a node's result nor an output stage")


def _element(where: tuple[int, ...]) -> str:
    return str(where[0]) if len(where) == 1 else str(where)
