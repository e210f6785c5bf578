"""Values, files and names of packages in; hashes and versions out: what a result was made of."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

_PIECE = 1 << 20  # bytes of a file that are held at once
_SETTLED_NS = 2_000_000_000  # a file changed later than so long ago may change again within the grain of its time stamp


def package_version(package: str) -> str | None:
    """Return the installed version of a Python distribution, or None where it is absent."""
    try:
        found = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    said = re.search(r"^Version: *(\S+)", found.read_text("METADATA") or "", re.MULTILINE)
    return said[1] if said else found.version  # which parses all of the file: a package's README, 5 ms of it


def digest(*parts: Any) -> str:
    """Return the SHA-256 (hex) of JSON-like values, bytes and paths (their content); order matters."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as file:
                sha.update(b"%d:" % os.fstat(file.fileno()).st_size)
                while data := file.read(_PIECE):
                    sha.update(data)
            continue
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True, default=str).encode()
        sha.update(b"%d:" % len(data))
        sha.update(data)
    return sha.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's content; one that has not changed since is not read again."""
    stat = path.stat()
    if time.time_ns() - stat.st_mtime_ns < _SETTLED_NS:
        return digest(path)
    return _settled(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@cache
def _settled(path: Path, _inode: int, _size: int, _changed: int) -> str:
    return digest(path)
