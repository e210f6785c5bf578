"""LabVIEW measurement files (.lvm) in, their curves out. Source: NI, "Specification for the LabVIEW Measurement File".

Separator, decimal sign and number of time columns are those that the file's header states.
"""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.config import Data
from gatewright.data.readers.layout import unreadable
from gatewright.data.readers.sheets import sheet, unique
from gatewright.data.readers.table import Table, truncated
from gatewright.data.readers.text import all_lines
from gatewright.errors import DataError
from gatewright.tools import DAMAGE

if TYPE_CHECKING:
    import pandas as pd

KIND = "a LabVIEW measurement file"
END = "***End_of_Header***"
SEPARATORS = {"tab": "\t", "comma": ","}
_SPECIAL = ("***Start_Special***", "***End_Special***")


def is_lvm(head: bytes) -> bool:
    """Say whether a file begins as LabVIEW's."""
    return head.lstrip(b"\xef\xbb\xbf").startswith(b"LabVIEW Measurement")


def read_lvm(path: Path, data: Data) -> Table:
    """Read the segments of a .lvm file. Raises DataError naming the line."""
    try:
        lines = all_lines(path)
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    ends = [number for number, line in enumerate(lines) if _ends(line)]
    if not ends:
        raise truncated(path, KIND, f"no line {END} follows its header")
    told = dict(line.split(_guess(line), 1) for line in lines[: ends[0]] if _guess(line))
    word = told.get("Separator", "Tab").strip()
    separator = SEPARATORS.get(word.lower(), "")
    if not separator:
        raise DataError(f"{path}: its header's Separator must be Tab or Comma, not {word!r}; export it again")
    decimal = told.get("Decimal_Separator", ".").strip() or "."
    times = told.get("X_Columns", "One").strip().lower()
    parts: list[tuple[pd.DataFrame, list[str]]] = []
    at = ends[0] + 1
    while (at := _next(lines, at)) < len(lines):
        part, at = _segment(path, lines, at, (separator, decimal, times))
        parts.append(part)
    if not parts:
        raise truncated(path, KIND, "no data follow its header")
    return sheet(path, parts, data, None)


def _segment(
    path: Path, lines: list[str], at: int, how: tuple[str, str, str]
) -> tuple[tuple[pd.DataFrame, list[str]], int]:
    """Return a segment's columns with the names of its times, and the line after it."""
    import pandas as pd

    separator, decimal, times = how
    samples = 0
    first = at
    while at < len(lines) and not _ends(lines[at]):
        key, *values = lines[at].split(separator)
        if key.strip() == "Samples":
            samples = max((int(value) for value in values if value.strip().isdecimal()), default=0)
        at += 1
    if at == len(lines):
        raise truncated(path, KIND, f"the segment that begins in line {first + 1} has no {END}")
    at = _next(lines, at + 1)
    if at == len(lines):
        raise truncated(path, KIND, f"no data follow the segment's header of line {first + 1}")
    heads = [cell.strip() for cell in lines[at].split(separator)]
    comment = next((i for i, head in enumerate(heads) if head == "Comment"), len(heads))
    heads = heads[:comment]
    while heads and not heads[-1]:
        heads.pop()
    rows: list[list[float]] = []
    at += 1
    while at < len(lines) and lines[at].strip(" \t,"):
        if lines[at].strip() == _SPECIAL[0]:
            while at < len(lines) and lines[at].strip() != _SPECIAL[1]:
                at += 1
            at += 1
            continue
        cells = (lines[at].split(separator) + [""] * len(heads))[: len(heads)]
        rows.append([_number(path, at, heads[i], cell, decimal) for i, cell in enumerate(cells)])
        at += 1
    if len(rows) < samples or not rows:
        raise truncated(
            path, KIND, f"its header announces {samples} samples, but {len(rows)} stand before line {at + 1}"
        )
    names = unique(heads)
    frame: Any = pd.DataFrame(rows, columns=names)
    stamps = [name for name, head in zip(names, heads, strict=True) if head == "X_Value"]
    if times == "no":
        frame, stamps = frame.drop(columns=stamps), []
    return (frame, stamps), at


def _number(path: Path, line: int, name: str, cell: str, decimal: str) -> float:
    plain = cell.strip().replace(decimal, ".") if decimal != "." else cell.strip()
    if not plain:
        return float("nan")
    try:
        return float(plain)
    except ValueError:
        raise DataError(
            f"{path}: line {line + 1}, column {name!r} must be a number with the decimal sign {decimal!r}, not "
            f"{cell.strip()!r}; repair the line"
        ) from None


def _ends(line: str) -> bool:
    return line.strip().rstrip(",").rstrip() == END


def _next(lines: list[str], at: int) -> int:
    """Return the next line that is not blank."""
    while at < len(lines) and not lines[at].strip(" \t,"):
        at += 1
    return at


def _guess(line: str) -> str:
    """Return what separates a header's key from its value, before the header has said it; "" for no such line."""
    return "\t" if "\t" in line else "," if "," in line else ""
