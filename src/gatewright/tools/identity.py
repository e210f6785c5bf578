"""Values, files and names of packages in; hashes and versions out: what a result was made of."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any


def package_version(package: str) -> str | None:
    """Return the installed version of a Python distribution, or None where it is absent."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def digest(*parts: Any) -> str:
    """Return the SHA-256 (hex) of JSON-like values, bytes and paths (their content); order matters."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            data = part.read_bytes()
        elif isinstance(part, bytes):
            data = part
        else:
            data = json.dumps(part, sort_keys=True, default=str).encode()
        sha.update(str(len(data)).encode() + b":" + data)
    return sha.hexdigest()
