"""Array files: .npz, .npy and IDX (MNIST's format), also gzipped, in; Raw out. Nothing is ever unpickled."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.raw import Raw
from gatewright.data.readers.archives import Archive, open_hdf5, open_mat
from gatewright.data.splits import SPELLINGS
from gatewright.errors import DataError, nearest
from gatewright.tools import COMPRESSIONS, DAMAGE, MAPPED_BYTES, load_npy, map_array, open_npz, open_stream

STAR = "*"
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_npz(data: Data) -> Raw:
    """Read an .npz archive: x_key and y_key (or an .npy/IDX file in data.labels), group_key and split_key if set.

    An array feature_names of one text per column names the features. A name with a star stands for the arrays of
    several splits, which are joined: x_key "x_*" and y_key "y_*" for x_train, y_train, x_test, y_test.
    """
    return _arrays(data, "an .npz archive")


def read_archive(data: Data) -> Raw:
    """Read an HDF5 or a MATLAB file as `read_npz` reads an archive; its arrays are named by their paths."""
    return _arrays(data, "a MATLAB file" if Path(data.source).suffix.lower() == ".mat" else "an HDF5 file")


def opener_of(path: Path) -> Callable[[Path], AbstractContextManager[Archive]]:
    """Return what opens a file of named arrays."""
    return {".npz": open_npz, ".mat": open_mat}.get(path.suffix.lower(), open_hdf5)


def _arrays(data: Data, kind: str) -> Raw:
    path = Path(data.source)
    try:
        with opener_of(path)(path) as archive:
            if STAR in data.x_key:
                return _joined(archive, data, path)
            x = _member(archive, data.x_key, "data.x_key", path)
            y = read_labels(data.labels) if data.labels else _member(archive, data.y_key, "data.y_key", path)
            group = _member(archive, data.group_key, "data.group_key", path) if data.group_key else None
            split = _member(archive, data.split_key, "data.split_key", path) if data.split_key else None
            names = _member(archive, "feature_names", "x", path) if "feature_names" in archive.files else None
    except DAMAGE as error:
        raise _damaged(path, kind, error) from None
    if names is None or names.dtype.kind != "U" or x.ndim != 2 or names.shape != (x.shape[1],):
        return Raw(x=x, y=y, group=group, split=split, origin=str(path))
    return Raw(x=x, y=y, group=group, split=split, feature_names=tuple(names.tolist()), origin=str(path))


def split_arrays(names: Sequence[str], key: str) -> dict[str, str]:
    """Return by split ("train", "val", "test", as they spell it) the names that a key with a star stands for."""
    before, _, after = key.partition(STAR)
    found = {
        name[len(before) : len(name) - len(after)]: name
        for name in names
        if len(name) > len(before) + len(after) and name.startswith(before) and name.endswith(after)
    }
    return {word: name for word, name in found.items() if word.lower() in SPELLINGS and not word.isdecimal()}


def _joined(archive: Archive, data: Data, path: Path) -> Raw:
    """Return the samples of all splits, each of an array of its own."""
    named = split_arrays(archive.files, data.x_key), split_arrays(archive.files, data.y_key)
    if len(named[0]) < 2 or set(named[0]) != set(named[1]):
        raise DataError(
            f"{path}: data.x_key {data.x_key!r} and data.y_key {data.y_key!r} must stand for arrays of the same "
            f"splits, train and test at least, not {', '.join(named[0].values()) or 'none'} and "
            f"{', '.join(named[1].values()) or 'none'}; it holds {', '.join(archive.files)}"
        )
    if data.labels or data.group_key or data.split_key:
        raise DataError(
            f"{path}: a data.x_key with a star goes with no data.labels, group_key or split_key; leave them out"
        )
    xs, ys = [archive[name] for name in named[0].values()], [archive[named[1][word]] for word in named[0]]
    for word, x, y in zip(named[0], xs, ys, strict=True):
        if x.ndim == 0 or x.shape[1:] != xs[0].shape[1:] or len(x) != len(y) or y.shape[1:] != ys[0].shape[1:]:
            raise DataError(
                f"{path}: the arrays of {word} have shapes {x.shape} and {y.shape}, those of {next(iter(named[0]))} "
                f"{xs[0].shape} and {ys[0].shape}; each must have as many labels as samples, and samples one shape"
            )
    return Raw(
        x=np.concatenate(xs),
        y=np.concatenate(ys),
        split=np.repeat(list(named[0]), [len(x) for x in xs]),
        origin=str(path),
    )


def read_npy(data: Data) -> Raw:
    """Read samples from an .npy file and labels from data.labels (.npy or IDX)."""
    path = Path(data.source)
    if not data.labels:
        raise DataError(f'{path}: an .npy file holds samples only; set data.labels = "labels.npy"')
    return Raw(x=_load_npy(path), y=read_labels(data.labels), origin=str(path))


def read_idx_pair(data: Data) -> Raw:
    """Read samples from an IDX file and labels from data.labels (IDX or .npy)."""
    path = Path(data.source)
    if not data.labels:
        raise DataError(f'{path}: an IDX file holds samples only; set data.labels, e.g. "train-labels-idx1-ubyte.gz"')
    return Raw(x=read_idx(path), y=read_labels(data.labels), origin=str(path))


def read_labels(name: str) -> NDArray[Any]:
    """Read a label file, .npy or IDX."""
    path = check_labels(name)
    if is_idx(path):
        return read_idx(path)
    if path.suffix != ".npy":
        raise DataError(f"{path}: data.labels must be an .npy or IDX file, not {path.suffix!r}")
    return _load_npy(path)


def check_labels(name: str) -> Path:
    """Return the path of a label file. Raises DataError where there is none."""
    path = Path(name)
    if not path.is_file():
        raise DataError(f"data.labels {path} does not exist; give an .npy or IDX file")
    return path


def is_idx(path: Path) -> bool:
    """Say whether a file's name is that of an IDX file: train-images-idx3-ubyte, NAME.idx, NAME.idx3, also .gz."""
    return re.search(r"(-idx\d-\w+|\.idx\d?)(\.gz)?$", path.name) is not None


def read_idx(path: Path) -> NDArray[Any]:
    """Read an IDX file: two zero bytes, type, rank, big-endian uint32 sizes, elements. Source: LeCun's MNIST page.

    Raises DataError when the header is not IDX's, the file's length is not what the header says, or it grows too much.
    """
    try:
        with open_stream(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or head[3] == 0:
                raise DataError(
                    f"{path}: an IDX file must start with 00 00 TYPE RANK, not {head.hex(' ') or 'nothing'}; "
                    f"is it another format, or gzipped without .gz?"
                )
            head += file.read(4 * head[3])
            plain = path.suffix not in COMPRESSIONS and path.stat().st_size >= MAPPED_BYTES
            raw = b"" if plain else file.read()
    except DAMAGE as error:
        raise _damaged(path, "an IDX file", error) from None
    dtype, start = np.dtype(IDX_TYPES[head[2]]), 4 + 4 * head[3]
    shape = tuple(np.frombuffer(head[4:], ">u4").tolist()) if len(head) == start else (0,)
    expected, there = start + math.prod(shape) * dtype.itemsize, path.stat().st_size if plain else len(head) + len(raw)
    if there != expected or len(head) < start:
        raise DataError(
            f"{path}: its header announces {max(expected, start)} bytes (shape {shape}), but it has {there}; "
            f"the file is truncated or padded: fetch it again"
        )
    return map_array(path, dtype, shape, start) if plain else np.frombuffer(raw, dtype).reshape(shape)


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        return load_npy(path)
    except DAMAGE as error:
        raise _damaged(path, "an .npy file", error) from None


def _member(archive: Archive, key: str, option: str, path: Path) -> NDArray[Any]:
    if key not in archive:
        raise DataError(f"{path}: has no array {key!r} ({option}).{nearest(key, archive.files)}")
    return archive[key]


def _damaged(path: Path, kind: str, error: BaseException) -> DataError:
    if "allow_pickle" in str(error):
        return DataError(
            f"{path}: must hold plain arrays, not pickled Python objects (unsafe to load); "
            f"save it again from arrays of numbers or fixed-width strings"
        )
    if isinstance(error, MemoryError):
        return DataError(f"{path}: needs more memory than there is; use fewer samples, or a machine with more")
    reason = str(error) or type(error).__name__
    if "compressed bytes" in reason:
        return DataError(f"{path}: cannot be read as {kind}: {reason}")
    return DataError(f"{path}: cannot be read as {kind}: {reason}; the file is truncated or damaged: fetch it again")
