"""Table `imports_speed`: import time and emulator of the jet MLP and the SVHN CNN beside hls4ml, in one run.

Both files are those of hls4ml's tutorial (QKeras, 6 bits). GATEWRIGHT_BENCH_KERAS names a Python with hls4ml 1.3,
TensorFlow < 2.16, tf_keras and QKeras. hls4ml: precisions from the quantizers, Vitis backend, parallel for the MLP and
stream for the CNN as in its tutorial; its emulator is what it compiles with the machine's C++ compiler. Ours: from the
file to the exact program, run by the interpreter. The CNN's last layer is float in the file: hls4ml gives it its
default, ours 16-bit weights. Scores before the softmax are compared with Keras' own. One thread each, CPU seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peer_worker import timed
from benchmarks.tables import BUILD, ROOT, publish
from gatewright.errors import MissingToolError
from gatewright.export import Calibration, calibrate, export_graph
from gatewright.fixedpoint import Fixed
from gatewright.importers import load_model
from gatewright.ir import Interpreter
from gatewright.tools import run_tool, write_json

MODELS = ROOT.parent / "shared" / "data" / "models" / "hls4ml_tutorial"
WORKER = ROOT / "src" / "gatewright" / "importers" / "workers" / "keras_worker.py"
VARIABLE = "GATEWRIGHT_BENCH_KERAS"
REPEATS = 5
COMPILE_LIMIT_S = 600.0
ONE_THREAD: dict[str, str] = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file, how hls4ml passes data between layers, and the samples: codes of `input_format`."""

    file: str
    io_type: str
    shape: tuple[int, ...]
    input_format: str
    samples: int
    float_bits: int = 0  # weights of layers that are float in the file, 0: there are none


CASES = {
    "jet MLP": Case(
        file="model_3__KERAS_check_best_model.h5",
        io_type="io_parallel",
        shape=(16,),
        input_format="fixed<16,6>",
        samples=20000,
    ),
    "SVHN CNN": Case(
        file="quantized_pruned_cnn_model.h5",
        io_type="io_stream",
        shape=(32, 32, 3),
        input_format="ufixed<8,0>",
        samples=200,
        float_bits=16,
    ),
}


def run() -> None:
    """Run both tools on both networks, each in its own process, and print the table."""
    python = os.environ.get(VARIABLE)
    if python is None:
        raise MissingToolError(
            f"the comparison needs {VARIABLE}: a Python with hls4ml 1.3, TensorFlow < 2.16 and QKeras"
        )
    rows: list[dict[str, Any]] = []
    for name, case in CASES.items():
        work = BUILD / "imports_speed" / name.split()[0]
        work.mkdir(parents=True, exist_ok=True)
        fixed = Fixed.parse(case.input_format)
        codes = np.random.default_rng(0).normal(0, 2.0**fixed.frac_bits, (case.samples, *case.shape))
        np.savez(work / "inputs.npz", x=np.rint(np.clip(codes, fixed.lo, fixed.hi)) * 2.0**-fixed.frac_bits)
        theirs = _hls4ml(python, case, work)
        argv = [sys.executable, "-m", "benchmarks.imports_speed", name, str(work)]
        run_tool(argv, cwd=ROOT, log=work / "ours.log", env=ONE_THREAD)
        ours = json.loads((work / "ours.json").read_text())
        for tool, answer in ((f"hls4ml {theirs.get('version', '')}", theirs), ("gatewright", ours)):
            rows.append({"network": name, "tool": tool, **_row(answer)})
        if "samples_per_s" in theirs:
            rows[-1]["ratio"] = round(ours["samples_per_s"] / theirs["samples_per_s"], 1)
    note = (
        f"one thread, samples per CPU second, median of {REPEATS}; ratio: ours / hls4ml's; load: what TensorFlow needs"
    )
    publish("imports_speed", "Import and emulation beside hls4ml", rows, [note])


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {key: answer.get(key) for key in ("load_s", "import_s", "compile_s")}
    row["samples/s"] = round(answer["samples_per_s"]) if "samples_per_s" in answer else None
    for key in ("equal", "same_class", "max_error", "note"):
        row[key] = answer.get(key)
    return row


def _hls4ml(python: str, case: Case, work: Path) -> dict[str, Any]:
    request = {
        "worker": str(WORKER),
        "model": str(MODELS / case.file),
        "io_type": case.io_type,
        "out": str(work / "hls4ml"),
        "inputs": str(work / "inputs.npz"),
        "results": str(work / "hls4ml.npz"),
        "before_softmax": True,
        "repeats": REPEATS,
    }
    write_json(work / "request.json", request)
    worker = ROOT / "benchmarks" / "hls4ml_worker.py"
    argv = [python, str(worker), str(work / "request.json"), str(work / "hls4ml.json")]
    with (work / "hls4ml.log").open("w") as log:
        try:
            subprocess.run(
                argv, check=True, stdout=log, stderr=log, timeout=COMPILE_LIMIT_S, env=os.environ | ONE_THREAD
            )
        except subprocess.TimeoutExpired:
            return {"note": f"stopped after {COMPILE_LIMIT_S:.0f} s"}
    with np.load(work / "hls4ml.npz") as results:
        compared = _compared(results["y"], results["keras"])
    return json.loads((work / "hls4ml.json").read_text()) | compared


def _compared(scores: np.ndarray, keras: np.ndarray) -> dict[str, Any]:
    same = (scores.argmax(axis=1) == keras.argmax(axis=1)).mean()
    error = np.abs(scores - keras).max() / np.abs(keras).max()
    equal = (scores == keras).all(axis=1).mean()
    return {"equal": f"{equal:.1%}", "same_class": f"{same:.1%}", "max_error": f"{error:.2g}"}


def _child(name: str, work: Path) -> None:
    """Measure ours in a process whose BLAS has one thread."""
    assert os.environ["OMP_NUM_THREADS"] == "1"
    case, fixed = CASES[name], Fixed.parse(CASES[name].input_format)
    with np.load(work / "inputs.npz") as inputs:
        x = inputs["x"]
    began = time.perf_counter()
    graph = load_model(MODELS / case.file)
    if case.float_bits:
        settings = Calibration(weight_bits=case.float_bits, activation_bits=case.float_bits, input_format=fixed)
        graph = calibrate(graph, x[:32], settings)
    exported = export_graph(graph, name="model", input_format=None if case.float_bits else fixed)
    imported = time.perf_counter() - began
    codes, interpreter = exported.encode(x), Interpreter(exported.program)
    result, seconds = timed(lambda: interpreter.run(codes), REPEATS)
    scores = np.ldexp(result.reshape(len(x), -1).astype(np.float64), -exported.frac_bits)
    with np.load(work / "hls4ml.npz") as results:
        compared = _compared(scores.astype(np.float32), results["keras"])
    write_json(work / "ours.json", {"import_s": imported, "samples_per_s": len(x) / seconds, **compared})


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
