"""Two folders of generated files in, as the command line leaves them; the files and keys that differ out."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LINES = 20
RESULTS = ("results.json", "build.json")
KEYED = (*RESULTS, "rtl/design.json")  # compared key by key
PROGRAM = "program/program.txt"
RECORD = "stage.json"  # holds the hash of the sources that made a stage, so it differs between any two revisions
NOTHING = "nothing"  # stands for the value of a key that one side lacks

Renames = Mapping[str, str]
Stated = Mapping[str, tuple[str, str]]  # a regular expression of lines -> what stands for it, and why it may differ
Files = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """where: a file's path in the folder, by its present name. text: how it differs, a few lines."""

    where: str
    text: str


def renamed(text: str, renames: Renames) -> str:
    """Return the text with every whole name that the table lists replaced, all at once.

    A name ends where no letter, digit, `_` or `$` follows, as in Verilog.
    """
    if not renames:
        return text
    names = "|".join(re.escape(name) for name in sorted(renames, key=len, reverse=True))
    return re.sub(rf"(?<![\w$])(?:{names})(?![\w$])", lambda found: renames[found[0]], text, flags=re.ASCII)


def generated(folder: Path, renames: Renames) -> Files:
    """Return what is compared, path to content, names replaced: the program, then rtl/, then the results.

    Bytes become characters one to one (Latin-1), so equal texts are equal bytes.
    """
    rtl = (path for path in sorted((folder / "rtl").rglob("*")) if path.is_file() and path.name != RECORD)
    files = [folder / PROGRAM, *rtl, *(folder / name for name in RESULTS)]
    return {
        renamed(path.relative_to(folder).as_posix(), renames): renamed(path.read_bytes().decode("latin-1"), renames)
        for path in files
        if path.is_file()
    }


def settled(files: Files, stated: Stated, rewritten: Mapping[str, str]) -> Files:
    """Return the files without what the tables say may differ.

    stated: replaced in every Verilog file; rewritten: names of files that are other texts on purpose, each with its
    reason: only that both sides have them counts.
    """
    found = dict(files)
    for name in (name for name in files if name.endswith(".v")):
        for pattern, (text, _) in stated.items():
            found[name] = re.sub(pattern, text, found[name], flags=re.MULTILINE)
        if name.rpartition("/")[2] in rewritten:
            found[name] = ""
    return found


def compare(old: Files, new: Files, allowed: Mapping[str, str], moved: Mapping[str, str]) -> list[Difference]:
    """Return what differs, in the order of `old`; what only `new` has comes last.

    allowed: keys of the results, with dots between, that may differ together with all below them, each with its reason.
    moved: keys of rtl/design.json that have another name now, old -> new; their values must be the same.
    """
    names = {**old, **new}
    return [found for name in names if (found := _compared(name, old.get(name), new.get(name), allowed, moved))]


def _compared(
    name: str, old: str | None, new: str | None, allowed: Mapping[str, str], moved: Mapping[str, str]
) -> Difference | None:
    if old is None or new is None:
        return Difference(where=name, text="is no longer made" if new is None else "was not made before")
    if name in KEYED:
        keys = differing_keys(json.loads(old), json.loads(new), allowed, {} if name in RESULTS else moved)
        shown = [*keys[:LINES], *([f"and {len(keys) - LINES} keys more"] if len(keys) > LINES else [])]
        return Difference(where=name, text="\n".join(shown)) if keys else None
    return Difference(where=name, text=diff_text(name, old, new)) if old != new else None


def differing_keys(old: Any, new: Any, allowed: Mapping[str, str], moved: Mapping[str, str]) -> list[str]:
    """Return a line `key: old -> new` for each leaf of two JSON values that differs and is not allowed to."""
    before, after = {moved.get(key, key): value for key, value in _leaves(old, "")}, dict(_leaves(new, ""))
    return [
        f"{key}: {before.get(key, NOTHING)} -> {after.get(key, NOTHING)}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key) and not any(key == a or key.startswith(f"{a}.") for a in allowed)
    ]


def diff_text(name: str, old: str, new: str) -> str:
    """Return the first lines of the unified diff, in which carriage returns and a missing last line end show."""
    pairs = old.splitlines(keepends=True), new.splitlines(keepends=True)
    lines = difflib.unified_diff(*pairs, f"old/{name}", f"new/{name}")
    return "\n".join(_visible(line) for line, _ in zip(lines, range(LINES), strict=False))


def _visible(line: str) -> str:
    body, end = line.rstrip("\r\n"), line[len(line.rstrip("\r\n")) :]
    return body + {"\n": "", "": " (no line end)"}.get(end, repr(end)[1:-1])


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (key with dots, value as JSON) of each leaf; an empty object or list is a leaf."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not (isinstance(value, dict | list) and value):
        yield path, json.dumps(value)
    for key, inner in items:
        yield from _leaves(inner, f"{path}.{key}" if path else str(key))
