"""A program in, about the fewest LUTs that its dense layers take out where each weight has logic of its own.

By counting: a graph of A adders over n inputs is told by some 2 log2(n + A) - log2(A) + SHIFT_BITS bits an adder, hence
hardly any matrix whose weights hold more bits than that has a graph so small, however well its columns share. Weights
hold the entropy of their frequencies: too little for few weights, which makes the figure smaller. It is an estimate,
not a bound: a matrix with a rule behind it, as of a Fourier transform, holds less than its frequencies say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.ir.ops import Dense
from gatewright.ir.program import Program
from gatewright.ir.ranges import Range, ranges

SHIFT_BITS = 8.0  # of an adder's description: two shifts, two signs, and what log2(A!) lacks of A log2(A)
LUT_PER_BIT = 0.5  # of an adder per bit of what the layer reads: a ternary adder, two in one, takes a LUT a bit
TABLE_BITS = 24  # a column that reads no more may be a truth table
STEPS = 60  # bisections


@dataclass(frozen=True, slots=True, kw_only=True)
class Least:
    """lut: about the fewest LUTs of all dense layers; weights: how many are not 0, weight_bits: of all, as stored."""

    lut: float
    weights: int
    weight_bits: int


def least(program: Program) -> Least:
    """Return about the fewest LUTs of a program's dense layers, unrolled, before anything is compiled.

    program: as the compiler takes it, convolutions as matrices. See the module for what the figure is.
    """
    known = ranges(program)
    layers = [op for op in program.ops if isinstance(op, Dense)]
    weights = {op.name: program.constants[op.weight].q for op in layers}
    return Least(
        lut=sum(layer_luts(weights[op.name], _widths(known, op)) for op in layers),
        weights=sum(int(np.count_nonzero(q)) for q in weights.values()),
        weight_bits=sum(q.size * _bits(q) for q in weights.values()),
    )


def layer_luts(weight: Ints, widths: Ints) -> float:
    """Return about the fewest LUTs of one matrix. weight: (n_in, n_out); widths: bits of each input, (n_in,)."""
    used = weight[widths > 0]
    read = widths[widths > 0]
    columns = np.unique(np.abs(used[:, read @ (used != 0) > TABLE_BITS]), axis=1)
    if not columns.size:
        return 0.0
    counts = np.unique(columns, return_counts=True)[1]
    told = float(-(counts * np.log2(counts / columns.size)).sum())
    mean_bits = float((read * np.count_nonzero(columns, axis=1)).sum() / max(np.count_nonzero(columns), 1))
    return adders(told, *columns.shape) * mean_bits * LUT_PER_BIT


def adders(told_bits: float, inputs: int, outputs: int) -> float:
    """Return how few adders can tell so many bits: of graphs over so many inputs, each output one of their nodes."""
    low, high = 0.0, told_bits
    for _ in range(STEPS):
        count = (low + high) / 2
        nodes = math.log2(inputs + count + 1)
        each = 2 * nodes - math.log2(count + 1) + SHIFT_BITS
        low, high = (count, high) if count * each + outputs * (nodes + SHIFT_BITS) < told_bits else (low, count)
    return low


def _widths(known: Mapping[str, Range], op: Dense) -> Ints:
    """Return the bits of each input of a dense layer."""
    lo, hi = (np.asarray(end, dtype=np.float64) for end in (known[op.source].lo, known[op.source].hi))
    bits = np.ceil(np.log2(np.maximum(hi, np.where(lo < 0, -lo - 1, 0)) + 1)) + (lo < 0)
    return bits.reshape(-1).astype(np.int64)


def _bits(weight: Ints) -> int:
    return int(np.abs(weight).max(initial=0)).bit_length() + 1
