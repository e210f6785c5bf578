"""The command that makes an instrument of a design: `gatewright deploy`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("deploy")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--for", "target", type=click.Choice(["comblock"]), default="comblock", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="New folder of the bundle [default: RUN/deploy/TARGET]")
@click.option("--depth", default=0, help="Words of each FIFO, a power of two in 16..32768; 0: as suits.")
@click.option("--registers", default=16, show_default=True, help="Input, and output, registers for logic of your own.")
@click.option("--ram", "ram_words", default=0, help="Words of a RAM behind AXI4 for logic of your own; 0: none.")
def deploy_command(run: Path, target: str, out: Path | None, depth: int, registers: int, ram_words: int) -> None:
    """Put the design of RUN, of `run` or `build`, behind AXI4-Lite, with clients in C and Python and stored vectors."""
    from gatewright.flow.instrument import deploy_run

    folder = out or run / "deploy" / target
    block = deploy_run(run, folder, depth=depth, registers=registers, ram_words=ram_words)
    assert block.x is not None, "a block with a core has frames"
    assert block.y is not None, "a block with a core has frames"
    click.echo(f"{'block':<20} {block.name}")
    click.echo(f"{'words of a vector':<20} {block.x.words} in, {block.y.words} out")
    click.echo(f"{'bundle':<20} {folder}")
