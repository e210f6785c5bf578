"""A directory in; its lock, held by one process at a time, out.

The lock is `flock` on the file `.lock`, which its holder removes at the end. So a file that was opened while another
process still held it may be gone when the lock is granted: whoever gets it looks whether the name still means that
file, and else begins again. The file is never followed if it is a link, and never emptied.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Generator
from pathlib import Path

from gatewright.errors import GatewrightError
from gatewright.tools import remove_leftovers, unwritable


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold a directory, made where it is missing; leaves nothing behind where nothing was put into it.

    Raises GatewrightError where it cannot be written or another process holds it.
    """
    fresh = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _take(folder / ".lock")
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        remove_leftovers(folder)
        yield
    finally:
        if _is(handle, folder / ".lock"):
            (folder / ".lock").unlink()  # before it is given up: later, it could be another's
        os.close(handle)
        for path in fresh:
            with contextlib.suppress(OSError):
                path.rmdir()


def _take(path: Path) -> int:
    """Return a handle that holds the lock of the file that has this name."""
    while True:
        handle = _opened(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(handle, path):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise GatewrightError(
                f"{path.parent} is in use by another gatewright run; wait for it or choose another --out"
            ) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        handle = -1
    if handle < 0 or not stat.S_ISREG(os.fstat(handle).st_mode):
        if handle >= 0:
            os.close(handle)
        raise GatewrightError(
            f"{path} must be a plain file, which marks the directory as in use, not a link, a folder or a device; "
            "remove it, or choose another directory with --out"
        )
    return handle


def _is(handle: int, path: Path) -> bool:
    """Say whether the name still means the open file."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
