"""Text tables in, Raw out: one CSV with a label column, or the samples of one class."""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.raw import Raw
from gatewright.errors import DataError, nearest
from gatewright.tools import DAMAGE, open_stream

if TYPE_CHECKING:
    import pandas as pd


def read_csv(data: Data) -> Raw:
    """Read a table with a header line: features, label_column, and group_column and split_column if set.

    feature_columns () takes every other column. Compressed files (.gz, .xz, .bz2) are read as they are.
    """
    path = Path(data.source)
    frame: Any = load_table(path, header=True)
    columns = [str(name) for name in frame.columns]
    if not data.label_column:
        raise DataError(f"{path}: data.label_column must name the label's column; columns: {', '.join(columns)}")
    special = {
        "data.label_column": data.label_column,
        "data.group_column": data.group_column,
        "data.split_column": data.split_column,
    }
    for option, name in special.items():
        _require(name, columns, option, path)
    for name in data.feature_columns:
        _require(name, columns, "data.feature_columns", path)
    features = list(data.feature_columns) or [name for name in columns if name not in special.values()]
    if data.label_column in features:
        raise DataError(f"{path}: data.feature_columns must not hold the label column {data.label_column!r}; remove it")
    if not features:
        raise DataError(f"{path}: a table needs feature columns beside {data.label_column!r}; columns: {columns}")
    return Raw(
        x=numbers(frame[features], path, header=True),
        y=_label(frame[data.label_column]),
        group=frame[data.group_column].to_numpy(dtype=str) if data.group_column else None,
        split=frame[data.split_column].to_numpy(dtype=str) if data.split_column else None,
        feature_names=tuple(features),
        origin=str(path),
    )


def load_table(path: Path, *, header: bool) -> pd.DataFrame:
    """Read a delimited text file as it stands (no cell is taken for missing). Raises DataError naming the file."""
    import pandas as pd

    separator = "\t" if ".tsv" in path.suffixes else ","
    try:
        with warnings.catch_warnings(), open_stream(path) as file:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                file,
                sep=separator,
                header=0 if header else None,
                keep_default_na=False,
                low_memory=False,
                index_col=False,
                skipinitialspace=True,
            )
    except (*DAMAGE, pd.errors.ParserWarning) as error:
        reason = str(error).strip() or type(error).__name__
        if "compressed bytes" in reason:
            raise DataError(f"{path}: cannot be read as a table: {reason}") from None
        raise DataError(
            f"{path}: cannot be read as a table: {reason}; it must be complete, with equally many cells in each line"
        ) from None
    if frame.empty:
        raise DataError(f"{path}: a table must have rows below its header, not none; check the file")
    frame.columns = [str(name) for name in frame.columns]
    if header:
        _check_header(path, separator)
    return frame


def _check_header(path: Path, separator: str) -> None:
    """Raise DataError where two columns have one name: pandas renames the second, and a label becomes a feature."""
    import pandas as pd

    with open_stream(path) as file:
        first = pd.read_csv(
            file, sep=separator, header=None, nrows=1, dtype=str, index_col=False, skipinitialspace=True
        )
    names = [name for name in first.iloc[0] if isinstance(name, str)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(
            f"{path}: each column must have a name of its own, but {names.count(twice)} are called {twice!r}; rename "
            "or remove all but one in the header line"
        )


def numbers(frame: pd.DataFrame, path: Path, *, header: bool) -> NDArray[Any]:
    """Return the table's cells as int64 or float64 (rows, columns), or raise DataError naming line and column."""
    import pandas as pd

    columns: list[NDArray[Any]] = []
    for name in frame.columns:
        cells = frame[name]
        values = np.asarray(pd.to_numeric(cells, errors="coerce"))
        if values.dtype.kind not in "biuf":
            values = values.astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            row = int(bad[0])
            raise DataError(
                f"{path}: line {row + 1 + header}, column {name!r} must be a finite number, not "
                f"{str(cells.iloc[row])!r} ({len(bad)} such cells in this column); repair or drop these lines, "
                f"or leave the column out of data.feature_columns"
            )
        columns.append(values)
    return np.column_stack(columns)


def has_header(path: Path) -> bool:
    """Say whether a table's first line holds anything but numbers."""
    first = load_table(path, header=False).iloc[0]
    try:
        [float(cell) for cell in first]
    except (TypeError, ValueError):
        return True
    return False


def _label(column: Any) -> NDArray[Any]:
    values = column.to_numpy()
    return values if values.dtype.kind in "biuf" else values.astype(str)


def _require(name: str, columns: list[str], option: str, path: Path) -> None:
    if name and name not in columns:
        raise DataError(f"{path}: has no column {name!r} ({option}).{nearest(name, columns)}")
