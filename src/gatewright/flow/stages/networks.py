"""Stages that make networks and a program: a dataset in; teacher, student (or a front of students), Program out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config
from gatewright.errors import ConfigError
from gatewright.flow.lowering import cost_as_built, lowering_settings
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.tools import digest, write_json

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.data import Dataset
    from gatewright.fit import Network
    from gatewright.ir import OutputStage, Program


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNetworks:
    """Train a teacher, distil a student, export it. The stages teacher, (front,) student and program.

    start: makes the float network whose weights the student's training begins with, of what the stage model holds.
    """

    config: Config
    directory: RunDirectory
    part: Part
    progress: bool
    start: Callable[[Dataset], Network] | None = None

    def stages(self) -> list[Stage]:
        """Return the stages in order; they read the stage data."""
        c = self.config
        rest = [c.augment.model_dump(), c.task, c.seed, c.device]
        return [
            Stage(
                name="teacher",
                title="train the teacher",
                run=self._teacher,
                needs=("data",),
                settings=[c.teacher.model_dump(), pretrained_digest(c), *rest],
                packages=("torch", "numpy"),
            ),
            *self._student_stages(),
            Stage(
                name="program",
                title="export the integer program and compare it with the student",
                run=self._program,
                needs=("data", "student"),
                settings=[c.name, asdict(output_stage(c))],
                packages=("torch", "numpy"),
            ),
        ]

    def _student_stages(self) -> list[Stage]:
        c = self.config
        loss = [c.distill.model_dump(), c.augment.model_dump(), c.task, c.seed, c.device]
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

        data = self.training_data()
        trained = train_teacher(self.config, data, work=self.directory.work("teacher"), progress=self.progress)
        trained.network.save(out)
        write_json(out / "history.json", trained.history)
        np.save(out / "soft_targets.npy", teacher_outputs(trained.network, data))

    def _student_in_budget(self, out: Path) -> None:
        self._student(out, lambda network, data: self._cost(network, data)["lut"])

    def _student(self, out: Path, lut: Callable[[Network, Dataset], float] | None = None) -> None:
        from gatewright.fit import train_student

        data = self.training_data()
        trained = train_student(
            self.config,
            data,
            self._taught(),
            work=self.directory.work("student"),
            progress=self.progress,
            estimate=lut and (lambda network: lut(network, data)),
            start=self.start and self.start(data),
        )
        trained.network.save(out)
        write_json(out / "history.json", trained.history)

    def _tables(self, out: Path) -> None:
        from gatewright.fit import train_tables

        data = self.training_data()
        work = self.directory.work("student")
        trained = train_tables(self.config, data, self._taught(), work=work, progress=self.progress)
        trained.network.save(out)
        write_json(out / "history.json", trained.history)

    def _front(self, out: Path) -> None:
        from gatewright.fit import train_front

        data = self.training_data()
        soft = np.load(self.directory.folder("teacher") / "soft_targets.npy")
        front = train_front(
            self.config,
            data,
            soft,
            work=self.directory.work("front"),
            progress=self.progress,
            start=self.start and self.start(data),
        )
        rows: list[dict[str, float]] = []
        for index, point in enumerate(front.points):
            point.network.save(out / f"{index:03d}")
            rows.append({"point": index, **point.row, **self._cost(point.network, data)})
        write_json(out / "front.json", rows)
        write_json(out / "history.json", front.history)

    def _taught(self) -> Network | NDArray[np.float64]:
        """Return the teacher that was trained, or the scores of one that is no network of ours."""
        from gatewright.fit import Network

        folder = self.directory.folder("teacher")
        return Network.load(folder) if (folder / "network.json").is_file() else np.load(folder / "soft_targets.npy")

    def _cost(self, network: Network, data: Dataset) -> dict[str, float]:
        return estimated_cost(network, data, self.config, self.part)

    def _chosen(self, out: Path) -> None:
        from gatewright.fit import Network, choose

        front = self.directory.folder("front")
        rows = json.loads((front / "front.json").read_text())
        chosen = choose(rows, self.config)
        Network.load(front / f"{chosen:03d}").save(out)
        shutil.copyfile(front / "history.json", out / "history.json")
        write_json(out / "chosen.json", rows[chosen])

    def _program(self, out: Path) -> None:
        from gatewright.data import Dataset
        from gatewright.fit import Network, check_export, export_program
        from gatewright.ir import save_program

        data = Dataset.load(self.directory.folder("data"))
        network = Network.load(self.directory.folder("student"))
        program = export_program(network, name=self.config.name, data=data, output=output_stage(self.config))
        compared = check_export(network, program, data.x)
        save_program(program, out / "program.txt")
        write_json(out / "check.json", {"samples_compared": compared, "mismatches": 0})

    def training_data(self) -> Dataset:
        """Return the dataset, once output stage and tables suit its classes: no training for what cannot be built."""
        from gatewright.data import Dataset

        data = Dataset.load(self.directory.folder("data"))
        output_stage(self.config).check_scores(len(data.classes) or (1 if data.y.ndim == 1 else data.y.shape[1]))
        if self.config.student.precision == "tables":
            from gatewright.fit.modules.lut_neurons import check_shared

            check_shared(self.config.student.tables, len(data.classes))
        return data


def estimated_cost(network: Network, data: Dataset, config: Config, part: Part) -> dict[str, float]:
    """Return estimated lut, ff and latency_cycles of a quantized network as it would be built, with scores as output.

    Training samples are replayed through the lowered program.
    """
    from gatewright.fit import export_program

    return program_cost(export_program(network, name="student", data=data, output="scores"), data, config, part)


def program_cost(program: Program, data: Dataset, config: Config, part: Part) -> dict[str, float]:
    """Return estimated lut, ff and latency_cycles of a program as it would be built; see estimated_cost."""
    figures = cost_as_built(program, data.part("train")[0], config, part)
    return {"lut": figures.lut, "ff": figures.ff, "latency_cycles": figures.latency_cycles}


def pretrained_digest(config: Config) -> str | None:
    """Return what tells that the network a teacher starts from has changed; None without one."""
    if not config.teacher.pretrained:
        return None
    from gatewright.fit.training.teach import teacher_folder

    folder = teacher_folder(Path(config.teacher.pretrained))
    if not (folder / "network.json").is_file():
        raise ConfigError(
            f"teacher.pretrained must be a run directory or a folder with network.json and arrays.npz, not {folder}"
        )
    return digest(folder / "network.json", folder / "arrays.npz")


def output_stage(config: Config) -> OutputStage:
    """Return what leaves the chip, as [hardware] says."""
    from gatewright.ir import OutputStage

    h = config.hardware
    return OutputStage(
        kind=h.output,
        top_k=h.top_k,
        threshold=h.threshold,
        softmax=h.softmax,
        softmax_format=h.softmax_format,
        softmax_entries=h.softmax_entries,
    )
