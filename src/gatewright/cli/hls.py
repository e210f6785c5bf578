"""The command that hands a program over to a vendor's HLS tool: an hls4ml project, proved equal to it."""

from __future__ import annotations

from pathlib import Path

import click

from gatewright.cli.given import program_file, read_codes


@click.command("hls")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--backend", default="vitis", show_default=True, help="vitis, vivado, quartus, catapult or oneapi.")
@click.option("--io", default="parallel", show_default=True, help="parallel, or stream: a pixel at a time.")
@click.option("--strategy", help="latency, or resource: few multipliers in turn [default: by the reuse in --config].")
@click.option("--reuse", help="How often a multiplier is used; 4,1,2 for each layer with weights [default: 1].")
@click.option(
    "--config", type=click.Path(path_type=Path), help="The run's configuration, for the clock and reuse not given here."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the project.")
@click.option("--part", default="", help="The chip, as the vendor's tool spells it [default: hls4ml's].")
@click.option("--clock-ns", type=float, help="Clock period [default: the run's, 5 of a program.txt].")
@click.option("--codes", type=click.Path(path_type=Path), help="Input integers to compare on, .npy (n, inputs).")
def hls_command(
    run: Path,
    backend: str,
    io: str,
    strategy: str | None,
    reuse: str | None,
    config: Path | None,
    out: Path,
    part: str,
    clock_ns: float | None,
    codes: Path | None,
) -> None:
    """Write RUN (a run directory or a program.txt) as an hls4ml project, and prove that its C++ equals the program.

    The C++ is compiled with g++ and compared by == on the run's samples, every layer. What hls4ml cannot compute to the
    bit is refused, by layer, before anything is written. The vendor's tool is not needed here; oneAPI's project is
    written and not compiled.
    """
    from gatewright.config import load_config
    from gatewright.flow.hls import hls_project

    program_file(run)
    done = hls_project(
        run,
        out,
        backend=backend,
        io=io,
        strategy=strategy,
        reuse_factor=None if reuse is None else _factors(reuse),
        hardware=None if config is None else load_config(config).hardware,
        codes=read_codes(codes),
        part=part,
        clock_ns=clock_ns,
    )
    compared = done.compared
    kind = "random vectors" if done.drawn else "vectors"
    if compared is None:
        click.echo(f"not compiled, and nothing compared: {backend}'s C++ needs its own compiler")
    else:
        click.echo(f"{compared.vectors:,} {kind}, {len(compared.layers)} layers, {compared.values:,} values: all equal")
    if done.depths:
        theirs, ours = (sum(words) for words in zip(*done.depths.values(), strict=True))
        click.echo(f"{len(done.depths)} streams between layers: {ours:,} words, hls4ml's {theirs:,}")
    if done.network.host:
        click.echo(f"left to the host: {', '.join(done.network.host)}")
    click.echo(f"wrote {out}; docs/hls.md says how to go on with the vendor's tool")


def _factors(text: str) -> int | tuple[int, ...]:
    """Return one number, or several with commas between them. Raises BadParameter."""
    try:
        factors = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"--reuse must be whole numbers as in 4 or 4,1,2, not {text!r}") from None
    return factors[0] if len(factors) == 1 else factors
