"""Parquet files in, their table out, read through pyarrow."""

# pyarrow and pandas ship no type stubs
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatewright.config import Data
from gatewright.data.readers.table import Table, truncated
from gatewright.data.readers.vectors import spread
from gatewright.tools import DAMAGE

KIND = "a Parquet file"


def read_parquet(path: Path, _: Data) -> Table:
    """Read a Parquet file; a column of lists of one length becomes as many columns. Raises DataError."""
    import numpy as np
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except DAMAGE as error:
        raise truncated(path, KIND, str(error) or type(error).__name__) from None
    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table[name]
        if str(column.type).startswith(("list", "fixed_size_list", "large_list")):
            rows = column.to_pylist()
            lengths = {-1 if row is None else len(row) for row in rows}
            columns[name] = np.array(rows) if len(lengths) == 1 and -1 not in lengths else lengths
        else:
            columns[name] = column.to_pandas().to_numpy()
    return Table(frame=spread(path, columns))
