"""An HDF5 file (path or bytes) in; groups, attributes and arrays out, each checked before anything is allocated.

Nothing outside the file is followed (external links, external storage and virtual data sets are refused), and a
data set may not claim much more than the file holds.
"""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import MissingToolError, ModelError

MOST_BYTES = 4 << 30  # of one array
COMPRESSION = 1000  # most bytes claimed per byte stored
# What h5py raises on damaged files, depending on the place.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, AttributeError, SystemError)
FREE_BYTES = 1 << 20  # small arrays may claim without storing (fill values)


class Reader:
    """One open HDF5 file; a context manager. `label` names it in messages."""

    def __init__(self, source: Path | bytes, label: str) -> None:
        try:
            import h5py
        except ImportError as error:
            raise MissingToolError(
                "reading Keras weights needs h5py; install it: pip install 'gatewright[import]'"
            ) from error
        self._h5py: Any = h5py
        self.label = label
        self.total_bytes = source.stat().st_size if isinstance(source, Path) else len(source)
        try:
            self._file: Any = h5py.File(source if isinstance(source, Path) else io.BytesIO(source), "r")
            names = [str(name) for name in self._file]
        except DAMAGE as error:
            raise ModelError(
                f"{label}: not a complete HDF5 file ({error}); it may be truncated: copy or download it again"
            ) from None
        # Keras 2 on Windows wrote "layers\\dense" as the name of one group at the top, not a group in a group
        self._joined = {tuple(name.split("\\")): name for name in names if "\\" in name}

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def children(self, group: str) -> list[str]:
        """Return the names in a group, none where there is no such group."""
        item = self._item(group)
        parts = tuple(filter(None, group.split("/")))
        below = [path[len(parts)] for path in self._joined if path[: len(parts)] == parts and len(path) > len(parts)]
        try:
            own = list(item.keys()) if isinstance(item, self._h5py.Group) else []
            return list(dict.fromkeys([*(name for name in own if "\\" not in name), *below]))
        except DAMAGE as error:
            raise ModelError(f"{self.label}: group {group!r} cannot be read ({error}); the file is damaged") from None

    def attribute(self, group: str, name: str) -> Any:
        """Return an attribute as text, list of texts or array; None where it is absent."""
        item = self._item(group)
        try:
            if item is None or name not in item.attrs:
                return None
            value: Any = item.attrs[name]
        except DAMAGE as error:
            raise ModelError(f"{self.label}: attribute {name!r} of {group!r} cannot be read ({error})") from None
        if isinstance(value, np.ndarray):
            return [_text(item) for item in value.ravel().tolist()]
        return _text(value)

    def array(self, path: str, where: str, *, finite: bool = True) -> NDArray[Any]:
        """Return a numeric array; ModelError for absurd sizes, foreign storage and (`finite`) NaN, infinities."""
        item = self._item(path)
        if not isinstance(item, self._h5py.Dataset):
            raise ModelError(f"{self.label}: {where}: no data set {path!r} in the file")
        try:
            foreign, dtype, size = item.is_virtual or item.external, item.dtype, item.size or 0
            stored, shape = item.id.get_storage_size(), item.shape
        except DAMAGE as error:
            raise ModelError(f"{self.label}: {where}: cannot be read ({error}); the file is damaged") from None
        if foreign:
            raise ModelError(f"{self.label}: {where}: its data lie in other files, which is refused")
        if dtype.kind not in "fiub":
            raise ModelError(f"{self.label}: {where}: expected numbers, got the type {dtype}")
        claim = size * dtype.itemsize
        if claim > MOST_BYTES or claim > max(FREE_BYTES, COMPRESSION * min(stored, self.total_bytes)):
            raise ModelError(
                f"{self.label}: {where}: claims shape {shape} ({claim:,} bytes), but the file of "
                f"{self.total_bytes:,} bytes stores {stored:,} for it; refused"
            )
        try:
            value: NDArray[Any] = np.asarray(item[()])
        except DAMAGE as error:
            raise ModelError(f"{self.label}: {where}: cannot be read ({error}); the file may be truncated") from None
        if finite and value.dtype.kind == "f" and not np.isfinite(value).all():
            bad = int((~np.isfinite(value)).sum())
            raise ModelError(
                f"{self.label}: {where}: {bad} of {value.size} values are NaN or infinite; train the model again"
            )
        return value

    def arrays_below(self, path: str) -> list[str]:
        """Return the paths of all data sets below a group."""
        found: list[str] = []
        pending = [path]
        while pending:
            at = pending.pop()
            for name in self.children(at):
                inner = f"{at}/{name}" if at else name
                if isinstance(self._item(inner), self._h5py.Dataset):
                    found.append(inner)
                else:
                    pending.append(inner)
        return sorted(found)

    def _item(self, path: str) -> Any:
        """Walk to a group or data set link by link, so that none leads out of the file; None where there is none."""
        item: Any = self._file
        parts = tuple(filter(None, path.split("/")))
        head = next((at for at in range(len(parts), 1, -1) if parts[:at] in self._joined), 0)
        for part in (*((self._joined[parts[:head]],) if head else ()), *parts[head:]):
            try:
                link = item.get(part, getlink=True) if isinstance(item, self._h5py.Group) else None
                if link is None:
                    return None
                if not isinstance(link, self._h5py.HardLink):
                    raise ModelError(f"{self.label}: {path!r} is a link to elsewhere, which is refused")
                item = item[part]
            except DAMAGE as error:
                raise ModelError(f"{self.label}: {path!r} cannot be read ({error}); the file may be damaged") from None
        return item


def _text(value: Any) -> Any:
    """Return bytes as text; anything else as it is."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
