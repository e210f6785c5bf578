"""The command that puts a run's bitstream on its board: `gatewright program`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("program")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--flash", is_flag=True, help="Into the board's flash, to stay; without it, until power is off.")
@click.option("--dry-run", is_flag=True, help="Say what would be called, and call nothing.")
def program_command(run: Path, flash: bool, dry_run: bool) -> None:
    """Load the bitstream of RUN on its board, by openFPGALoader."""
    from gatewright.deploy.load import load_bitstream

    for line in load_bitstream(run, flash=flash, dry_run=dry_run):
        click.echo(line)
