"""The first lines of a text table in, how it is written out: separator, decimal sign, header, lines that are comments.

What the configuration says is taken as said; the rest is seen in the lines themselves, by rules that one can foresee:
the separator is the first of ; tab | , and blanks that cuts every line into equally many cells, two or more.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gatewright.config import Data
from gatewright.errors import DataError
from gatewright.tools import DAMAGE, open_stream

HEAD_LINES = 200  # looked at
BLANKS = r"\s+"
SEPARATORS = (";", "\t", "|", ",", BLANKS)
SPELT = {"tab": "\t", "\\t": "\t", "blank": BLANKS, "space": BLANKS, " ": BLANKS}
COMMENT = "#"
_WHOLE_COMMA = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*")
_POINT = re.compile(r"\s*[-+]?\d*\.\d+([eE][-+]?\d+)?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a text table is written.

    separator: one character, or BLANKS. decimal: "." or ",". header: the columns' names, None where the first line is
    data already; skip: numbers of the lines, from 0, that are neither names nor data.
    """

    separator: str
    decimal: str
    header: tuple[str, ...] | None
    skip: tuple[int, ...]

    def names(self, columns: int) -> list[str]:
        """Return the columns' names: those of the header, else their numbers from 0."""
        return list(self.header) if self.header is not None else [str(number) for number in range(columns)]


def read_layout(path: Path, data: Data, named: Sequence[str] = ()) -> Layout:
    """Return how a table is written. named: columns that the configuration names, which only a header can hold.

    Raises DataError for a file that cannot be read as text, and for a separator of several characters.
    """
    try:
        with open_stream(path) as file:
            head = [line.decode("utf-8-sig").rstrip("\r\n") for line in islice(file, HEAD_LINES)]
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    comments = [number for number, line in enumerate(head) if line.lstrip().startswith(COMMENT)]
    blank = [number for number, line in enumerate(head) if not line.strip()]
    skip = sorted({*comments, *blank})
    lines = [line for number, line in enumerate(head) if number not in skip]
    separator = _separator(path, data.separator, lines)
    rows = [cells(line, separator) for line in lines]
    decimal = data.decimal if data.decimal != "auto" else _decimal(separator, rows)
    first, rest = (rows[0], rows[1:]) if rows else ([], [])
    header: tuple[str, ...] | None = None
    said = comments[-1] if comments else -1
    if (
        data.header != "no"
        and said >= 0
        and said == skip[-1]
        and data.header == "auto"
        and not is_header(first, rest, decimal, named)
    ):
        candidate = cells(head[said].lstrip().lstrip(COMMENT).strip(), separator)
        if len(candidate) == len(first):  # `# x y z`, as NumPy and gnuplot write it
            return Layout(separator=separator, decimal=decimal, header=tuple(candidate), skip=tuple(skip))
    if data.header == "yes" or (data.header == "auto" and is_header(first, rest, decimal, named)):
        header = tuple(first)
    if header is not None:
        names = next(number for number in range(len(head)) if number not in skip)
        skip = sorted({*skip, names})
    return Layout(separator=separator, decimal=decimal, header=header, skip=tuple(skip))


def cells(line: str, separator: str) -> list[str]:
    """Return a line's cells without quotes and outer blanks."""
    if separator == BLANKS:
        return line.split()
    found: list[str] = next(csv.reader([line], delimiter=separator, skipinitialspace=True), list[str]())
    return [cell.strip() for cell in found]


def is_header(first: Sequence[str], rest: Sequence[Sequence[str]], decimal: str, named: Sequence[str] = ()) -> bool:
    """Say whether a table's first line holds names.

    It does where it holds one that is asked for, where no cell is a number, where the numbers count the columns, and
    where some cell is no number while all below it are. Else it is data like the rest.
    """
    if not first or set(named) & set(first):
        return bool(first)
    numeric = [is_number(cell, decimal) for cell in first]
    if not any(numeric):
        return True
    counted = [cell for cell, number in zip(first, numeric, strict=True) if number]
    if len(counted) > 1 and counted in (
        [str(i) for i in range(len(counted))],
        [str(i + 1) for i in range(len(counted))],
    ):
        return True
    below = [bool(rest) and all(is_number(row[i], decimal) for row in rest if i < len(row)) for i in range(len(first))]
    return any(under and not number for under, number in zip(below, numeric, strict=True))


def is_number(cell: str, decimal: str = ".") -> bool:
    """Say whether a cell is a number."""
    try:
        float(cell.replace(",", ".") if decimal == "," else cell)
    except ValueError:
        return False
    return True


def unreadable(path: Path, error: BaseException) -> DataError:
    """Return what to raise for a file that is no table."""
    reason = str(error).strip() or type(error).__name__
    if "compressed bytes" in reason:
        return DataError(f"{path}: cannot be read as a table: {reason}")
    return DataError(
        f"{path}: cannot be read as a table: {reason}; it must be complete, with equally many cells in each line"
    )


def _separator(path: Path, given: str, lines: Sequence[str]) -> str:
    if given:
        found = SPELT.get(given, given)
        if len(found) != 1 and found != BLANKS:
            raise DataError(f'data.separator must be one character, "tab" or "blank", not {given!r}')
        return found
    if ".tsv" in path.suffixes:
        return "\t"
    for separator in SEPARATORS:
        counts = Counter(len(cells(line, separator)) for line in lines)
        if len(counts) == 1 and min(counts) > 1:
            return separator
    return ","


def _decimal(separator: str, rows: Sequence[Sequence[str]]) -> str:
    """Return "," where some cells are numbers with a comma and none is one with a point."""
    if separator == ",":
        return "."
    found = [cell for row in rows for cell in row]
    commas = any(_WHOLE_COMMA.fullmatch(cell) for cell in found)
    return "," if commas and not any(_POINT.fullmatch(cell) for cell in found) else "."
