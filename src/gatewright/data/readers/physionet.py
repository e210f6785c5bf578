"""WFDB records (.hea with its signals) in, read through wfdb; one row per annotated beat, or per piece, out.

Samples are the converter's codes. With data.label_column = "symbol" the annotations beside the record (.atr) label a
piece of data.record_length samples around each; else each signal is a record.
"""

# wfdb is optional and ships no type stubs
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.config import Data
from gatewright.data.readers.table import Table, records, truncated
from gatewright.errors import DataError
from gatewright.tools import DAMAGE

KIND = "a WFDB record"
LABEL = "symbol"


def read_wfdb(path: Path, data: Data) -> Table:
    """Read a record, named by its header .hea. Raises DataError for a missing signal or annotation file."""
    import wfdb

    name = str(path.with_suffix(""))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # wfdb's own, of what pandas will change
            record: Any = wfdb.rdrecord(name, physical=False)
    except (*DAMAGE, IndexError, TypeError, AttributeError) as error:
        raise truncated(path, KIND, str(error) or type(error).__name__) from None
    signals = np.asarray(record.d_signal)
    if data.label_column != LABEL:
        fields = {"signal": [str(word) for word in record.sig_name]}
        return records(path, list(signals.T), fields, data)
    beside = path.with_suffix(".atr")
    if not beside.is_file():
        raise DataError(f'{path}: data.label_column = "{LABEL}" needs annotations, but there is no {beside.name}')
    if not data.record_length:
        raise DataError(f"{path}: set data.record_length, the samples around each annotation, e.g. 256")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            notes: Any = wfdb.rdann(name, "atr")
    except (*DAMAGE, IndexError, TypeError, AttributeError) as error:
        raise truncated(beside, "WFDB annotations", str(error) or type(error).__name__) from None
    return _around(path, signals, np.asarray(notes.sample), list(notes.symbol), data, record.sig_name)


def _around(path: Path, signals: Any, at: Any, symbols: list[str], data: Data, names: list[str]) -> Table:
    """Return a row for each annotation whose piece lies inside the record: all its signals, one after another."""
    import pandas as pd

    length = data.record_length
    starts = at - length // 2
    kept = np.flatnonzero((starts >= 0) & (starts + length <= len(signals)))
    if not len(kept):
        raise DataError(
            f"{path}: none of {len(at)} annotations has {length} samples around it (data.record_length); lower it"
        )
    pieces = np.stack([signals[starts[i] : starts[i] + length].T.reshape(-1) for i in kept])
    columns = [f"{name}_{number}" for name in names for number in range(length)]
    frame = pd.DataFrame(pieces, columns=columns)
    frame = pd.concat([frame, pd.DataFrame({LABEL: [symbols[i] for i in kept], "sample": at[kept]})], axis=1)
    return Table(frame=frame, features=tuple(columns))
