"""Table `compression`: fronts of learnt widths beside uniform 8-bit training with half of the weights pruned.

Every point is exported, compared with the network on the whole test split with ==, compiled for xc7 and counted by
yosys. The point that is set beside the 8-bit network is the smallest whose *validation* score is not below its; test
scores are shown and choose nothing.
"""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import datasets
from benchmarks.cells import count
from benchmarks.tables import BUILD, ROOT, machine, publish
from gatewright.config import Config, parse_config
from gatewright.data import Dataset, load_dataset
from gatewright.export import check_graph_export, export_graph
from gatewright.export.vectors import samples
from gatewright.fit import (
    metrics,
    teacher_outputs,
    train_front,
    train_student,
    train_teacher,
)
from gatewright.fit.scores.metrics import Merit, validation_merit
from gatewright.fit.scores.pareto import Point, thinned
from gatewright.graph import Graph
from gatewright.graph.figures import ebops, figures
from gatewright.graph.store import checksum
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.estimate import estimate
from gatewright.rtl.manifest import write_design
from gatewright.tools import write_json
from tests.lowering import lower_for

CLOCK_MHZ = 200.0
REPLAYED = 300
LARGEST_COUNTED = 32_000  # LUTs by our estimate, above which yosys takes more than minutes
POINTS = 8
NAMES = ("magic", "htru2", "cosmic", "clyc", "volcano", "mnist")

HEADS = ("data", "model", "validation", "loss", "test %", "interval", "nonzero", "EBOPs", "LUT", "by", "FF")
HEADS += ("cycles", "MHz", "ns", "ratio", "beside")
NOTES = (
    "validation: accuracy; loss: cross-entropy there, nats; it decides between points of equal accuracy.",
    "test %: with its 95 % Wilson interval. EBOPs: effective bit operations. LUT: LUT1..LUT6 and LUT6_2 cells, core",
    "only; by ~: our estimate, where yosys would take too long. cycles: stages for 200 MHz; MHz: that",
    "pipeline's fastest clock by our delay model, nothing is placed; ns: cycles at that clock.",
    "x8: the uniform 8-bit network, 50 % pruned by magnitude, same hidden layers, same teacher, no digits limit.",
    "ratio: its LUT / the LUT of the smallest point whose validation score is not below its.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One data set: what the configuration says of data, teacher, learnt student, and the 8-bit student's epochs."""

    data: dict[str, Any]
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    teacher: dict[str, Any]
    learned: dict[str, Any]
    epochs8: int = 60
    augment: dict[str, Any] = field(default_factory=dict[str, Any])

    def config(self, name: str, *, learned: bool) -> Config:
        """Return the run's configuration."""
        student: dict[str, Any] = {"hidden": self.hidden, "learning_rate": 0.005}
        if learned:
            student |= {"precision": "learned", "epochs": self.epochs, "batch_size": self.batch_size}
            student |= {"learned": {"overflow": "wrap", "points": 16, **self.learned}}
        else:
            student |= {"weight_bits": 8, "activation_bits": 8, "sparsity": 0.5}
            student |= {"epochs": self.epochs8, "batch_size": 256}
        return parse_config(
            {"name": name, "data": self.data, "teacher": self.teacher, "student": student, "augment": self.augment}
        )


def cases() -> dict[str, Case]:
    """Return the data sets of NAMES."""
    standard = {"scaling": "standard", "input_format": "fixed<10,4>"}
    return {
        "magic": Case(
            data={"source": str(datasets.path("magic04/magic04.data.xz")), "label_column": "class", **standard},
            hidden=(32, 24),
            epochs=2000,
            batch_size=2048,
            teacher={"hidden": [64, 64], "epochs": 40, "batch_size": 256},
            learned={"lut_end": 300},
        ),
        "htru2": Case(
            data={"source": str(datasets.path("htru2/HTRU_2.csv.xz")), "label_column": "y", **standard},
            hidden=(16, 8),
            epochs=2000,
            batch_size=2048,
            teacher={"hidden": [32, 32], "epochs": 40, "batch_size": 256},
            learned={},
        ),
        "cosmic": Case(
            data={"source": "generator:cosmic", "input_format": "ufixed<8,8>", "generator": {"count": 20000}},
            hidden=(16, 8),
            epochs=2000,
            batch_size=1024,
            teacher={"hidden": [72, 92, 50, 50], "epochs": 30, "weight_decay": 0.01},
            learned={"lut_end": 300},
        ),
        "clyc": Case(
            data={"source": "generator:clyc", "input_format": "ufixed<10,10>"},
            hidden=(12, 6),
            epochs=2000,
            batch_size=1024,
            teacher={"hidden": [12, 10], "epochs": 60, "weight_decay": 0.01},
            learned={},
        ),
        "volcano": Case(
            data={
                "source": "python:benchmarks.datasets:volcano",
                "scaling": "standard",
                "input_format": "fixed<8,4>",
            },
            hidden=(16, 8),
            epochs=3000,
            batch_size=256,
            teacher={"hidden": [48, 32], "epochs": 40, "batch_size": 128},
            learned={},
        ),
        "mnist": Case(
            data={"source": "python:benchmarks.datasets:mnist", "input_format": "ufixed<8,8>"},
            hidden=(64, 32),
            epochs=120,
            batch_size=256,
            teacher={"hidden": [512, 256], "epochs": 30, "batch_size": 256, "learning_rate": 0.001, "dropout": 0.1},
            learned={"points": 20, "lut_start": 80_000, "lut_end": 3_000, "warm_up": 0.05, "width_rate": 2.0},
            epochs8=20,
            augment={"shift": 1},
        ),
    }


def run() -> None:
    """Measure the data sets that have no result under build/bench/compression yet; print the table of all."""
    for name in cases():
        if not _result(name).is_file():
            measure(name)
    _publish()


def run_one(name: str) -> None:
    """Measure one data set anew and print the table of all that have a result."""
    measure(name)
    _publish()


def measure(name: str) -> None:
    """Train, export, compile and count one data set's networks; write the rows with the commit they were measured at.

    Training resumes from build/bench/compression/NAME where settings and data are the same.
    """
    case, folder = cases()[name], BUILD / "compression" / name
    config = case.config(name, learned=True)
    data = load_dataset(config)
    start = time.process_time()
    teacher = train_teacher(config, data, work=folder).network
    soft = teacher_outputs(teacher, data)
    taught = time.process_time()
    points = train_front(config, data, soft, work=folder).points
    learnt = time.process_time()
    uniform = train_student(case.config(name, learned=False), data, soft, work=folder / "uniform").network
    asked = validation_merit(uniform, data)
    equal = next((point for point in points if point.score >= asked.score), None)  # the smallest: costs rise
    rows = [_row(name, "teacher", teacher, data, None, folder)]
    for index, point in enumerate(_shown(points, equal)):
        rows.append(_row(name, f"point {index}", point.network, data, point.merit, folder))
        if point is equal:
            beside = rows[-1]
    rows.append(_row(name, "x8", uniform, data, asked, folder))
    if equal is not None:
        rows[-1] |= {"ratio": round(rows[-1]["LUT"] / beside["LUT"], 1), "beside": beside["model"]}
    seconds = {"teacher_s": round(taught - start), "front_s": round(learnt - taught)}
    write_json(_result(name), {"rows": rows, "commit": _commit(), **seconds, **machine()})


def _shown(points: Sequence[Point], equal: Point | None) -> list[Point]:
    """Return at most POINTS of a front, among them `equal`."""
    kept = list(thinned(points, POINTS))
    if equal is not None and equal not in kept:
        nearest = min(kept[1:-1], key=lambda point: abs(math.log(point.cost / equal.cost)))
        kept[kept.index(nearest)] = equal
    return kept


def _result(name: str) -> Path:
    return BUILD / "compression" / f"{name}.json"


def _publish() -> None:
    """Print the rows of every data set that has a result, and write them as one table."""
    rows: list[dict[str, Any]] = []
    for name in cases():
        if not _result(name).is_file():
            print(f"{name}: not measured here; python -m benchmarks compression:{name}")
            continue
        found = json.loads(_result(name).read_text())
        rows += [{head: row[head] for head in HEADS if head in row} for row in found["rows"]]
        print(
            f"{name}: commit {found['commit']}, {found['date']}; CPU seconds of the teacher {found['teacher_s']}, of "
            f"the front {found['front_s']} (what was resumed counts nothing)"
        )
    publish("compression", "compression: learnt widths beside uniform 8 bit, 50 % pruned", rows, NOTES)


def _commit() -> str:
    """Return the checkout's commit, with + where files differ from it."""
    argv = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    found = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _row(
    name: str, model: str, network: Graph, data: Dataset, validation: Merit | None, folder: Path
) -> dict[str, Any]:
    return {"data": name, **measured(model, network, data, validation, folder)}


def measured(
    model: str,
    network: Graph,
    data: Dataset,
    validation: Merit | None,
    folder: Path,
    *,
    largest: float = LARGEST_COUNTED,
) -> dict[str, Any]:
    """Return a network's row: its figures on the test split and, where it has a validation score, of its circuit.

    yosys counts circuits of up to `largest` estimated LUTs.
    """
    tested = metrics(network, data)
    low, high = tested["interval"]
    row: dict[str, Any] = {
        "model": model,
        "validation": "" if validation is None else round(validation.score, 4),
        "loss": "" if validation is None else round(validation.loss, 3),
        "test %": round(100 * tested["value"], 2),
        "interval": f"{100 * low:.2f}..{100 * high:.2f}",
        "nonzero": figures(network).nonzero,
    }
    if validation is None:
        return row
    made = export_graph(network, name="core", output="argmax")
    check_graph_export(made, samples(network, data.part("test")[0]))
    lowered = lower_for(made.program, data.part("train")[0][:REPLAYED], family="xc7", clock_mhz=CLOCK_MHZ)
    cost = estimate(lowered)
    lut, ff, mark = cost.lut, cost.ff, "~"
    if cost.lut <= largest:
        lut, ff, mark = *_count(lowered, network, folder / model.replace(" ", "_")), ""
    return row | {
        "EBOPs": ebops(network),
        "LUT": lut,
        "FF": ff,
        "by": mark or "yosys",
        "cycles": cost.latency_cycles,
        "MHz": cost.fmax_mhz,
        "ns": round(1000 * cost.latency_cycles / cost.fmax_mhz, 1),
    }


def _count(lowered: Dataflow, network: Graph, folder: Path) -> tuple[int, int]:
    manifest = write_design(lowered, program_hash=checksum(network), stream_bits=0, folder=folder / "rtl")
    cells = count(tuple(manifest.sources(folder / "rtl")), top=manifest.core, family="xc7", out=folder)
    return cells.lut, cells.ff
