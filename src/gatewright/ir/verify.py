"""The executable specification: a Program in, nothing out, or ProgramError naming op, rule and remedy.

docs/program.md is the written twin; a test checks that both list the same ops.
"""

from __future__ import annotations

import re

from gatewright.errors import ProgramError
from gatewright.fixedpoint import MAX_BITS
from gatewright.ir.op_tables import ArgMax, TopK
from gatewright.ir.ops import Requant
from gatewright.ir.program import Program, Scan
from gatewright.ir.ranges import Range, ranges, scan_ranges
from gatewright.ir.shapes import shapes, where

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def verify(program: Program) -> dict[str, Range]:
    """Check every rule and return the ranges that prove the widths; raises ProgramError at the first breach."""
    _check_structure(program)
    known = ranges(program)
    _check_widths(program, known)
    output = program.op(program.output)
    if program.classes and isinstance(output, ArgMax | TopK):
        count = int(known[program.output].hi.flat[0]) + 1
        if len(program.classes) != count:
            raise ProgramError(f"program {program.name!r} names {len(program.classes)} classes for {count} scores")
    return known


def _check_structure(program: Program) -> None:
    """Check names, sources and shapes of the program and its bodies."""
    seen: set[str] = set()
    bodies: dict[str, Program] = {}
    program.input  # noqa: B018  (raises where the first op is not an Input)
    for index, op in enumerate(program.ops):
        if not _NAME.fullmatch(op.name):
            raise ProgramError(f"{where(program, index)}: name must match {_NAME.pattern}, rename it")
        if op.name in seen:
            raise ProgramError(f"{where(program, index)}: name is already taken, names must be unique")
        seen.add(op.name)
        if isinstance(op, Scan):
            _check_structure(op.body)
            if not _NAME.fullmatch(op.body.name) or bodies.setdefault(op.body.name, op.body) != op.body:
                raise ProgramError(
                    f"{where(program, index)}: the body's name {op.body.name!r} must match {_NAME.pattern} and "
                    "differ from that of any other body; rename it"
                )
    shapes(program)
    if program.output not in seen:
        raise ProgramError(f"program {program.name!r}: output {program.output!r} is not the result of any op")


def _check_widths(program: Program, known: dict[str, Range]) -> None:
    """Check that every value, and everything that a Requant meets on its way, fits."""
    for op in program.ops:
        if isinstance(op, Scan):
            _check_widths(op.body, scan_ranges(op, program, known[op.source])[0])
        if known[op.name].width_bits > MAX_BITS:
            raise ProgramError(
                f"program {program.name!r}, op {op.name!r}: values need {known[op.name].width_bits} bits, at most "
                f"{MAX_BITS} fit; narrow the weights or insert a Requant"
            )
    for op in program.ops:
        if isinstance(op, Requant):
            _check_shifts(op, program, known[op.source])


def _check_shifts(op: Requant, program: Program, source: Range) -> None:
    up = max(op.keep_frac_bits) - source.frac_bits
    drop = source.frac_bits - min(op.keep_frac_bits)
    room = max(op.width_bits) + op.frac_bits - min(op.keep_frac_bits)
    if source.width_bits + max(up, 0) > MAX_BITS or drop > MAX_BITS or room > MAX_BITS:
        raise ProgramError(
            f"program {program.name!r}, op {op.name!r}: shifting {source.width_bits} bits by {up} (up) or {drop} "
            f"(down) into {room} bits leaves int64; insert another Requant before it"
        )
