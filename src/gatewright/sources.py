"""A room of the package in, the rooms that it imports and the hash of all their files out: what results depend on.

A room is a folder or a file beside this one: `fit`, `ir`, `tools`. What a room may import is closed downwards
(`[tool.importlinter]` in pyproject.toml), so the hash of `fit` changes with `fixedpoint` and not with `report`.
Whole rooms are taken, with the Verilog, C++ and HTML in them: what a file opens by its path needs no list.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

_TYPES_ONLY = re.compile(r"\nif TYPE_CHECKING:\n(?: .*\n|\n)+")
_IMPORTS = (
    re.compile(r"from gatewright(?:\.(\w+)| import (\([^)]*\)|.*))"),
    re.compile(r"import gatewright(?:\.(\w+)|())"),
)


def rooms_of(names: Iterable[str], package: Path = PACKAGE) -> tuple[str, ...]:
    """Return the rooms that some rooms import, directly or not, and themselves; sorted.

    Imports inside functions count, those for type checkers only do not.
    """
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _room(package, name)[0]
    return tuple(sorted(found))


def code_digest(*names: str, package: Path = PACKAGE) -> str:
    """Return the SHA-256 (hex) of every file of these rooms and of the rooms that they import.

    Each room is read once per process.
    """
    rooms = {name: _room(package, name)[1] for name in rooms_of(names, package)}
    return hashlib.sha256(repr(sorted(rooms.items())).encode()).hexdigest()


def is_room(name: str, package: Path = PACKAGE) -> bool:
    """Return whether the package has a room of this name."""
    return (package / name).is_dir() or (package / f"{name}.py").is_file()


@cache
def _room(package: Path, name: str) -> tuple[frozenset[str], str]:
    """Return the rooms that a room's files import, and the SHA-256 (hex) of its files."""
    file = package / f"{name}.py"
    paths = [str(file)] if file.is_file() else sorted(_files(package / name))
    assert paths, f"the package has no room {name!r}"
    imported: set[str] = set()
    sha = hashlib.sha256()
    for path in paths:
        data = Path(path).read_bytes()
        sha.update(f"{path[len(str(package)) :]}\0{len(data)}\0".encode() + data)
        if path.endswith(".py"):
            text = _TYPES_ONLY.sub("\n", data.decode())
            for room, listed in (hit for pattern in _IMPORTS for hit in pattern.findall(text)):
                imported.update([room] if room else re.findall(r"\w+", listed))
    return frozenset(room for room in imported if is_room(room, package)), sha.hexdigest()


def _files(folder: Path) -> Iterator[str]:
    for inner, _, names in os.walk(folder):
        if not inner.endswith("__pycache__"):
            yield from (f"{inner}/{name}" for name in names if not name.startswith("."))
