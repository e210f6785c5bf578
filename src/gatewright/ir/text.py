"""Program to text and back, exactly: `parse_program(print_program(p)) == p`. Line format in docs/program.md."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from gatewright.errors import FormatError, GatewrightError, ProgramError
from gatewright.ir.formats import Fixed, Overflow, Rounding
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
)
from gatewright.ir.program import Constant, Program
from gatewright.ir.verify import verify

HEADER = "gatewright-program 1"
OPS: dict[str, type[Op]] = {
    "input": Input,
    "dense": Dense,
    "relu": Relu,
    "requant": Requant,
    "argmax": ArgMax,
    "topk": TopK,
    "thresholds": Thresholds,
    "lookup": Lookup,
    "softmax": Softmax,
}
_SPELLING = {kind: word for word, kind in OPS.items()}
_LINE = re.compile(r"%(?P<name>\S+) = (?P<op>\w+)(?P<fields>(?: \w+=\S+)*)")
_TABLES = ("weight", "bias", "thresholds", "table", "exp_table", "reciprocal_table")
_PARSE: dict[str, Callable[[str], Any]] = {
    "layer": str,
    "source": lambda text: text.removeprefix("%"),
    "shape": lambda text: tuple(json.loads(text)),
    "format": Fixed.parse,
    "width_bits": lambda text: tuple(json.loads(text)) if text.startswith("[") else int(text),
    "keep_frac_bits": lambda text: tuple(json.loads(text)),
    "signed": lambda text: tuple(bool(v) for v in json.loads(text)),
    "rounding": Rounding,
    "overflow": Overflow,
    "variant": SoftmaxVariant,
    **{key: lambda text: text.removeprefix("@") for key in _TABLES},
    **dict.fromkeys(("frac_bits", "k", "start", "step", "first", "drop", "sum_first", "sum_drop", "shift"), int),
}


def print_program(program: Program) -> str:
    """Return the canonical text: header, ops in order, then the constants, one row of a matrix per line."""
    lines = [HEADER, f"name {program.name}", f"classes {json.dumps(list(program.classes))}", ""]
    for op in program.ops:
        fields = [f for f in dataclasses.fields(op) if f.name != "name"]
        words = [f"{f.name}={_print_field(f.name, getattr(op, f.name))}" for f in fields]
        lines.append(f"%{op.name} = {_SPELLING[type(op)]} {' '.join(words)}")
    lines += [f"return %{program.output}", ""]
    for name, constant in program.constants.items():
        shape = json.dumps(list(constant.q.shape)).replace(" ", "")
        lines.append(f"@{name} shape={shape} frac_bits={constant.frac_bits}")
        rows = constant.q.reshape(-1, constant.q.shape[-1]) if constant.q.size else constant.q.reshape(0, 1)
        lines += [" " + " ".join(map(str, row.tolist())) for row in rows]
    return "\n".join(lines) + "\n"


def parse_program(text: str, *, where: str = "text") -> Program:
    """Return the verified program that a text describes; ProgramError names `where` and the line otherwise."""
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        raise ProgramError(f"{where}:1: expected {HEADER!r}, got {(lines or [''])[0][:60]!r}")
    name, output, classes = "", "", ()
    ops: list[Op] = []
    constants: dict[str, Constant] = {}
    number = 1
    while number < len(lines):
        line = lines[number]
        number += 1
        try:
            if line.startswith("name "):
                name = line[5:]
            elif line.startswith("classes "):
                classes = tuple(json.loads(line[8:]))
            elif line.startswith("return "):
                output = line[7:].removeprefix("%")
            elif line.startswith("%"):
                ops.append(_parse_op(line))
            elif line.startswith("@"):
                end = number
                while end < len(lines) and lines[end].startswith(" "):
                    end += 1
                key, constants_value = _parse_constant(line, lines[number:end])
                constants[key] = constants_value
                number = end
            elif line:
                raise ProgramError(f"expected name, classes, return, %op or @constant, got {line[:60]!r}")
        except (ValueError, TypeError, KeyError, GatewrightError) as error:
            raise ProgramError(f"{where}:{number}: {error}") from None
    program = Program(name=name, ops=tuple(ops), output=output, constants=constants, classes=classes)
    verify(program)
    return program


def _print_field(key: str, value: Any) -> str:
    match value:
        case Fixed():
            return str(value)
        case Rounding() | Overflow() | SoftmaxVariant():
            return value.value
        case tuple():
            return json.dumps([int(v) for v in cast("tuple[int, ...]", value)]).replace(" ", "")
        case _ if key == "source":
            return f"%{value}"
        case _ if key in _TABLES:
            return f"@{value}"
        case _:
            return str(value)


def _parse_op(line: str) -> Op:
    hit = _LINE.fullmatch(line)
    if not hit:
        raise ProgramError(f"expected '%name = op key=value ...', got {line[:60]!r}")
    if hit["op"] not in OPS:
        raise ProgramError(f"unknown op {hit['op']!r}; known: {', '.join(OPS)}")
    kind = OPS[hit["op"]]
    given = dict(word.split("=", 1) for word in hit["fields"].split())
    wanted = {f.name for f in dataclasses.fields(kind)} - {"name"}
    if set(given) != wanted:
        raise ProgramError(f"op {hit['op']!r} takes {sorted(wanted)}, not {sorted(given)}")
    return kind(name=hit["name"], **{key: _PARSE[key](value) for key, value in given.items()})


def _parse_constant(line: str, rows: list[str]) -> tuple[str, Constant]:
    hit = re.fullmatch(r"@(\S+) shape=(\S+) frac_bits=(-?\d+)", line)
    if not hit:
        raise ProgramError(f"expected '@name shape=[..] frac_bits=n', got {line[:60]!r}")
    shape = tuple(json.loads(hit[2]))
    values = np.array(" ".join(rows).split(), dtype=np.int64)
    if values.size != int(np.prod(shape)):
        raise FormatError(f"constant {hit[1]!r}: shape {shape} needs {int(np.prod(shape))} integers, got {values.size}")
    return hit[1], Constant(values.reshape(shape), int(hit[3]))
