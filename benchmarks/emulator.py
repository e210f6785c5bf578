"""Table `emulator`: samples per CPU second of our interpreter beside the peers' emulators, one thread each."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import networks, peers
from benchmarks.networks import Baseline
from benchmarks.peer_worker import timed
from benchmarks.tables import BUILD, ROOT, publish
from gatewright.ir import Interpreter, load_program, save_program
from gatewright.tools import run_tool, write_json

COPIES = 10  # of the 2,000 test vectors
REPEATS = 7
_ONE_THREAD: dict[str, str] = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def run() -> None:
    """Run all emulators on the same vectors, each in its own process, and print samples per second."""
    small = networks.load(networks.LARGE)
    many = Baseline(program=small.program, x=np.tile(small.x, (COPIES, 1)), y=np.tile(small.y, (COPIES, 1)))
    rows: list[dict[str, Any]] = []
    for setting in peers.SETTINGS[1:]:
        request = {
            "task": "emulate",
            "peer": setting.peer,
            "delay_constraint": setting.delay_constraint,
            "repeats": REPEATS,
        }
        answer = peers.ask(request, f"emulate-{setting.peer}", many, fresh=True)
        rows.append({"emulator": f"{setting.peer} {answer['version']}", **_row(answer)})
    rows.append({"emulator": "gatewright", **_row(_ours(many))})
    for row in rows:
        row["ratio"] = round(rows[-1]["samples/s"] / row["samples/s"], 2)
    note = f"{len(many.x):,} vectors of {networks.LARGE}, one thread, median of {REPEATS}; ratio: ours / that emulator"
    publish("emulator", "emulator: samples per CPU second", rows, [note])


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["exact"], "an emulator misses a test vector"
    return {"samples/s": round(answer["samples_per_s"])}


def _ours(baseline: Baseline) -> dict[str, Any]:
    work = BUILD / "emulator"
    save_program(baseline.program, work / "program.txt")
    np.savez(work / "vectors.npz", x=baseline.x, y=baseline.y)
    argv = [sys.executable, "-m", "benchmarks.emulator", str(work)]
    run_tool(argv, cwd=ROOT, log=work / "log", env=_ONE_THREAD)
    return json.loads((work / "answer.json").read_text())


def _child(work: Path) -> None:
    """Measure our interpreter in a process whose BLAS has one thread."""
    assert os.environ["OMP_NUM_THREADS"] == "1"
    interpreter = Interpreter(load_program(work / "program.txt"))
    with np.load(work / "vectors.npz") as vectors:
        x, y = vectors["x"], vectors["y"]
    exact = bool(np.array_equal(interpreter.run(x), y))
    _, seconds = timed(lambda: interpreter.run(x), REPEATS)
    write_json(work / "answer.json", {"exact": exact, "samples_per_s": len(x) / seconds})


if __name__ == "__main__":
    _child(Path(sys.argv[1]))
