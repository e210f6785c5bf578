"""A JSON or TOML file that goes with a model in, the object that it holds out."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from gatewright.errors import ConfigError


def read_object(path: Path, *, what: str, form: str) -> dict[str, Any]:
    """Return the object in a .json or .toml file; ConfigError for any other content.

    what: it holds, in words; form: how it looks.
    """
    try:
        text = path.read_text()
        given: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: expected a JSON or TOML file of {what}: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: expected {form}, not {given!r:.80}")
    return given
