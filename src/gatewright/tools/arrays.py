"""Array files in, arrays out: .npy, .npz and compressed streams, none of which can ask for more memory than it may.

What a header claims is compared with the bytes that are there before anything is allocated, and what is compressed may
grow by RATIO at most (below FREE_BYTES by anything). Nothing is ever unpickled.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

FREE_BYTES = 64 << 20  # below this, any compression is believed
RATIO = 200  # what is compressed may not grow more than this
DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,  # an encrypted member
    OverflowError,
    MemoryError,
)
"""What reading a damaged or hostile file raises."""

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def load_npy(source: Path | bytes) -> NDArray[Any]:
    """Return the array of an .npy file, or of its content. Raises one of DAMAGE."""
    with _opened(source) as (file, size):
        if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
            raise ValueError("it is an archive, not a single array")
        file.seek(0)
        return _npy(file, size)


class Arrays:
    """The arrays of an .npz archive, by name; each is read when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files = [name.removesuffix(".npy") for name in archive.namelist()]

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array. Raises KeyError where there is none of this name, else one of DAMAGE."""
        names = self._archive.namelist()
        info = self._archive.getinfo(f"{name}.npy" if f"{name}.npy" in names else name)
        check_growth(info.file_size, info.compress_size, info.filename)
        with self._archive.open(info) as member:
            content = member.read(info.file_size + 1)
        return _npy(io.BytesIO(content), len(content))


@contextmanager
def open_npz(source: Path | bytes) -> Generator[Arrays]:
    """Yield the arrays of an .npz archive, or of its content. Raises one of DAMAGE."""
    with _opened(source) as (file, _):
        if file.read(2) != b"PK":
            raise ValueError("it is a single array, not an archive" if file.read(4) == b"UMPY" else "it is no archive")
        with zipfile.ZipFile(file) as archive:
            yield Arrays(archive)


def check_growth(grown: int, stored: int, name: str) -> None:
    """Raise ValueError where so many stored bytes may not grow to so many."""
    if grown > most_bytes(stored):
        raise ValueError(
            f"{name} would grow from {stored:,} compressed bytes to {grown:,} or more, over {RATIO} times; if that is "
            "meant, store it uncompressed"
        )


def most_bytes(stored: int) -> int:
    """Return how many bytes so many compressed ones may become."""
    return max(FREE_BYTES, RATIO * stored)


@contextmanager
def open_stream(path: Path) -> Generator[IO[bytes]]:
    """Yield the content of a file, decompressed if its name ends in .gz, .bz2 or .xz; see the module for the bound."""
    opener = _OPENERS.get(path.suffix)
    if opener is None:
        with path.open("rb") as file:
            yield file
        return
    with opener(path, "rb") as inner, io.BufferedReader(_Bounded(inner, path)) as bounded:
        yield bounded


class _Bounded(io.RawIOBase):
    """A stream that ends with an error where it has become too long for what it was stored in."""

    def __init__(self, inner: IO[bytes], path: Path) -> None:
        self._inner, self._stored, self._name, self._read = inner, path.stat().st_size, path.name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._inner.read(len(buffer))
        self._read += len(data)
        check_growth(self._read, self._stored, self._name)
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _opened(source: Path | bytes) -> Generator[tuple[IO[bytes], int]]:
    """Yield a file or its content to read, and its size."""
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
        return
    with source.open("rb") as file:
        yield file, source.stat().st_size


def _npy(file: IO[bytes], size: int) -> NDArray[Any]:
    """Read one array, whose header may claim no more bytes than there are."""
    import numpy as np
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(file)
    except (TypeError, KeyError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ValueError(f"its header cannot be read ({type(error).__name__})") from None
    if any(type(length) is not int for length in shape):
        raise ValueError(f"shape is not valid: {shape}")  # a bool passes for an integer until memory is shaped by it
    there = size - file.tell()
    claimed = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and (min(shape, default=0) < 0 or claimed > there or (math.prod(shape) and not claimed)):
        raise ValueError(f"its header claims an array {shape} of {dtype} and {claimed:,} bytes, but {there:,} follow")
    file.seek(0)
    return np.load(file, allow_pickle=False)
