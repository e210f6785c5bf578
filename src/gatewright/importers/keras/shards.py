"""A Keras 3 map of shards (`.weights.json`) in; groups, attributes and arrays of all its HDF5 files as of one out."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.importers.keras.hdf import Reader

MOST_SHARDS = 10_000
MOST_MAP_BYTES = 64 << 20


class ShardedReader:
    """The files that a map names, beside it; each group of weights lies in one or several of them."""

    def __init__(self, path: Path) -> None:
        self.label = path.name
        self._stack = ExitStack()
        with self._stack:
            self._readers = [self._stack.enter_context(Reader(file, file.name)) for file in _files(path)]
            self._stack = self._stack.pop_all()

    def __enter__(self) -> ShardedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def children(self, group: str) -> list[str]:
        """Return the names in a group, of all files."""
        return list(dict.fromkeys(name for reader in self._readers for name in reader.children(group)))

    def attribute(self, group: str, name: str) -> Any:
        """Return an attribute of the first file that has it."""
        found = (reader.attribute(group, name) for reader in self._readers)
        return next((value for value in found if value is not None), None)

    def array(self, path: str, where: str, *, finite: bool = True) -> NDArray[Any]:
        """Return a numeric array, from the file that holds it."""
        folder, _, name = path.rpartition("/")
        holder = next((reader for reader in self._readers if name in reader.children(folder)), self._readers[0])
        return holder.array(path, where, finite=finite)

    def arrays_below(self, path: str) -> list[str]:
        """Return the paths of all data sets below a group, of all files."""
        return sorted({found for reader in self._readers for found in reader.arrays_below(path)})


def _files(path: Path) -> list[Path]:
    """Return the files that the map names: plain names, beside it."""
    try:
        if path.stat().st_size > MOST_MAP_BYTES:
            raise ModelError(f"{path.name}: {path.stat().st_size:,} bytes for a map of shards; refused")
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.name}: the map of the weights' shards cannot be read ({error})") from None
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise ModelError(f"{path.name}: expected a map of shards with a 'weight_map', as model.save_weights writes it")
    names = dict.fromkeys(name for held in places.values() for name in (held if isinstance(held, list) else [held]))
    if len(names) > MOST_SHARDS or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise ModelError(f"{path.name}: its shards must be files beside it, not {str(list(names))[:200]}")
    files = [path.with_name(name) for name in names]
    if absent := [file.name for file in files if not file.is_file()]:
        raise ModelError(f"{path.name}: the shard {absent[0]!r} is not beside it; copy all files of the weights")
    return files
