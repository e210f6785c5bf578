"""`gatewright init`: a data file in, a configuration that runs out."""

from __future__ import annotations

from pathlib import Path

import click

from gatewright.cli.complete import boards


@click.command("init")
@click.argument("data")
@click.option("--board", default="", help="Board to build for; see `gatewright boards`.", shell_complete=boards)
@click.option("--task", type=click.Choice(["classification", "regression"]), help="[default: as the label asks]")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write [default: NAME.toml]")
def init_command(data: str, board: str, task: str | None, out: Path | None) -> None:
    """Look at DATA and write a commented configuration that runs.

    DATA is a file, a folder or a SCHEME:NAME, as data.source takes it.
    """
    from gatewright.data.summary import summary_text
    from gatewright.flow.draft import write_draft

    path, found = write_draft(data, out, board=board, task=task or "")
    click.echo(summary_text(found))
    click.echo(f"\nwrote {path}; next: gatewright run {path}")
