"""data.source in, Raw out: one table says which reader takes which kind of source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gatewright.config import Data
from gatewright.data.raw import Raw
from gatewright.data.readers.arrays import is_idx, read_archive, read_idx_pair, read_npy, read_npz
from gatewright.data.readers.calls import read_function, read_generator, read_sklearn
from gatewright.data.readers.folders import check_folder, read_folder
from gatewright.data.readers.formats import ARCHIVES, COMPRESSED, FORMATS, check_format, format_of, suffix_of
from gatewright.data.readers.tables import read_csv, read_format
from gatewright.errors import DataError, nearest

Reader = Callable[[Data], Raw]

SCHEMES: dict[str, Reader] = {
    "sklearn": read_sklearn,
    "generator": read_generator,
    "python": read_function,
}

SUFFIXES: dict[str, Reader] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".data": read_csv,
    ".txt": read_csv,
    ".dat": read_csv,
    **dict.fromkeys(ARCHIVES, read_archive),
}
MODELS = (".onnx", ".keras", ".pt", ".pth", ".pt2", ".ubj", ".joblib")
"""Suffixes of trained models that data do not have."""


def read_source(data: Data) -> Raw:
    """Read data.source with the reader its scheme, suffix or folder calls for.

    Raises DataError for a missing path or an unknown kind, and whatever the reader finds wrong.
    """
    scheme = check_source(data)
    if scheme:
        return SCHEMES[scheme](data)
    path = Path(data.source)
    if path.is_dir():
        return read_folder(data)
    if is_idx(path):
        return read_idx_pair(data)
    kind = format_of(path)
    return read_format(data, kind) if kind is not None else SUFFIXES[suffix_of(path)](data)


def check_source(data: Data) -> str:
    """Return the scheme of data.source, "" for a path, once it is there and of a kind that has a reader.

    Reads a file's first bytes at most. Raises DataError for a missing path, a file of unknown suffix or an unknown
    scheme, and MissingToolError where the package that reads it is not installed.
    """
    scheme, colon, _ = data.source.partition(":")
    if colon and scheme in SCHEMES:
        return scheme
    path = Path(data.source)
    if colon and len(scheme) > 1 and not path.exists() and "/" not in scheme:
        raise DataError(f"data.source has unknown scheme {scheme!r}.{nearest(scheme, list(SCHEMES))}")
    if not path.exists():
        raise DataError(f"data.source {path} does not exist; give a file, a folder, or {', '.join(SCHEMES)}:NAME")
    if path.is_dir():
        check_folder(path)
        return ""
    if not path.is_file():
        raise DataError(f"data.source {path} must be a file or a folder, not a device or a pipe; copy it to a file")
    suffix = suffix_of(path)
    known = list(dict.fromkeys((*SUFFIXES, *(suffix for kind in FORMATS for suffix in kind.suffixes))))
    if suffix in MODELS:
        raise DataError(
            f"{path}: a data file must hold samples, and this is a model; `gatewright inspect {path}` shows it, "
            f"`gatewright run --model {path} --data SAMPLES.npz` builds it"
        )
    if suffix not in SUFFIXES and not is_idx(path) and format_of(path) is None:
        raise DataError(
            f"{path}: a data file must end in {', '.join(known)} (text also with {', '.join(COMPRESSED)}) "
            f"or be an IDX file, not {suffix or 'have no suffix'!r}; convert it, or use python:MODULE:FUNCTION"
        )
    check_format(path)
    return ""


def source_name(data: Data) -> str:
    """Return data.source without machine-dependent folders: the file's name, or the scheme with its settings."""
    scheme = data.source.partition(":")[0]
    if scheme == "generator":
        return f"{data.source}(count={data.generator.count}, seed={data.generator.seed})"
    return data.source if scheme in SCHEMES else Path(data.source).name
