"""A Program in; the same function without softmax and thresholds out: of maxima, tables, sums, products and casts.

hls4ml fills the tables of its own softmax by formulas in float; here they are the program's. How many thresholds a
value reaches is a table too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatewright.fixedpoint import Ints, Overflow, Rounding
from gatewright.hls.site import MOST_INDEX_BITS
from gatewright.ir import Constant, Op, Program, Range, ranges
from gatewright.ir.lookups import cuts, threshold
from gatewright.ir.op_moves import Reshape
from gatewright.ir.op_tables import Lookup, Softmax, SoftmaxVariant, Thresholds
from gatewright.ir.ops import Dense, Mul, Pool, PoolKind, Requant, Sub


def expanded(program: Program) -> Program:
    """Return the program with every softmax of a vector and all thresholds written out; each result keeps its name."""
    known = ranges(program)
    ops: list[Op] = []
    constants = dict(program.constants)
    for op in program.ops:
        if isinstance(op, Softmax) and known[op.source].lo.ndim == 1:
            written, tables = _written(op, known[op.source], constants)
            ops += written
            constants |= tables
        elif isinstance(op, Thresholds) and known[op.source].width_bits <= MOST_INDEX_BITS:
            read, table = _counted(op, known[op.source], constants[op.thresholds])
            ops.append(read)
            constants[read.table] = table
        else:
            ops.append(op)
    return replace(program, ops=tuple(ops), constants=constants)


def _counted(op: Thresholds, x: Range, thresholds: Constant) -> tuple[Lookup, Constant]:
    """Return the table of what thresholds make of every value that there can be. x: the range of what they read."""
    low, high = x.ends
    at = cuts(thresholds, x.frac_bits)
    values: Ints = np.repeat(np.arange(low, high + 1)[:, None], len(at), axis=1)
    counted: Ints = threshold(values, at, op)
    table = Constant(np.moveaxis(counted, 0, 1), op.frac_bits)
    name = f"{op.name}.read"
    return Lookup(name=op.name, layer=op.layer, source=op.source, table=name, first=low), table


def _written(op: Softmax, x: Range, tables: dict[str, Constant]) -> tuple[list[Op], dict[str, Constant]]:
    """Return the ops of one softmax and their constants. x: the range of what it reads."""
    classes: int = x.lo.shape[-1]
    powers, inverse = tables[op.exp_table].q, tables[op.reciprocal_table].q
    stable = op.variant is SoftmaxVariant.STABLE
    before, first, last = _below(op, x, powers.size) if stable else _clipped(op, x)
    sums = classes * int(powers.max()) >> op.sum_drop
    total, product = f"{op.name}.total", f"{op.name}.product"
    constants = {
        f"{op.name}.exp_read": _widened(powers, 0 if stable else op.first, first, last, 0),
        f"{op.name}.inverse_read": _widened(inverse, op.sum_first, 0, sums, op.frac_bits + op.shift),
        f"{op.name}.sum": Constant(np.ones((classes, 1), dtype=np.int64), 0),
        f"{op.name}.sum_none": Constant(np.zeros(1, dtype=np.int64), 0),
        f"{op.name}.copy": Constant(np.ones((1, classes), dtype=np.int64), 0),
        f"{op.name}.copy_none": Constant(np.zeros(classes, dtype=np.int64), 0),
    }
    return [
        *before,
        _table(op, "exp", f"{op.name}.index", first),
        _ones(op, "total", f"{op.name}.exp", "sum"),
        _cast(op, f"{op.name}.total_index", total, -op.sum_drop, sums.bit_length(), signed=False),
        _table(op, "inverse", f"{op.name}.total_index", 0),
        _ones(op, "each_inverse", f"{op.name}.inverse", "copy"),
        Mul(name=product, layer=op.layer, left=f"{op.name}.exp", right=f"{op.name}.each_inverse"),
        _cast(op, op.name, product, op.frac_bits, op.width_bits, signed=False, rounding=Rounding.HALF_UP),
    ], constants


def _below(op: Softmax, x: Range, entries: int) -> tuple[list[Op], int, int]:
    """Return how far each element lies below the greatest, as an index, and the index's ends."""
    classes, bits = x.lo.shape[-1], (entries - 1).bit_length()
    column, greatest, top, below = (f"{op.name}.{word}" for word in ("column", "greatest", "top", "below"))
    ops: list[Op] = [
        Reshape(name=column, layer=op.layer, source=op.source, shape=(classes, 1)),
        Pool(
            name=greatest,
            layer=op.layer,
            source=column,
            kind=PoolKind.MAX,
            size=(classes,),
            strides=(classes,),
            pads=((0, 0),),
        ),
        Reshape(name=top, layer=op.layer, source=greatest, shape=(1,)),
        _ones(op, "each_top", top, "copy"),
        Sub(name=below, layer=op.layer, left=f"{op.name}.each_top", right=op.source),
        _cast(op, f"{op.name}.index", below, x.frac_bits - op.drop, bits, signed=False),
    ]
    return ops, 0, (1 << bits) - 1


def _clipped(op: Softmax, x: Range) -> tuple[list[Op], int, int]:
    """Return each element without its low bits, as an index, and the index's ends."""
    first, last = (end >> op.drop for end in x.ends)
    bits = max(first.bit_length(), last.bit_length()) + 1
    return [_cast(op, f"{op.name}.index", op.source, x.frac_bits - op.drop, bits, signed=True)], first, last


def _widened(table: Ints, first: int, low: int, high: int, frac_bits: int) -> Constant:
    """Return the table for indices low .. high: its ends go on. first: the index of the table's first entry."""
    at = np.clip(np.arange(low, high + 1) - first, 0, table.size - 1)
    return Constant(table.reshape(1, -1)[:, at], frac_bits)


def _table(op: Softmax, word: str, source: str, first: int) -> Lookup:
    return Lookup(name=f"{op.name}.{word}", layer=op.layer, source=source, table=f"{op.name}.{word}_read", first=first)


def _ones(op: Softmax, word: str, source: str, table: str) -> Dense:
    """Return the sum of elements, or copies of one, which hls4ml's back ends do not all repeat by themselves."""
    weight, bias = f"{op.name}.{table}", f"{op.name}.{table}_none"
    return Dense(name=f"{op.name}.{word}", layer=op.layer, source=source, weight=weight, bias=bias)


def _cast(
    op: Softmax,
    name: str,
    source: str,
    frac_bits: int,
    width_bits: int,
    *,
    signed: bool,
    rounding: Rounding = Rounding.TRUNCATE,
) -> Requant:
    return Requant(
        name=name,
        layer=op.layer,
        source=source,
        frac_bits=frac_bits,
        width_bits=(max(width_bits, 1),),
        keep_frac_bits=(frac_bits,),
        signed=(signed,),
        rounding=rounding,
        overflow=Overflow.SATURATE,
    )
