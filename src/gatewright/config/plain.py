"""What a TOML or JSON file, or a command line, holds in; the same as plain values within bounds out, or a ConfigError.

What no key takes is refused here by the key's name, before tables are read: so nothing that reads them meets texts that
are no file names, numbers beyond 64 bits (TOML's own bound), or tables nested without end.
"""

from __future__ import annotations

import json
import math
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

from gatewright.errors import ConfigError

DEPTH = 16  # of tables and lists in each other; the deepest key of ours lies at 4
MOST_TEXT = 10_000  # characters of a text
MOST_BITS = 63  # of a whole number, beside its sign
MOST_NAME = 255  # bytes of a file's name, on every file system that we know
SHOWN = 80  # characters of a value in an error


def parse(text: str, path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file, or of a run's config.json. Raises ConfigError, with the line where known."""
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        found: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply: at most {DEPTH} lists and tables in each other") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not valid {kind}: {_long_number(text) or error}") from None
    if not isinstance(found, dict):
        raise ConfigError(
            f"{path} must hold tables, {{...}}, not {shown(found)}; give a run's config.json or a TOML file"
        )
    return cast("dict[str, Any]", found)


def check_plain(raw: dict[str, Any], where: str) -> None:
    """Raise ConfigError for values that no key takes, naming the first: see above. where: the tables' origin."""
    waiting: list[tuple[str, int, Any]] = [("", 0, raw)]
    while waiting:
        key, depth, value = waiting.pop()
        wrong = _wrong(value) if depth <= DEPTH else f"must not be nested more than {DEPTH} deep"
        if wrong:
            raise ConfigError(f"{where}: {shown_key(key)}: {wrong}")
        if isinstance(value, dict):
            items = cast("dict[Any, Any]", value).items()
            waiting += [(f"{key}.{name}" if key else str(name), depth + 1, item) for name, item in items]
            waiting += [(key, depth + 1, str(name)) for name, _ in items]
        elif isinstance(value, list | tuple):
            waiting += [(f"{key}.{at}", depth + 1, item) for at, item in enumerate(cast("list[Any]", value))]


def shown(value: Any) -> str:
    """Return a value as an error shows it: short, and a number of many digits by their number."""
    if isinstance(value, int) and value.bit_length() > 4 * SHOWN:
        return f"a number of about {round(value.bit_length() * math.log10(2)):,} digits"
    text = repr(value)
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]}... ({len(text):,} characters)"


def shown_key(key: str) -> str:
    """Return a key as an error shows it: what cannot be printed is escaped, a long one is cut."""
    text = key if key.isprintable() else repr(key)
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]}..."


def _wrong(value: Any) -> str:
    """Return what is wrong with a single value; "" for nothing."""
    match value:
        case bool() | dict() | list() | tuple() | None:
            return ""
        case int() if value.bit_length() > MOST_BITS:
            return f"whole numbers must lie within 64 bits, not {shown(value)}"
        case int():
            return ""
        case float() if not math.isfinite(value):
            return f"numbers must be finite, not {value!r}"
        case float():
            return ""
        case str() if len(value) > MOST_TEXT:
            return f"texts must have at most {MOST_TEXT:,} characters, not {len(value):,}"
        case str() if "\0" in value or not _encodes(value):
            return f"texts must not hold NUL or half of a surrogate pair, not {shown(value)}"
        case str():
            return ""
        case _:
            return f"must be a text, a number, true or false, a list or a table, not {shown(value)}"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _long_number(text: str) -> str:
    """Return where a number stands that has more digits than Python reads; "" where none has."""
    limit = sys.get_int_max_str_digits() or len(text) + 1
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(rf"\d{{{limit}}}", line.replace("_", "")):
            return f"line {number} holds a number of more than {limit:,} digits; whole numbers must lie within 64 bits"
    return ""
