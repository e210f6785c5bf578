"""Text tables in, Raw out: one table with a label column, or the samples of one class."""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.raw import Raw
from gatewright.data.readers.arrays import read_labels
from gatewright.data.readers.columns import choose_columns
from gatewright.data.readers.layout import GAPS, Layout, is_number, read_layout, unreadable
from gatewright.data.readers.plain import read_plain
from gatewright.data.readers.table import Table
from gatewright.errors import DataError
from gatewright.tools import DAMAGE, open_stream

if TYPE_CHECKING:
    import pandas as pd

    from gatewright.data.readers.formats import Format

LINES = 1 << 16  # of a text table that are read at once
_ROWS = 1 << 12  # of a table that are put side by side at once: its columns' pieces stay in a core's cache
_SHOWN = 8  # faulty columns that an error names


def read_csv(data: Data) -> Raw:
    """Read a text table: features, labels, and group_column and split_column if set; `Layout` is how it is written.

    feature_columns () takes every other column. Compressed files (.gz, .xz, .bz2) are read as they are.
    """
    path = Path(data.source)
    named = (data.label_column, *data.label_columns, *data.feature_columns, data.group_column, data.split_column)
    layout = read_layout(path, data, [name for name in named if name])
    plain = read_plain(path, data, layout)
    if plain is not None:
        return plain
    frame = load_table(path, layout)
    return table_raw(Table(frame=frame, layout=layout), data, path)


def read_format(data: Data, kind: Format) -> Raw:
    """Read a file of one of the table's formats, with the same keys as a text table."""
    path = Path(data.source)
    return table_raw(kind.read(path, data), data, path)


def table_raw(table: Table, data: Data, path: Path) -> Raw:
    """Return the samples of a table that is read. Raises DataError."""
    frame: Any = table.frame
    layout = table.layout
    columns = [str(name) for name in frame.columns]
    chosen = choose_columns(
        path, columns, data, numbered=layout is not None and layout.header is None, usual=table.features
    )
    decimal = layout.decimal if layout else "."
    frame = with_gaps(frame, data.missing_values)
    if data.missing == "drop":
        gaps = np.zeros(len(frame), dtype=bool)
        for name in (*chosen.features, *chosen.labels):
            gaps |= gaps_of(frame[name])
        frame = frame[~gaps]
        if frame.empty:
            raise DataError(f'{path}: every row has a gap in some column, so data.missing = "drop" leaves none')
    else:
        gaps = None
    x = numbers(frame[list(chosen.features)], path, decimal=decimal, lines=layout, gaps=data.missing == "mean")
    classes = None
    if not chosen.labels:
        y = read_labels(data.labels)
        y = y if gaps is None or len(gaps) != len(y) else y[~gaps]
    elif data.label_columns:
        y = numbers(frame[list(chosen.labels)], path, decimal=decimal, lines=layout)
    else:
        (label,) = chosen.labels
        y = _label(frame[label], decimal)
        found = set(y.tolist()) if label in table.nominal else set[Any]()
        classes = tuple(name for name in table.nominal.get(label, ()) if name in found) or None
    return Raw(
        x=x,
        y=y,
        group=frame[chosen.group].to_numpy(dtype=str) if chosen.group else None,
        split=frame[chosen.split].to_numpy(dtype=str) if chosen.split else None,
        classes=classes,
        feature_names=chosen.features,
        target_names=chosen.labels or None,
        fill=data.missing == "mean",
        origin=str(path),
    )


def load_table(path: Path, layout: Layout) -> pd.DataFrame:
    """Read a text table as it stands (no cell is taken for missing). Raises DataError naming the file."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: Any = _parsed(path, layout)
    except pd.errors.EmptyDataError as error:
        if layout.header is not None:
            raise DataError(f"{path}: a table must have rows below its header, not none; check the file") from None
        raise unreadable(path, error) from None
    except (*DAMAGE, pd.errors.ParserWarning) as error:
        raise unreadable(path, error) from None
    names = layout.names(frame.shape[1])
    if names.count("") > 1:
        names = [name or f"column{number}" for number, name in enumerate(names)]
    if len(names) != frame.shape[1]:
        raise unreadable(path, ValueError(f"{len(names)} names stand above {frame.shape[1]} cells"))
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(
            f"{path}: each column must have a name of its own, but {names.count(twice)} are called {twice!r}; rename "
            "or remove all but one in the header line"
        )
    frame.columns = names
    return frame


def _parsed(path: Path, layout: Layout) -> Any:
    """Return a table of pandas' types, those that it would give each column as a whole, read LINES at a time.

    Where a column's types are not the same everywhere, it is read again: as real numbers where all are numbers, else
    the whole table at once.
    """
    with open_stream(path) as file, _parser(file, layout, chunksize=LINES) as chunks:
        parts = [dict(chunk.items()) for chunk in chunks]
    kinds = {name: {part[name].dtype for part in parts} for name in parts[0]}
    mixed = [name for name, found in kinds.items() if len(found) > 1]
    if any(sorted(str(kind) for kind in kinds[name]) != ["float64", "int64"] for name in mixed):
        parts.clear()
        with open_stream(path) as file:
            return _parser(file, layout)
    if mixed:
        parts.clear()
        with (
            open_stream(path) as file,
            _parser(file, layout, chunksize=LINES, dtype=dict.fromkeys(mixed, float)) as chunks,
        ):
            parts = [dict(chunk.items()) for chunk in chunks]
    return _joined(parts)


def _parser(file: Any, layout: Layout, **how: Any) -> Any:
    import pandas as pd

    return pd.read_csv(
        file,
        sep=layout.separator,
        decimal=layout.decimal,
        header=None,
        skiprows=list(layout.skip),
        keep_default_na=False,
        low_memory=False,
        index_col=False,
        skipinitialspace=True,
        encoding=layout.encoding,
        **how,
    )


def _joined(parts: list[dict[Any, Any]]) -> Any:
    """Return the table of the columns of its parts, which are given up one after another."""
    import pandas as pd

    if len(parts) == 1:
        return pd.DataFrame(parts[0], copy=False)
    columns = {name: pd.concat([part.pop(name) for part in parts], ignore_index=True) for name in list(parts[0])}
    return pd.DataFrame(columns, copy=False)


def _stacked(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return columns side by side, (rows, columns), of the type that holds all; as `numpy.column_stack`, but faster."""
    table = np.empty((len(columns[0]), len(columns)), dtype=np.result_type(*columns))
    for at in range(0, len(table), _ROWS):
        for number, column in enumerate(columns):
            table[at : at + _ROWS, number] = column[at : at + _ROWS]
    return table


def numbers(
    frame: Any, path: Path, *, decimal: str = ".", lines: Layout | None = None, gaps: bool = False
) -> NDArray[Any]:
    """Return the table's cells as int64 or float64 (rows, columns), or raise DataError naming all faulty columns.

    decimal: how numbers are written; lines: the file's layout, for the line of a fault; gaps: leave gaps as NaN.
    """
    columns: list[NDArray[Any]] = []
    faults: list[str] = []
    first = ""
    for name in frame.columns:
        values = values_of(frame[name], decimal)
        bad = ~np.isfinite(values)
        if gaps and bad.any():
            bad &= ~gaps_of(frame[name])
        rows = np.flatnonzero(bad)
        if len(rows):
            faults.append(f"{name!r} ({len(rows)})")
            first = first or _fault(frame, name, int(rows[0]), len(rows), lines)
        columns.append(values)
    if faults:
        others = f"; also {', '.join(faults[1:_SHOWN])}" if len(faults) > 1 else ""
        more = f" and {len(faults) - _SHOWN} more columns" if len(faults) > _SHOWN else ""
        raise DataError(
            f'{path}: {first}{others}{more}; repair or drop these lines (data.missing = "drop" or "mean" for '
            "gaps), or leave such columns out (data.exclude_columns, or data.feature_columns)"
        )
    return _stacked(columns)


def _fault(frame: Any, name: str, row: int, count: int, lines: Layout | None) -> str:
    index = int(frame.index[row])
    where = f"line {_line(index, lines)}" if lines is not None else f"row {index + 1}"
    return (
        f"{where}, column {name!r} must be a finite number, not {str(frame[name].iloc[row])!r} "
        f"({count} such cells in this column)"
    )


def _line(row: int, layout: Layout) -> int:
    """Return the number, from 1, of the line that a row stands in; exact where no cell holds a line's end."""
    number, left = 0, row + 1
    skipped: Sequence[int] = layout.skip
    for number in range(row + len(skipped) + 1):
        left -= number not in skipped
        if not left:
            break
    return number + 1


def values_of(column: Any, decimal: str) -> NDArray[Any]:
    """Return a column's numbers, NaN for what is none. (rows,).

    Groups of three digits may be set apart (1,234.5), and one unit may stand behind all numbers (12 mV).
    """
    import pandas as pd

    if column.dtype.kind in "biuf":
        return column.to_numpy()
    plain = column.astype(str).str.replace(",", ".") if decimal == "," else column
    values = np.asarray(pd.to_numeric(plain, errors="coerce"))
    if np.isnan(values).any():
        cells = column.astype(str).str.strip()
        for mended in (_ungrouped(cells, decimal), _without_unit(cells, decimal)):
            if mended is not None:
                values = np.asarray(pd.to_numeric(mended, errors="coerce"))
    return values if values.dtype.kind in "biuf" else values.astype(np.float64)


def _without_unit(column: Any, decimal: str) -> Any:
    """Return a column's numbers without the unit that stands behind each; None where there is not one for all."""
    held = column[~gaps_of(column)]
    parts = held.str.extract(rf"^([-+]?\d+(?:\{decimal}\d*)?(?:[eE][-+]?\d+)?)\s*([%°µμΩ$€/A-Za-z]{{1,8}})$")
    if held.empty or parts.isna().any(axis=None) or parts[1].nunique() > 1:
        return None
    return parts[0].str.replace(decimal, ".", regex=False).reindex(column.index, fill_value="")


def _ungrouped(column: Any, decimal: str) -> Any:
    """Return a column's texts without what sets groups of three digits apart; None where that is not sure.

    It is where every cell is such a number or a gap, and one at least can be nothing else: 1,234 may be 1.234.
    """
    mark = "." if decimal == "," else ","
    blanks = r"'\u2019 \u00a0\u202f"
    number = rf"[-+]?\d{{1,3}}(?:[{mark}{blanks}]?\d{{3}})*(?:\{decimal}\d*)?"
    groups = rf"(?:[{blanks}]\d{{3}})+|(?:\{mark}\d{{3}}){{2,}}|(?:\{mark}\d{{3}})+(?=\{decimal})"
    sure = rf"[-+]?\d{{1,3}}(?:{groups})(?:\{decimal}\d*)?"
    held = column[~gaps_of(column)]
    if held.empty or not held.str.fullmatch(number).all() or not held.str.fullmatch(sure).any():
        return None
    return column.str.replace(rf"[{mark}{blanks}]", "", regex=True).str.replace(decimal, ".", regex=False)


def with_gaps(frame: Any, words: Sequence[str]) -> Any:
    """Return a table in which cells that say one of these words, or their number, are empty."""
    numeric = [float(word) for word in words if is_number(word)]
    found = frame.copy() if words else frame
    for name in found.columns if words else ():
        column = found[name]
        if column.dtype.kind in "biuf":
            hit = np.isin(column.to_numpy(dtype=np.float64), numeric)
            found[name] = column.mask(hit) if hit.any() else column
        else:
            found[name] = column.mask(column.astype(str).str.strip().isin(list(words)), "")
    return found


def gaps_of(column: Any) -> NDArray[np.bool_]:
    """Return which cells of a column are empty, or written as one of GAPS. (rows,)."""
    gaps = np.asarray(column.isna(), dtype=bool)
    if column.dtype.kind in "biuf":
        return gaps
    return gaps | np.asarray(column.astype(str).str.strip().str.lower().isin(GAPS), dtype=bool)


def _label(column: Any, decimal: str) -> NDArray[Any]:
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        return values
    if decimal == ",":
        numeric = values_of(column, decimal)
        if np.isfinite(numeric).all():
            return numeric
    return values.astype(str)
