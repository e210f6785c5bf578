"""The first lines of a text table in, how it is written out: separator, decimal sign, header, lines that are comments.

What the configuration says is taken as said; the rest is seen in the lines themselves, by rules that one can foresee:
the separator is the first of ; tab | , blanks ^ and ~ that cuts every line into equally many cells, two or more;
else the first that does so below some lines that are no data. Words below the names, above nothing but numbers, are
units.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gatewright.config import Data
from gatewright.data.readers.text import encoding_of, head_lines, later_lines
from gatewright.errors import DataError
from gatewright.tools import DAMAGE

HEAD_LINES = 200  # looked at
BLANKS = r"\s+"
SEPARATORS = (";", "\t", "|", ",", BLANKS, "^", "~")
SPELT = {"tab": "\t", "\\t": "\t", "blank": BLANKS, "space": BLANKS, " ": BLANKS}
COMMENTS = ("#", "%", "//")
GAPS = ("", "na", "n/a", "nan", "null", "none", "?", "-", "missing")
"""What an empty cell is written as, in lower case."""
MOST_BEFORE = 60  # lines before a table
_EXCEL = re.compile(r"sep=(.)[;,\t]*", re.IGNORECASE)
_WHOLE_COMMA = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*")
_GROUPED = re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+")
_POINT = re.compile(r"\s*[-+]?\d*\.\d+([eE][-+]?\d+)?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a text table is written.

    separator: one character, or BLANKS. decimal: "." or ",". header: the columns' names, None where the first line is
    data already; skip: numbers of the lines, from 0, that are no data. encoding: as Python calls it.
    """

    separator: str
    decimal: str
    header: tuple[str, ...] | None
    skip: tuple[int, ...]
    encoding: str = "utf-8-sig"

    def names(self, columns: int) -> list[str]:
        """Return the columns' names: those of the header, else their numbers from 0."""
        return list(self.header) if self.header is not None else [str(number) for number in range(columns)]


def read_layout(path: Path, data: Data, named: Sequence[str] = ()) -> Layout:
    """Return how a table is written. named: columns that the configuration names, which only a header can hold.

    Raises DataError for a file that cannot be read as text, and for a separator of several characters.
    """
    try:
        encoding = encoding_of(path)
        head = head_lines(path, encoding, HEAD_LINES)
        later = later_lines(path, encoding, HEAD_LINES, COMMENTS)
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    comments = [number for number, line in enumerate(head) if line.lstrip().startswith(COMMENTS)]
    blank = [number for number, line in enumerate(head) if not line.strip()]
    skip = {*comments, *blank}
    lines = [number for number in range(len(head)) if number not in skip]
    said = _EXCEL.fullmatch(head[lines[0]]) if lines else None
    if said is not None:  # `sep=;`, by which Excel knows
        skip.add(lines.pop(0))
    separator, start = _cut(path, data.separator or (said[1] if said else ""), [head[number] for number in lines])
    skip |= set(lines[:start])
    rows = [cells(head[number], separator) for number in lines]
    decimal = data.decimal if data.decimal != "auto" else _decimal(separator, rows[start:])
    above, rows = rows[:start], rows[start:]
    first, rest = (rows[0], rows[1:]) if rows else ([], [])
    header: tuple[str, ...] | None = None
    if data.header == "yes" or (data.header == "auto" and is_header(first, rest, decimal, named)):
        header = tuple(first)
        skip |= set(lines[start : start + 1 + (_units(rest, decimal) if data.header == "auto" else 0)])
    elif data.header == "auto" and comments and comments[-1] == max(skip):  # `# x y z`, as NumPy and gnuplot write it
        candidate = cells(head[comments[-1]].lstrip().lstrip("#%/").strip(), separator)
        header = tuple(candidate) if len(candidate) == len(first) else None
    elif data.header == "auto" and above:
        header = _shifted(above, rows, decimal)
    skipped = (*sorted(skip), *later)
    return Layout(separator=separator, decimal=decimal, header=header, skip=skipped, encoding=encoding)


def cells(line: str, separator: str) -> list[str]:
    """Return a line's cells without quotes and outer blanks."""
    if separator == BLANKS:
        line, separator = " ".join(line.split()), " "
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


def _cut(path: Path, given: str, lines: Sequence[str]) -> tuple[str, int]:
    """Return the separator, and how many lines stand before the table: an instrument's name, a date, settings."""
    if given:
        found = SPELT.get(given, given)
        if len(found) != 1 and found != BLANKS:
            raise DataError(f'data.separator must be one character, "tab" or "blank", not {given!r}')
        return found, _before(lines, found) or 0
    tried = ("\t",) if ".tsv" in path.suffixes else SEPARATORS
    starts = [(separator, _before(lines, separator)) for separator in tried]
    found = [(separator, start) for separator, start in starts if start is not None]
    return next(
        (pair for pair in found if not pair[1]), found[0] if found else (tried[0] if len(tried) == 1 else ",", 0)
    )


def _before(lines: Sequence[str], separator: str) -> int | None:
    """Return how many lines stand before those of equally many cells, None where no such table follows.

    They have fewer cells, or one empty one more, and are no data: of numbers they hold at most half of a row's.
    """
    rows = [cells(line, separator) for line in lines]
    if not rows or len(rows[-1]) < 2:
        return None
    width, start = len(rows[-1]), len(rows)
    while start and len(rows[start - 1]) == width:
        start -= 1
    most = _count(rows[-1]) / 2
    fits = all(len(row) < width or (len(row) == width + 1 and not row[-1]) for row in rows[:start]) and not any(
        _count(row) > most for row in rows[:start]
    )
    return start if start == 0 or (fits and start <= MOST_BEFORE and len(rows) - start > 2) else None


def _count(row: Sequence[str]) -> int:
    """Return how many cells of a row are numbers, with either decimal sign."""
    return sum(is_number(cell) or is_number(cell, ",") for cell in row)


def _units(rows: Sequence[Sequence[str]], decimal: str) -> int:
    """Return how many lines below the names tell units or the like: words above columns of numbers, and no number."""
    for count in (3, 2, 1):
        rest = rows[count:]
        if len(rest) < 3:
            continue
        numeric = [i for i in range(len(rest[0])) if _all_numbers([row[i] for row in rest if i < len(row)], decimal)]
        told = [[row[i] for i in numeric if i < len(row) and row[i].lower() not in GAPS] for row in rows[:count]]
        if all(words and not any(is_number(word, decimal) for word in words) for words in told):
            return count
    return 0


def _all_numbers(column: Sequence[str], decimal: str) -> bool:
    filled = [cell for cell in column if cell.lower() not in GAPS]
    return bool(filled) and all(is_number(cell, decimal) for cell in filled)


def _shifted(above: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], decimal: str) -> tuple[str, ...] | None:
    """Return the names of a header with a cell less or more than its rows, None where there is none.

    R leaves out the name of the column of row names, LabVIEW and MATLAB end their rows with a separator, others the
    header.
    """
    at = len(above)
    while at and len(above[at - 1]) == len(above[-1]) and not any(is_number(cell, decimal) for cell in above[at - 1]):
        at -= 1
    if at == len(above):
        return None
    line = above[at]  # below it may stand units
    if len(line) == len(rows[0]) + 1:
        return tuple(line[:-1])
    if len(line) != len(rows[0]) - 1:
        return None
    return ("", *line) if any(row[-1] for row in rows) else (*line, "")


def _decimal(separator: str, rows: Sequence[Sequence[str]]) -> str:
    """Return "," where some cells are numbers with a comma and none is one with a point."""
    if separator == ",":
        return "."
    found = [cell for row in rows for cell in row]
    if any(_GROUPED.fullmatch(cell) for cell in found):  # 1.234,5
        return ","
    commas = any(_WHOLE_COMMA.fullmatch(cell) for cell in found)
    return "," if commas and not any(_POINT.fullmatch(cell) for cell in found) else "."
