"""Tables `scale_networks` and `scale_front`: what large networks and a million rows take, each in a process of its own.

The networks are random and dense; the rows are random, and their class is the sign of the sum of two features.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.tables import BUILD, publish

FOLDER = BUILD / "scale_networks"
BITS = 6
CASES: tuple[tuple[tuple[int, ...], str, int], ...] = (
    ((784, 64, 32, 10), "XC7A200T", 1),
    ((784, 128, 64, 10), "XC7A200T", 1),
    ((784, 128, 64, 10), "XC7Z020", 512),
    ((784, 128, 64, 10), "LFE5U-85F", 1024),
)
"""Layers, part and reuse factor; 1 unrolls, whether or not the part has room."""
ROWS, COLUMNS, HIDDEN, BATCH, EPOCHS, POINTS = 10**6, 16, (16, 8), 2048, 10, 8
_MEASURE = """
import json, re, sys, time
from pathlib import Path
from benchmarks import scale_networks
start = time.process_time()
found = getattr(scale_networks, sys.argv[1])(*json.loads(sys.argv[2]))
seconds = time.process_time() - start
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())  # of this program, not of who started it
print(json.dumps(found | {"s": seconds, "MB": round(int(peak[1]) / 1024)}))
"""


def run() -> None:
    """Lower, estimate and write every network, and print what it took."""
    rows = [
        {"network": "-".join(map(str, sizes)), "part": part, "reuse": reuse, **_child("compiled", sizes, part, reuse)}
        for sizes, part, reuse in CASES
    ]
    notes = [f"weights of {BITS} bits, none 0; lowered, estimated and written; CPU seconds, the process at its peak"]
    publish("scale_networks", "scale_networks: large dense networks", rows, notes)


def run_front() -> None:
    """Train a front of learnt widths on a million rows, and print what it took."""
    found = _child("front", ROWS, HIDDEN, BATCH, EPOCHS, POINTS)
    row = {"rows": ROWS, "features": COLUMNS, "hidden": "-".join(map(str, HIDDEN)), "epochs": EPOCHS, **found}
    notes = [f"batches of {BATCH}; CPU seconds from the rows to the frozen front; the process at its peak"]
    publish("scale_front", "scale_front: learnt widths on a million rows", [row], notes)


def compiled(sizes: list[int], part: str, reuse: int) -> dict[str, Any]:
    """Lower, estimate and write a random dense network for a part; return the estimate's figures."""
    from gatewright.flow.lowering import choices_of, given_hardware, target_of
    from gatewright.lower.compile import lower
    from gatewright.lower.estimate import estimate
    from gatewright.rtl.manifest import write_design
    from tests.programs import codes, mlp

    program = mlp(tuple(sizes), seed=0, weight_bits=BITS, sparsity=0.0)
    config, chip = given_hardware(FOLDER / "network.txt", {"part": part, "reuse_factor": reuse, "clock_mhz": 100.0})
    lowered = lower(program, codes(program, 64), target_of(config, chip), choices_of(config))
    figures = estimate(lowered)
    write_design(lowered, program_hash="", stream_bits=0, folder=FOLDER / f"{part}-{reuse}" / "rtl")
    return {"LUT": figures.lut, "DSP": figures.dsp, "BRAM": figures.bram, "cycles": figures.latency_cycles}


def front(rows: int, hidden: list[int], batch: int, epochs: int, points: int) -> dict[str, Any]:
    """Train a front on random rows; return how many students it has, and the best validation accuracy."""
    import shutil

    import numpy as np

    from gatewright.config import parse_config
    from gatewright.data import Dataset
    from gatewright.fit import train_front
    from gatewright.fixedpoint import Fixed

    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (rows, COLUMNS), dtype=np.int16)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    data = Dataset(
        name="rows",
        task="classification",
        x=x,
        shape=(COLUMNS,),
        y=y,
        split=rng.choice(3, rows, p=(0.7, 0.15, 0.15)).astype(np.uint8),
        format=Fixed(width_bits=8, frac_bits=6),
        classes=("below", "above"),
        feature_names=tuple(f"x{k}" for k in range(COLUMNS)),
        contract={},
    )
    student = {"hidden": hidden, "batch_size": batch, "epochs": epochs, "precision": "learned"}
    config = parse_config(
        {"name": "rows", "data": {"source": "none"}, "student": {**student, "learned": {"points": points}}}
    )
    teacher = np.where(y[:, None] == np.arange(2), 2.0, -2.0)
    shutil.rmtree(FOLDER / "front", ignore_errors=True)  # nothing is resumed
    found = train_front(config, data, teacher, work=FOLDER / "front")
    return {"students": len(found.points), "best": found.points[-1].score}


def _child(function: str, *arguments: Any) -> dict[str, Any]:
    words = [sys.executable, "-c", _MEASURE, function, json.dumps(arguments)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
