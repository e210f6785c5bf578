"""Stages that make networks and a program: a dataset in; teacher, student (or a front of students), Program out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config
from gatewright.errors import ConfigError
from gatewright.flow.lowering import cost_as_built, lowering_settings
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.flow.stages.output import output_stage
from gatewright.flow.stages.program import program_stage
from gatewright.tools import digest, load_npy, need, write_array, write_json

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.data import Dataset
    from gatewright.graph import Graph
    from gatewright.ir import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNetworks:
    """Train a teacher, distil a student, export it. The stages teacher, (front,) student and program.

    start: makes the float network whose weights the student's training begins with, of what the stage model holds.
    """

    config: Config
    directory: RunDirectory
    part: Part
    progress: bool
    start: Callable[[], Graph] | None = None

    def stages(self) -> list[Stage]:
        """Return the stages in order; they read the stage data."""
        c = self.config
        rest = [c.augment.model_dump(), c.task, c.seed, c.device, c.class_weights]
        return [
            Stage(
                name="teacher",
                title="train the teacher",
                run=self._teacher,
                needs=("data",),
                settings=[c.teacher.model_dump(), pretrained_digest(c), *rest],
                packages=("torch", "numpy"),
                check=need_training,
            ),
            *self._student_stages(),
            program_stage(c, self.directory),
        ]

    def _student_stages(self) -> list[Stage]:
        c = self.config
        loss = [c.distill.model_dump(), c.augment.model_dump(), c.task, c.seed, c.device, c.class_weights]
        budget = lowering_settings(c, self.part) if c.student.pruning.budget_lut else []
        before = ("data", *(("model",) if self.start else ()), "teacher")
        if c.student.precision == "fixed":
            return [
                Stage(
                    name="student",
                    title="distil, prune and quantize the student",
                    run=self._student_in_budget if budget else self._student,
                    needs=before,
                    settings=[c.student.model_dump(exclude={"precision", "learned", "tables"}), *loss, *budget],
                    packages=("torch", "numpy"),
                    check=need_training,
                )
            ]
        if c.student.precision == "tables":
            return [
                Stage(
                    name="student",
                    title="distil a student of truth tables",
                    run=self._tables,
                    needs=before,
                    settings=[c.student.model_dump(exclude={"learned"}), *loss],
                    packages=("torch", "numpy"),
                    check=need_training,
                )
            ]
        return [
            Stage(
                name="front",
                title="distil a front of students with learnt widths",
                run=self._front,
                needs=before,
                settings=[
                    c.student.model_dump(exclude={"learned": {"point", "drop"}, "tables": True}),
                    *loss,
                    *lowering_settings(c, self.part),
                ],
                packages=("torch", "numpy"),
                check=need_training,
            ),
            Stage(
                name="student",
                title="choose a student of the front",
                run=self._chosen,
                needs=("front",),
                settings=[c.student.learned.point, c.student.learned.drop, c.task],
            ),
        ]

    # ---- the steps, in the order in which they run

    def _teacher(self, out: Path) -> None:
        from gatewright.fit import teacher_outputs, train_teacher
        from gatewright.graph import save_graph

        data = self.training_data()
        trained = train_teacher(self.config, data, work=self.directory.work("teacher"), progress=self.progress)
        save_graph(trained.network, out / "graph.npz")
        write_json(out / "history.json", trained.history)
        write_array(out / "soft_targets.npy", teacher_outputs(trained.network, data))

    def _student_in_budget(self, out: Path) -> None:
        self._student(out, lambda network, data: self._cost(network, data)["lut"])

    def _student(self, out: Path, lut: Callable[[Graph, Dataset], float] | None = None) -> None:
        from gatewright.fit import train_student
        from gatewright.graph import save_graph

        data = self.training_data()
        trained = train_student(
            self.config,
            data,
            self._taught(),
            work=self.directory.work("student"),
            progress=self.progress,
            estimate=lut and (lambda network: lut(network, data)),
            start=self.start and self.start(),
        )
        save_graph(trained.network, out / "graph.npz")
        write_json(out / "history.json", trained.history)

    def _tables(self, out: Path) -> None:
        from gatewright.fit import train_tables
        from gatewright.graph import save_graph

        data = self.training_data()
        work = self.directory.work("student")
        trained = train_tables(self.config, data, self._taught(), work=work, progress=self.progress)
        save_graph(trained.network, out / "graph.npz")
        write_json(out / "history.json", trained.history)

    def _front(self, out: Path) -> None:
        from gatewright.fit import train_front
        from gatewright.graph import save_graph

        data = self.training_data()
        soft = load_npy(self.directory.folder("teacher") / "soft_targets.npy")
        front = train_front(
            self.config,
            data,
            soft,
            work=self.directory.work("front"),
            progress=self.progress,
            start=self.start and self.start(),
        )
        rows: list[dict[str, float]] = []
        for index, point in enumerate(front.points):
            save_graph(point.network, out / f"{index:03d}" / "graph.npz")
            rows.append({"point": index, **point.row, **self._cost(point.network, data)})
        write_json(out / "front.json", rows)
        write_json(out / "history.json", front.history)

    def _taught(self) -> Graph | NDArray[np.float64]:
        """Return the teacher that was trained, or the scores of one that is no network of ours."""
        from gatewright.graph import load_graph

        folder = self.directory.folder("teacher")
        file = folder / "graph.npz"
        return load_graph(file) if file.is_file() else load_npy(folder / "soft_targets.npy")

    def _cost(self, network: Graph, data: Dataset) -> dict[str, float]:
        return estimated_cost(network, data, self.config, self.part)

    def _chosen(self, out: Path) -> None:
        from gatewright.fit.scores.pareto import choose

        front = self.directory.folder("front")
        rows = json.loads((front / "front.json").read_text())
        chosen = choose(rows, self.config)
        shutil.copyfile(front / f"{chosen:03d}" / "graph.npz", out / "graph.npz")
        shutil.copyfile(front / "history.json", out / "history.json")
        write_json(out / "chosen.json", rows[chosen])

    def training_data(self) -> Dataset:
        """Return the dataset, once output stage, layers and tables suit it: no training for what cannot be built."""
        from gatewright.data import Dataset
        from gatewright.fit.train import check_layers

        data = Dataset.load(self.directory.folder("data"))
        output_stage(self.config).check_scores(len(data.classes) or (1 if data.y.ndim == 1 else data.y.shape[1]))
        check_layers(self.config, data)
        if self.config.student.precision == "tables":
            from gatewright.fit.truth_tables import check_shared

            check_shared(self.config.student.tables, len(data.classes))
        return data


def need_training() -> None:
    """Raise MissingToolError where nothing can be trained."""
    need("torch", "training", "fit")


def estimated_cost(network: Graph, data: Dataset, config: Config, part: Part) -> dict[str, float]:
    """Return estimated lut, ff and latency_cycles of a quantized network as it would be built, with scores as output.

    Training samples are replayed through the lowered program.
    """
    from gatewright.export import export_graph

    return program_cost(export_graph(network, name="student").program, data, config, part)


def program_cost(program: Program, data: Dataset, config: Config, part: Part) -> dict[str, float]:
    """Return estimated lut, ff and latency_cycles of a program as it would be built; see estimated_cost."""
    figures = cost_as_built(program, data.part("train")[0], config, part)
    return {"lut": figures.lut, "ff": figures.ff, "latency_cycles": figures.latency_cycles}


def pretrained_digest(config: Config) -> str | None:
    """Return what tells that the network a teacher starts from has changed; None without one."""
    if not config.teacher.pretrained:
        return None
    from gatewright.fit.training.teach import teacher_file

    file = teacher_file(Path(config.teacher.pretrained))
    if not file.is_file():
        raise ConfigError(f"teacher.pretrained must be a run directory or a folder with graph.npz, not {file.parent}")
    return digest(file)
