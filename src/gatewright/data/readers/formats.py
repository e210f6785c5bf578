"""A file in, its format out: one table of names, suffixes, first bytes, readers and the packages they need.

A suffix that only one format has decides; `.csv`, `.txt`, `.dat` and the like are told apart by a look at the first
bytes, and are a plain text table where nothing else fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatewright.config import Data
from gatewright.data.readers.archives import MATLAB_7
from gatewright.data.readers.arff import is_arff, read_arff
from gatewright.data.readers.lecroy import is_lecroy, read_lecroy
from gatewright.data.readers.lvm import is_lvm, read_lvm
from gatewright.data.readers.miniseed import is_miniseed, read_miniseed
from gatewright.data.readers.parquet import read_parquet
from gatewright.data.readers.physionet import read_wfdb
from gatewright.data.readers.root import read_root
from gatewright.data.readers.scope import is_scope, read_scope
from gatewright.data.readers.table import Table
from gatewright.data.readers.wavedump import (
    is_wavedump_binary,
    is_wavedump_text,
    read_wavedump_binary,
    read_wavedump_text,
)
from gatewright.tools import DAMAGE, need, open_stream

COMPRESSED = (".gz", ".xz", ".bz2")  # of text tables (pandas reads them) and, for .gz, of IDX files
LOOK = 1 << 16  # bytes that decide
SHARED = (".csv", ".tsv", ".txt", ".data", ".dat", ".bin")  # suffixes that say little


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of file.

    looks: whether the first bytes are its own, for suffixes that others have too. waveforms: its samples are records
    without a label. extra, modules: what installs the packages that reading it imports.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, Data], Table]
    looks: Callable[[bytes], bool] | None = None
    waveforms: bool = False
    extra: str = ""
    modules: tuple[str, ...] = ()


FORMATS = (
    Format(name="LabVIEW", suffixes=(".lvm", ".txt", ".csv"), read=read_lvm, looks=is_lvm),
    Format(name="ARFF", suffixes=(".arff", ".txt"), read=read_arff, looks=is_arff),
    Format(
        name="WaveDump text", suffixes=(".txt", ".dat"), waveforms=True, read=read_wavedump_text, looks=is_wavedump_text
    ),
    Format(name="LeCroy", suffixes=(".trc", ".dat"), waveforms=True, read=read_lecroy, looks=is_lecroy),
    Format(name="oscilloscope", suffixes=(".csv", ".txt", ".tsv", ".dat"), read=read_scope, looks=is_scope),
    Format(
        name="WaveDump binary",
        suffixes=(".dat", ".bin"),
        waveforms=True,
        read=read_wavedump_binary,
        looks=is_wavedump_binary,
    ),
    Format(name="Parquet", suffixes=(".parquet", ".pq"), read=read_parquet, extra="parquet", modules=("pyarrow",)),
    Format(name="ROOT", suffixes=(".root",), read=read_root, extra="root", modules=("uproot", "awkward")),
    Format(
        name="MiniSEED",
        suffixes=(".mseed", ".miniseed", ".ms", ".dat"),
        waveforms=True,
        read=read_miniseed,
        looks=is_miniseed,
        extra="miniseed",
        modules=("obspy",),
    ),
    Format(name="WFDB", suffixes=(".hea",), waveforms=True, read=read_wfdb, extra="wfdb", modules=("wfdb",)),
)
ARCHIVES = {".h5": "hdf5", ".hdf5": "hdf5", ".hdf": "hdf5", ".mat": ""}
"""Files of arrays, by suffix, with the extra that each needs; a .mat of version 7.3 needs that of HDF5."""


def format_of(path: Path) -> Format | None:
    """Return the format of a file that is there, None for a plain text table, an archive or an unknown one."""
    suffix = suffix_of(path)
    fits = [kind for kind in FORMATS if suffix in kind.suffixes]
    if not fits:
        return None
    head = None
    for kind in fits:
        if kind.looks is None or (suffix == kind.suffixes[0] and suffix not in SHARED):
            return kind
        head = head_of(path) if head is None else head
        if kind.looks(head):
            return kind
    return None


def check_format(path: Path) -> None:
    """Raise MissingToolError, with the command, where the packages that read a file are not installed."""
    kind = format_of(path)
    extra, modules = (kind.extra, kind.modules) if kind is not None else ("", ())
    suffix = suffix_of(path)
    if suffix in ARCHIVES and (ARCHIVES[suffix] or head_of(path).startswith(MATLAB_7)):
        extra, modules = "hdf5", ("h5py",)
    for module in modules:
        need(module, f"reading {path.name}", extra)


def head_of(path: Path) -> bytes:
    """Return a file's first bytes, decompressed; none of a file that cannot be read, which its reader will say."""
    try:
        with open_stream(path) as file:
            return file.read(LOOK)
    except DAMAGE:
        return b""


def suffix_of(path: Path) -> str:
    """Return the suffix that tells a file's kind, in lower case and without that of its compression."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSED]
    return suffixes[-1].lower() if suffixes else ""
