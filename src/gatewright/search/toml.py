"""A configuration in, the TOML text that load_config reads back as the same configuration out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from gatewright.config import Config


def toml_text(config: Config, comment: str) -> str:
    """Return the settings that differ from the defaults as TOML below a comment; search itself is left out."""
    raw = config.model_dump(mode="json", exclude_defaults=True, exclude_none=True, exclude={"search"})
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [f"{_key(key)} = {_value(item)}" for key, item in raw.items() if not isinstance(item, dict)]
    for key, item in raw.items():
        if isinstance(item, dict):
            lines += _table(_key(key), cast("dict[str, Any]", item))
    return "\n".join(lines) + "\n"


def _table(name: str, table: Mapping[str, Any]) -> list[str]:
    lines = ["", f"[{name}]"]
    lines += [f"{_key(key)} = {_value(item)}" for key, item in table.items() if not isinstance(item, dict)]
    for key, item in table.items():
        if isinstance(item, dict):
            lines += _table(f"{name}.{_key(key)}", cast("dict[str, Any]", item))
    return lines


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _value(item: Any) -> str:
    match item:
        case bool():
            return "true" if item else "false"
        case int() | float():
            return repr(item)
        case str():
            return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007F")  # TOML's basic strings are JSON's
        case list():
            return f"[{', '.join(_value(part) for part in cast('list[Any]', item))}]"
        case dict():
            pairs = (f"{_key(key)} = {_value(part)}" for key, part in cast("dict[str, Any]", item).items())
            return f"{{ {', '.join(pairs)} }}"
        case _:
            raise AssertionError(f"no TOML for {item!r}")
