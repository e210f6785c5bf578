"""Program to text and back, exactly: `parse_program(print_program(p)) == p`; to a file and back.

docs/program.md gives the format of a line.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from gatewright.errors import FormatError, GatewrightError, ProgramError
from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir.op_moves import Fill
from gatewright.ir.op_tables import SoftmaxVariant
from gatewright.ir.ops import PoolKind
from gatewright.ir.program import Constant, Op, Program, Scan
from gatewright.ir.verify import verify
from gatewright.tools import write_atomic

HEADER = "gatewright-program 1"
OPS: dict[str, type[Op]] = {kind.__name__.lower(): kind for kind in get_args(Op)}
_SPELLING = {kind: word for word, kind in OPS.items()}
_LINE = re.compile(r"%(?P<name>\S+) = (?P<op>\w+)(?P<fields>(?: \w+=\S+)*)")
_RESULTS = ("source", "left", "right")  # fields that name a result, spelt %name
_TABLES = (
    "weight",
    "bias",
    "initial",
    "thresholds",
    "table",
    "exp_table",
    "reciprocal_table",
    *("feature", "children", "roots", "leaves"),
)  # fields that name a constant, spelt @name
_INTS = ("shape", "keep_frac_bits", "strides", "dilation", "size", "axes", "starts", "stops", "steps")

_NUMBERS = (
    *("frac_bits", "groups", "axis"),
    *("k", "start", "step", "first", "drop", "sum_first", "sum_drop", "shift"),
)


def _ints(text: str) -> tuple[int, ...]:
    values = json.loads(text)
    if not all(type(v) is int for v in values):
        raise ProgramError(f"expected a list of integers, got {text[:60]!r}")
    return tuple(values)


def _value(text: str) -> str | int:
    """A constant's name (const) or an integer (pad)."""
    return text[1:] if text.startswith("@") else int(text)


_PARSE: dict[str, Callable[[str], Any]] = {
    "layer": str,
    "body": str,
    **dict.fromkeys(_RESULTS, lambda text: text.removeprefix("%")),
    **dict.fromkeys(_TABLES, lambda text: text.removeprefix("@")),
    **dict.fromkeys((*_INTS, "factors", "emit"), _ints),
    "sources": lambda text: tuple(name.removeprefix("%") for name in text[1:-1].split(",")),
    "format": Fixed.parse,
    **dict.fromkeys(_NUMBERS, int),
    "width_bits": lambda text: _ints(text) if text.startswith("[") else int(text),
    "variant": SoftmaxVariant,
    "signed": lambda text: tuple(bool(v) for v in _ints(text)),
    "rounding": Rounding,
    "overflow": Overflow,
    "kind": PoolKind,
    "fill": Fill,
    "pads": lambda text: tuple(_ints(json.dumps(pair)) for pair in json.loads(text)),
    "value": _value,
    "reverse": lambda text: bool(int(text)),
    "sequences": lambda text: bool(int(text)),
}


def print_program(program: Program) -> str:
    """Return the canonical text: header, ops in order, then the constants, one row of a matrix per line."""
    lines = [HEADER, *_body_lines(program)]
    return "\n".join(lines) + "\n"


def print_op(op: Op) -> str:
    """Return an op's line, without what its constants hold."""
    fields = [f for f in dataclasses.fields(op) if f.name != "name"]
    words = [f"{f.name}={_print_field(f.name, getattr(op, f.name))}" for f in fields]
    return f"%{op.name} = {_SPELLING[type(op)]} {' '.join(words)}"


def _body_lines(program: Program) -> list[str]:
    lines = [f"name {' '.join(program.name.splitlines())}", f"classes {json.dumps(list(program.classes))}", ""]
    lines += map(print_op, program.ops)
    lines += [f"return %{program.output}", ""]
    for name, constant in program.constants.items():
        shape = json.dumps(list(constant.q.shape)).replace(" ", "")
        lines.append(f"@{name} shape={shape} frac_bits={constant.frac_bits}")
        rows = constant.q.reshape(-1, constant.q.shape[-1]) if constant.q.size else constant.q.reshape(0, 1)
        lines += [" " + " ".join(map(str, row.tolist())) for row in rows]
    bodies = {op.body.name: op.body for op in program.ops if isinstance(op, Scan)}
    for name, body in bodies.items():
        lines += [f"body {name}", *(f"|{line}" for line in _body_lines(body))]
    return lines


def parse_program(text: str, *, where: str = "text") -> Program:
    """Return the verified program that a text describes; ProgramError names `where` and the line otherwise."""
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        raise ProgramError(f"{where}:1: expected {HEADER!r}, got {(lines or [''])[0][:60]!r}")
    program = _parse_lines(list(enumerate(lines, start=1))[1:], where)
    verify(program)
    return program


def save_program(program: Program, path: Path) -> None:
    """Write the text form atomically."""
    write_atomic(path, print_program(program))


def load_program(path: Path | str) -> Program:
    """Read and verify the text form. Raises ProgramError naming file and line."""
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ProgramError(f"cannot read program {path}: {error}") from None
    return parse_program(text, where=str(path))


def _parse_lines(numbered: list[tuple[int, str]], where: str) -> Program:
    """Return the program that (line number, line) pairs after the header describe, unverified."""
    bodies, numbered = _parse_bodies(numbered, where)
    name, output, classes = "", "", ()
    ops: list[Op] = []
    constants: dict[str, Constant] = {}
    at = 0
    while at < len(numbered):
        number, line = numbered[at]
        at += 1
        try:
            if line.startswith("name "):
                name = line[5:]
            elif line.startswith("classes "):
                classes = tuple(json.loads(line[8:]))
            elif line.startswith("return "):
                output = line[7:].removeprefix("%")
            elif line.startswith("%"):
                ops.append(_parse_op(line, bodies))
            elif line.startswith("@"):
                rows = list(itertools.takewhile(lambda row: row.startswith(" "), (row for _, row in numbered[at:])))
                key, constants[key] = _parse_constant(line, rows)
                at += len(rows)
            elif line:
                raise ProgramError(f"expected name, classes, return, %op, @constant or body, got {line[:60]!r}")
        except (ValueError, TypeError, KeyError, GatewrightError) as error:
            raise ProgramError(f"{where}:{number}: {error}") from None
    return Program(name=name, ops=tuple(ops), output=output, constants=constants, classes=classes)


def _parse_bodies(numbered: list[tuple[int, str]], where: str) -> tuple[dict[str, Program], list[tuple[int, str]]]:
    """Return the programs of the `body NAME` blocks, whose lines start with |, and the lines outside them."""
    bodies: dict[str, Program] = {}
    inside: dict[str, list[tuple[int, str]]] = {}
    rest: list[tuple[int, str]] = []
    block: list[tuple[int, str]] | None = None
    for number, line in numbered:
        if line.startswith("body "):
            block = inside[line[5:]] = []
        elif line.startswith("|") and block is not None:
            block.append((number, line[1:]))
        else:
            block = None
            rest.append((number, line))
    for name, lines in inside.items():
        bodies[name] = _parse_lines(lines, where)
    return bodies, rest


def _print_field(key: str, value: Any) -> str:
    match value:
        case Fixed():
            return str(value)
        case Enum():
            return str(value.value)
        case tuple() if key == "sources":
            return "[" + ",".join(f"%{name}" for name in cast("tuple[str, ...]", value)) + "]"
        case tuple() if key == "pads":
            return json.dumps(value).replace(" ", "")
        case tuple():
            return json.dumps([int(v) for v in cast("tuple[int, ...]", value)]).replace(" ", "")
        case bool():
            return str(int(value))
        case Program():
            return value.name
        case _ if key in _RESULTS:
            return f"%{value}"
        case _ if key in _TABLES or (key == "value" and isinstance(value, str)):
            return f"@{value}"
        case _:
            return str(value)


def _parse_op(line: str, bodies: dict[str, Program]) -> Op:
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
    fields = {key: _PARSE[key](value) for key, value in given.items()}
    if "body" in fields:
        if fields["body"] not in bodies:
            raise ProgramError(f"body {fields['body']!r} is missing; the text has {sorted(bodies)}")
        fields["body"] = bodies[fields["body"]]
    return kind(name=hit["name"], **fields)


def _parse_constant(line: str, rows: list[str]) -> tuple[str, Constant]:
    hit = re.fullmatch(r"@(\S+) shape=(\S+) frac_bits=(-?\d+)", line)
    if not hit:
        raise ProgramError(f"expected '@name shape=[..] frac_bits=n', got {line[:60]!r}")
    shape = tuple(json.loads(hit[2]))
    values = np.array(" ".join(rows).split(), dtype=np.int64)
    if values.size != int(np.prod(shape)):
        raise FormatError(f"constant {hit[1]!r}: shape {shape} needs {int(np.prod(shape))} integers, got {values.size}")
    return hit[1], Constant(values.reshape(shape), int(hit[3]))
