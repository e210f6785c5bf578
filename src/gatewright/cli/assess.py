"""The command that measures a design behind a processor: `gatewright assess`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("assess")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the system; RUN stays as it is [default: RUN/assess]"
)
def assess_command(run: Path, out: Path | None) -> None:
    """Run the stored vectors of RUN, of `run` or `build`, on a simulated system: a RISC-V, its client in C, the design.

    Latency, cost of a word and throughput behind the bus go into RUN's results and report.
    """
    from gatewright.flow.assess import assess_run
    from gatewright.report.assessment import facts

    found = assess_run(run, out=out)
    for name, value in facts(found):
        click.echo(f"{name:<44} {value}".replace("\u202f", " "))
    click.echo(f"{'system':<44} {out or run / 'assess'}")
