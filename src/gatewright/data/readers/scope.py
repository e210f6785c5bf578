"""Curves that oscilloscopes export as CSV, with lines before them, in; their columns out.

What a preamble says differs with vendor and model (Tektronix, Rigol, Keysight, PicoScope, Siglent, LeCroy), what
follows does not: lines of equally many numbers. Older Tektronix models write it beside the curve's first lines.
"""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.config import Data
from gatewright.data.readers.layout import HEAD_LINES, Layout, cells, is_number, unreadable
from gatewright.data.readers.sheets import sheet, unique
from gatewright.data.readers.table import Table
from gatewright.data.readers.text import encoding_of, head_lines
from gatewright.tools import DAMAGE, open_stream

_UNIT = re.compile(r"\(.*\)|(second|volt|sequence|sec|amp)s?|[munp]?[sva]|div", re.IGNORECASE)
_TIME = re.compile(r"x|t|x-axis|time.*|seconds?|source|sequence", re.IGNORECASE)
_BESIDE = 3  # the first column of an older Tektronix's curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Where the curves of an export stand. start: the first line, from 0; first: the first column."""

    separator: str
    decimal: str
    start: int
    first: int
    names: tuple[str, ...]


def is_scope(head: bytes) -> bool:
    """Say whether a file begins with two lines or more that are no data, then equally many numbers in each line."""
    return _curves(_lines(head)) is not None


def read_scope(path: Path, data: Data) -> Table:
    """Read an oscilloscope's export. Raises DataError naming the line of what is no number."""
    import pandas as pd

    try:
        encoding = encoding_of(path)
        found = _curves(head_lines(path, encoding, HEAD_LINES))
        if found is None:
            raise ValueError("no lines of equally many numbers follow its first lines")
        with open_stream(path) as file:
            frame: Any = pd.read_csv(
                file,
                sep=found.separator,
                decimal=found.decimal,
                header=None,
                skiprows=found.start,
                usecols=range(found.first, found.first + len(found.names)),
                names=[str(number) for number in range(found.first + len(found.names))],
                index_col=False,
                keep_default_na=False,
                low_memory=False,
                encoding=encoding,
            )
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    frame.columns = list(found.names)
    layout = Layout(
        separator=found.separator, decimal=found.decimal, header=found.names, skip=tuple(range(found.start))
    )
    first = frame[found.names[0]]
    steady = first.dtype.kind in "if" and len(first) > 1 and bool((np.diff(first.to_numpy()) > 0).all())
    times = [found.names[0]] if steady and len(found.names) > 1 and _TIME.fullmatch(found.names[0]) else []
    return sheet(path, [(frame, times)], data, layout)


def _lines(head: bytes) -> list[str]:
    text = head.decode("latin-1").removeprefix("\xef\xbb\xbf")
    lines = text.splitlines()
    return (lines if text.endswith("\n") else lines[:-1])[:HEAD_LINES]  # the last may be cut


def _curves(lines: list[str]) -> Curves | None:
    """Return where curves begin below a preamble, None where there is none or where none follow."""
    for separator in (",", ";", "\t"):
        decimal = "," if separator != "," and not any(re.search(r"\d\.\d", line) for line in lines[-20:]) else "."
        rows = [cells(line, separator) for line in lines]
        if (found := _beside(rows, separator)) is not None:
            return found
        widths = [_width(row, decimal) for row in rows]
        start = len(rows)
        while start and widths[start - 1] > 1 and widths[start - 1] == widths[-1]:
            start -= 1
        above = [row for row, line in zip(rows[:start], lines, strict=False) if line.strip()]
        if start == len(rows) or len(above) < 2 or lines[0].lstrip().startswith("#"):
            continue
        return Curves(separator=separator, decimal=decimal, start=start, first=0, names=_names(above, widths[-1]))
    return None


def _width(row: list[str], decimal: str) -> int:
    """Return how many numbers a line holds, 0 where it holds anything else."""
    while row and not row[-1]:
        row = row[:-1]
    return len(row) if all(is_number(cell, decimal) for cell in row) else 0


def _names(above: list[list[str]], width: int) -> tuple[str, ...]:
    fits = [row[:width] for row in above if sum(map(bool, row[:width])) == width]
    if len(fits) > 1 and all(_UNIT.fullmatch(cell) for cell in fits[-1]):
        return tuple(unique(fits[-2]))
    return tuple(unique(fits[-1] if fits else [f"CH{number}" for number in range(width)]))


def _beside(rows: list[list[str]], separator: str) -> Curves | None:
    """Return the curve of an older Tektronix: keys in the first column of some lines, numbers in columns 4 and 5."""
    heads = {row[0]: row[1] for row in rows if len(row) > _BESIDE + 1 and row[0]}
    if "Record Length" not in heads or not all(
        len(row) > _BESIDE + 1 and is_number(row[_BESIDE]) and is_number(row[_BESIDE + 1]) for row in rows
    ):
        return None
    name = heads.get("Source", "") or "CH1"
    return Curves(separator=separator, decimal=".", start=0, first=_BESIDE, names=("Time", name))
