"""Weka's ARFF files in; their table, with nominal classes in the declared order, out.

Source: the ARFF page of the Weka manual. `?` is a gap. Sparse data, weights of instances and relational attributes are
refused.
"""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from gatewright.config import Data
from gatewright.data.readers.layout import unreadable
from gatewright.data.readers.table import Table, truncated
from gatewright.data.readers.text import all_lines
from gatewright.errors import DataError
from gatewright.tools import DAMAGE

KIND = "an ARFF file"
NUMERIC = ("numeric", "real", "integer")
_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)\s+(.+)""", re.IGNORECASE)


def is_arff(head: bytes) -> bool:
    """Say whether the first line that is no comment is @relation."""
    lines = [line.strip() for line in head.lstrip(b"\xef\xbb\xbf").splitlines()]
    first = next((line for line in lines if line and not line.startswith(b"%")), b"")
    return first.lower().startswith(b"@relation")


def read_arff(path: Path, _: Data) -> Table:
    """Read a dense ARFF file. Raises DataError naming the line."""
    import pandas as pd

    try:
        lines = all_lines(path)
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    kinds: dict[str, tuple[str, ...] | str] = {}
    start = 0
    for number, line in enumerate(lines):
        word = line.strip()
        if word.lower().startswith("@attribute"):
            name, kind = _attribute(path, number, word)
            if name in kinds:
                raise DataError(f"{path}: line {number + 1} declares {name!r} a second time; rename one of them")
            kinds[name] = kind
        elif word.lower() == "@data":
            start = number + 1
            break
    if not start or not kinds:
        raise truncated(path, KIND, "it must have @attribute lines, then a line @data")
    rows = [_row(path, number, line, kinds) for number, line in enumerate(lines[start:], start=start) if _holds(line)]
    frame: Any = pd.DataFrame(rows, columns=list(kinds))
    for name, kind in kinds.items():
        if kind in NUMERIC:
            frame[name] = pd.to_numeric(frame[name].replace("?", None))
    nominal = {name: kind for name, kind in kinds.items() if isinstance(kind, tuple)}
    return Table(frame=frame, nominal=nominal)


def _attribute(path: Path, number: int, line: str) -> tuple[str, tuple[str, ...] | str]:
    match = _ATTRIBUTE.fullmatch(line)
    if match is None:
        raise DataError(f"{path}: line {number + 1} must be @attribute NAME TYPE, not {line!r}; repair the line")
    name, kind = _bare(match[1]), match[2].strip()
    if kind.startswith("{") and kind.endswith("}"):
        return name, tuple(_cells(kind[1:-1]))
    word = kind.split()[0].lower()
    if word not in (*NUMERIC, "string", "date"):
        raise DataError(
            f"{path}: line {number + 1}: the type of {name!r} must be numeric, real, integer, string, date or "
            f"{{classes}}, not {kind!r}; convert the attribute"
        )
    return name, word


def _row(path: Path, number: int, line: str, kinds: dict[str, tuple[str, ...] | str]) -> list[str]:
    if line.lstrip().startswith("{"):
        raise DataError(
            f"{path}: line {number + 1} is sparse data, {{index value, ...}}, in which what is left out may be 0 or a "
            "class; write it dense, with Weka's filter SparseToNonSparse"
        )
    found = _cells(line)
    if len(found) != len(kinds):
        raise DataError(f"{path}: line {number + 1} must have {len(kinds)} values, not {len(found)}; repair the line")
    for cell, (name, kind) in zip(found, kinds.items(), strict=True):
        if cell == "?":
            continue
        if isinstance(kind, tuple) and cell not in kind:
            raise DataError(
                f"{path}: line {number + 1}: {name!r} must be one of {', '.join(kind)}, not {cell!r}; correct it, or "
                "the attribute's line"
            )
        if kind in NUMERIC:
            try:
                float(cell)
            except ValueError:
                raise DataError(
                    f"{path}: line {number + 1}: {name!r} must be a number, not {cell!r}; correct it, or the "
                    "attribute's line"
                ) from None
    return found


def _cells(line: str) -> list[str]:
    quote = '"' if '"' in line and "'" not in line else "'"
    reader = csv.reader(
        [line.replace("\t", ",") if "," not in line else line], quotechar=quote, escapechar="\\", skipinitialspace=True
    )
    return [cell.strip() for cell in next(reader)]


def _bare(name: str) -> str:
    return name[1:-1].replace("\\", "") if name[:1] in "'\"" else name


def _holds(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("%")
