"""Table `scale`: adders, CPU seconds, memory of adder graphs over fan-in, beside those in strict order and da4ml's."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.tables import BUILD, publish
from gatewright.fixedpoint import Ints

INPUTS = (64, 128, 256, 512, 1024, 2048, 4096)
COLUMNS, BITS = 20, 6
IN_ORDER = (
    256  # inputs up to which pairs are also shared strictly in order, as all were before: four times as long each
)
BESIDE_PEER = 128  # inputs up to which da4ml is asked: 18 s at 256, and five times as long each
_CHILD = """
import json, re, sys, time
from pathlib import Path
from benchmarks.scale import matrix
from gatewright.lower.build import adders
if sys.argv[2] == "in order":
    adders.LARGE = sys.maxsize
weights = matrix(int(sys.argv[1]))
start = time.process_time()
graph = adders.adder_graph(weights)
seconds = time.process_time() - start
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())  # of this program, not of who started it
print(json.dumps({"adders": len(graph.sums), "s": seconds, "MB": int(peak[1]) / 1024}))
"""


def matrix(inputs: int) -> Ints:
    """Return dense weights of so many inputs."""
    return np.random.default_rng(0).integers(-(1 << (BITS - 1)), 1 << (BITS - 1), (inputs, COLUMNS))


def run() -> None:
    """Solve a matrix of each size in a process of its own and print what it took."""
    folder = BUILD / "scale"
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for inputs in INPUTS:
        ours = _measured(inputs, "as built")
        row = {"inputs": inputs, "adders": ours["adders"], "s": ours["s"], "MB": round(ours["MB"])}
        row["growth"] = round(ours["s"] / rows[-1]["s"], 2) if rows else None
        if inputs <= IN_ORDER:
            other = _measured(inputs, "in order")
            row |= {"in order": other["adders"], "in order s": other["s"]}
        if inputs <= BESIDE_PEER:
            arrays: dict[str, Any] = {"m": matrix(inputs)}
            np.savez(folder / f"{inputs}.npz", **arrays)
            request = {"task": "adders", "peer": "da4ml", "delay_constraint": 0}
            request |= {"matrices": str(folder / f"{inputs}.npz")}
            theirs = peers.ask(request, f"scale{inputs}", fresh=True)
            row |= {"da4ml": theirs["adders"]["m"], "da4ml s": theirs["seconds"]["m"]}
        rows.append(row)
    notes = ["s: CPU seconds; growth: of s; MB: the process at its peak"]
    publish("scale", f"scale: {COLUMNS} dense columns of {BITS} bits, least depth", rows, notes)


def _measured(inputs: int, how: str) -> dict[str, Any]:
    words = [sys.executable, "-c", _CHILD, str(inputs), how]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
