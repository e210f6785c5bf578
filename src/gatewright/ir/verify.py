"""The executable specification: a Program in, nothing out, or ProgramError naming op, rule and remedy.

docs/program.md is the written twin; a test checks that both list the same ops.
"""

from __future__ import annotations

import re
from typing import assert_never

import numpy as np

from gatewright.errors import ProgramError
from gatewright.ir.formats import MAX_BITS, Ints
from gatewright.ir.ops import (
    ArgMax,
    Dense,
    Input,
    Lookup,
    Op,
    Relu,
    Requant,
    Softmax,
    SoftmaxVariant,
    Thresholds,
    TopK,
    constants_of,
)
from gatewright.ir.program import Program
from gatewright.ir.ranges import Range, ranges

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def verify(program: Program) -> dict[str, Range]:
    """Check every rule and return the ranges that prove the widths; raises ProgramError at the first breach."""
    seen: dict[str, Op] = {}
    program.input  # noqa: B018  (raises where the first op is not an Input)
    for index, op in enumerate(program.ops):
        where = f"program {program.name!r}, op {index} {op.name!r} ({type(op).__name__})"
        if not _NAME.fullmatch(op.name):
            raise ProgramError(f"{where}: name must match {_NAME.pattern}, rename it")
        if op.name in seen:
            raise ProgramError(f"{where}: name is already taken, names must be unique")
        _check(op, index, where, program, seen)
        seen[op.name] = op
    if program.output not in seen:
        raise ProgramError(f"program {program.name!r}: output {program.output!r} is not the result of any op")
    known = ranges(program)
    for name, value in known.items():
        if value.width_bits > MAX_BITS:
            raise ProgramError(
                f"program {program.name!r}, op {name!r}: values need {value.width_bits} bits, at most {MAX_BITS} "
                "fit; narrow the weights or insert a Requant"
            )
    _check_requant_shifts(program, known)
    if program.classes and isinstance(seen[program.output], ArgMax | TopK):
        count = int(known[program.output].hi.flat[0]) + 1
        if len(program.classes) != count:
            raise ProgramError(f"program {program.name!r} names {len(program.classes)} classes for {count} scores")
    return known


def _check(op: Op, index: int, where: str, program: Program, seen: dict[str, Op]) -> None:
    if not isinstance(op, Input) and op.source not in seen:
        raise ProgramError(f"{where}: reads {op.source!r}, which no earlier op defines; order the ops by their use")
    for key in constants_of(op):
        if key not in program.constants:
            raise ProgramError(f"{where}: constant {key!r} is not in the table {sorted(program.constants)}")
    match op:
        case Input():
            if index != 0:
                raise ProgramError(f"{where}: only the first op may be an Input")
            if not op.shape or any(size < 1 for size in op.shape):
                raise ProgramError(f"{where}: shape must be one or more positive sizes, not {op.shape}")
        case Dense():
            _check_dense(op, where, program, seen)
        case Relu():
            pass
        case Requant():
            _check_requant(op, where, _size(op.source, program, seen))
        case ArgMax():
            if op.name != program.output:
                raise ProgramError(f"{where}: ArgMax may only be the output; its result is a class number")
        case TopK():
            if op.name != program.output:
                raise ProgramError(f"{where}: TopK may only be the output; its results are class numbers")
            size = _size(op.source, program, seen)
            if not 1 <= op.k <= size:
                raise ProgramError(f"{where}: k must be 1..{size}, the number of elements, not {op.k}")
        case Thresholds():
            at = program.constants[op.thresholds].q
            _check_rows(op.thresholds, at, where, _size(op.source, program, seen))
            if (np.diff(at, axis=1) < 0).any():
                raise ProgramError(f"{where}: thresholds of a channel must ascend; sort each row of {op.thresholds!r}")
        case Lookup():
            _check_rows(op.table, program.constants[op.table].q, where, _size(op.source, program, seen))
        case Softmax():
            _check_softmax(op, where, program)
        case _:
            assert_never(op)


def _check_dense(op: Dense, where: str, program: Program, seen: dict[str, Op]) -> None:
    weight, bias = program.constants[op.weight].q, program.constants[op.bias].q
    n_in = _size(op.source, program, seen)
    if weight.ndim != 2 or weight.shape[0] != n_in or bias.shape != weight.shape[1:]:
        raise ProgramError(
            f"{where}: weight must be ({n_in}, n_out) and bias (n_out,), not {weight.shape} and {bias.shape}"
        )


def _check_rows(name: str, table: Ints, where: str, channels: int) -> None:
    if table.ndim != 2 or table.shape[0] not in (1, channels) or table.shape[1] < 1:
        raise ProgramError(
            f"{where}: {name!r} must have shape (1 or {channels}, at least 1), one row per channel, not {table.shape}"
        )


def _check_softmax(op: Softmax, where: str, program: Program) -> None:
    for key in (op.exp_table, op.reciprocal_table):
        table = program.constants[key].q
        if table.ndim != 1 or not table.size or table.min() < 0:
            raise ProgramError(f"{where}: {key!r} must be a vector of numbers >= 0, not of shape {table.shape}")
    for key, value in (("drop", op.drop), ("sum_drop", op.sum_drop), ("shift", op.shift)):
        if not 0 <= value <= MAX_BITS - 1:
            raise ProgramError(f"{where}: {key} must be 0..{MAX_BITS - 1}, not {value}")
    if not 1 <= op.width_bits <= MAX_BITS - 1:
        raise ProgramError(f"{where}: width_bits must be 1..{MAX_BITS - 1}, not {op.width_bits}")
    if op.variant is SoftmaxVariant.STABLE and op.first:
        raise ProgramError(f"{where}: first must be 0 in the stable variant, not {op.first}")


def _check_requant(op: Requant, where: str, size: int) -> None:
    for key in ("width_bits", "keep_frac_bits", "signed"):
        values: tuple[object, ...] = {
            "width_bits": op.width_bits,
            "keep_frac_bits": op.keep_frac_bits,
            "signed": op.signed,
        }[key]
        if len(values) not in (1, size):
            raise ProgramError(f"{where}: {key} must have 1 or {size} entries, not {len(values)}")
    if any(not 0 <= width <= MAX_BITS for width in op.width_bits):
        raise ProgramError(f"{where}: width_bits must be 0..{MAX_BITS}, not {op.width_bits}")
    if any(frac > op.frac_bits for frac in op.keep_frac_bits):
        raise ProgramError(f"{where}: keep_frac_bits {op.keep_frac_bits} must not exceed frac_bits {op.frac_bits}")


def _check_requant_shifts(program: Program, known: dict[str, Range]) -> None:
    for op in program.ops:
        if not isinstance(op, Requant):
            continue
        source = known[op.source]
        up = max(op.keep_frac_bits) - source.frac_bits
        drop = source.frac_bits - min(op.keep_frac_bits)
        room = max(op.width_bits) + op.frac_bits - min(op.keep_frac_bits)
        if source.width_bits + max(up, 0) > MAX_BITS or drop > MAX_BITS or room > MAX_BITS:
            raise ProgramError(
                f"program {program.name!r}, op {op.name!r}: shifting {source.width_bits} bits by {up} (up) or {drop} "
                f"(down) into {room} bits leaves int64; insert another Requant before it"
            )


def _size(name: str, program: Program, seen: dict[str, Op]) -> int:
    op = seen[name]
    match op:
        case Input():
            return op.shape[-1]
        case Dense():
            return program.constants[op.weight].q.shape[1]
        case Relu() | Requant() | Thresholds() | Lookup() | Softmax():
            return _size(op.source, program, seen)
        case ArgMax():
            return 1
        case TopK():
            return op.k
        case _:
            assert_never(op)
