"""The ensemble study on real data: `gatewright study`, 5 seeds, on seven data sets.

Settings were fixed before the first run; nothing was chosen by these results.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks import datasets
from benchmarks.tables import BUILD
from gatewright.config import Config, parse_config
from gatewright.study import run_study

SEEDS = (1, 2, 3, 4, 5)


def cases() -> dict[str, Config]:
    """Return the configurations."""
    student = {"hidden": [16], "learning_rate": 0.01, "weight_bits": 4, "activation_bits": 4, "sparsity": 0.6}
    distill = {"temperature": 2.0, "weight": 0.8}
    raw: dict[str, dict[str, Any]] = {
        "digits": {
            "data": {"source": "sklearn:digits", "input_format": "ufixed<4,5>"},
            "teacher": {"hidden": [512], "dropout": 0.6, "epochs": 40, "batch_size": 32, "weight_decay": 0.01},
            "student": {**student, "epochs": 120, "batch_size": 32, "weight_decay": 0.02},
        },
        "magic": {
            "data": {
                "source": str(datasets.path("magic04/magic04.data.xz")),
                "label_column": "class",
                "scaling": "standard",
                "input_format": "fixed<10,4>",
            },
            "teacher": {"hidden": [64, 64], "epochs": 40, "batch_size": 256},
            "student": {**student, "epochs": 60, "batch_size": 256},
        },
        "cosmic": {
            "data": {"source": "generator:cosmic", "input_format": "ufixed<8,8>", "generator": {"count": 20000}},
            "teacher": {"hidden": [72, 92, 50, 50], "epochs": 20, "batch_size": 64, "weight_decay": 0.01},
            "student": {**student, "hidden": [12], "epochs": 60, "batch_size": 256},
        },
        "mnist14": {
            "data": {"source": "python:benchmarks.datasets:mnist14", "input_format": "ufixed<8,8>"},
            "teacher": {"hidden": [256, 128], "epochs": 12, "batch_size": 128, "dropout": 0.2},
            "student": {**student, "epochs": 24, "batch_size": 256},
        },
        "mnist14_small": {
            "data": {"source": "python:benchmarks.datasets:mnist14_small", "input_format": "ufixed<8,8>"},
            "teacher": {"hidden": [512], "dropout": 0.6, "epochs": 40, "batch_size": 32, "weight_decay": 0.01},
            "student": {**student, "epochs": 60, "batch_size": 32, "weight_decay": 0.02},
        },
        "clyc": {
            "data": {"source": "generator:clyc", "input_format": "ufixed<10,10>"},
            "teacher": {"hidden": [64, 32], "epochs": 40, "batch_size": 64, "weight_decay": 0.01},
            "student": {**student, "hidden": [12], "epochs": 60, "batch_size": 256},
        },
        "htru2": {
            "data": {
                "source": str(datasets.path("htru2/HTRU_2.csv.xz")),
                "label_column": "y",
                "scaling": "standard",
                "input_format": "fixed<10,4>",
            },
            "teacher": {"hidden": [32, 32], "epochs": 40, "batch_size": 256},
            "student": {**student, "epochs": 60, "batch_size": 256},
        },
    }
    return {name: parse_config({"name": name, "distill": distill, **tables}) for name, tables in raw.items()}


def run() -> None:
    """Print the page of each data set; cells are kept under build/bench/study and resumed."""
    for name, config in cases().items():
        out = BUILD / "study" / name
        run_study(config, out, seeds=SEEDS, jobs=len(os.sched_getaffinity(0)))
        print((out / "study.md").read_text(), flush=True)
