"""Commands on model files: import, inspect, profile, trace, quantize, verify. Each calls one function."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from gatewright.cli.given import read_samples
from gatewright.errors import ConfigError, DataError, ShapeError
from gatewright.words import PlainOutput

if TYPE_CHECKING:
    from gatewright.graph import Graph
    from gatewright.graph.nodes import Floats

MOST_LEAF_BITS = 24
MODEL = click.argument("model", type=click.Path(path_type=Path))
WEIGHTS = click.option("--weights", type=click.Path(path_type=Path), help="The .h5 beside a Keras .json.")
DATA = click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Samples: .npy, or .npz with an array x."
)
INPUT_FORMAT = click.option(
    "--input-format", default="", help="Of the samples, e.g. fixed<16,6>; default: the model's."
)
OUTPUT = click.option(
    "--output",
    type=click.Choice(get_args(PlainOutput)),
    default="scores",
    show_default=True,
    help="The program's result.",
)
OUTPUT_FORMAT = click.option(
    "--output-format",
    default="",
    help="Of a result that is a real number (a last sigmoid), or of probabilities [default: ufixed<8,0>].",
)
PRECISION = click.option(
    "--precision", type=click.Path(path_type=Path), help="hls4ml-style precisions to apply, .json or .toml."
)
SHAPE = click.option(
    "--shape", default="", help="Of a sample of a torch .pt, e.g. 3,32,32 [default: that of the data]."
)
PROGRAM = click.option("--program", type=click.Path(path_type=Path), help="Also write the exact integer program here.")


@click.command("import")
@MODEL
@WEIGHTS
@SHAPE
@click.option("--rules", type=click.Path(path_type=Path), help="What a Keras model's own layers compute, .json, .toml.")
@click.option(
    "--hgq2",
    type=click.Choice(["0.1", "0.2"]),
    help="Whose meaning an attention of HGQ2 has: 0.1 is up to 0.1.6 [default: 0.2].",
)
@click.option("--out", type=click.Path(path_type=Path), help="Save the graph here, e.g. model.npz.")
@PROGRAM
@INPUT_FORMAT
@OUTPUT
@OUTPUT_FORMAT
@PRECISION
@click.option("--leaf-bits", default=0, help="Round leaves of decision trees to so many bits [default: as they are].")
def import_command(
    model: Path,
    weights: Path | None,
    shape: str,
    rules: Path | None,
    hgq2: str | None,
    out: Path | None,
    program: Path | None,
    input_format: str,
    output: PlainOutput,
    output_format: str,
    precision: Path | None,
    leaf_bits: int,
) -> None:
    """Read MODEL (.keras, .h5, .json, .onnx, .pt, trees of XGBoost and LightGBM) and save a graph or a program."""
    from gatewright.graph import save_graph

    settings: dict[str, Any] = {} if hgq2 is None else {"hgq2": hgq2}
    if rules is not None:
        settings["rules"] = _rules(rules)
    graph = _load(model, weights, shape, **settings)
    if precision is not None:
        graph = _with_precision(graph, precision)
    graph = _with_leaf_bits(graph, leaf_bits)
    _summary(graph)
    if out is not None:
        save_graph(graph, out)
        click.echo(f"wrote {out}")
    if program is not None:
        _write_program(graph, None, program, input_format, output, output_format)


@click.command("inspect")
@MODEL
@WEIGHTS
@SHAPE
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write the rows here.")
def inspect_command(model: Path, weights: Path | None, shape: str, json_path: Path | None) -> None:
    """List MODEL's layers: shapes, parameters, formats, operations."""
    from gatewright.graph import format_rows, table
    from gatewright.tools import write_json

    rows = table(_load(model, weights, shape))
    click.echo(format_rows(rows))
    if json_path is not None:
        write_json(json_path, [asdict(row) for row in rows])


@click.command("profile")
@MODEL
@WEIGHTS
@DATA
@click.option("--snr-db", default=30.0, show_default=True, help="Signal to noise that the suggested widths keep.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw the ranges, .svg or .png.")
def profile_command(model: Path, weights: Path | None, data: Path, snr_db: float, plot: Path | None) -> None:
    """Show the range of each layer's weights and results on samples, beside its format, and suggest widths."""
    from gatewright.export import profile

    graph = _load(model, weights, data=data)
    click.echo(
        f"{'layer':<28}{'role':<9}{'least':>11}{'greatest':>11}{'1 %':>11}{'99 %':>11}{'format range':>24}{'bits':>6}"
    )
    rows = profile(graph, _samples(data, graph), snr_db=snr_db)
    for row in rows:
        fixed = "" if row.fixed_least is None else f"{row.fixed_least:.4g} .. {row.fixed_greatest:.4g}"
        numbers = "".join(f"{v:>11.4g}" for v in (row.least, row.greatest, row.percentile_1, row.percentile_99))
        click.echo(f"{row.layer:<28}{row.role:<9}{numbers}{fixed:>24}{row.suggested_bits or '> 24':>6}")
    if plot is not None:
        from gatewright.report.ranges import save_ranges

        save_ranges([asdict(row) for row in rows], plot)
        click.echo(f"wrote {plot}")


@click.command("trace")
@MODEL
@click.argument("other", type=click.Path(path_type=Path))
@DATA
def trace_command(model: Path, other: Path, data: Path) -> None:
    """Compare each layer's result in MODEL and OTHER (say, quantized) on samples, the worst first."""
    from gatewright.export import differences

    graph = _load(model, None, data=data)
    _differences(differences(graph, _load(other, None, data=data), _samples(data, graph)))


@click.command("quantize")
@MODEL
@WEIGHTS
@DATA
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Save the quantized graph here (.npz).")
@click.option("--weight-bits", default=8, show_default=True)
@click.option("--activation-bits", default=8, show_default=True)
@click.option("--table-bits", default=10, show_default=True, help="Input of sigmoid, tanh, gelu, ...")
@click.option("--state-bits", default=12, show_default=True, help="What recurrent cells carry from step to step.")
@click.option("--per-tensor", is_flag=True, help="One weight format per layer instead of one per channel.")
@click.option("--bias-correction", is_flag=True, help="Take the mean error off each layer's bias.")
@PRECISION
@PROGRAM
@INPUT_FORMAT
@OUTPUT
@OUTPUT_FORMAT
def quantize_command(
    model: Path,
    weights: Path | None,
    data: Path,
    out: Path,
    weight_bits: int,
    activation_bits: int,
    table_bits: int,
    state_bits: int,
    per_tensor: bool,
    bias_correction: bool,
    precision: Path | None,
    program: Path | None,
    input_format: str,
    output: PlainOutput,
    output_format: str,
) -> None:
    """Quantize a float MODEL after training: formats are calibrated on samples, nothing is trained.

    Layers that --precision names keep its formats; the rest is calibrated.
    """
    from gatewright.export import Calibration, calibrate, differences
    from gatewright.fixedpoint import Fixed
    from gatewright.graph import save_graph

    graph = _load(model, weights, data=data)
    if precision is not None:
        graph = _with_precision(graph, precision)
    x = _samples(data, graph)
    settings = Calibration(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        table_bits=table_bits,
        state_bits=state_bits,
        per_channel=not per_tensor,
        bias_correction=bias_correction,
        input_format=Fixed.parse(input_format) if input_format else None,
    )
    quantized = calibrate(graph, x, settings)
    _differences(differences(graph, quantized, x))
    save_graph(quantized, out)
    click.echo(f"wrote {out}")
    if program is not None:
        _write_program(quantized, x, program, "", output, output_format)


@click.command("verify")
@MODEL
@WEIGHTS
@SHAPE
@click.option(
    "--against",
    type=click.Choice(["onnxruntime", "qonnx", "keras", "torch", "xgboost", "lightgbm"]),
    help="The reference [default: what MODEL is].",
)
@click.option("--data", type=click.Path(path_type=Path), help="Samples, .npy or .npz with x [default: random].")
@click.option("--samples", default=1000, show_default=True, help="How many random ones, without --data.")
@click.option("--input-format", default="", help="Round the samples to it first, e.g. fixed<16,6>.")
@click.option("--tolerance", default=1e-5, show_default=True, help="Of real numbers, relative to the greatest.")
@click.option(
    "--python", help="Interpreter that has the reference [default: GATEWRIGHT_REFERENCE_PYTHON, or this one]."
)
def verify_command(
    model: Path,
    weights: Path | None,
    shape: str,
    against: str | None,
    data: Path | None,
    samples: int,
    input_format: str,
    tolerance: float,
    python: str | None,
) -> None:
    """Compare MODEL with its own framework: quantized values exactly, real numbers within a tolerance."""
    from gatewright.fixedpoint import Fixed
    from gatewright.importers.verify import verify_model
    from gatewright.tools import progress_bar

    graph = _load(model, weights, shape, data)
    x = None if data is None else _samples(data, graph)
    with progress_bar(total=samples if x is None else len(x), unit="sample", disable=None, leave=False) as bar:
        done = verify_model(
            model,
            x,
            against=against,
            weights=weights,
            input_format=Fixed.parse(input_format) if input_format else None,
            tolerance=tolerance,
            samples=samples,
            python=python,
            graph=graph,
            progress=bar.update,
        )
    click.echo(f"data: {done.data}")
    click.echo(f"{'node':<40}{'compared':<18}{'samples ==':>14}{'max difference':>16}{'greatest':>12}")
    for row in done.rows:
        how = "==" if row.exact else f"within {tolerance:g}"
        equal = f"{row.equal} of {row.samples}"
        click.echo(f"{row.node:<40}{how:<18}{equal:>14}{row.max_difference:>16.3g}{row.largest:>12.4g}")
    click.echo(f"program: {done.program}")
    click.echo(f"{done.model} agrees with {done.against}")


COMMANDS = (import_command, inspect_command, profile_command, trace_command, quantize_command, verify_command)


def _load(path: Path, weights: Path | None, shape: str = "", data: Path | None = None, **settings: Any) -> Graph:
    """Read a model; what its input's shape is where neither it nor `shape` says so, the samples in `data` do."""
    from gatewright.importers import load_model

    if shape and not re.fullmatch(r"\d+([,x]\d+)*", shape):
        raise DataError(f"--shape must be sizes such as 3,32,32, not {shape!r}")
    sizes = tuple(int(size) for size in re.split("[,x]", shape)) if shape else None
    try:
        return load_model(path, weights=weights, example_input=sizes, **settings)
    except ShapeError:
        if data is None:
            raise
    return load_model(path, weights=weights, example_input=read_samples(data).shape[1:])


def _rules(path: Path) -> dict[str, Any]:
    from gatewright.importers.given import read_object

    return read_object(path, what="rules", form='{"Layer": {"equation": "bnc,en->bec", "weight": "w"}}')


def _with_precision(graph: Graph, path: Path) -> Graph:
    from gatewright.importers.precision import apply_precision, read_precision

    return apply_precision(graph, read_precision(path))


def _with_leaf_bits(graph: Graph, bits: int) -> Graph:
    """Return the graph with leaves of so many bits; as it is where that is 0."""
    from gatewright.graph.nodes import Trees
    from gatewright.graph.trees import with_leaf_bits

    trees = [node.name for node in graph.nodes if isinstance(node, Trees)]
    if bits and not (trees and 1 <= bits <= MOST_LEAF_BITS):
        what = f"must be 1..{MOST_LEAF_BITS}, not {bits}" if trees else "is for decision trees, of which there are none"
        raise ConfigError(f"--leaf-bits {what}")
    nodes = (with_leaf_bits(node, bits) if bits and isinstance(node, Trees) else node for node in graph.nodes)
    return replace(graph, nodes=tuple(nodes))


def _samples(path: Path, graph: Graph) -> Floats:
    """Return the file's samples in the graph's input shape. (n, *shape)."""
    import numpy as np

    from gatewright.graph import shapes

    x = read_samples(path)
    shape = shapes(graph)[graph.nodes[0].name]
    if not np.issubdtype(x.dtype, np.number) or x.ndim < 2 or int(np.prod(x.shape[1:])) != int(np.prod(shape)):
        raise DataError(f"{path}: samples must be numbers (n, {', '.join(map(str, shape))}), not {x.dtype} {x.shape}")
    return x.reshape(len(x), *shape).astype(np.float64)


def _summary(graph: Graph) -> None:
    from gatewright.graph import table
    from gatewright.graph.table import total

    rows = table(graph)
    sums = total(rows)
    counts = f"{len(rows)} nodes, {sums.parameters:,} parameters, {sums.operations:,} multiply-accumulates"
    click.echo(f"{graph.name}: {graph.format or 'graph'}, {counts}")
    click.echo(f"{rows[0].shape} -> {next(r.shape for r in rows if r.layer == graph.output)}")
    for note in graph.notes:
        click.echo(f"note: {note}")


def _differences(rows: list[Any]) -> None:
    click.echo(f"{'layer':<28}{'op':<12}{'SNR dB':>9}{'max error':>12}{'mean error':>12}{'worst sample':>14}")
    for row in rows:
        errors = f"{row.max_error:>12.4g}{row.mean_error:>12.4g}{row.worst_sample:>14}"
        click.echo(f"{row.layer:<28}{row.op:<12}{row.snr_db:>9.1f}{errors}")


def _write_program(
    graph: Graph, x: Floats | None, path: Path, input_format: str, output: PlainOutput, output_format: str
) -> None:
    import numpy as np

    from gatewright.export import check_graph_export, export_graph
    from gatewright.export.builder import legal
    from gatewright.export.vectors import flat_input
    from gatewright.fixedpoint import Fixed
    from gatewright.graph import shapes, simplify
    from gatewright.ir import save_program

    graph = flat_input(simplify(graph))  # as a run reads it: hardware takes vectors
    shape = shapes(graph)[graph.nodes[0].name]
    x = np.random.default_rng(0).normal(0, 1, (64, *shape)) if x is None else x.reshape(len(x), *shape)
    fixed = Fixed.parse(input_format) if input_format else None
    exported = export_graph(
        graph,
        name=legal(graph.name or "model"),
        input_format=fixed,
        output=output,
        output_format=Fixed.parse(output_format) if output_format else None,
    )
    compared = check_graph_export(exported, x)
    save_program(exported.program, path)
    scale = (
        ""
        if exported.output_scale.size == 1 and float(exported.output_scale) == 1
        else f", scores x {exported.output_scale}"
    )
    for note in exported.notes[len(graph.notes) :]:
        click.echo(f"note: {note}")
    click.echo(f"wrote {path}: {len(exported.program.ops)} ops, equal to the model on {compared} samples{scale}")
