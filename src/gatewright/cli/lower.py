"""The command that shows what the compiler makes of a program, step by step."""

from __future__ import annotations

from pathlib import Path

import click

from gatewright.cli.complete import part_option
from gatewright.cli.given import program_file, read_codes


@click.command("lower")
@click.argument("program", type=click.Path(path_type=Path))
@click.option("--after", default="schedule", metavar="STEP", show_default=True, help="The step; `list` names them.")
@part_option()
@click.option("--clock-mhz", default=200.0, show_default=True, help="Clock; 0: the fastest within the limits.")
@click.option("--max-latency-cycles", default=0, help="Limit of the latency in cycles; 0: none.")
@click.option("--max-latency-ns", default=0.0, help="Limit of the latency in ns; 0: none.")
@click.option("--truth-tables", type=click.Choice(["auto", "never"]), default="auto", help="Or sums, never tables.")
@click.option("--codes", type=click.Path(path_type=Path), help="Integers to compare on, .npy (n, inputs).")
def lower_command(
    program: Path,
    after: str,
    part: str,
    clock_mhz: float,
    max_latency_cycles: int,
    max_latency_ns: float,
    truth_tables: str,
    codes: Path | None,
) -> None:
    """Show PROGRAM (a program.txt or a run directory), or the circuit made of it, after a step of the compiler."""
    from gatewright.flow.lowered import lowered_text

    text = lowered_text(
        program_file(program),
        after=after,
        part=part,
        clock_mhz=clock_mhz,
        max_latency_cycles=max_latency_cycles,
        max_latency_ns=max_latency_ns,
        truth_tables=truth_tables,
        codes=read_codes(codes),
    )
    click.echo(text, nl=False)
