"""Table `mnist_stream`: a published QKeras network on the official MNIST images, from a pixel a cycle to the least.

`qkeras_mnist_cnn` (28 x 28, two convolutions of 16 filters, 6 bits) is compared with QKeras on all 10,000 test images,
which it reads as pixel / 256, and built at several intervals: simulated on test images with stalls, counted by yosys
with its AXI4-Stream shell, and for a board placed, routed and packed. GATEWRIGHT_BENCH_KERAS names a Python with
TensorFlow < 2.16 and QKeras. Every step is kept under build/bench until its inputs
or code change. GATEWRIGHT_BENCH_DESIGNS names some designs, by semicolons.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import mnist
from benchmarks.imports_keras import MODELS, PYTHONS
from benchmarks.tables import BUILD, publish
from gatewright.errors import MissingToolError
from gatewright.export import export_graph
from gatewright.fixedpoint import Fixed, Ints
from gatewright.flow.build import build_program
from gatewright.importers.keras import load_keras
from gatewright.importers.reference import ask
from gatewright.ir import Interpreter, Program, save_program
from gatewright.tools import digest, write_json

MODEL = MODELS / "example_models" / "keras" / "qkeras_mnist_cnn.json"
WEIGHTS = MODEL.with_name("qkeras_mnist_cnn_weights.h5")
WORK = BUILD / "mnist_stream"
PIXEL = Fixed(width_bits=8, frac_bits=8, signed=False)
NOTES = (
    "images: simulated with stalls, every channel == interpreter; images/s: of the simulation, per CPU s.",
    "estimate: of the core; LUT (sites), FF, DSP, BRAM (18 kbit; on iCE40 4, on ECP5 16): by yosys, with the shell and",
    "argmax. MHz: placed and routed, of the packed design.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A chip or a board, and the cycles that a frame may take. images: that are simulated."""

    part: str = ""
    board: str = ""
    interval: int | str
    clock_mhz: float = 100.0
    images: int = 100


CASES = {
    "784": Case(part="XC7A100T", interval=784, images=1000),
    "3,136": Case(part="XC7A35T", interval=3_136),
    "12,544": Case(part="XC7A35T", interval=12_544, images=40),
    "50,176": Case(part="XC7A35T", interval=50_176, images=20),
    "ECP5-85": Case(board="ulx3s_85f", interval=12_544, clock_mhz=50.0, images=40),
    "GW1NR-9": Case(part="GW1NR-9", interval=200_000, clock_mhz=27.0, images=4),
}


def run() -> None:
    """Compare all test images with QKeras, build what is not built yet, and publish the table."""
    program, codes, labels = network()
    classes = Interpreter(program).run(codes).reshape(len(codes))
    theirs = _qkeras(codes)
    equal = int((classes == theirs).sum())
    assert equal == len(codes), f"{len(codes) - equal} images get another class than QKeras gives them"
    right = (classes == labels).mean()
    note = f"class equal to QKeras' on {equal:,} of {len(codes):,} official test images; {right:.2%} of them right."
    rows: list[dict[str, Any]] = []
    named = os.environ.get("GATEWRIGHT_BENCH_DESIGNS", "")
    for name in named.split(";") if named else CASES:
        rows.append({"design": name, **_built(CASES[name], WORK / name.replace(",", ""), codes)})
        print(rows[-1], flush=True)
    publish("mnist_stream", "mnist_stream: qkeras_mnist_cnn from a pixel a cycle to the smallest", rows, [note, *NOTES])


def network() -> tuple[Program, Ints, Ints]:
    """Return the program that gives the class, the test images as its codes, and their labels."""
    data = mnist()
    test = data["split"] == "test"
    graph = load_keras(MODEL, WEIGHTS)
    program = export_graph(graph, name="digits", input_format=PIXEL, output="argmax").program
    save_program(program, WORK / "program.txt")
    return program, data["x"][test].astype(np.int64).reshape(-1, *program.input.shape), data["y"][test]


def _qkeras(codes: Ints) -> Ints:
    """Return the class that QKeras gives each image; its answers are kept by what they were made of."""
    key = digest(MODEL, WEIGHTS, np.ascontiguousarray(codes).tobytes())
    kept = WORK / "qkeras.json"
    if kept.is_file() and (found := json.loads(kept.read_text()))["key"] == key:
        return np.array(found["classes"])
    python = os.environ.get(PYTHONS["keras"])
    if python is None:
        raise MissingToolError(f"the comparison needs {PYTHONS['keras']}: a Python with TensorFlow < 2.16 and QKeras")
    request = {"model": str(MODEL), "weights": str(WEIGHTS)}
    (answer,) = ask("keras", [request], [codes / 256], work=WORK, python=python, env={})
    classes = answer["logits"].reshape(len(codes), -1).argmax(axis=1)
    write_json(kept, {"key": key, "classes": classes.tolist()})
    return classes


def _built(case: Case, out: Path, codes: Ints) -> dict[str, Any]:
    """Build, simulate and count one design; return its row."""
    hardware: dict[str, Any] = {"architecture": "stream", "clock_mhz": case.clock_mhz, "interval": case.interval}
    hardware |= {"board": case.board} if case.board else {"part": case.part}
    done = build_program(
        WORK / "program.txt",
        out,
        codes=codes[: case.images],
        hardware=hardware,
        synthesis={"place": False},
        simulation={"stall_fraction": 0.3},
    )
    chip, guess = done["hardware"], done["estimate"]
    cells = done["synthesis"][chip["family"]]
    speed = json.loads((out / "sim" / "speed.json").read_text())
    return {
        "part": chip["part"],
        "cycles": chip["initiation_interval"],
        "latency": chip["latency_cycles"],
        "images": chip["vectors"],
        "images/s": round(speed["vectors_per_second"]),
        "estimate": f"{guess['lut']:,} LUT {guess['ff']:,} FF {guess['dsp']} DSP {guess['bram']} BRAM",
        **{key: cells[key.lower()] for key in ("sites", "FF", "DSP", "BRAM")},
        "MHz": done["board"]["fmax_mhz"] if done["board"] else None,
        "bitstream": "packed" if done["bitstream"] else None,
    }
