"""Table `recurrent`: cells of Keras, QKeras, ONNX and torch, from the framework's file to simulated hardware, by ==.

Each network is run by its own framework on 1,000 samples, imported, quantized (lossless: see recurrent_cells; QKeras'
are quantized already), exported, compared on every sample, compiled to units on a stream, and 200 samples of it are
simulated with stalls. What leaves a real tanh is compared after rounding to the state's format.
GATEWRIGHT_BENCH_KERAS names a Python with TensorFlow < 2.16 and QKeras 0.9, GATEWRIGHT_BENCH_HGQ2 one with Keras 3.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.recurrent_cells import Net, TorchNet, keras_request, onnx_model
from benchmarks.tables import BUILD, ROOT, publish
from gatewright.export import Calibration, Exported, calibrate, check_graph_export, export_graph
from gatewright.fixedpoint import Fixed
from gatewright.graph import Graph
from gatewright.importers import load_model
from gatewright.importers.reference import ask
from gatewright.importers.torch import load_torch
from gatewright.lower.compile import lower
from gatewright.lower.target import Choices, Room, Target
from gatewright.rtl.manifest import write_design
from gatewright.sim import require_match, simulate_compiled
from gatewright.tools import run_tool, write_json

SAMPLES, SIMULATED = 1000, 200
INPUT = Fixed(width_bits=3, frac_bits=0)
STATE_BITS = 10
BITS = Calibration(weight_bits=12, activation_bits=12, table_bits=10, state_bits=STATE_BITS, input_format=INPUT)
FAMILY, CLOCK_MHZ = "xc7", 100.0
PYTHONS = {
    "keras 2": "GATEWRIGHT_BENCH_KERAS",
    "qkeras": "GATEWRIGHT_BENCH_KERAS",
    "keras 3": "GATEWRIGHT_BENCH_HGQ2",
}


def nets() -> list[Net]:
    """Return the networks: of each framework every kind of cell, with the options that it has."""
    small: dict[str, Any] = {"steps": 4, "features": 3, "units": 2}
    wide: dict[str, Any] = {"steps": 6, "features": 5, "units": 4}
    found: list[Net] = []
    for framework in ("keras 2", "keras 3", "onnx"):
        found += [
            Net(framework=framework, kind="rnn", sequences=True, **wide),
            Net(framework=framework, kind="rnn", backwards=True, bias=False, **small),
            Net(framework=framework, kind="lstm", **wide),
            Net(framework=framework, kind="lstm", both=True, sequences=True, **small),
            Net(framework=framework, kind="lstm", real=True, backwards=True, **small),
            Net(framework=framework, kind="gru", sequences=True, **wide),
            Net(framework=framework, kind="gru", before=True, **wide),
            Net(framework=framework, kind="gru", real=True, **wide),
            Net(framework=framework, kind="gru", layers=2, **small),
        ]
    found += [
        Net(framework="qkeras", kind="rnn", sequences=True, **wide),
        Net(framework="qkeras", kind="lstm", **wide),
        Net(framework="qkeras", kind="lstm", real=True, backwards=True, **small),
        Net(framework="qkeras", kind="lstm", both=True, sequences=True, **small),
        Net(framework="qkeras", kind="gru", sequences=True, **wide),
        Net(framework="qkeras", kind="gru", before=True, layers=2, **small),
    ]
    found += [
        Net(framework="torch", kind="rnn", sequences=True, **wide),
        Net(framework="torch", kind="rnn", bias=False, both=True, **small),
        Net(framework="torch", kind="rnn", real=True, layers=2, **small),
        Net(framework="torch", kind="lstm", real=True, sequences=True, **wide),
        Net(framework="torch", kind="lstm", real=True, both=True, **small),
        Net(framework="torch", kind="gru", real=True, sequences=True, **wide),
        Net(framework="torch", kind="gru", real=True, both=True, layers=2, sequences=True, **small),
    ]
    return found


def run() -> None:
    """Print the table."""
    work = BUILD / "recurrent"
    work.mkdir(parents=True, exist_ok=True)
    files = _keras_files(work)
    rows = [_row(net, work, files.get(net)) for net in nets() if net.framework not in PYTHONS or net in files]
    notes = [
        f"equal: of {SAMPLES:,} samples, the framework's result == graph == program, every node; RTL: of so many, with",
        f"stalls, every output == program. {FAMILY}, {CLOCK_MHZ:g} MHz; LUT and FF are estimates.",
        *(f"{name} was left out: {var} is not set" for name, var in PYTHONS.items() if var not in os.environ),
    ]
    publish("recurrent", "Recurrent cells of every framework, from the file to simulated hardware", rows, notes)


def _keras_files(work: Path) -> dict[Net, Path]:
    """Have every Python that is named write its models; return them by network."""
    found: dict[Net, Path] = {}
    for variable in dict.fromkeys(PYTHONS.values()):
        mine = [net for net in nets() if PYTHONS.get(net.framework) == variable]
        if variable not in os.environ:
            continue
        requests = [keras_request(net, work) for net in mine]
        write_json(work / "requests.json", requests)
        argv = [os.environ[variable], str(ROOT / "benchmarks" / "recurrent_worker.py"), str(work / "requests.json")]
        run_tool(argv, cwd=work, log=work / "worker.log", env={"PYTHONPATH": "", "KERAS_BACKEND": "torch"})
        found |= {net: Path(request["model"]) for net, request in zip(mine, requests, strict=True)}
    return found


def _row(net: Net, work: Path, file: Path | None) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    x = rng.integers(INPUT.lo, INPUT.hi + 1, (SAMPLES, net.steps, net.features)).astype(np.float32)
    if net.framework == "qkeras":
        x = rng.normal(0, 2, x.shape).astype(np.float32)
    graph, want = _imported(net, work, file, x)
    quantized = net.framework == "qkeras"
    bits = replace(BITS, activation_bits=STATE_BITS) if net.real else BITS  # what a real tanh gives is rounded once
    exported = export_graph(graph if quantized else calibrate(graph, x, bits), name=net.kind)
    assert check_graph_export(exported, x) == SAMPLES
    equal = _equal(exported, x, want, rounded=net.real and not quantized)
    return {
        "framework": net.framework,
        "cell": net.label,
        "input": f"{net.steps} x {net.features}",
        "equal": equal,
        **_simulated(exported, x, work / "rtl"),
    }


def _imported(net: Net, work: Path, file: Path | None, x: Any) -> tuple[Graph, Any]:
    """Return the graph of a network and what its framework makes of samples."""
    if net.framework == "torch":
        module = TorchNet(net).eval()
        with torch.no_grad():
            return load_torch(module, torch.from_numpy(x[:2])), module(torch.from_numpy(x)).numpy()
    if net.framework == "onnx":
        path = onnx_model(net, work / "net.onnx")
        (answer,) = ask("onnxruntime", [{"model": str(path), "framework": "onnxruntime"}], [x], work=work)
        return load_model(path), answer["output"]
    assert file is not None
    python, env = os.environ[PYTHONS[net.framework]], {"KERAS_BACKEND": "torch"}
    (answer,) = ask("keras", [{"model": str(file)}], [x], work=work, python=python, env=env)
    if "error" in answer:
        raise RuntimeError(f"{net.framework}, {net.label}: {answer['error']}")
    return load_model(file), answer.get("y_plain", answer["y"])


def _equal(exported: Exported, x: Any, want: Any, *, rounded: bool) -> int:
    """Return the samples whose every integer is the framework's."""
    codes = np.ldexp(want.astype(np.float64), exported.frac_bits).reshape(len(x), -1)
    if rounded:
        top = 1 << (STATE_BITS - 1)
        codes = np.clip(np.rint(codes), -top, top - 1)
    return int((exported.run(x).reshape(len(x), -1) == codes).all(axis=1).sum())


def _simulated(exported: Exported, x: Any, folder: Path) -> dict[str, Any]:
    """Compile the program to units on a stream, simulate, and return what was found."""
    began = time.process_time()
    codes = exported.encode(x)
    room = Room(lut=1 << 30, ff=1 << 30, dsp=0, bram=1 << 30)
    target = Target(family=FAMILY, clock_mhz=CLOCK_MHZ, room=room, max_latency_cycles=0, max_latency_ns=0.0)
    choices = Choices(reuse=1, multiplier="lut", truth_tables=True, boundaries="rigid", stream="always")
    made = lower(exported.program, codes[:64], target, choices)
    manifest = write_design(made, program_hash="0" * 64, stream_bits=0, folder=folder)
    report = simulate_compiled(
        made.program, manifest, codes[:SIMULATED], folder=folder, stall_fraction=0.2, seed=1, out=folder / "sim"
    )
    require_match(report)
    assert report.initiation_interval == made.initiation_interval
    cost = made.cost
    return {
        "RTL": SIMULATED,
        "cycles": made.initiation_interval,
        "LUT": cost.lut,
        "FF": cost.ff,
        "CPU s": round(time.process_time() - began, 1),
    }
