"""Paths given on the command line in, what lies there out."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gatewright.fixedpoint import Ints


def program_file(path: Path) -> Path:
    """Return the program's file: the path itself, or that inside a run directory; DataError where it has none."""
    file = path / "program" / "program.txt"
    if path.is_dir() and not file.is_file():
        raise DataError(
            f"{path} holds no program yet: it is no run directory, or its run ended before; "
            "`gatewright export CONFIG.toml` makes the program"
        )
    return file if path.is_dir() else path


def read_codes(path: Path | None) -> Ints | None:
    """Return the integers of --codes, None where it is not given; DataError for what is no .npy file."""
    if path is None:
        return None
    from gatewright.tools import DAMAGE, load_npy

    try:
        return load_npy(path)
    except DAMAGE as error:
        raise DataError(f"--codes {path} must be a .npy file of integers: {error}") from None


def read_samples(path: Path) -> NDArray[Any]:
    """Return the array of an .npy file, or x of an .npz archive. Raises DataError for anything else."""
    from gatewright.tools import DAMAGE, load_npy, open_npz

    try:
        if not zipfile.is_zipfile(path):
            return load_npy(path)
        with open_npz(path) as archive:
            return archive["x"]
    except DAMAGE as error:
        raise DataError(f"{path} must be a .npy file, or a .npz file with an array x: {error}") from None
