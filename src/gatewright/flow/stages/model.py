"""Stages that make a program of an imported model: by its own quantizers, by calibrated ones, or by a student of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config
from gatewright.errors import ConfigError
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.flow.stages.imported import Imported, fitted, quantized, read_model
from gatewright.flow.stages.networks import TrainedNetworks
from gatewright.flow.stages.output import output_stage
from gatewright.flow.stages.program import program_stage
from gatewright.flow.steps import step_digest
from gatewright.tools import write_array, write_json

if TYPE_CHECKING:
    from gatewright.data import Dataset
    from gatewright.export.profile import Spread
    from gatewright.graph import Graph

PROFILED = 512  # training samples that the profile of ranges is taken of
TITLES = {
    "exact": "take the model's own quantizers",
    "post-training": "quantize the model after training",
    "qat": "let the model teach",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNetworks:
    """The stages model, student and program of an imported model; with "qat" also teacher, and front if learnt.

    trained: the stages that train a student of the model.
    """

    config: Config
    directory: RunDirectory
    imported: Imported
    trained: TrainedNetworks

    def stages(self) -> list[Stage]:
        """Return the stages in order; they read the stage data."""
        c, road = self.config, self.imported.road
        model = Stage(
            name="model",
            title=f"fit {self.imported.file} to the data",
            run=self._model,
            needs=("data",),
            settings=[self.imported.identity, c.task, step_digest(read_model)],  # which has run before any stage
            packages=("h5py", "onnx", "torch"),
        )
        if road == "qat":
            teacher = Stage(
                name="teacher",
                title=TITLES[road],
                run=self._teacher,
                needs=("data", "model"),
                packages=("numpy",),
            )
            start = self._start if self.imported.settings.start == "model" else None
            return [model, teacher, *replace(self.trained, start=start).stages()[1:]]
        student = Stage(
            name="student",
            title=TITLES[road],
            run=self._student,
            needs=("data", "model"),
            settings=[self.imported.identity, c.data.input_format],
            packages=("numpy",),
        )
        return [model, student, program_stage(c, self.directory, self.imported)]

    # ---- the steps, in the order in which they run

    def _model(self, out: Path) -> None:
        from gatewright.graph import save_graph

        data = self._data()
        graph = fitted(self.imported, data, self.config.task)
        output_stage(self.config).check_scores(len(data.classes) or (1 if data.y.ndim == 1 else data.y.shape[1]))
        save_graph(graph, out / "graph.npz")
        write_json(out / "model.json", origin(self.imported, graph))
        if self.imported.road == "qat":
            _write_profile(graph, data, out)

    def _teacher(self, out: Path) -> None:
        from gatewright.export.vectors import graph_outputs

        data = self._data()
        scores = graph_outputs(self._graph("model"), data.x, data.format)
        if not np.isfinite(scores).all():
            raise ConfigError(
                f"model {self.imported.file} gives {np.count_nonzero(~np.isfinite(scores))} scores that are not finite "
                "on this data; check model.inputs, input_scale and input_offset"
            )
        write_array(out / "soft_targets.npy", scores)

    def _start(self) -> Graph:
        return self._graph("model")

    def _student(self, out: Path) -> None:
        from gatewright.export.vectors import samples
        from gatewright.graph import save_graph

        data, graph = self._data(), self._graph("model")
        if self.imported.road == "post-training":
            x = samples(graph, data.part("train")[0], data.format)
            graph = quantized(graph, x, self.imported.settings, data.format)
        save_graph(graph, out / "graph.npz")
        _write_profile(graph, data, out)

    # ---- what several steps read

    def _data(self) -> Dataset:
        from gatewright.data import Dataset

        return Dataset.load(self.directory.folder("data"))

    def _graph(self, stage: str) -> Graph:
        from gatewright.graph import load_graph

        return load_graph(self.directory.folder(stage) / "graph.npz")


def origin(imported: Imported, graph: Graph) -> dict[str, Any]:
    """Return where a model came from, JSON-able: file, hash, format, framework, road, notes, layers."""
    from gatewright.graph.table import table

    read = imported.graph
    rows = table(graph)
    return {
        "file": imported.file,
        "sha256": imported.sha256,
        **({"weights_sha256": imported.weights_sha256} if imported.weights_sha256 else {}),
        "format": read.format or "graph",
        "framework": str((read.metadata or {}).get("producer", "")),
        "quantize": imported.road,
        "start": imported.settings.start if imported.road == "qat" and imported.settings.start != "auto" else "",
        "notes": list(graph.notes),
        "layers": [
            {
                "name": row.layer,
                "op": row.op,
                "shape": list(row.shape),
                "parameters": row.parameters,
                "weight_format": row.weight_format,
                "result_format": row.result_format,
            }
            for row in rows
        ],
    }


def _write_profile(graph: Graph, data: Dataset, out: Path) -> None:
    from gatewright.export import profile
    from gatewright.export.vectors import samples

    x: NDArray[np.int64] = data.part("train")[0]
    rows: list[Spread] = profile(graph, samples(graph, x[:: max(1, len(x) // PROFILED)], data.format))
    write_json(out / "profile.json", [asdict(row) for row in rows])
