"""The stage that makes the integer program: a student's graph and the data in; Program, and the proof on data, out."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from gatewright.config import Config
from gatewright.errors import ExportError
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.flow.stages.imported import Imported, exported
from gatewright.flow.stages.output import output_settings, output_stage
from gatewright.tools import write_json

if TYPE_CHECKING:
    from gatewright.data import Dataset
    from gatewright.export import Exported


def program_stage(config: Config, directory: RunDirectory, imported: Imported | None = None) -> Stage:
    """Return the stage program, which reads data and student; imported: the model that the student is, if one is."""

    def run(out: Path) -> None:
        _program(out, config, directory, imported)

    return Stage(
        name="program",
        title=f"export the integer program and compare it with the {'model' if imported else 'student'}",
        run=run,
        needs=("data", "student"),
        settings=[config.name, output_settings(config), *([imported.identity] if imported else [])],
        packages=("numpy",),
    )


def _program(out: Path, config: Config, directory: RunDirectory, imported: Imported | None) -> None:
    from gatewright.data import Dataset
    from gatewright.export import check_graph_export, export_graph
    from gatewright.export.vectors import samples
    from gatewright.graph import load_graph
    from gatewright.ir import save_program
    from gatewright.lower.passes.constants import constants_to_dense
    from gatewright.lower.passes.rounding import join_layers

    data = Dataset.load(directory.folder("data"))
    graph = load_graph(directory.folder("student") / "graph.npz")
    if imported is None:
        made = export_graph(graph, name=config.name, output=output_stage(config), precision=graph.precision)
    else:
        made = exported(graph, config, data.format, imported.road)
        _check_values(made, config)
    check_reads(made, data)
    compared = check_graph_export(made, samples(graph, data.x, data.format))
    save_program(constants_to_dense(join_layers(made.program)), out / "program.txt")
    write_json(out / "check.json", {"samples_compared": compared, "mismatches": 0})
    write_json(out / "export.json", {"output_scale": made.output_scale.ravel().tolist(), "notes": made.notes})


def check_reads(made: Exported, data: Dataset) -> None:
    """Raise ExportError for data of another format or of other features than those that the program reads."""
    read, source = made.program.input, data.format
    if read.format != source:
        raise ExportError(f"the network reads {read.format}, not {source}; train it on this dataset")
    if (features := prod(read.shape)) != data.x.shape[1]:
        raise ExportError(f"the network reads {features} features, not {data.x.shape[1]}; train it on this dataset")


def _check_values(made: Exported, config: Config) -> None:
    """Refuse a regression whose values need a function that is left to the host."""
    if config.task == "regression" and len(made.notes) > len(made.graph.notes):
        raise ExportError(
            f"{made.notes[-1]} A regression needs its values: set model.output_format, e.g. "
            '"fixed<12,4>", so that the function becomes a table on the chip'
        )
