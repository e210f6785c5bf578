"""One seed and one combination of ingredients in, one trained student and its figures out; the cells of the study."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.config import Config, Pruning
from gatewright.errors import ConfigError
from gatewright.flow.lowering import lowering_settings
from gatewright.flow.run import fingerprint
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.tools import digest, write_json

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.data import Dataset
    from gatewright.graph import Graph

INGREDIENTS = ("pruning", "quantization", "distillation")
BEYOND_TRAINING = {"name", "hardware", "simulation", "synthesis"}
Combination = tuple[str, ...]
COMBINATIONS: tuple[Combination, ...] = tuple(
    chosen for count in range(len(INGREDIENTS) + 1) for chosen in itertools.combinations(INGREDIENTS, count)
)


def check(config: Config) -> None:
    """Raise ConfigError where a configuration leaves nothing to compare."""
    student = config.student
    if student.precision != "fixed":
        raise ConfigError(
            f'a study needs student.precision = "fixed", not "{student.precision}": learnt widths, and truth tables, '
            "prune and quantize in one, so neither can be left out"
        )
    if student.pruning.budget_ebops or student.pruning.budget_lut:
        raise ConfigError("a study prunes networks without formats too, which have no budget; set student.sparsity")
    if student.sparsity == 0.0 and student.pruning.kind != "n_of_m":
        raise ConfigError("a study of pruning needs student.sparsity above 0, not 0")
    if config.model is not None:
        raise ConfigError("a study trains a teacher per seed; remove the table [model], or use `gatewright run`")
    if config.trees is not None:
        raise ConfigError("a study prunes and quantizes networks, no trees; take the table trees out")
    if config.teacher.pretrained:
        raise ConfigError("a study trains a teacher per seed: a pretrained one has seen other splits' test samples")
    if config.distill.weight == 0.0 and config.distill.hint_weight == 0.0:
        raise ConfigError("a study of distillation needs distill.weight above 0, not 0")


def of_seed(config: Config, seed: int) -> Config:
    """Return the configuration of one seed: it draws the initial weights, the order of samples, and the split."""
    return config.model_copy(
        update={"seed": seed, "data": config.data.model_copy(update={"split_seed": config.data.split_seed + seed - 1})}
    )


def with_ingredients(config: Config, chosen: Combination) -> Config:
    """Return the configuration without the ingredients that are not chosen; formats are left out in training."""
    student, distill = config.student, config.distill
    if "pruning" not in chosen:
        student = student.model_copy(update={"sparsity": 0.0, "pruning": Pruning()})
    if "quantization" not in chosen:
        student = student.model_copy(update={"activation": "relu"})
    if "distillation" not in chosen:
        distill = distill.model_copy(update={"weight": 0.0, "hint_weight": 0.0})
    return config.model_copy(update={"student": student, "distill": distill})


def name_of(chosen: Combination) -> str:
    """Return a combination's name: its ingredients, or "none"."""
    return "-".join(chosen) or "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """The stages of one seed: data, teacher, and one per combination. They hold results.json, networks, history."""

    config: Config
    seed: int
    directory: RunDirectory
    part: Part

    @property
    def _mine(self) -> Config:
        return of_seed(self.config, self.seed)

    def name(self, part: str) -> str:
        """Return the folder of a part of this seed."""
        return f"seed{self.seed}/{part}"

    def base_stages(self) -> list[Stage]:
        """Return the stages that all combinations read."""
        c = self._mine
        return [
            Stage(
                name=self.name("data"),
                title="read, split and condition the data",
                run=self._data,
                settings=[c.data.model_dump(), fingerprint(c.data.source), fingerprint(c.data.labels), c.task],
                packages=("numpy", "scikit-learn", "pandas", "pillow"),
            ),
            Stage(
                name=self.name("teacher"),
                title="train the teacher",
                run=self._teacher,
                needs=(self.name("data"),),
                settings=c.model_dump(exclude={*BEYOND_TRAINING, "student", "distill"}),
                packages=("torch", "numpy"),
            ),
        ]

    def stage(self, chosen: Combination) -> Stage:
        """Return the stage of one combination."""
        c = with_ingredients(self._mine, chosen)
        return Stage(
            name=self.name(name_of(chosen)),
            title=f"train with {' + '.join(chosen) or 'none of them'}",
            run=lambda out: self._student(chosen, out),
            needs=(self.name("data"), self.name("teacher")),
            settings=[
                c.model_dump(exclude=BEYOND_TRAINING),
                "quantization" in chosen,
                *lowering_settings(c, self.part),
            ],
            packages=("torch", "numpy"),
        )

    def results(self, part: str) -> dict[str, Any]:
        """Return the figures of a finished stage."""
        return json.loads((self.directory.folder(self.name(part)) / "results.json").read_text())

    def _load(self) -> Dataset:
        from gatewright.data import Dataset

        return Dataset.load(self.directory.folder(self.name("data")))

    def _data(self, out: Path) -> None:
        from gatewright.data import load_dataset

        data = load_dataset(self._mine)
        data.save(out)
        counts = {name: len(data.part(name)[0]) for name in ("train", "validation", "test")}
        write_json(out / "results.json", {"samples": counts, "split": digest(data.split.tobytes())})

    def _teacher(self, out: Path) -> None:
        from gatewright.fit import train_teacher
        from gatewright.graph import save_graph

        data = self._load()
        trained = train_teacher(self._mine, data, work=self.directory.work(self.name("teacher")))
        save_graph(trained.network, out / "graph.npz")
        write_json(out / "history.json", trained.history)
        write_json(out / "results.json", _figures(trained.network, data))

    def _student(self, chosen: Combination, out: Path) -> None:
        from gatewright.export import check_graph_export, export_graph
        from gatewright.export.vectors import samples
        from gatewright.fit import train_student
        from gatewright.flow.stages.networks import program_cost
        from gatewright.graph import load_graph, save_graph
        from gatewright.graph.figures import ebops

        data = self._load()
        config, work = with_ingredients(self._mine, chosen), self.directory.work(self.name(name_of(chosen)))
        teacher = load_graph(self.directory.folder(self.name("teacher")) / "graph.npz")
        quantize = "quantization" in chosen
        trained = train_student(config, data, teacher, work=work, quantize=quantize)
        found = _figures(trained.network, data)
        if quantize:
            made = export_graph(trained.network, name="cell")
            tested = samples(trained.network, data.part("test")[0])
            found["samples_compared"] = check_graph_export(made, tested)
            cost = program_cost(made.program, data, config, self.part)
            found |= {"ebops": ebops(trained.network), **cost}
        save_graph(trained.network, out / "graph.npz")
        write_json(out / "history.json", trained.history)
        write_json(out / "results.json", found)


def _figures(network: Graph, data: Dataset) -> dict[str, Any]:
    """Return the figures of a network; the test split is read here, once per cell, and chooses nothing."""
    from gatewright.fit.scores.metrics import metrics
    from gatewright.graph.figures import figures

    tested, held = metrics(network, data), figures(network)
    return {
        "metric": tested["metric"],
        "test": tested["value"],
        "parameters": held.parameters,
        "nonzero": held.nonzero,
        "bits": held.nonzero_bits,
    }
