"""Commands on finished runs: `gatewright predict` answers samples, `gatewright compare` sets runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from gatewright.errors import ConfigError


@click.command("predict")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("samples", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here instead of printing it.")
def predict_command(run: Path, samples: Path, out: Path | None) -> None:
    """What the hardware of RUN answers to SAMPLES (.csv, .npy, .npz): classes and scores, exactly; needs no torch."""
    from gatewright.flow.predict import Predictor, prediction_csv
    from gatewright.tools import write_atomic

    predictor = Predictor.load(run)
    found = predictor.predict(predictor.read(samples))
    text = prediction_csv(predictor, found)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomic(out, text)
        click.echo(f"wrote {out}: {len(found.scores):,} samples")
    if clipped := int((found.clipped > 0).sum()):
        click.echo(f"gatewright: warning: {clipped:,} samples lay outside the input's range and were clipped", err=True)


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw score over LUTs, .svg, .png or .pdf.")
@click.option("--hls", type=click.Path(path_type=Path), help="Folder with a vendor's HLS reports of the same network.")
@click.option("--page", type=click.Path(path_type=Path), help="With --hls: also write the table as an HTML page.")
def compare_command(runs: tuple[Path, ...], plot: Path | None, hls: Path | None, page: Path | None) -> None:
    """Set finished RUNS side by side: scores, resources, latency; * marks the best.

    With --hls FOLDER one RUN beside what Vivado HLS or Vitis HLS estimates of the same network.
    """
    if hls is not None:
        from gatewright.report.beside_hls import beside_hls
        from gatewright.report.compare import read_results
        from gatewright.report.hls_reports import read_hls_reports

        if len(runs) != 1 or plot is not None:
            raise ConfigError("--hls sets one RUN beside the reports; name one, and no --plot")
        beside = beside_hls(read_results(runs[0]), read_hls_reports(hls))
        click.echo(beside.text())
        if page is not None:
            beside.write_page(page)
            click.echo(f"wrote {page}")
        return
    if page is not None:
        raise ConfigError("--page is of --hls, a run beside a vendor's reports; --plot draws several runs")
    from gatewright.report.compare import compare_plot, compare_text, read_runs

    found = read_runs(runs)
    if len({run.regression for run in found}) > 1:
        raise ConfigError("compare runs of one task; these are regressions and classifications")
    click.echo(compare_text(found))
    if plot is not None:
        compare_plot(found, plot)
        click.echo(f"wrote {plot}")
