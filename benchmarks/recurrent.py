"""Table `recurrent`: cells of Keras, QKeras, ONNX and torch, from the framework's file to simulated hardware, by ==.

Each network is run by its own framework on 1,000 samples, imported, quantized (lossless: see recurrent_cells; QKeras'
are quantized already), exported, compared on every sample, compiled to units on a stream, and 200 samples of it are
simulated with stalls. What leaves a real tanh is compared after rounding to the state's format. A row is kept until the
code that it comes from changes, so what was interrupted goes on where it was.
GATEWRIGHT_BENCH_KERAS names a Python with TensorFlow < 2.16 and QKeras 0.9, GATEWRIGHT_BENCH_HGQ2 one with Keras 3.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.recurrent_cells import GATES, Net, TorchNet, keras_request, onnx_model
from benchmarks.tables import BUILD, ROOT, publish
from gatewright.errors import ToolError
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
from gatewright.sources import code_digest
from gatewright.tools import digest, run_tool, write_json

SAMPLES, SIMULATED = 1000, 200
INPUT = Fixed(width_bits=3, frac_bits=0)
STATE_BITS = 10
BITS = Calibration(weight_bits=12, activation_bits=12, table_bits=10, state_bits=STATE_BITS, input_format=INPUT)
FAMILY, CLOCK_MHZ = "xc7", 100.0
COLUMNS = ("framework", "cell", "input", "equal", "RTL", "cycles", "LUT", "FF", "CPU s")
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
    """Measure what is not kept yet, the cheap ones first, and print the table."""
    work, wanted = BUILD / "recurrent", [net for net in nets() if PYTHONS.get(net.framework, "PATH") in os.environ]
    work.mkdir(parents=True, exist_ok=True)
    places = {net: work / "rows" / f"{_key(net)}.json" for net in wanted}
    answers = _keras_answers(work, [net for net, place in places.items() if not place.is_file()])
    for net in sorted(wanted, key=_size):
        if not places[net].is_file():
            write_json(places[net], _row(net, work, answers.get(net)))
    kept = [json.loads(places[net].read_text()) for net in wanted]
    rows = [{head: row[head] for head in COLUMNS} for row in kept]
    notes = [
        f"equal: of {SAMPLES:,} samples, the framework's result == graph == program, every node; RTL: of so many, with",
        f"stalls, every output == program. {FAMILY}, {CLOCK_MHZ:g} MHz; LUT and FF are estimates.",
        *(f"{name} was left out: {var} is not set" for name, var in PYTHONS.items() if var not in os.environ),
    ]
    publish("recurrent", "Recurrent cells of every framework, from the file to simulated hardware", rows, notes)


def _key(net: Net) -> str:
    """Return a name for a network's row: of what it says, and of all code that it comes from."""
    mine = [(ROOT / "benchmarks" / f"recurrent{part}.py").read_text() for part in ("", "_cells", "_worker")]
    return digest(repr(net), code_digest("importers", "lower", "rtl", "sim"), mine)[:16]


def _size(net: Net) -> int:
    """Return about how many products its circuit has."""
    sizes = [net.features] + [net.units * net.directions] * (net.layers - 1)
    gates = GATES[net.kind] * net.units * net.directions
    return sum(gates * (size + net.units + 2) for size in sizes)


def _samples(net: Net) -> Any:
    rng = np.random.default_rng(1)
    shape = (SAMPLES, net.steps, net.features)
    x = rng.integers(INPUT.lo, INPUT.hi + 1, shape).astype(np.float32)
    return rng.normal(0, 2, shape).astype(np.float32) if net.framework == "qkeras" else x


def _keras_answers(work: Path, wanted: Sequence[Net]) -> dict[Net, tuple[Path, Any]]:
    """Have every Python that is named write its models and run them; return the file and the results of each."""
    found: dict[Net, tuple[Path, Any]] = {}
    for variable in dict.fromkeys(PYTHONS.values()):
        mine = [net for net in wanted if PYTHONS.get(net.framework) == variable]
        if not mine:
            continue
        python, env = os.environ[variable], {"KERAS_BACKEND": "torch"}
        requests = [keras_request(net, work) for net in mine]
        write_json(work / "requests.json", requests)
        argv = [python, str(ROOT / "benchmarks" / "recurrent_worker.py"), str(work / "requests.json")]
        run_tool(argv, cwd=work, log=work / "worker.log", env={"PYTHONPATH": "", **env})
        files = [Path(request["model"]) for request in requests]
        asked = [{"model": str(file)} for file in files]
        answers = ask("keras", asked, [_samples(net) for net in mine], work=work, python=python, env=env)
        for net, file, answer in zip(mine, files, answers, strict=True):
            if "error" in answer:
                raise ToolError(f"{net.framework}, {net.label}: {answer['error']}; its log: {work / 'keras.log'}")
            found[net] = file, answer.get("y_plain", answer["y"])
    return found


def _row(net: Net, work: Path, answer: tuple[Path, Any] | None) -> dict[str, Any]:
    began, x = _cpu_seconds(), _samples(net)
    graph, want = _imported(net, work, answer, x)
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
        "CPU s": round(_cpu_seconds() - began),
    }


def _cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _imported(net: Net, work: Path, answer: tuple[Path, Any] | None, x: Any) -> tuple[Graph, Any]:
    """Return the graph of a network and what its framework makes of samples."""
    if net.framework == "torch":
        module = TorchNet(net).eval()
        with torch.no_grad():
            return load_torch(module, torch.from_numpy(x[:2])), module(torch.from_numpy(x)).numpy()
    if net.framework == "onnx":
        path = onnx_model(net, work / "net.onnx")
        (found,) = ask("onnxruntime", [{"model": str(path), "framework": "onnxruntime"}], [x], work=work)
        return load_model(path), found["output"]
    assert answer is not None
    return load_model(answer[0]), answer[1]


def _equal(exported: Exported, x: Any, want: Any, *, rounded: bool) -> int:
    """Return the samples whose every integer is the framework's."""
    codes = np.ldexp(want.astype(np.float64), exported.frac_bits).reshape(len(x), -1)
    if rounded:
        top = 1 << (STATE_BITS - 1)
        codes = np.clip(np.rint(codes), -top, top - 1)
    return int((exported.run(x).reshape(len(x), -1) == codes).all(axis=1).sum())


def _simulated(exported: Exported, x: Any, folder: Path) -> dict[str, Any]:
    """Compile the program to units on a stream, simulate, and return what was found."""
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
    }
