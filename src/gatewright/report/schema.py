"""results.schema.json: a results dict in, nothing or a list of what breaks the contract out.

Understands the part of JSON Schema (2020-12) that our schema uses; a test compares it with a full implementation.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, cast

from gatewright.errors import GatewrightError, nearest

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


@functools.cache
def results_schema() -> dict[str, Any]:
    """Return the schema of results.json as parsed JSON."""
    return json.loads(files("gatewright.report").joinpath("results.schema.json").read_text(encoding="utf-8"))


def validate_results(results: Mapping[str, Any]) -> None:
    """Check a results dict against the schema. Raises GatewrightError listing every key that breaks it."""
    found = list(problems(results))
    if found:
        raise GatewrightError(
            "results.json breaks its schema (docs/results.md); run the report stage again:\n" + "\n".join(found)
        )


def problems(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per violation: the key, what was expected, what was got."""
    yield from _check(results, results_schema(), "results")


def rows(schema: dict[str, Any] | None = None, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (dotted key, type, meaning) of every key; `<name>` stands for any name, `[]` for an entry of a list."""
    schema = _resolved(schema or results_schema())
    if key:
        yield key, _type_text(schema), schema.get("description", "")
    for name, child in schema.get("properties", {}).items():
        yield from rows(child, f"{key}.{name}" if key else name)
    other = schema.get("additionalProperties")
    if isinstance(other, dict) and "properties" in other:
        for name, child in cast("dict[str, Any]", other)["properties"].items():
            yield from rows(child, f"{key}.<family>.{name}")
    items = schema.get("items", {})
    for name, child in items.get("properties", {}).items():
        yield from rows(child, f"{key}[].{name}")


def markdown_table() -> str:
    """Return the table of docs/results.md."""
    lines = ["| key | type | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{key}` | {kind} | {text} |" for key, kind, text in rows())]) + "\n"


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    target = results_schema()["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return {**target, **{name: value for name, value in schema.items() if name != "$ref"}}


def _type_text(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join("null" if value is None else f'"{value}"' for value in schema["enum"])
    kinds: list[str] = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if schema["type"] == "number" and schema.get("minimum") == 0 and schema.get("maximum") == 1:
        return "share 0..1"
    return " or ".join(kinds)


def _check(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    schema = _resolved(schema)
    if "enum" in schema:
        if value not in schema["enum"]:
            yield f"{where}: expected {_type_text(schema)}, got {value!r}"
        return
    kinds: list[str] = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    fits = any(isinstance(value, _TYPES[kind]) for kind in kinds) and not isinstance(value, bool)
    if not fits:
        yield f"{where}: expected {' or '.join(kinds)}, got {value!r}"
        return
    if isinstance(value, Mapping):
        yield from _check_object(cast("Mapping[str, Any]", value), schema, where)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _check(item, schema["items"], f"{where}[{index}]")
    elif isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value):
            yield f"{where}: expected text like {schema['pattern']}, got {value!r}"
    elif value is not None:
        yield from _check_number(value, schema, where)


def _check_number(value: float, schema: dict[str, Any], where: str) -> Iterator[str]:
    if value < schema.get("minimum", value) or value != value:
        yield f"{where}: expected at least {schema.get('minimum', 'a number')}, got {value!r}"
    if value > schema.get("maximum", value):
        yield f"{where}: expected at most {schema['maximum']}, got {value!r}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"{where}: expected more than {schema['exclusiveMinimum']}, got {value!r}"


def _check_object(value: Mapping[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    known: dict[str, Any] = schema.get("properties", {})
    other = schema.get("additionalProperties", True)
    for name in schema.get("required", []):
        if name not in value:
            yield f"{where}.{name}: required and absent"
    choices = [choice["required"] for choice in schema.get("anyOf", [])]
    if choices and not any(all(name in value for name in choice) for choice in choices):
        yield f"{where}: expected one of {' | '.join(', '.join(choice) for choice in choices)}"
    for name, item in value.items():
        if name in known:
            yield from _check(item, known[name], f"{where}.{name}")
        elif other is False:
            yield f"{where}.{name}: not a key of the schema.{nearest(name, list(known))}"
        elif isinstance(other, dict):
            yield from _check(item, cast("dict[str, Any]", other), f"{where}.{name}")
