"""All tables together: one frozen Config, with the rules that hold between tables."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, model_validator

from gatewright.chips import Family
from gatewright.config.data import Data, FrontEnd, Model
from gatewright.config.hardware import COMPARED, Hardware, Simulation, Synthesis
from gatewright.config.search import Search
from gatewright.config.section import Section, Seed, Weight
from gatewright.config.training import Augment, Distill, Network, Student, Teacher
from gatewright.config.trees import Trees


def _named(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"must be letters, digits and _ and begin with a letter, not {name!r}; e.g. {_like(name)!r}")
    return name


def _like(name: str) -> str:
    word = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:40]
    return word if word[:1].isalpha() else f"net_{word}".rstrip("_")[:40]


Device = Literal["cpu", "cuda", "auto"]
Name = Annotated[str, Field(max_length=40), AfterValidator(_named)]
MOST_WEIGHTS = 2**27  # of the hidden layers of one network: 2 GiB with what training keeps of each


class Config(Section):
    """A whole run.

    device: where networks are trained: "cpu"; "cuda", a GPU; "auto", a GPU where torch finds one. Everything after
    training is computed on the CPU.
    class_weights: what each sample's loss is multiplied by, in the training of teacher and student: "balanced" by
    samples / (classes * samples of its class), a table by its class's number, 1 where it has none.
    """

    name: Name
    task: Literal["classification", "regression"] = "classification"
    seed: Seed = 1
    device: Device = "cpu"
    class_weights: Literal["none", "balanced"] | dict[str, Weight] = "none"
    data: Data
    frontend: FrontEnd | None = None
    model: Model | None = None
    teacher: Teacher = Teacher()
    student: Student = Student()
    trees: Trees | None = None
    distill: Distill = Distill()
    augment: Augment = Augment()
    hardware: Hardware = Hardware()
    simulation: Simulation = Simulation()
    synthesis: Synthesis = Synthesis()
    search: Search = Search()

    @model_validator(mode="before")
    @classmethod
    def _regression(cls, raw: Any) -> Any:
        """Let what leaves the chip follow the task where nothing else was asked for: a regression has no argmax."""
        if not isinstance(raw, dict):
            return raw
        tables = cast("dict[str, Any]", raw)
        hardware = tables.get("hardware", {})
        if tables.get("task") != "regression" or not isinstance(hardware, dict):
            return tables
        return {**tables, "hardware": {"output": "scores", **cast("dict[str, Any]", hardware)}}

    @property
    def families(self) -> tuple[Family, ...]:
        """The families that are synthesized beside the part's own."""
        given = self.synthesis.families
        return given if given is not None else () if self.hardware.board else COMPARED

    @model_validator(mode="after")
    def _coherent(self) -> Config:
        if self.task == "regression" and self.hardware.output not in ("scores", "threshold"):
            raise ValueError(
                f'hardware.output must be "scores" or "threshold" for a regression, not "{self.hardware.output}"'
            )
        if self.task == "regression" and self.class_weights != "none":
            raise ValueError("class_weights are a classification's, a regression has no classes; leave them out")
        for who, network in (("teacher", self.teacher), ("student", self.student)):
            weights = sum(a * b for a, b in pairwise(network.hidden))
            if weights > MOST_WEIGHTS:
                raise ValueError(
                    f"{who}.hidden asks for {weights:,} weights between its layers, at most {MOST_WEIGHTS:,} can be "
                    "trained; take smaller layers"
                )
        if self.model is not None and self.teacher.pretrained:
            raise ValueError("model.file and teacher.pretrained both name the teacher; leave one out")
        if self.model is not None and self.distill.hint_weight:
            raise ValueError(
                "distill.hint_weight needs hidden layers that an imported model does not show; set it to 0"
            )
        if self.trees is not None:
            self._check_trees(self.trees)
        if self.distill.hint_weight:
            self._check_hints()
        if self.student.precision == "tables":
            self._check_tables()
        line = next((line for line in self.student.lines if line.kind not in ("dense", "residual")), None)
        if line is not None and self.hardware.architecture not in ("auto", "stream"):
            raise ValueError(
                f'student.layers {line.text!r} is built on streams of pixels; set hardware.architecture = "auto" or '
                f'"stream", not "{self.hardware.architecture}"'
            )
        factors, layers = self.hardware.reuse_factor, self.student.weighted + 1
        if isinstance(factors, tuple) and len(factors) != layers and self.model is None:
            raise ValueError(
                f"hardware.reuse_factor must be one number or {layers} numbers (one per dense layer), "
                f"not {len(factors)}"
            )
        if self.data.label_columns and self.task != "regression":
            raise ValueError('data.label_columns are the targets of task = "regression"; a class has one label_column')
        if self.data.test_fraction + self.data.validation_fraction >= 0.9:
            raise ValueError("data.test_fraction + data.validation_fraction must leave at least 10 % for training")
        return self

    def _check_trees(self, trees: Trees) -> None:
        if self.student != Student():
            raise ValueError("trees and student both say what becomes hardware; leave one of the tables out")
        if self.model is not None and not trees.teacher_weight:
            raise ValueError(
                "model.file teaches the trees with trees.teacher_weight above 0, not 0; set it, or take the table "
                "trees out to build the model itself"
            )
        if self.model is not None and self.model.quantize not in ("auto", "qat"):
            raise ValueError(
                f'model.quantize "{self.model.quantize}" builds the model itself, and trees take its place; leave one '
                "of the two out"
            )
        if self.distill.hint_weight:
            raise ValueError("distill.hint_weight needs hidden layers, which trees have not; set it to 0")
        if self.hardware.architecture not in ("parallel", "auto"):
            raise ValueError(
                'trees take a sample every cycle; set hardware.architecture = "parallel" or "auto", not '
                f'"{self.hardware.architecture}"'
            )
        if trees.kind == "isolation" and self.task == "regression":
            raise ValueError('trees.kind "isolation" gives an anomaly score, no regression; use "boosted" or a forest')

    @model_validator(mode="after")
    def _in_front(self) -> Config:
        if self.frontend is None:
            return self
        if self.data.scaling != "none":
            raise ValueError(
                f'[frontend] gives the network whole numbers; set data.scaling = "none", not "{self.data.scaling}"'
            )
        if self.hardware.framing == "packets":
            raise ValueError('[frontend] takes an endless stream; leave hardware.framing out, or set it to "none"')
        if self.hardware.pixels_per_beat != 1:
            raise ValueError(
                "[frontend] gives the network one sample a beat; set hardware.pixels_per_beat = 1, not "
                f"{self.hardware.pixels_per_beat}"
            )
        if self.data.trigger is not None and self.frontend.stride:
            raise ValueError("data.trigger says where windows begin, and so does frontend.stride; leave one out")
        return self

    def _check_hints(self) -> None:
        if self.student.precision != "fixed":
            raise ValueError(
                f'distill.hint_weight has no effect with student.precision "{self.student.precision}"; set it to 0'
            )
        hidden: list[tuple[str, int, Network]] = [("student", self.distill.hint_layers[1], self.student)]
        if not self.teacher.pretrained:
            hidden.append(("teacher", self.distill.hint_layers[0], self.teacher))
        for who, layer, network in hidden:
            count = network.weighted
            if not -count <= layer < count:
                raise ValueError(
                    f"distill.hint_layers must name hidden layers; the {who} has {count}, counted from 0, not {layer}"
                )
            line = [line for line in network.lines if line.weighted][layer]
            if line.kind != "dense":
                raise ValueError(
                    f"distill.hint_layers must name dense layers, not {line.text!r} of the {who}; set "
                    "distill.hint_weight = 0, or name another layer"
                )

    def _check_tables(self) -> None:
        if self.task != "classification":
            raise ValueError(
                f'student.precision "tables" counts tables for classes, it has no values for a {self.task}; '
                'use "fixed" or "learned"'
            )
        if self.hardware.architecture != "parallel":
            raise ValueError(
                'student.precision "tables" has no multipliers to share; set hardware.architecture = "parallel"'
            )
        if self.model is not None and self.model.start == "model":
            raise ValueError(
                'model.start "model" gives layers of weights, which student.precision "tables" has not; '
                'set model.start = "random"'
            )
