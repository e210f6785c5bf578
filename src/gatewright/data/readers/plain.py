"""A small text table without gaps, quotes or odd cells in, Raw out, without pandas, which takes half a second to load.

Anything else is left to `gatewright.data.readers.tables`, which also says what is wrong with it; both read the same.
"""

from __future__ import annotations

import csv
import io
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.raw import Raw
from gatewright.data.readers.columns import choose_columns
from gatewright.data.readers.layout import BLANKS, Layout
from gatewright.tools import open_stream

MOST_BYTES = 8 << 20  # beyond, what pandas saves in reading is more than it takes to load
_WHOLE = frozenset("0123456789+- ")
_REAL = _WHOLE | frozenset(".eE")
_WORDS = frozenset({"true", "false", "inf", "infinity", "nan"})  # that pandas takes for values


def read_plain(path: Path, data: Data, layout: Layout) -> Raw | None:
    """Return the samples of a table whose every used cell is a plain number or text, None of any other."""
    if data.missing != "error" or data.missing_values or not (data.label_column or data.label_columns):
        return None
    if path.stat().st_size > MOST_BYTES or (cells := _cells(path, layout)) is None:
        return None
    columns: dict[str, tuple[str, ...]] = dict(zip(layout.names(len(cells)), cells, strict=False))
    if len(columns) != len(cells) or (layout.header is not None and len(layout.header) != len(cells)):
        return None
    chosen = choose_columns(path, list(columns), data, numbered=layout.header is None)
    x = [_numbers(columns[name], layout.decimal) for name in chosen.features]
    y = [_numbers(columns[name], layout.decimal) for name in chosen.labels]
    others = [_texts(columns[name]) if name else None for name in (chosen.group, chosen.split)]
    if any(column is None for column in x) or (data.label_columns and any(column is None for column in y)):
        return None
    label = None if data.label_columns or y[0] is not None else _texts(columns[chosen.labels[0]])
    if (y[0] is None and label is None) or any(
        name and column is None for name, column in zip((chosen.group, chosen.split), others, strict=True)
    ):
        return None
    numbers = [column for column in y if column is not None]
    return Raw(
        x=np.column_stack([column for column in x if column is not None]),
        y=label if label is not None else (np.column_stack(numbers) if data.label_columns else numbers[0]),
        group=others[0],
        split=others[1],
        feature_names=chosen.features,
        target_names=chosen.labels,
        origin=str(path),
    )


def _cells(path: Path, layout: Layout) -> list[tuple[str, ...]] | None:
    """Return a table's columns of texts, None where rows have several lengths, or quotes or blank lines occur."""
    with open_stream(path) as file:
        content = file.read(MOST_BYTES + 1)  # of a compressed file more may come than it is long
    if b'"' in content or len(content) > MOST_BYTES:
        return None
    text = content.decode(layout.encoding)
    skip = set(layout.skip)
    lines = [line for at, line in enumerate(io.StringIO(text, newline=None)) if at not in skip]
    if layout.separator == BLANKS:
        rows = list(map(str.split, lines))
    else:
        rows = list(csv.reader(lines, delimiter=layout.separator, skipinitialspace=True))
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        return None
    return list(zip(*rows, strict=True))


def _numbers(column: tuple[str, ...], decimal: str) -> NDArray[Any] | None:
    """Return a column as int64 or finite float64, None where some cell is no number in digits."""
    texts = column if decimal == "." else tuple(map(str.replace, column, repeat(decimal), repeat(".")))
    signs = frozenset("".join(texts))
    if not signs <= _REAL:
        return None
    try:
        values = np.array(list(map(int, texts)), np.int64) if signs <= _WHOLE else np.array(list(map(float, texts)))
    except (ValueError, OverflowError):
        return None
    return values if np.isfinite(values).all() else None


def _texts(column: tuple[str, ...]) -> NDArray[Any] | None:
    """Return a column's texts as pandas would name them, None where that is not sure."""
    if any(cell.strip("+- ").lower() in _WORDS for cell in set(column)):
        return None
    values = _numbers(column, ".")
    if values is None:
        return np.array(column) if all(set(column)) else None
    return values.astype(str) if values.dtype.kind == "i" else None
