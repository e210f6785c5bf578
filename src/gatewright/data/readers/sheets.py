"""Curves that stand beside one another in, one row per line or per curve out: what oscilloscopes and LabVIEW write."""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.readers.layout import Layout
from gatewright.data.readers.table import Table, records
from gatewright.data.readers.tables import numbers
from gatewright.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def sheet(path: Path, parts: Sequence[tuple[pd.DataFrame, Sequence[str]]], data: Data, lines: Layout | None) -> Table:
    """Return the samples of curves that stand beside one another, as oscilloscopes and LabVIEW write them.

    parts: for each segment its columns, and which of them are times. data.rows says what a sample is: "lines", every
    line with all its curves; "records", every curve; "auto" is "lines" where a label's column is named, else "records".
    """
    import pandas as pd

    labelled = bool(data.label_column or data.label_columns)
    if data.rows == "lines" or (data.rows == "auto" and labelled):
        names = [str(name) for name in parts[0][0].columns]
        if any([str(name) for name in frame.columns] != names for frame, _ in parts):
            raise DataError(f'{path}: its segments have different columns; set data.rows = "records"')
        frame = pd.concat([frame for frame, _ in parts], ignore_index=len(parts) > 1)
        times = {name for _, times in parts for name in times}
        special = {*times, data.label_column, *data.label_columns, data.group_column, data.split_column}
        return Table(frame=frame, features=tuple(name for name in names if name not in special), layout=lines)
    waves: list[NDArray[Any]] = []
    fields: dict[str, list[Any]] = {"segment": [], "curve": []}
    for segment, (frame, times) in enumerate(parts):
        for name in frame.columns:
            if name in times:
                continue
            column = frame[[name]]
            filled = ~np.asarray(column.isna())[:, 0]
            column = column[: int(np.flatnonzero(filled)[-1]) + 1] if filled.any() else column[:0]
            if len(column):
                waves.append(numbers(column, path, lines=lines, decimal=lines.decimal if lines else ".")[:, 0])
                fields["segment"].append(segment)
                fields["curve"].append(str(name))
    return records(path, waves, fields, data)


def unique(names: Sequence[str]) -> list[str]:
    """Return names of which those that stand twice have a number: CH1, CH1_2."""
    found: list[str] = []
    for number, name in enumerate(names):
        plain = name.strip() or f"column{number}"
        seen = sum(other.strip() == plain for other in names[:number])
        found.append(f"{plain}_{seen + 1}" if seen else plain)
    return found
