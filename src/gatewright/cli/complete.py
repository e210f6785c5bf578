"""What stands before the cursor in, the words that the shell may complete it to out; and options that have them.

click asks these functions only when a shell completes, so that nothing is loaded otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click


def stages(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the stages that `--until` takes."""
    from gatewright.flow.run import STAGES

    return [stage for stage in STAGES if stage.startswith(begun)]


def parts(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return chips' names."""
    from gatewright.chips import PARTS

    return [name for name in PARTS if name.lower().startswith(begun.lower())]


def boards(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return boards' names."""
    from gatewright.deploy import BOARDS

    return [name for name in BOARDS if name.startswith(begun)]


def settings(context: click.Context, option: click.Parameter, begun: str) -> list[str]:
    """Return settings `table.key=`, and behind the equals sign the words that a key takes, where it takes words."""
    key, equals, value = begun.partition("=")
    if not equals:
        return [f"{name}=" for name, _ in _keys() if name.startswith(begun)]
    known = {"hardware.part": parts, "hardware.board": boards}.get(key)
    words = known(context, option, value) if known else dict(_keys()).get(key, [])
    return [f"{key}={word}" for word in words if word.lower().startswith(value.lower())]


def _keys() -> Iterator[tuple[str, list[str]]]:
    """Yield each key of the configuration, with its table, and the words that it takes."""
    from gatewright.config.reference import schema

    whole = schema()

    def walk(node: dict[str, Any], above: str) -> Iterator[tuple[str, list[str]]]:
        for name, value in node["properties"].items():
            options = [value, *value.get("anyOf", ())]
            inner = next((whole["$defs"][o["$ref"].rpartition("/")[2]] for o in options if "$ref" in o), None)
            if inner is not None and "properties" in inner:
                yield from walk(inner, f"{above}{name}.")
            else:
                truths = ["true", "false"] if any(o.get("type") == "boolean" for o in options) else []
                yield above + name, [*map(str, value.get("enum", ())), *truths]

    return walk(whole, "")


def set_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option --set KEY=VALUE, of any number. text: its help."""
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=text, shell_complete=settings)


def part_option(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option --part. names: of its argument, where they are others."""
    return click.option(
        "--part",
        *names,
        default="XC7A35T",
        show_default=True,
        help="Chip; see `gatewright parts`.",
        shell_complete=parts,
    )
