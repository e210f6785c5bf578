"""The configuration's schema in; every key with its type, default and bounds, as JSON schema or as a page, out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from gatewright.config.section import Section
from gatewright.config.whole import Config

HEAD = """# Every key

Made of the configuration's schema by `gatewright.config.reference.page()`; a test compares. `gatewright schema` prints
the same as a JSON schema: an editor that reads `#:schema FILE` in a TOML's first line (Even Better TOML, taplo) then
completes and checks keys as you type.
"""

BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def page() -> str:
    """Return the reference page in Markdown: a table of keys for each table of the file."""
    whole = schema()
    parts = [HEAD, _part("", whole, whole, Config)]
    parts += [_part(name, node, whole, kind) for name, node, kind in _tables(whole, Config, "")]
    return "\n".join(parts)


def _tables(
    whole: dict[str, Any], kind: type[Section], above: str
) -> Iterator[tuple[str, dict[str, Any], type[Section]]]:
    """Yield the tables below a table, each with its full name, its schema and its class, in the file's order."""
    for name, field in kind.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = next((k for k in kinds if isinstance(k, type) and issubclass(k, Section)), None)
        if inner is not None:
            full = f"{above}.{name}" if above else name
            yield full, whole["$defs"][inner.__name__], inner
            yield from _tables(whole, inner, full)


def _part(name: str, node: dict[str, Any], whole: dict[str, Any], kind: type[Section]) -> str:
    rows: list[str] = []
    required = set(node.get("required", ()))
    for key, value in node["properties"].items():
        if not _is_table(value, whole):
            default = (
                "required"
                if key in required
                else f"`{_written(kind.model_fields[key].get_default(call_default_factory=True))}`"
            )
            rows.append(f"| `{key}` | {_type(value, whole)} | {default} |")
    title = f"## `[{name}]`" if name else "## At the top"
    text = re.sub(r"\s*\n\s*\n\s*", "\n\n", (kind.__doc__ or "").strip())
    words = re.sub(r"[ \t]*\n[ \t]*(?!\n)", "\n", text)
    body = words if name else "What belongs to no table."
    table = ["| key | type | default |", "|---|---|---|", *rows] if rows else []
    return "\n".join([title, "", body, "", *table, ""])


def _is_table(node: dict[str, Any], whole: dict[str, Any]) -> bool:
    found = _resolved(node, whole)
    return found.get("type") == "object" and "properties" in found


def _resolved(node: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Return a schema's node without its reference, of a union with nothing the other member."""
    options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        node = options[0]
    reference = str(node.get("$ref", ""))
    return cast("dict[str, Any]", whole["$defs"][reference.rpartition("/")[2]]) if reference else node


def _type(node: dict[str, Any], whole: dict[str, Any]) -> str:
    node = _resolved(node, whole)
    if "anyOf" in node:
        return " or ".join(_type(option, whole) for option in node["anyOf"])
    if "enum" in node:
        return ", ".join(f"`{_written(value)}`" for value in node["enum"])
    if "const" in node:
        return f"`{_written(node['const'])}`"
    kind = str(node.get("type", "any value"))
    if kind == "array":
        several: list[dict[str, Any]] = node.get("prefixItems", [])
        items: dict[str, Any] = node["items"] if "items" in node else several[0]
        count = f" of {node['maxItems']}" if node.get("maxItems") == node.get("minItems") and "maxItems" in node else ""
        return f"list{count}: {_type(items, whole)}"
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "object": "table",
    }
    ends = [f"{word} {_number(node[key])}" for key, word in BOUNDS.items() if key in node]
    return ", ".join([words.get(kind, kind), *([" ".join(ends)] if ends else [])])


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _written(value: Any) -> str:
    """Return a default as TOML writes it; of what TOML cannot write, a word."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "{}"
    return json.dumps(value, ensure_ascii=False)
