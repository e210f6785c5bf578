"""Commands that list what there is: chips, boards, the configuration's schema. As text, or as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.command("parts")
@JSON
def parts_command(as_json: bool) -> None:
    """Chips with their budgets."""
    from gatewright.chips import PARTS

    if as_json:
        _echo([asdict(part) for part in PARTS.values()])
        return
    click.echo(f"{'part':<16}{'family':<10}{'LUT':>10}{'FF':>10}{'DSP':>7}{'BRAM':>8}")
    for p in PARTS.values():
        click.echo(f"{p.name:<16}{p.family:<10}{p.lut:>10,}{p.ff:>10,}{p.dsp:>7,}{p.bram:>8,}")


@click.command("boards")
@JSON
def boards_command(as_json: bool) -> None:
    """Boards for which a bitstream can be built."""
    from gatewright.deploy import BOARDS

    if as_json:
        _echo([asdict(board) for board in BOARDS.values()])
        return
    for b in BOARDS.values():
        click.echo(f"{b.name:<14}{b.part:<16}{b.clock_mhz:>6g} MHz  {b.title}")


@click.command("schema")
def schema_command() -> None:
    """The configuration's JSON schema, for editors: `#:schema FILE` in the first line of a TOML."""
    from gatewright.config.reference import schema

    _echo(schema())


def _echo(value: Any) -> None:
    click.echo(json.dumps(value, indent=1))
