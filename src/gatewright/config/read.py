"""One TOML file, with what the command line sets, in; one frozen and validated Config out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from gatewright.config.plain import MOST_NAME, SHOWN, check_plain, parse, shown
from gatewright.config.section import Section
from gatewright.config.whole import Config
from gatewright.errors import ConfigError, nearest

BRANCH = re.compile(r"(constrained-)?(int|float|str|tuple)(\[.*\])?")  # of a union, in pydantic's path to a value
KIND = ("_type", "_parsing")  # how pydantic's errors of another kind of value end


def load_config(
    path: Path | str, settings: Sequence[str] = (), given: Mapping[str, Mapping[str, Any]] | None = None
) -> Config:
    """Read and validate a TOML file (or a run's config.json). Relative data paths are taken from the file's own folder.

    settings: "section.key=value" overrides, the value in TOML's spelling (a bare word is taken as a string).
    given: tables whose values come before the file's.
    Raises ConfigError naming the file, the key, what was expected and what was got.
    """
    path = Path(path)
    if path.is_dir():
        raise ConfigError(f"{path} is a directory, no configuration file{_instead(path)}")
    try:
        raw = parse(path.read_text(encoding="utf-8-sig"), path)  # some editors begin a file with a byte order mark
    except FileNotFoundError:
        raise ConfigError(f"no configuration file {path}; give the path of a TOML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be a readable TOML text file: {error}{_instead(path)}") from None
    except ConfigError as error:
        raise ConfigError(f"{error}{_instead(path)}") from None
    for table, values in (given or {}).items():
        present = raw.setdefault(table, {})
        if not isinstance(present, dict):
            raise ConfigError(f"{path}: {table}: input should be a table, not {shown(present)}")
        raw[table] = {**present, **values}
    for setting in settings:
        override(raw, setting)
    return parse_config(raw, where=str(path), base=path.parent)


def _instead(path: Path) -> str:
    """Return what helps where a run's directory, or data, were given for a configuration; "" for a TOML file."""
    if path.is_dir():
        kept = path / "config.json"
        return (
            f"; a run's configuration is {kept}" if kept.is_file() else "; `gatewright init` makes one of a data folder"
        )
    return (
        "" if path.suffix in (".toml", ".json") else f"; if {path.name} holds data, `gatewright init {path}` writes one"
    )


def shortcut(
    *, model: Path | None, weights: Path | None, precision: Path | None, data: str | None
) -> dict[str, dict[str, str]]:
    """Return the tables that the command line's --model, --weights, --precision and --data stand for."""
    files = {"file": model, "weights": weights, "precision": precision}
    tables = {"model": {key: str(path.resolve()) for key, path in files.items() if path is not None}}
    here = Path.cwd()
    return {
        **(tables if tables["model"] else {}),
        **({"data": {"source": _anchor(data, here, "data.source")}} if data else {}),
    }


def model_config(model: Path, settings: Sequence[str], given: Mapping[str, Mapping[str, str]]) -> Config:
    """Return the configuration of a run without a file: the model's name, its own input format, and defaults."""
    name = re.sub(r"\W+", "_", model.stem).strip("_")[:40]
    raw: dict[str, Any] = {"name": name if name[:1].isalpha() else f"net_{name}"[:40]}
    raw |= {table: dict(values) for table, values in given.items()}
    raw["data"]["input_format"] = "auto"
    for setting in settings:
        override(raw, setting)
    return parse_config(raw, where="the command line")


def parse_config(raw: dict[str, Any], *, where: str = "config", base: Path | None = None) -> Config:
    """Validate a nested dict as load_config does; `where` names its origin in errors."""
    check_plain(raw, where)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {explain(item)}" for item in _telling(error.errors()))) from None
    if base is None:
        return config
    data = {key: _anchor(getattr(config.data, key), base, f"{where}: data.{key}") for key in ("source", "labels")}
    pretrained = _anchor(config.teacher.pretrained, base, f"{where}: teacher.pretrained")
    update: dict[str, Section] = {
        "data": config.data.model_copy(update=data),
        "teacher": config.teacher.model_copy(update={"pretrained": pretrained}),
    }
    if (model := config.model) is not None:
        paths = {key: _anchor(getattr(model, key), base, f"{where}: model.{key}") for key in ("file", "weights")}
        if isinstance(model.precision, str):
            paths["precision"] = _anchor(model.precision, base, f"{where}: model.precision")
        update["model"] = model.model_copy(update=paths)
    return config.model_copy(update=update)


def override(raw: dict[str, Any], setting: str) -> None:
    """Put one "section.key=value" into nested tables. Raises ConfigError for text that is not of this form."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set takes key=value, e.g. student.sparsity=0.8, not {setting!r}")
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {"value": text}
    if len(parsed) > 1:
        raise ConfigError(f"--set takes one key=value, not several lines: {setting!r}; repeat --set for each")
    value: Any = parsed["value"]
    *path, last = key.split(".")
    table = raw
    for part in path:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {setting!r}: {part!r} is a value, not a table")
        table = cast("dict[str, Any]", inner)
    table[last] = value


def _anchor(source: str, base: Path, key: str) -> str:
    """Return a path as an absolute one; what names no file as it is. Raises ConfigError for what can be no path."""
    if not source or source.split(":", maxsplit=1)[0] in {"sklearn", "generator", "python"}:
        return source
    if any(len(part.encode()) > MOST_NAME for part in Path(source).parts):
        raise ConfigError(f"{key}: a file's name has at most {MOST_NAME} bytes, not {shown(source)}")
    try:
        return str((base / source).resolve())
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{key}: {shown(source)} leads nowhere: {error}") from None


def _telling(items: Sequence[Any]) -> list[Any]:
    """Return pydantic's errors without those that a value is not of the other kind that its key would take too.

    Of `weight_bits = 40`, too many bits for one number, pydantic also says that it is no list of numbers.
    """
    keys = [f"{_key(item)}." for item in items]
    others = [key for key, item in zip(keys, items, strict=True) if not item["type"].endswith(KIND)]

    def echoes(item: Any, key: str) -> bool:
        if item["type"] == "too_short":  # what is wrong with its items counts them out
            return any(other != key and other.startswith(key) for other in keys)
        return item["type"].endswith(KIND) and any(other.startswith(key) for other in others)

    return [item for key, item in zip(keys, items, strict=True) if not echoes(item, key)]


def _key(item: Any) -> str:
    return ".".join(part for part in map(str, item["loc"]) if not BRANCH.fullmatch(part))


OTHER_NAMES = {  # what other tools call a key of ours, which no likeness of letters finds
    "drop_columns": "exclude_columns",
    "ignore_columns": "exclude_columns",
    "label": "label_column",
    "target": "label_column",
    "target_column": "label_column",
    "targets": "label_columns",
    "features": "feature_columns",
    "columns": "feature_columns",
    "file": "source",
    "path": "source",
    "delimiter": "separator",
    "sep": "separator",
    "lr": "learning_rate",
    "frequency_mhz": "clock_mhz",
    "fpga": "part",
    "device": "part",
}


def explain(item: Any) -> str:
    """Return one of pydantic's errors as a line: key, what was expected, what was got."""
    path, key = [str(part) for part in item["loc"]], _key(item)
    if item["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        if (other := OTHER_NAMES.get(path[-1], "")) in known:
            return f"unknown key {shown(key)}. Did you mean {other!r}?"
        return f"unknown key {shown(key)}.{nearest(path[-1][:SHOWN], known)}"
    if item["type"] == "missing":
        return f"key {key!r} is required and absent"
    message = item["msg"].removeprefix("Value error, ").removesuffix(" after validation, not 0")
    message = message.replace("Tuple should", "List should").replace("valid tuple", "valid list")
    if item["type"] == "value_error" and not key:
        return message
    if item["type"] == "value_error":
        return f"{key}: {message}" if not message.startswith("must ") else f"{key} {message}"
    return f"{key}: {message[:1].lower()}{message[1:]}, not {shown(item['input'])}"


def _known_keys(path: list[str]) -> list[str]:
    section: type[BaseModel] = Config
    for part in path:
        kind = section.model_fields[part].annotation if part in section.model_fields else None
        found = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, BaseModel)]
        if not found:
            break
        section = found[0]
    return list(section.model_fields)
