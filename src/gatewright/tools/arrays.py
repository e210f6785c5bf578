"""Array files in, arrays out: .npy, .npz and compressed streams, none of which can ask for more memory than it may.

What a header claims is compared with the bytes that are there before anything is allocated, and what is compressed may
grow by RATIO at most (below FREE_BYTES by anything). Nothing is ever unpickled. An array of MAPPED_BYTES or more that
lies in its file as it is, is mapped, not read: it is read-only, and its memory is the system's to take back.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FREE_BYTES = 64 << 20  # below this, any compression is believed
RATIO = 200  # what is compressed may not grow more than this
MAPPED_BYTES = 16 << 20
_PIECE = 1 << 20  # bytes that are decompressed at once
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
COMPRESSIONS = tuple(_OPENERS)
"""How the names of compressed files end."""


def load_npy(source: Path | bytes) -> NDArray[Any]:
    """Return the array of an .npy file, or of its content. Raises one of DAMAGE."""
    with _opened(source) as (file, size):
        if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
            raise ValueError("it is an archive, not a single array")
        file.seek(0)
        if isinstance(source, Path) and size >= MAPPED_BYTES:
            return _mapped(source, file, size, 0)
        return _npy(file, size)


class Arrays:
    """The arrays of an .npz archive, by name; each is read when it is asked for. path: None for one in memory."""

    def __init__(self, archive: zipfile.ZipFile, path: Path | None = None) -> None:
        self._archive, self._path = archive, path
        self.files = [name.removesuffix(".npy") for name in archive.namelist()]

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array. Raises KeyError where there is none of this name, else one of DAMAGE."""
        names = self._archive.namelist()
        info = self._archive.getinfo(f"{name}.npy" if f"{name}.npy" in names else name)
        check_growth(info.file_size, info.compress_size, info.filename)
        with self._archive.open(info) as member:
            if info.file_size < MAPPED_BYTES:
                content = member.read(info.file_size + 1)
                return _npy(io.BytesIO(content), len(content))
            if self._path is None or info.compress_type != zipfile.ZIP_STORED:
                return _decompressed(member, info.file_size)
            array = _mapped(self._path, member, info.file_size, _start(self._path, info))
            while member.read(_PIECE):  # to its end, where the archive's checksum is compared
                pass
            return array


@contextmanager
def open_npz(source: Path | bytes) -> Generator[Arrays]:
    """Yield the arrays of an .npz archive, or of its content. Raises one of DAMAGE."""
    with _opened(source) as (file, _):
        if file.read(2) != b"PK":
            raise ValueError("it is a single array, not an archive" if file.read(4) == b"UMPY" else "it is no archive")
        with zipfile.ZipFile(file) as archive:
            yield Arrays(archive, source if isinstance(source, Path) else None)


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

    _header(file, size)
    file.seek(0)
    return np.load(file, allow_pickle=False)


def _header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], str, np.dtype[Any]]:
    """Return shape, order ("C" or "F") and type of the array at the start of a file of so many bytes."""
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(file)
    except (TypeError, KeyError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ValueError(f"its header cannot be read ({type(error).__name__})") from None
    if any(type(length) is not int for length in shape):
        raise ValueError(f"shape is not valid: {shape}")  # a bool passes for an integer until memory is shaped by it
    there = size - file.tell()
    claimed = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and (min(shape, default=0) < 0 or claimed > there or (math.prod(shape) and not claimed)):
        raise ValueError(f"its header claims an array {shape} of {dtype} and {claimed:,} bytes, but {there:,} follow")
    return shape, "F" if fortran else "C", dtype


def _large_header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], str, np.dtype[Any]]:
    """Do as `_header`, but refuse Python objects in the words in which NumPy does."""
    shape, order, dtype = _header(file, size)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    return shape, order, dtype


def _mapped(path: Path, file: IO[bytes], size: int, start: int) -> NDArray[Any]:
    """Return an array of a file without reading it. file: at its header, which stands at the byte `start` of `path`."""
    import numpy as np

    shape, order, dtype = _large_header(file, size)
    if not math.prod(shape):
        return np.empty(shape, dtype)
    return map_array(path, dtype, shape, start + file.tell(), order)


def map_array(path: Path, dtype: Any, shape: tuple[int, ...], offset: int, order: Any = "C") -> NDArray[Any]:
    """Return a read-only array that lies in a file from the byte `offset` on."""
    import numpy as np

    return np.asarray(np.memmap(path, dtype, "r", offset, shape, order))


def _decompressed(member: IO[bytes], size: int) -> NDArray[Any]:
    """Read a large array piece by piece into the memory where it stays."""
    import numpy as np

    shape, order, dtype = _large_header(member, size)
    array = np.empty(shape[::-1] if order == "F" else shape, dtype)
    held = array.reshape(-1).view(np.uint8).data
    at = 0
    while at < len(held) and (data := member.read(min(_PIECE, len(held) - at))):
        held[at : at + len(data)] = data
        at += len(data)
    if at < len(held):
        raise ValueError(f"it ends after {at:,} of {len(held):,} bytes")
    while member.read(_PIECE):  # to its end, where the archive's checksum is compared
        pass
    return array.T if order == "F" else array


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    """Return the byte of an archive at which a member's content starts, behind its local header."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26x2H", file.read(30))
    return info.header_offset + 30 + name + extra
