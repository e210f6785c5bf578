"""Table `convolutions`: students with convolutions on MNIST, from nothing to a design on a stream of pixels.

Each is trained, exported, compared with the network on the whole test split with ==, compiled for xc7, simulated on
`SIMULATED` test images with stalls, and counted by yosys with its AXI4-Stream shell. The epoch is chosen by the
validation split; the test split is read once per row and chooses nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables import BUILD, machine, publish
from gatewright.config import Config, parse_config
from gatewright.data import Dataset, load_dataset
from gatewright.export import check_graph_export, export_graph
from gatewright.export.vectors import samples
from gatewright.fit import train_student, train_teacher
from gatewright.fit.scores.metrics import metrics
from gatewright.flow.build import build_program
from gatewright.graph import Graph
from gatewright.graph.figures import figures
from gatewright.ir import save_program
from gatewright.tools import write_json

SIMULATED = 200
CLOCK_MHZ = 100.0
PART = "XC7A100T"
TEACHER = ("conv 3x3 16", "pool 2", "conv 3x3 32 stride 2", "dense 128")
NOTES = (
    "test %: with its 95 % Wilson interval, of all 10,000 images. cycles: of a frame, measured in simulation; latency:",
    "from its first pixel to its answer. LUT: sites of any use by yosys, AXI4-Stream shell and argmax included; BRAM:",
    "of 18 kbit. CPU s: of the training (what was resumed counts nothing); of reading the data, on the teacher's row.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A student: its layers, its formats and how long it trains. interval: cycles that a frame may take."""

    layers: tuple[str, ...]
    weight_bits: int = 4
    activation_bits: int = 4
    sparsity: float = 0.5
    epochs: int = 16
    interval: int = 784


CASES = {
    "8-16": Case(layers=("conv 3x3 8", "pool 2", "conv 3x3 16", "pool 2")),
    "6-12": Case(layers=("conv 3x3 6", "pool 2", "conv 3x3 12", "pool 2")),
    "4-8": Case(layers=("conv 3x3 4", "pool 2", "conv 3x3 8", "pool 2")),
}


def run() -> None:
    """Train what has no checkpoint yet, measure all and publish the table."""
    folder = BUILD / "convolutions"
    data = load_dataset(_config(CASES["8-16"]))
    rows: list[dict[str, Any]] = []
    start = time.process_time()
    teacher = train_teacher(_config(CASES["8-16"]), data, work=folder).network
    rows.append({**_scored("teacher", teacher, data), "CPU s": round(time.process_time() - start)})
    for name, case in CASES.items():
        start = time.process_time()
        network = train_student(_config(case), data, teacher, work=folder / name).network
        seconds = round(time.process_time() - start)
        print(name, seconds, "CPU s", flush=True)
        rows.append({**_scored(name, network, data), "CPU s": seconds, **_built(network, data, case, folder / name)})
        write_json(folder / "rows.json", {"rows": rows, **machine()})
    publish("convolutions", "convolutions: MNIST on a stream of pixels", rows, NOTES)


def _config(case: Case) -> Config:
    return parse_config(
        {
            "name": "see",
            "data": {"source": "python:benchmarks.datasets:mnist", "input_format": "ufixed<5,9>"},
            "augment": {"shift": 1},
            "teacher": {
                "layers": TEACHER,
                "epochs": 6,
                "batch_size": 128,
                "learning_rate": 0.003,
                "dropout": 0.2,
                "checkpoint_seconds": 60.0,
            },
            "student": {
                "layers": case.layers,
                "weight_bits": case.weight_bits,
                "activation_bits": case.activation_bits,
                "sparsity": case.sparsity,
                "epochs": case.epochs,
                "batch_size": 128,
                "learning_rate": 0.005,
                "prune_start": 0.2,
                "checkpoint_seconds": 60.0,
            },
            "distill": {"temperature": 4.0, "weight": 0.8},
            "hardware": {"architecture": "stream"},
        }
    )


def _scored(name: str, network: Graph, data: Dataset) -> dict[str, Any]:
    """Return a network's figures on the test split."""
    tested, counted = metrics(network, data), figures(network)
    low, high = tested["interval"]
    return {
        "model": name,
        "test %": round(100 * tested["value"], 2),
        "interval": f"{100 * low:.2f}..{100 * high:.2f}",
        "parameters": counted.parameters,
        "nonzero": counted.nonzero,
    }


def _built(network: Graph, data: Dataset, case: Case, folder: Path) -> dict[str, Any]:
    """Export, compare, compile, simulate and synthesize a student; return its figures."""
    codes = data.part("test")[0]
    made = export_graph(network, name="see", output="argmax", precision=network.precision)
    check_graph_export(made, samples(network, codes))
    save_program(made.program, folder / "program.txt")
    done = build_program(
        folder / "program.txt",
        folder / "built",
        codes=codes[:SIMULATED].reshape(-1, *made.program.input.shape),
        hardware={"architecture": "stream", "part": PART, "clock_mhz": CLOCK_MHZ, "interval": case.interval},
        synthesis={"families": ["xc7"]},
    )
    chip, cells = done["hardware"], done["synthesis"]["xc7"]
    return {
        "cycles": chip["initiation_interval"],
        "latency": chip["latency_cycles"],
        "LUT": cells["sites"],
        "FF": cells["ff"],
        "DSP": cells["dsp"],
        "BRAM": cells["bram"],
    }
