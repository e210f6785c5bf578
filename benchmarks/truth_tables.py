"""Table `truth_tables`: students of truth tables on MNIST, from few tables to many, and two that are distilled.

Each is exported, compared with the network on the whole test split with ==, compiled for xc7 and counted by yosys: the
thresholds of the pixels, the tables, the counts and the argmax. The epoch is chosen by the validation split; the test
split is read once per row and chooses nothing.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks import compression
from benchmarks.tables import BUILD, machine, publish
from gatewright.config import Config, parse_config
from gatewright.data import load_dataset
from gatewright.fit import train_tables, train_teacher
from gatewright.fit.scores.metrics import validation_merit
from gatewright.tools import write_json

SIZES = (1000, 600, 300, 1600)
TAUGHT = (600, 1000)  # of these sizes another student has a teacher
EPOCHS = 60
HEADS = ("model", "validation", "test %", "interval", "LUT", "FF", "cycles", "MHz", "ns", "CPU s")
NOTES = (
    "test %: with its 95 % Wilson interval. LUT: LUT1..LUT6 and LUT6_2 cells by yosys, core only, thresholds of the",
    "pixels and argmax included. cycles: stages for 200 MHz; MHz: that pipeline's fastest clock by our delay model,",
    "nothing is placed; ns: cycles at that clock. CPU s: of the student's training (what was resumed counts nothing).",
)


def run() -> None:
    """Train what has no checkpoint yet, measure all and publish the table."""
    folder = BUILD / "truth_tables"
    base = compression.cases()["mnist"].config("mnist", learned=False)
    data = load_dataset(base)
    rows: list[dict[str, Any]] = []
    for size, weight in [*((size, 0.0) for size in SIZES), *((size, 0.5) for size in TAUGHT)]:
        name = f"tables {size}" + (", taught" if weight else "")
        config, work = _config(base, size, weight), folder / name.replace(", ", " ").replace(" ", "_")
        labels = np.eye(len(data.classes))[data.y] * 2.0  # of weight 0
        teacher = train_teacher(base, data, work=folder).network if weight else labels
        start = time.process_time()
        network = train_tables(config, data, teacher, work=work).network
        seconds = round(time.process_time() - start)
        print(name, seconds, "CPU s", flush=True)
        row = compression.measured(name, network, data, validation_merit(network, data), work, largest=np.inf)
        rows.append({**{head: row[head] for head in HEADS if head in row}, "CPU s": seconds})
        write_json(folder / "rows.json", {"rows": rows, **machine()})
    publish("truth_tables", "truth_tables: MNIST by tables of six bits of the pixels", rows, NOTES)


def _config(base: Config, size: int, weight: float) -> Config:
    """Return the configuration of a student of one layer. Pixels become bits at 64 of 255."""
    values = base.model_dump()
    values["student"] = {
        "precision": "tables",
        "tables": {"layers": [size], "thresholds": [64.0]},
        "epochs": EPOCHS,
        "batch_size": 256,
        "checkpoint_seconds": 60.0,
    }
    values["distill"] = {"temperature": 1.0, "weight": weight}
    return parse_config(values)
