"""Small data sets and configurations; the whole folder needs torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatewright.config import Config, parse_config
from gatewright.data import Dataset
from gatewright.fixedpoint import Fixed

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]


def make_data(*, classes: int = 3, features: int = 6, n: int = 240, seed: int = 0, frac_bits: int = 2) -> Dataset:
    """Return noisy class means in 6-bit codes; classes 0 gives a regression with two targets."""
    rng = np.random.default_rng(seed)
    number = Fixed(width_bits=6, frac_bits=frac_bits, signed=False)
    split = np.repeat(np.array([0, 0, 0, 1, 2], dtype=np.uint8), -(-n // 5))[:n]
    rng.shuffle(split)
    if classes:
        y = rng.integers(0, classes, n)
        means = rng.uniform(10, 50, (classes, features))
        x = np.clip(np.rint(means[y] + rng.normal(0, 5, (n, features))), 0, 63).astype(np.int64)
    else:
        x = rng.integers(0, 64, (n, features))
        y = np.stack([x[:, 0] * 3.0 + x[:, 1] - 400.0, np.abs(x[:, 2] - 30) * 0.01], axis=1)
    return Dataset(
        name="toy",
        task="classification" if classes else "regression",
        x=x,
        shape=(features,),
        y=y.astype(np.int64) if classes else y,
        split=split,
        format=number,
        classes=tuple(f"c{k}" for k in range(classes)),
        feature_names=tuple(f"f{k}" for k in range(features)),
        contract={},
    )


def make_config(task: str = "classification", **sections: Any) -> Config:
    student = {"hidden": (8,), "weight_bits": 4, "activation_bits": 4, "epochs": 20, "learning_rate": 0.01}
    teacher = {"hidden": (16,), "epochs": 8, "batch_size": 32, "learning_rate": 0.02}
    return parse_config(
        {
            "name": "toy",
            "task": task,
            "data": {"source": "unused"},
            "hardware": {"output": "argmax" if task == "classification" else "scores"},
            **sections,
            "student": {**student, **sections.get("student", {})},
            "teacher": {**teacher, **sections.get("teacher", {})},
        }
    )


def both_stages(work: Path) -> tuple[str, str]:
    """Train with a checkpoint after every step; return the student's checksum and both histories."""
    from gatewright.fit import teacher_outputs, train_student, train_teacher
    from gatewright.graph.store import checksum

    data = make_data(n=120)
    config = make_config(
        teacher={"epochs": 4, "dropout": 0.1, "checkpoint_seconds": 0.0},
        student={"epochs": 10, "batch_size": 16, "dropout": 0.1, "checkpoint_seconds": 0.0},
    )
    teacher = train_teacher(config, data, work=work)
    student = train_student(config, data, teacher_outputs(teacher.network, data), work=work)
    return checksum(student.network), repr((teacher.history, student.history))


@pytest.fixture(scope="session")
def data() -> Dataset:
    return make_data()


@pytest.fixture(scope="session")
def numbers() -> Dataset:
    return make_data(classes=0)
