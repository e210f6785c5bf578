"""Files of named arrays in, what they hold out: HDF5 through h5py, MATLAB's through SciPy, from 7.3 through h5py.

Both have the protocol of an .npz archive: `files`, `in` and `[name]`. Nothing is ever unpickled.
"""

# h5py is optional; SciPy ships no type stubs
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MATLAB_7 = b"MATLAB 7.3 MAT-file"
_HIDDEN = "#"  # MATLAB's own group of references


class Archive(Protocol):
    """Named arrays, each read when it is asked for."""

    files: list[str]

    def __contains__(self, name: str) -> bool:
        """Say whether there is an array of this name."""
        ...

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array."""
        ...


class Hdf5:
    """The data sets of an HDF5 file, by path without the leading slash. transposed: as MATLAB writes them."""

    def __init__(self, file: Any, *, transposed: bool) -> None:
        import h5py

        self._file, self._transposed = file, transposed
        self.files: list[str] = []

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and not name.startswith(_HIDDEN):
                self.files.append(name)

        file.visititems(note)

    def __contains__(self, name: str) -> bool:
        return name.strip("/") in self.files

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a data set; texts as str. Raises ValueError for one that is no array of numbers or texts."""
        item = self._file[name.strip("/")]
        if item.dtype.kind == "O":
            if item.dtype.metadata is None or "vlen" not in item.dtype.metadata:
                raise ValueError(f"{name!r} holds references or objects; save it as an array of numbers or texts")
            item = item.asstr()
            return np.asarray(item[()].astype(str))
        if item.dtype.names:
            raise ValueError(
                f"{name!r} is a table of the fields {', '.join(item.dtype.names)}; save each field as a data set"
            )
        values = item[()]
        return _plain(values.T if self._transposed else values)


class Mat:
    """The variables of a .mat file of version 5 or before."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self._variables = {name: value for name, value in variables.items() if not name.startswith("__")}
        self.files = list(self._variables)

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a variable; a cell array of texts as texts. Raises ValueError for anything else than an array."""
        value = self._variables[name]
        if not isinstance(value, np.ndarray):
            raise ValueError(f"{name!r} is no plain array (sparse?); save it with full(...)")
        if value.dtype.kind == "O":
            cells = [np.asarray(cell) for cell in value.reshape(-1)]
            if not all(cell.dtype.kind == "U" and cell.size == 1 for cell in cells):
                raise ValueError(f"{name!r} is a cell array of other things than texts; save it as an array")
            return np.array([cell.item() for cell in cells])
        if value.dtype.names:
            raise ValueError(f"{name!r} is a struct of {', '.join(value.dtype.names)}; save its fields as variables")
        if value.dtype.kind == "U":
            return np.char.strip(value)
        return _plain(value)


def _plain(values: Any) -> NDArray[Any]:
    """Return an array in which a column or a row of numbers has one axis, as MATLAB has none of one."""
    array = np.asarray(values)
    return array.reshape(-1) if array.ndim == 2 and 1 in array.shape else array


@contextmanager
def open_hdf5(path: Path) -> Generator[Archive]:
    """Yield the data sets of an HDF5 file. Raises one of DAMAGE."""
    import h5py

    with h5py.File(path, "r") as file:
        yield Hdf5(file, transposed=False)


@contextmanager
def open_mat(path: Path) -> Generator[Archive]:
    """Yield the variables of a .mat file. Raises one of DAMAGE."""
    with path.open("rb") as file:
        head = file.read(len(MATLAB_7))
    if head == MATLAB_7:
        import h5py

        with h5py.File(path, "r") as file:
            yield Hdf5(file, transposed=True)
        return
    from scipy.io import loadmat

    try:
        variables = loadmat(str(path))
    except (TypeError, IndexError) as error:  # SciPy's, of a damaged header
        raise ValueError(str(error) or type(error).__name__) from None
    yield Mat(variables)
