"""Bytes, values and folders in; files and folders that a reader sees whole or not at all out.

Every file that gatewright itself writes goes through `write_atomic`, every folder of results through `new_directory`.
Both are on the disk before they get their name, so that a lost machine leaves the old content or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from gatewright.errors import GatewrightError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BROKEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)  # the disk's fault in any code
NO_ROOM = 64 * 1024  # bytes: a disk with less is full, programs that do not say so have failed for it
_LEFT = re.compile(r"\..+\.[a-z0-9_]{8}\.part")  # what a killed write_atomic leaves


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new one, never half.

    Raises GatewrightError, which says what helps, where it cannot be written.
    """
    with new_file(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def new_file(path: Path) -> Generator[IO[bytes]]:
    """Yield a file to write that gets its name when the block ends well, and vanishes when it does not.

    Raises GatewrightError, which says what helps, where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        _sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON with sorted keys, atomically; null for numbers that are not finite."""
    write_atomic(path, json.dumps(_finite(value), indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write a NumPy array as .npy, atomically."""
    import numpy as np

    buffer = io.BytesIO()  # into a file NumPy writes by itself, and a full disk has no errno then
    np.save(buffer, array, allow_pickle=False)
    write_atomic(path, buffer.getvalue())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write NumPy arrays as .npz, atomically, uncompressed so that readers can map them. Equal arrays, equal bytes."""
    import numpy as np

    with new_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


@contextlib.contextmanager
def new_directory(path: Path) -> Generator[Path]:
    """Yield an empty sibling directory that replaces `path` when the block ends well, and vanishes when it does not.

    Raises GatewrightError where `path` is no folder but a file or a link, which is nothing of ours to replace, where it
    cannot be written, and where the disk fills up during the block.
    """
    work, old = (path.with_name(f".{path.name}.{word}") for word in ("new", "old"))
    try:
        require_folder(path)
        remove(work)
        remove(old)
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        work.mkdir()
        yield work
        _sync_all(work)
        require_folder(path)
        if path.exists():
            os.replace(path, old)
        os.replace(work, path)
        _sync(path.parent)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        if error.errno in BROKEN:
            raise unwritable(path, error) from error
        raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def require_folder(path: Path) -> None:
    """Raise GatewrightError where something else than a folder stands in a folder's place; nothing may."""
    kind = _kind(path)
    if kind not in ("", "a folder"):
        raise GatewrightError(
            f"{path} must be a folder that gatewright makes, not {kind}; move it away, or choose another directory "
            "with --out"
        )


def remove(path: Path) -> None:
    """Remove a folder with all that is in it, a file, or a link itself; nothing is removed already."""
    kind = _kind(path)
    if kind == "a folder":
        shutil.rmtree(path)
    elif kind:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed write_atomic left in a folder; only the holder of the folder's lock may ask."""
    for path in folder.iterdir():
        if _LEFT.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def no_room(path: Path) -> str:
    """Return a sentence on the full disk of a folder, or of temporary files, and what helps; "" where there is room."""
    for place in (path, Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            found = os.statvfs(place)
            if found.f_blocks and found.f_bavail * found.f_frsize < NO_ROOM:
                return f"The disk of {place} is full: make room there and run again; what is finished is kept. "
    return ""


def unwritable(path: Path, error: OSError) -> GatewrightError:
    """Return the error for a place that cannot be written."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            remedy = "make room on its disk and run again, what is finished is kept; or choose another with --out"
        case errno.EFBIG:
            remedy = "raise the limit of a file's size (ulimit -f) and run again, what is finished is kept"
        case errno.ENOTDIR | errno.EISDIR | errno.EEXIST | errno.ENOTEMPTY | errno.ELOOP:
            remedy = "something else stands in its place: move that away, or choose another directory with --out"
        case errno.ENAMETOOLONG:
            remedy = "choose another directory with --out, of a shorter name"
        case _:
            remedy = "choose another directory with --out or mend its rights"
    return GatewrightError(f"cannot write {path}: {error.strerror or error}; {remedy}")


def _kind(path: Path) -> str:
    """Return what stands at a path: "" for nothing. Links are not followed."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if stat.S_ISLNK(mode):
        return f"a symbolic link to {path.readlink()}"
    return "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a device or a pipe"


def _finite(value: Any) -> Any:
    """Return a JSON-like value with None for each number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("Iterable[Any]", value)]
    return value


def _sync_all(folder: Path) -> None:
    """Wait until all files and folders below a folder are on the disk."""
    for inner, _, names in os.walk(folder):
        for name in names:
            _sync(Path(inner) / name)
        _sync(Path(inner))


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # of file systems that cannot
            raise
    finally:
        os.close(handle)
