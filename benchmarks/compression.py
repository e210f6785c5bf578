"""Table `compression`: fronts of learnt widths beside uniform 8-bit training with half of the weights pruned.

Every point is exported, compared with the network on the whole test split with ==, compiled for xc7 and counted by
yosys. The point that is set beside the 8-bit network is the smallest whose *validation* score is not below its; test
scores are shown and choose nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import datasets
from benchmarks.cells import count
from benchmarks.tables import BUILD, publish
from gatewright.config import Config, parse_config
from gatewright.data import Dataset, load_dataset
from gatewright.fit import (
    Network,
    check_export,
    export_program,
    metrics,
    teacher_outputs,
    train_front,
    train_student,
    train_teacher,
)
from gatewright.lower.compile import Lowered, lower
from gatewright.lower.estimate import estimate
from gatewright.rtl.manifest import write_rtl

CLOCK_MHZ = 200.0
REPLAYED = 300
LARGEST_COUNTED = 20_000  # LUTs by our estimate, above which yosys takes too long
POINTS = 8

NOTES = (
    "test %: with its 95 % Wilson interval. EBOPs: effective bit operations. LUT: LUT1..LUT6 and LUT6_2 cells, core",
    "only; by ~: our estimate, where yosys would take too long. cycles, ns: at 200 MHz by our delay model, not placed.",
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

    def config(self, name: str, *, learned: bool) -> Config:
        """Return the run's configuration."""
        student: dict[str, Any] = {"hidden": self.hidden, "learning_rate": 0.005}
        if learned:
            student |= {"precision": "learned", "epochs": self.epochs, "batch_size": self.batch_size}
            student |= {"learned": {"overflow": "wrap", "points": 16, **self.learned}}
        else:
            student |= {"weight_bits": 8, "activation_bits": 8, "sparsity": 0.5}
            student |= {"epochs": self.epochs8, "batch_size": 256}
        return parse_config({"name": name, "data": self.data, "teacher": self.teacher, "student": student})


def cases() -> dict[str, Case]:
    """Return the six data sets."""
    standard = {"scaling": "standard", "input_format": "fixed<10,4>"}
    return {
        "magic": Case(
            data={"source": str(datasets.path("magic04/magic04.data.xz")), "label_column": "class", **standard},
            hidden=(32, 24),
            epochs=1000,
            batch_size=2048,
            teacher={"hidden": [64, 64], "epochs": 40, "batch_size": 256},
            learned={"cost_end": 3e-4},
        ),
        "htru2": Case(
            data={"source": str(datasets.path("htru2/HTRU_2.csv.xz")), "label_column": "y", **standard},
            hidden=(16, 8),
            epochs=600,
            batch_size=2048,
            teacher={"hidden": [32, 32], "epochs": 40, "batch_size": 256},
            learned={"cost_end": 3e-4},
        ),
        "cosmic": Case(
            data={"source": "generator:cosmic", "input_format": "ufixed<8,8>", "generator": {"count": 20000}},
            hidden=(16, 8),
            epochs=500,
            batch_size=1024,
            teacher={"hidden": [72, 92, 50, 50], "epochs": 30, "weight_decay": 0.01},
            learned={"cost_end": 1e-3},
        ),
        "clyc": Case(
            data={"source": "generator:clyc", "input_format": "ufixed<10,10>"},
            hidden=(12, 6),
            epochs=600,
            batch_size=1024,
            teacher={"hidden": [12, 10], "epochs": 60, "weight_decay": 0.01},
            learned={"cost_end": 1e-3},
        ),
        "volcano": Case(
            data={
                "source": "python:benchmarks.datasets:volcano",
                "scaling": "standard",
                "input_format": "fixed<8,4>",
            },
            hidden=(16, 8),
            epochs=800,
            batch_size=1024,
            teacher={"hidden": [48, 32], "epochs": 40, "batch_size": 128},
            learned={"cost_end": 1e-3},
        ),
        "mnist": Case(
            data={"source": "python:benchmarks.datasets:mnist", "input_format": "ufixed<8,8>"},
            hidden=(64, 32),
            epochs=150,
            batch_size=512,
            teacher={"hidden": [256, 128], "epochs": 12, "batch_size": 128, "dropout": 0.2},
            learned={"cost_start": 2e-6, "cost_end": 8e-5},
            epochs8=12,
        ),
    }


def run() -> None:
    """Print the table of all data sets; trained networks are kept under build/bench/compression and resumed."""
    rows: list[dict[str, Any]] = []
    for name, case in cases().items():
        rows += one(name, case)
        publish("compression", "compression: learnt widths beside uniform 8 bit, 50 % pruned", rows, NOTES)


def one(name: str, case: Case) -> list[dict[str, Any]]:
    """Return the rows of one data set."""
    folder = BUILD / "compression" / name
    config = case.config(name, learned=True)
    data = load_dataset(config)
    start = time.process_time()
    teacher = train_teacher(config, data, work=folder).network
    soft = teacher_outputs(teacher, data)
    taught = time.process_time()
    front = train_front(config, data, soft, work=folder)
    learnt = time.process_time()
    uniform = train_student(case.config(name, learned=False), data, soft, work=folder / "uniform").network
    print(f"{name}: teacher {taught - start:.0f} s, front {learnt - taught:.0f} s CPU (resumed work counts nothing)")
    rows = [_row(name, "teacher", teacher, data, None, folder)]
    points = front.points if len(front.points) <= POINTS else _spread(front.points)
    for index, point in enumerate(points):
        rows.append(_row(name, f"point {index}", point.network, data, point.score, folder))
    rows.append(_row(name, "x8", uniform, data, _validation(uniform, data), folder))
    equal = [row for row in rows[1:-1] if row["validation"] >= rows[-1]["validation"]]
    if equal:
        best = min(equal, key=lambda row: row["LUT"])
        rows[-1]["ratio"] = round(rows[-1]["LUT"] / best["LUT"], 1)
        rows[-1]["beside"] = best["model"]
    return rows


def _spread(points: Any) -> list[Any]:
    picked = np.unique(np.linspace(0, len(points) - 1, POINTS).round().astype(int))
    return [points[i] for i in picked]


def _validation(network: Network, data: Dataset) -> float:
    x, y = data.part("validation")
    return float(np.mean(network.evaluate(x).argmax(axis=1) == y))


def _row(
    name: str, model: str, network: Network, data: Dataset, validation: float | None, folder: Path
) -> dict[str, Any]:
    tested = metrics(network, data)
    low, high = tested["interval"]
    row: dict[str, Any] = {
        "data": name,
        "model": model,
        "validation": "" if validation is None else round(validation, 4),
        "test %": round(100 * tested["value"], 2),
        "interval": f"{100 * low:.2f}..{100 * high:.2f}",
        "nonzero": network.nonzero,
    }
    if validation is None:
        return row
    program = export_program(network, name="core", data=data, output="argmax")
    check_export(network, program, data.part("test")[0])
    lowered = lower(program, data.part("train")[0][:REPLAYED], family="xc7", clock_mhz=CLOCK_MHZ)
    figures = estimate(lowered.circuit, lowered.schedule)
    lut, ff, mark = figures.lut, figures.ff, "~"
    if figures.lut <= LARGEST_COUNTED:
        lut, ff, mark = *_count(lowered, network, folder / model.replace(" ", "_")), ""
    return row | {
        "EBOPs": network.ebops,
        "LUT": lut,
        "FF": ff,
        "by": mark or "yosys",
        "cycles": figures.latency_cycles,
        "ns": figures.latency_ns,
    }


def _count(lowered: Lowered, network: Network, folder: Path) -> tuple[int, int]:
    manifest = write_rtl(
        lowered.circuit, lowered.schedule, program_hash=network.checksum, stream_bits=0, folder=folder / "rtl"
    )
    cells = count(tuple(manifest.sources(folder / "rtl")), top=manifest.core, family="xc7", out=folder)
    return cells.lut, cells.ff
