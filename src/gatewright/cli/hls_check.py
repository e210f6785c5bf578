"""The command that judges an hls4ml project that somebody has: what its types lose, and what to set."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("hls-check")
@click.argument("config", type=str)
@click.option("--model", type=click.Path(path_type=Path), help="The model [default: the one that CONFIG names].")
@click.option("--weights", type=click.Path(path_type=Path), help="The .h5 beside a Keras .json.")
@click.option("--data", type=click.Path(path_type=Path), help="Samples, .npy or .npz with x [default: random].")
@click.option("--samples", default=1000, show_default=True, help="How many random ones, without --data.")
@click.option("--backend", help="vivado or vitis [default: CONFIG's].")
@click.option("--io-type", help="io_parallel or io_stream [default: CONFIG's].")
@click.option("--width", type=click.IntRange(4, 32), help="Of suggested types of floats [default: CONFIG's].")
@click.option(
    "--compile", "compiled", is_flag=True, help="Also compile hls4ml's C++ and compare it with what is said here."
)
@click.option("--python", help="Interpreter with hls4ml [default: GATEWRIGHT_REFERENCE_PYTHON, or this one].")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for report.json and suggested.yml.")
@click.pass_context
def hls_check_command(
    ctx: click.Context,
    config: str,
    model: Path | None,
    weights: Path | None,
    data: Path | None,
    samples: int,
    backend: str | None,
    io_type: str | None,
    width: int | None,
    compiled: bool,
    python: str | None,
    out: Path | None,
) -> None:
    """Say what the types of the hls4ml configuration CONFIG lose against the framework, before anything is built.

    CONFIG is a YAML or JSON file, whole or only its HLSConfig; or one of the words name, type, model, for what hls4ml's
    config_from_keras_model writes with this granularity. Exits 1 where a layer breaks: values overflow, or a table does
    not resolve what it reads.
    """
    from gatewright.cli.given import read_samples
    from gatewright.flow.hls_check import check_hls_project, write_hls_check
    from gatewright.hls.project import judged_table, suggested_table

    checked = check_hls_project(
        config,
        model=model,
        weights=weights,
        x=None if data is None else read_samples(data),
        samples=samples,
        backend=backend,
        io_type=io_type,
        width_bits=width,
        compiled=compiled,
        python=python,
    )
    settings = checked.configuration
    click.echo(f"{settings.model.name}, hls4ml {checked.graph.version}, {settings.backend}, {settings.io_type}")
    click.echo(f"{checked.judged.data}\n\n{judged_table(checked.judged)}")
    click.echo(f"\nto set in LayerName:\n{suggested_table(checked.suggestion)}")
    click.echo(f"\nwith that:\n{judged_table(checked.after)}")
    output = checked.bounds[checked.after.output]
    if output is not None:
        click.echo(f"the output differs by at most {output:.3g} from the framework's where nothing leaves its type")
    if checked.confirmed is not None:
        click.echo(f"compiled by g++: all of {sum(checked.confirmed):,} values are the predicted ones")
    if out is not None:
        write_hls_check(checked, out)
        click.echo(f"wrote {out}: report.json, suggested.yml")
    if checked.judged.broken is not None:
        ctx.exit(1)
