"""Arrays or a frame in memory in; a file in the run directory, and a configuration that reads it, out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import DataError
from gatewright.tools import write_arrays

if TYPE_CHECKING:
    from gatewright.config import Config

FILE = "samples.npz"


def save_arrays(out: Path, *, x: Any, y: Any, group: Any = None, split: Any = None) -> dict[str, Any]:
    """Write samples to FILE in the run directory, and return the keys of [data] that read it.

    x: (n, ...) numbers, or a frame, whose columns name the features; y: (n,) labels or (n, targets) numbers; group,
    split: (n,). So the run can be repeated from its directory. Raises DataError for what are no arrays of numbers.
    """
    arrays: dict[str, NDArray[Any]] = {"x": _plain(x, "X"), "y": _plain(y, "y")}
    if hasattr(x, "columns"):
        arrays["feature_names"] = np.array([str(name) for name in x.columns])
    keys: dict[str, Any] = {"source": str((out / FILE).resolve())}
    for key, values in (("group", group), ("split", split)):
        if values is not None:
            arrays[key] = _plain(values, key)
            keys[f"{key}_key"] = key
    write_arrays(out / FILE, arrays)
    return keys


def with_arrays(config: Config | Mapping[str, Any], out: Path, arrays: Mapping[str, Any]) -> Config:
    """Return a configuration whose data are arrays, written below `out`; a mapping needs no table data for them."""
    from gatewright.config import Config, parse_config

    keys = save_arrays(out, **arrays)
    raw = config.model_dump(exclude_unset=True) if isinstance(config, Config) else dict(config)
    raw["data"] = {**raw.get("data", {}), **keys}
    return parse_config(raw, where="config")


def _plain(values: Any, what: str) -> NDArray[Any]:
    """Return an array without Python objects: texts where there are texts."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{what} must be an array, all samples of one length: {error}") from None
    if array.dtype.kind == "O":
        flat = array.ravel().tolist()
        if not all(isinstance(value, str) for value in flat):
            odd = next(type(value).__name__ for value in flat if not isinstance(value, str))
            raise DataError(f"{what} must hold numbers or texts, not {odd} in an array of objects; convert it")
        array = array.astype(str)
    if array.dtype.kind not in "biufU":
        raise DataError(f"{what} must hold numbers or texts, not {array.dtype}; convert it")
    return array
