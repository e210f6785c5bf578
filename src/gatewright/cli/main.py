"""The command line: one thin command per stage of the flow, and a few that only look."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.assess import assess_command
from gatewright.cli.complete import part_option, set_option, stages
from gatewright.cli.deploy import deploy_command
from gatewright.cli.draft import init_command
from gatewright.cli.given import program_file, read_codes
from gatewright.cli.heard import Heard
from gatewright.cli.hls import hls_command
from gatewright.cli.hls_check import hls_check_command
from gatewright.cli.lists import boards_command, parts_command, schema_command
from gatewright.cli.lower import lower_command
from gatewright.cli.model import COMMANDS
from gatewright.cli.program import program_command
from gatewright.cli.runs import compare_command, predict_command
from gatewright.cli.search import search_command
from gatewright.cli.stop import stopping
from gatewright.errors import ConfigError, GatewrightError
from gatewright.version import __version__

if TYPE_CHECKING:
    from gatewright.config import Config
    from gatewright.fit.anomaly.autoencoder import Weighting
    from gatewright.flow.anomaly import Kind
    from gatewright.lower.target import Multiplier

STAGE_COMMANDS = {
    "data": ("data", "Read, split and condition the data."),
    "fit": ("student", "Train the teacher; distil, prune and quantize the student."),
    "export": ("program", "Export the integer program and compare it with the student."),
    "rtl": ("rtl", "Compile to Verilog."),
    "sim": ("sim", "Simulate cycle by cycle and compare with the program."),
    "synth": ("synth", "Count LUT, FF, DSP and BRAM per family."),
    "bitstream": ("bitstream", "Place, route and pack the board's design."),
    "report": ("report", "Write results.json and report.html."),
}


class _Group(click.Group):
    """Prints a GatewrightError without a traceback and exits 2, or 128 + N after signal N. Bugs keep theirs."""

    def invoke(self, ctx: click.Context) -> Any:
        with stopping() as stop:
            try:
                return super().invoke(ctx)
            except BaseException as error:
                if stop.signal:
                    click.echo(f"\ngatewright: stopped by {stop.name}; the same command goes on from there", err=True)
                    ctx.exit(128 + stop.signal)
                if not isinstance(error, GatewrightError):
                    raise
                click.echo(f"gatewright: error: {error}", err=True)
                ctx.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatewright")
def main() -> None:
    """Labelled data and a chip's budget in, a verified FPGA design out.

    `gatewright run CONFIG.toml` does everything; the other commands stop earlier or only look.
    """


SET = set_option("Override a setting, e.g. student.sparsity=0.8")
OUT = click.option("--out", type=click.Path(path_type=Path), help="Run directory [default: runs/NAME]")


JOBS = click.option(
    "--jobs", default=1, show_default=True, type=click.IntRange(1), help="Simulation, syntheses and placement at once."
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (JOBS, SET, OUT, click.argument("config", type=click.Path(path_type=Path))):
        command = option(command)
    return command


@main.command("run")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@SET
@OUT
@click.option("--until", default="report", metavar="STAGE", help="Stop after this stage.", shell_complete=stages)
@click.option("--model", type=click.Path(path_type=Path), help="A trained model in the teacher's place; model.file.")
@click.option("--weights", type=click.Path(path_type=Path), help="The .h5 beside a Keras .json; model.weights.")
@click.option("--precision", type=click.Path(path_type=Path), help="Its hls4ml-style precisions; model.precision.")
@click.option("--data", help="Samples with labels; data.source.")
@JOBS
def run_command(
    config: Path | None,
    out: Path | None,
    settings: tuple[str, ...],
    until: str,
    model: Path | None,
    weights: Path | None,
    precision: Path | None,
    data: str | None,
    jobs: int,
) -> None:
    """Carry CONFIG from data to the report, skipping what is already done.

    With --model and --data no CONFIG is needed: the run has the model file's name, and defaults.
    """
    from gatewright.config import load_config, model_config, shortcut

    given = shortcut(model=model, weights=weights, precision=precision, data=data)
    if config is not None:
        _run(load_config(config, settings, given), out, until, jobs)
    elif model is not None and data is not None:
        _run(model_config(model, settings, given), out, until, jobs)
    else:
        raise ConfigError("run needs a configuration, CONFIG.toml, or --model FILE with --data SAMPLES")


def _stage_command(name: str, stage: str, text: str) -> None:
    @main.command(name, help=f"{text} Runs what it needs before, skips what is done.")
    @_options
    def command(config: Path, out: Path | None, settings: tuple[str, ...], jobs: int) -> None:
        from gatewright.config import load_config

        loaded = load_config(config, settings)
        folder = out or Path("runs") / loaded.name
        _run(loaded, folder, stage, jobs)
        if stage == "data":
            from gatewright.data import Dataset
            from gatewright.data.summary import summary_text

            click.echo(summary_text(Dataset.load(folder / "data")))

    del command


for _name, (_stage, _text) in STAGE_COMMANDS.items():
    _stage_command(_name, _stage, _text)


@main.command()
@click.argument("program", type=click.Path(path_type=Path))
@part_option("part_name")
@click.option("--clock-mhz", default=200.0, show_default=True, help="Clock; 0: the fastest within the limits.")
@click.option("--max-latency-cycles", default=0, help="Limit of the latency in cycles; 0: none.")
@click.option("--max-latency-ns", default=0.0, help="Limit of the latency in ns; 0: none.")
@click.option("--reuse-factor", default="1", metavar="R[,R...]", help="Weights per multiplier, 1: unrolled; per layer.")
@click.option("--multiplier", type=click.Choice(["auto", "dsp", "lut"]), default="auto", help="Of folded layers.")
@click.option("--truth-tables", type=click.Choice(["auto", "never"]), default="auto", help="Or sums, never tables.")
@click.option("--boundaries", type=click.Choice(["rigid", "elastic"]), default="rigid", help="Between layers.")
@click.option("--stream", is_flag=True, help="Units on streams, of images and signals.")
@click.option("--pixels-per-beat", default=1, show_default=True, help="Of a stream: positions that come at a time.")
@click.option("--interval", default="0", metavar="N|fit", help="Cycles of a frame; 0: its beats; fit: what fits PART.")
@click.option("--frames-per-second", default=0.0, help="Says the interval by the clock.")
@click.option("--engine", type=click.Choice(["auto", "parallel", "folded"]), default="auto", help="Of convolutions.")
def estimate(
    program: Path,
    part_name: str,
    clock_mhz: float,
    max_latency_cycles: int,
    max_latency_ns: float,
    reuse_factor: str,
    multiplier: Multiplier,
    truth_tables: str,
    boundaries: str,
    stream: bool,
    pixels_per_beat: int,
    interval: str,
    frames_per_second: float,
    engine: str,
) -> None:
    """Resources and latency of PROGRAM (a program.txt or a run directory) without synthesis."""
    from gatewright.flow.estimate import estimate_program

    figures = estimate_program(
        program_file(program),
        warn=_warn,
        part=part_name,
        clock_mhz=clock_mhz,
        max_latency_cycles=max_latency_cycles,
        max_latency_ns=max_latency_ns,
        reuse_factor=_reuse(reuse_factor),
        multiplier=multiplier,
        truth_tables=truth_tables,
        boundaries=boundaries,
        pixels_per_beat=pixels_per_beat,
        interval=int(interval) if interval.isdecimal() else interval,
        frames_per_second=frames_per_second,
        engine=engine,
        **({"architecture": "stream"} if stream else {}),
    )
    for key, value in figures.items():
        click.echo(f"{key:<18} {f'{value[0]} to {value[1]}' if isinstance(value, tuple) else value}")


@main.command()
@click.argument("program", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Build directory [default: builds/NAME]")
@click.option("--codes", type=click.Path(path_type=Path), help="Input integers to simulate, .npy (n, inputs).")
@set_option("A setting of hardware, synthesis or simulation.")
@JOBS
def build(program: Path, out: Path | None, codes: Path | None, settings: tuple[str, ...], jobs: int) -> None:
    """Compile PROGRAM (a program.txt, e.g. of an imported model), simulate it exactly, and synthesize it."""
    from gatewright.config import override
    from gatewright.flow.build import build_program

    tables: dict[str, Any] = {"hardware": {}, "synthesis": {}, "simulation": {}}
    for setting in settings:
        if setting.partition(".")[0] not in tables:
            raise ConfigError(
                f"--set takes a setting of {', '.join(tables)}, e.g. hardware.part=XC7A35T, not {setting!r}"
            )
        override(tables, setting)
    folder = out or Path("builds") / program.stem
    with Heard() as heard:
        results = build_program(program, folder, codes=read_codes(codes), jobs=jobs, notify=heard, warn=_warn, **tables)
    _echo_build(results)
    click.echo(f"{'build directory':<20} {folder}")


def _echo_build(results: dict[str, Any]) -> None:
    from gatewright.report.clocks import clock_text, source_text

    for key in ("part", "vectors", "mismatches", "latency_cycles", "initiation_interval"):
        click.echo(f"{key:<20} {results['hardware'][key]}")
    for family, counts in results["synthesis"].items():
        numbers = ", ".join(f"{name} {counts[name]:,}" for name in ("lut", "ff", "dsp", "bram", "sites"))
        own = results["hardware"].get("family", family)
        click.echo(f"{family:<20} {numbers}{'' if family == own else f' (of Verilog compiled for {own})'}")
        click.echo(f"{f'{family} clock':<20} {clock_text(counts)} ({source_text(counts)})".replace("\u202f", " "))


def _reuse(text: str) -> int | tuple[int, ...]:
    try:
        factors = [int(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(f"--reuse-factor must be a number or numbers with commas between, not {text!r}") from None
    return tuple(factors) if len(factors) > 1 else factors[0]


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Study's directory [default: studies/NAME]")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="Seeds 1 .. N.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Networks trained at once.")
@SET
def study(config: Path, out: Path | None, seeds: int, jobs: int, settings: tuple[str, ...]) -> None:
    """What pruning, quantization and distillation each add: alone, in pairs and together, over seeds.

    Trains the student of CONFIG eight ways per seed; writes study.md, study.json and study.svg. A study that was
    stopped goes on where it was.
    """
    from gatewright.config import load_config
    from gatewright.study import run_study

    loaded = load_config(config, settings)
    folder = out or Path("studies") / loaded.name

    def heard(cell: str, status: str) -> None:
        click.echo(f"[{cell}] {status}")

    run_study(loaded, folder, seeds=range(1, seeds + 1), jobs=jobs, notify=heard)
    click.echo((folder / "study.md").read_text())
    click.echo(f"study directory {folder}")


@main.command("anomaly")
@_options
@click.option("--normal", multiple=True, required=True, metavar="LABEL", help="A class that is normal; repeatable.")
@click.option("--false-alarms", type=float, metavar="SHARE", help="Output 1 or 0, by the threshold that gives them.")
@click.option(
    "--kind",
    type=click.Choice(["autoencoder", "vae", "isolation"]),
    help="[default: isolation with a table trees, else autoencoder]",
)
@click.option("--weighting", type=click.Choice(["laplace", "equal"]), help="Of an autoencoder [default: laplace]")
@click.option("--beta", type=float, help="Of a vae: the weight of the divergence in its training [default: 1]")
def anomaly_command(
    config: Path,
    out: Path | None,
    settings: tuple[str, ...],
    jobs: int,
    normal: tuple[str, ...],
    false_alarms: float | None,
    kind: Kind | None,
    weighting: Weighting | None,
    beta: float | None,
) -> None:
    """An autoencoder of CONFIG's normal samples, and hardware whose output is its anomaly score.

    Trains config.student to give back its inputs, as a variational autoencoder with --kind vae, or grows the
    isolation forest of the table [trees], compares every test
    sample through to the simulated Verilog, counts LUTs, and states the AUC against the other classes, beside scores
    that need no network, in anomaly.json and report.html.
    """
    from gatewright.config import load_config
    from gatewright.flow.anomaly import run_anomaly

    loaded = load_config(config, settings)
    folder = out or Path("runs") / loaded.name
    with Heard() as heard:
        results = run_anomaly(
            loaded,
            normal,
            folder,
            kind=kind,
            false_alarms=false_alarms,
            weighting=weighting,
            beta=beta,
            jobs=jobs,
            notify=heard,
            warn=_warn,
            progress=sys.stderr.isatty(),
        )
    low, high = results["interval"]
    click.echo(
        f"{'AUC':<20} {results['value']:.4f} (95 %: {low:.4f} to {high:.4f}), "
        f"{results['anomalies']:,} anomalies among {results['samples']:,} test samples"
    )
    for key, text in (("found", "anomalies found"), ("false_alarms", "false alarms")):
        if (decision := results["decision"]) is not None:
            low, high = decision[key]["interval"]
            click.echo(f"{text:<20} {decision[key]['value']:.2%} (95 %: {low:.2%} to {high:.2%})")
    if (front := results["front"]) is not None:
        for row in front["points"]:
            mark = ", chosen" if row["point"] == front["chosen"] else ""
            click.echo(f"{'point ' + str(row['point']):<20} AUC {row['auc']:.4f}, about {row['lut']:,} LUT{mark}")
    for name, other in results["baselines"].items():
        click.echo(f"{name:<28} AUC {other['value']:.4f}, no network")
    _echo_build(results)
    click.echo(f"{'directory':<20} {folder}")
    click.echo(f"{'report':<20} {folder / 'report.html'}")


@main.command()
def doctor() -> None:
    """Tools found, their versions, and what each missing one would enable."""
    from gatewright.synth import doctor as look
    from gatewright.synth import format_table

    click.echo(format_table(look()))


LOOKING = (parts_command, boards_command, schema_command)
HANDING = (lower_command, deploy_command, program_command, assess_command, hls_command, hls_check_command)
for _command in (init_command, predict_command, compare_command, *COMMANDS, *HANDING, search_command, *LOOKING):
    main.add_command(_command)


def _warn(text: str) -> None:
    click.echo(f"gatewright: warning: {text}", err=True)


def _run(config: Config, out: Path | None, until: str, jobs: int) -> None:
    from gatewright.flow.run import run

    with Heard() as heard:
        done = run(
            config,
            out or Path("runs") / config.name,
            until=until,
            jobs=jobs,
            progress=sys.stderr.isatty(),
            notify=heard,
            warn=_warn,
        )
    if done.results is not None:
        from gatewright.report.headline import headline

        click.echo(headline(done.results, done.path))
    if done.times:
        from gatewright.report.headline import times_line

        click.echo(times_line(done.times, done.ran))
