"""Columns of which some hold a vector in each row in, a table with one number in each cell out."""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gatewright.errors import DataError


def spread(path: Path, columns: Mapping[str, NDArray[Any] | set[int]]) -> Any:
    """Return a frame of columns: (rows,) as it is, (rows, k) as `name_0` .. `name_k-1`, more axes flattened.

    A set stands for a column of vectors of these several lengths, which is refused with DataError.
    """
    import pandas as pd

    parts: list[Any] = []
    for name, values in columns.items():
        if isinstance(values, set):
            lengths = ", ".join("none" if length < 0 else str(length) for length in sorted(values)[:8])
            raise DataError(
                f"{path}: column {name!r} holds vectors of several lengths ({lengths}), a sample needs one; pad or cut "
                "them, or leave the column out of the file"
            )
        if values.ndim == 1:
            parts.append(pd.DataFrame({name: values}))
            continue
        flat = values.reshape(len(values), -1)
        parts.append(pd.DataFrame(flat, columns=[f"{name}_{number}" for number in range(flat.shape[1])]))
    if not parts:
        raise DataError(f"{path}: holds no columns; a table needs features and a label")
    return pd.concat(parts, axis=1)
