"""Every kind of student: float64 network == program == simulated hardware, every output and every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.data import Dataset
from gatewright.fit import train_front, train_student, train_tables
from gatewright.graph import Graph
from gatewright.sim import require_match
from tests.programs import codes
from tests.rtl.batch import simulate_batch

from .conftest import make_config
from .networks import proved

KINDS: dict[str, dict[str, Any]] = {
    "one format per layer": {},
    "few digits": {"weight_bits": 6, "weight_digits": 1},
    "per-weight widths, wrapping": {"precision": "learned", "learned": {"points": 2, "overflow": "wrap"}},
    "per-weight widths, saturating": {"precision": "learned", "learned": {"points": 2, "overflow": "saturate"}},
    "binary weights": {"weight_bits": 1},
    "binary": {"weight_bits": 1, "activation": "sign", "sparsity": 0.0},
    "binary, pruned": {"weight_bits": 1, "activation": "sign", "hidden": (12, 8)},
    "ternary": {"weight_bits": 2, "activation": "ternary", "hidden": (12, 8)},
    "mixed": {"weight_bits": (8, 1, 2), "activation": "sign", "hidden": (12, 8), "bias_bits": 7},
    "neurons": {"pruning": {"kind": "neurons"}, "hidden": (12, 8)},
    "blocks": {"pruning": {"kind": "blocks"}},
    "2 of 4": {"pruning": {"kind": "n_of_m"}},
    "budget": {"pruning": {"budget_ebops": 1500}},
    "residual": {"layers": ("dense 9", "dense 9", "residual 1", "dense 5"), "hidden": (32,)},
    "truth tables": {"precision": "tables", "tables": {"layers": (18,)}},
    "truth tables in layers": {"precision": "tables", "tables": {"layers": (20, 9), "inputs": 4, "thresholds": (8.0,)}},
}


def _student(kind: dict[str, Any], data: Dataset, work: Path) -> Graph:
    config = make_config(student={"hidden": (12,), "epochs": 30, **kind})
    soft = np.eye(3)[data.y] * 4.0
    if config.student.precision == "learned":
        return train_front(config, data, soft, work=work).points[-1].network
    if config.student.precision == "tables":
        return train_tables(config, data, soft, work=work).network
    return train_student(config, data, soft, work=work).network


@pytest.mark.torch
@pytest.mark.sim
@pytest.mark.slow
def test_every_kind_of_student_is_exact_from_float64_to_hardware(data: Dataset, tmp_path: Path) -> None:
    programs = []
    for number, (name, kind) in enumerate(KINDS.items()):
        network = _student(kind, data, tmp_path / str(number))
        program = proved(network, data.x, "argmax" if number % 2 else "scores")
        assert proved(network, codes(program, 200, seed=number), "scores").layers, name
        programs.append(program)
    report = simulate_batch(programs, out=tmp_path / "rtl", family="xc7", clock_mhz=200.0, vectors=200)
    require_match(report)
    assert report.vectors == 200
