"""Stages that make a program of the table [trees]: a dataset in, grown trees (taught or not) and Program out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.config import Config, Trees
from gatewright.errors import ConfigError
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.flow.stages.output import output_stage
from gatewright.flow.stages.program import program_stage
from gatewright.tools import load_npy, package_version, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewright.data import Dataset
    from gatewright.graph import Graph
    from gatewright.graph.nodes import Floats

PACKAGES = {"scikit-learn": "scikit-learn", "xgboost": "xgboost-cpu"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TreesNetworks:
    """The stages teacher, student and program of decision trees; the teacher are the trees before they are rounded.

    before: the stages up to the teacher whose scores the trees learn, the last one of that name; () for none.
    """

    config: Config
    trees: Trees
    directory: RunDirectory
    before: tuple[Stage, ...]

    @staticmethod
    def of(config: Config, directory: RunDirectory, networks: Sequence[Stage]) -> TreesNetworks:
        """Return the stages of config.trees. networks: those of a network, whose teacher may teach the trees."""
        assert config.trees is not None, "asked of a configuration with trees only"
        end = 1 + [stage.name for stage in networks].index("teacher") if config.trees.teacher_weight else 0
        return TreesNetworks(config=config, trees=config.trees, directory=directory, before=tuple(networks[:end]))

    def stages(self) -> list[Stage]:
        """Return the stages in order; they read the stage data."""
        c = self.config
        grown = [c.trees and c.trees.model_dump(exclude={"leaf_bits"}), c.task, c.seed, c.class_weights]
        grown += [c.distill.temperature] if self.before else []
        packages = ("numpy", PACKAGES[self.trees.library])
        teacher = Stage(
            name="teacher",
            title="grow decision trees",
            run=self._grow,
            needs=("data",),
            settings=grown,
            packages=packages,
            check=self._check,
        )
        student = Stage(
            name="student",
            title="grow decision trees that the teacher teaches, and round their leaves"
            if self.before
            else "round the leaves of the trees",
            run=self._student,
            needs=("data", "teacher"),
            settings=[self.trees.leaf_bits, *(grown if self.before else [])],
            packages=packages if self.before else ("numpy",),
            check=self._check,
        )
        return [*(self.before or (teacher,)), student, program_stage(c, self.directory)]

    # ---- the steps, in the order in which they run

    def _grow(self, out: Path) -> None:
        from gatewright.graph import save_graph

        save_graph(grown_graph(self.config, self._data()), out / "graph.npz")

    def _student(self, out: Path) -> None:
        from gatewright.fit.tree_graphs import rounded
        from gatewright.graph import load_graph, save_graph

        data, teacher = self._data(), self.directory.folder("teacher")
        if self.before:
            graph = grown_graph(self.config, data, load_npy(teacher / "soft_targets.npy"))
        else:
            graph = load_graph(teacher / "graph.npz")
        graph = rounded(graph, data.format, self.trees.leaf_bits)
        save_graph(graph, out / "graph.npz")
        write_json(out / "trees.json", describe(self.trees))

    def _check(self) -> None:
        from gatewright.fit.trees import need_library

        need_library(self.trees)

    def _data(self) -> Dataset:
        from gatewright.data import Dataset

        data = Dataset.load(self.directory.folder("data"))
        output_stage(self.config).check_scores(len(data.classes) or (1 if data.y.ndim == 1 else data.y.shape[1]))
        return data


def grown_graph(config: Config, data: Dataset, soft: Floats | None = None) -> Graph:
    """Return the graph of the trees that [trees] asks for: real numbers, one score per class or one value per target.

    soft: the teacher's scores of all samples, (len(data.x), outputs).
    """
    from gatewright.export.vectors import class_scores
    from gatewright.fit.tree_graphs import sum_graph
    from gatewright.fit.trees import grow

    graph = sum_graph([_read(estimator) for estimator in grow(config, data, soft)])
    if config.task == "classification":
        graph = replace(class_scores(graph, len(data.classes)), classes=data.classes)
    return graph


def describe(trees: Trees) -> dict[str, Any]:
    """Return what results say of how the trees were grown, JSON-able."""
    return {
        "kind": trees.kind,
        "library": f"{trees.library} {package_version(PACKAGES[trees.library])}",
        "leaf_bits": trees.leaf_bits,
        "teacher_weight": trees.teacher_weight,
    }


def check_kind(config: Config) -> None:
    """Raise ConfigError for trees whose score `gatewright run` does not build."""
    if config.trees is not None and config.trees.kind == "isolation":
        raise ConfigError(
            'trees.kind "isolation" gives an anomaly score; run `gatewright anomaly CONFIG --normal CLASS`, or take '
            'kind "boosted", "forest" or "extra"'
        )


def _read(estimator: Any) -> Graph:
    """Return an estimator's trees; of XGBoost through the file that it writes."""
    from tempfile import TemporaryDirectory

    from gatewright.importers.trees import load_sklearn, load_xgboost

    if not type(estimator).__module__.startswith("xgboost"):
        return load_sklearn(estimator)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trees.json"
        estimator.get_booster().save_model(file)
        return load_xgboost(file)
