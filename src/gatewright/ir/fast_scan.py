"""A Scan whose body has vectors only, and its ranges, in; its steps as arithmetic on whole batches out: the fast way.

Values are laid elements first, (elements, n), so that slices and joins of gates move nothing, in the narrowest integers
that provably hold every one; products are in BLAS, in float32 where each run of the inputs is exact there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Ints, Overflow, round_shift
from gatewright.ir.linear import FLOAT32, FLOAT64, narrowest
from gatewright.ir.lookups import cuts, threshold
from gatewright.ir.op_moves import Concat, Slice
from gatewright.ir.op_tables import Lookup, Thresholds
from gatewright.ir.ops import Add, Const, Dense, Max, Min, Mul, Relu, Requant, Sub
from gatewright.ir.program import Op, Program, Scan, sources
from gatewright.ir.ranges import Range
from gatewright.ir.rounding import ends

Rows = NDArray[Any]
Values = dict[str, Rows]
Compute = Callable[[Values], Rows]
_NARROW = 1 << 30  # int32 holds such magnitudes and the sum of two
_COMBINE: dict[type[Op], Any] = {Add: np.add, Sub: np.subtract, Mul: np.multiply, Max: np.maximum, Min: np.minimum}


@dataclass(frozen=True, slots=True)
class FastScan:
    """The steps of a Scan, ready to be run on batches.

    first: the initial state at the frac_bits of the body's input; up: from those of the result to them.
    """

    op: Scan
    kind: type[Any]
    steps: tuple[tuple[str, Compute], ...]
    first: Ints
    up: int
    result: str

    @staticmethod
    def of(op: Scan, program: Program, inside: dict[str, Range]) -> FastScan | None:
        """Return a Scan's steps. inside: the ranges of its body. None where an op of the body is of another kind."""
        body, initial = op.body, program.constants[op.initial]
        for kind, limit in ((np.int32, _NARROW), (np.int64, FLOAT64)):
            made = [(each.name, _step(each, body, inside, kind, limit)) for each in body.ops[1:]]
            ready = tuple((name, step) for name, step in made if step is not None)
            widest = max(int(known.magnitude.max(initial=0)) for known in inside.values())
            if len(ready) == len(made) and widest < limit:
                frac = body.input.format.frac_bits
                first = initial.q << (frac - initial.frac_bits)
                return FastScan(op, kind, ready, first, frac - inside[body.output].frac_bits, body.output)
        return None

    def __call__(self, x: Ints) -> Ints:
        """Return the Scan's result. x: (n, steps, features) at the frac_bits of the body's input; int64 in and out."""
        count, features = self.first.size, x.shape[2]
        given = np.ascontiguousarray(x.transpose(1, 2, 0), dtype=self.kind)
        read = np.empty((features + count, len(x)), dtype=self.kind)
        read[features:] = self.first[:, None]
        first, end = self.op.emit
        results: list[Rows] = []
        name = self.op.body.input.name
        for step in range(x.shape[1])[:: -1 if self.op.reverse else 1]:
            read[:features] = given[step]
            values = {name: read}
            for made, run in self.steps:
                values[made] = run(values)
            after = values[self.result]
            results.append(after[first:end])
            read[features:] = after[:count] << self.up
        if not self.op.sequences:
            return results[-1].T.astype(np.int64)
        return np.stack(results).transpose(2, 0, 1).astype(np.int64, order="C")


def _step(op: Op, body: Program, known: dict[str, Range], kind: type[Any], limit: int) -> Compute | None:
    """Return what an op makes of the values so far; None where it is no op on vectors that is known here."""
    ranks = {known[name].lo.ndim for name in (op.name, *sources(op))}
    if ranks != {1}:
        return None
    match op:
        case Slice():
            rows = slice(op.starts[0], op.stops[0], op.steps[0])
            return (lambda v: v[op.source][rows]) if op.steps[0] > 0 else None
        case Relu():
            return lambda v: np.maximum(v[op.source], 0)
        case Const():
            column = body.constants[op.value].q.astype(kind)[:, None]
            return lambda _: column
        case Lookup():
            table = body.constants[op.table].q
            entries = table[0].astype(kind)
            if len(table) > 1:
                return None
            return lambda v: entries.take(np.subtract(v[op.source], op.first, dtype=np.intp))
        case Thresholds():
            at = cuts(body.constants[op.thresholds], known[op.source].frac_bits)
            return (lambda v: threshold(v[op.source], at, op).astype(kind)) if len(at) == 1 else None
        case Requant():
            return _requant(op, known, kind, limit)
        case Dense():
            return _dense(op, body, known, kind, limit)
        case Concat():
            return _joined(op, known, kind, limit)
        case Add() | Sub() | Mul() | Max() | Min():
            return _binary(op, known, limit)
        case _:
            return None


def _shifts(names: tuple[str, ...], op: Op, known: dict[str, Range], limit: int) -> list[int] | None:
    """Return by how much each value is shifted up to the result's frac_bits; None where one does not fit any more."""
    ups = [known[op.name].frac_bits - known[name].frac_bits for name in names]
    fits = all(int(known[name].magnitude.max(initial=0)) << up < limit for name, up in zip(names, ups, strict=True))
    return ups if fits else None


def _joined(op: Concat, known: dict[str, Range], kind: type[Any], limit: int) -> Compute | None:
    ups, rows = _shifts(op.sources, op, known, limit), known[op.name].lo.size
    if ups is None:
        return None

    def step(v: Values) -> Rows:
        whole, at = np.empty((rows, v[op.sources[0]].shape[1]), dtype=kind), 0
        for name, up in zip(op.sources, ups, strict=True):
            np.left_shift(v[name], up, out=whole[at : at + len(v[name])])
            at += len(v[name])
        return whole

    return step


def _binary(op: Add | Sub | Mul | Max | Min, known: dict[str, Range], limit: int) -> Compute | None:
    combine = _COMBINE[type(op)]
    if isinstance(op, Mul):
        return lambda v: combine(v[op.left], v[op.right])
    ups = _shifts((op.left, op.right), op, known, limit)
    if ups is None:
        return None
    left, right = ups
    return lambda v: combine(v[op.left] << left if left else v[op.left], v[op.right] << right if right else v[op.right])


def _requant(op: Requant, known: dict[str, Range], kind: type[Any], limit: int) -> Compute | None:
    """Return a Requant with one format for all elements."""
    if {len(op.width_bits), len(op.keep_frac_bits), len(op.signed)} != {1}:
        return None
    (keep,), drop = op.keep_frac_bits, known[op.source].frac_bits - op.keep_frac_bits[0]
    low, high = (int(end) for end in ends(op, ()))
    widest = int(known[op.source].magnitude.max(initial=0)) << max(-drop, 0)
    if max(widest, 1 << max(drop, 0), high - low + 1) > limit:
        return None
    wraps, up = op.overflow is Overflow.WRAP, op.frac_bits - keep
    bottom, top = kind(low), kind(high)  # of the values' own type, which saves clip a look at its limits

    def step(v: Values) -> Rows:
        kept = round_shift(v[op.source], drop, op.rounding) if drop > 0 else v[op.source] << -drop
        if wraps:
            kept = ((kept - low) & (high - low)) + low
        else:
            np.clip(kept, bottom, top, out=kept)
        return kept << up if up else kept

    return step


def _dense(op: Dense, body: Program, known: dict[str, Range], kind: type[Any], limit: int) -> Compute | None:
    """Return a Dense as products of one or two runs of the inputs, each exact in its floats, added as integers."""
    weight, bias, x, frac = (
        body.constants[op.weight],
        body.constants[op.bias],
        known[op.source],
        known[op.name].frac_bits,
    )
    up = frac - x.frac_bits - weight.frac_bits
    sums = np.cumsum(x.magnitude[:, None].astype(np.float64) * np.abs(weight.q.astype(np.float64)), axis=0)
    cuts = [0, *(k for k in range(1, len(sums)) if (sums[-1] - sums[k - 1]).max() < FLOAT32 > sums[k - 1].max())][:2]
    runs: list[tuple[slice, Rows]] = []
    edges = [0, len(sums)] if sums[-1].max() < FLOAT32 or len(cuts) == 1 else [*cuts, len(sums)]
    for start, stop in pairwise(edges):
        bound = sums[stop - 1].max() if start == 0 else (sums[stop - 1] - sums[start - 1]).max()
        if bound * (1 + 2**-20) >= min(FLOAT64, limit >> up):
            return None
        carrier = narrowest(bound)
        runs.append((slice(start, stop), np.ascontiguousarray(weight.q[start:stop].T, dtype=carrier)))
    offsets = (bias.q << (frac - bias.frac_bits)).astype(kind)[:, None]

    def step(v: Values) -> Rows:
        total: Rows = offsets
        for rows, matrix in runs:
            made = (matrix @ v[op.source][rows].astype(matrix.dtype)).astype(kind)
            if up:
                made <<= up
            made += total
            total = made
        return total

    return step
