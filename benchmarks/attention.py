"""Table `attention`: the public networks of alkaid-ae with products of two values, or with nodes and edges.

Each is imported, compared with its own framework on 1,000 samples, exported, compared again, lowered fully unrolled for
xcup, replayed on 1,000 samples, and estimated at several clocks beside Alkaid's published estimates (alkaid 0.8.2,
`alkaid convert -unc 0 -lc 6.5 -c 5`). GATEWRIGHT_BENCH_HGQ2 names a Python with Keras 3, torch and HGQ2 0.2,
GATEWRIGHT_BENCH_KERAS one with TensorFlow 2.15 and QKeras 0.9.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.imports_keras import MODELS
from benchmarks.tables import BUILD, publish
from gatewright.export import Exported, check_graph_export, export_graph
from gatewright.fixedpoint import Fixed, Ints
from gatewright.flow.lowering import taken
from gatewright.graph import Graph, evaluate, simplify
from gatewright.graph.nodes import Softmax
from gatewright.importers.keras import load_keras
from gatewright.importers.reference import ask
from gatewright.ir import Interpreter
from gatewright.lower.compile import lower
from gatewright.lower.pipeline.cost import circuit_cost
from gatewright.lower.pipeline.schedule import schedule
from gatewright.lower.target import Choices, Room, Target
from gatewright.lower.unrolled import Unrolled

SAMPLES, REPLAYED = 1000, 64
CLOCKS_MHZ = (200.0, 150.0, 120.0)
FAMILY = "xcup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file. python: the variable that names its interpreter; peer: Alkaid's LUT and stages, 0 where it has none."""

    file: str
    python: str
    format: Fixed | None = None
    peer: tuple[int, int] = (0, 0)


CASES = (
    Case(file="mha8part.keras", python="GATEWRIGHT_BENCH_HGQ2", peer=(181_856, 19)),
    Case(file="lin8part.keras", python="GATEWRIGHT_BENCH_HGQ2", peer=(165_469, 20)),
    Case(
        file="jedi8_QInteractionNetwork_nconst_8_nbits_8.h5",
        python="GATEWRIGHT_BENCH_KERAS",
        format=Fixed.parse("fixed<8,1>"),
    ),
)


def run() -> None:
    """Print the table."""
    rows = [row for case in CASES for row in _rows(case)]
    notes = [
        f"equal: of {SAMPLES:,} samples, framework == graph == program (before a last softmax); replayed: circuit too.",
        f"LUT, FF, stages: estimates on {FAMILY}, no DSP, a vector every cycle. Alkaid: its own estimate, published.",
    ]
    publish("attention", "Attention and interaction networks, fully unrolled", rows, notes)


def _rows(case: Case) -> list[dict[str, Any]]:
    graph = load_keras(MODELS / "alkaid_ae" / case.file)
    last = next(node for node in graph.nodes if node.name == graph.output)
    graph = replace(graph, output=last.sources[0]) if isinstance(last, Softmax) else graph
    rng = np.random.default_rng(0)
    x = rng.integers(-512, 512, (SAMPLES, 8, 3)) / 128 if case.format is None else _codes(rng, case.format)
    exported = export_graph(simplify(graph), name=case.file.split("_")[0].split(".")[0], input_format=case.format)
    assert check_graph_export(exported, x) == SAMPLES
    found = {"network": exported.program.name, "equal": _equal(case, graph, x), "ops": len(exported.program.ops)}
    return [found | row for row in _lowered(case, exported, exported.encode(x))]


def _codes(rng: np.random.Generator, fixed: Fixed) -> Any:
    return rng.integers(fixed.lo, fixed.hi + 1, (SAMPLES, 8, 3)) * 2.0**-fixed.frac_bits


def _equal(case: Case, graph: Graph, x: Any) -> str:
    """Return how many samples the framework answers alike, to the last bit."""
    python = os.environ.get(case.python)
    if python is None:
        return f"{case.python} is not set"
    work = BUILD / "attention" / case.file
    work.mkdir(parents=True, exist_ok=True)
    request = {"model": str(MODELS / "alkaid_ae" / case.file)}
    (answer,) = ask("keras", [request], [x], work=work, python=python, env={"KERAS_BACKEND": "torch"})
    if "error" in answer:
        return str(answer["error"])[:80]
    want = answer.get("logits_plain", answer["y"])
    return f"{int((evaluate(graph, x) == want).all(axis=-1).sum()):,}"


def _lowered(case: Case, exported: Exported, codes: Ints) -> list[dict[str, Any]]:
    choices = Choices(reuse=1, multiplier="lut", truth_tables=True, boundaries="rigid", stream="never")
    room = Room(lut=1 << 30, ff=1 << 30, dsp=0, bram=0)
    target = Target(family=FAMILY, clock_mhz=CLOCKS_MHZ[0], room=room, max_latency_cycles=0, max_latency_ns=0.0)
    began = time.process_time()
    program = taken(exported.program, choices)
    want = Interpreter(exported.program).run(codes)
    codes = codes.reshape(len(codes), *program.input.shape)
    dataflow = lower(program, codes[:REPLAYED], target, choices)
    seconds = time.process_time() - began
    assert np.array_equal(dataflow.replay(codes), want)
    (unit,) = dataflow.units
    assert isinstance(unit, Unrolled)
    rows: list[dict[str, Any]] = []
    for clock_mhz in CLOCKS_MHZ:
        pipeline = schedule(unit.circuit, family=FAMILY, clock_mhz=clock_mhz)
        cost = circuit_cost(unit.circuit, pipeline, FAMILY)
        lut, stages = case.peer
        beside = {"Alkaid LUT": lut, "stages": stages, "ratio": round(cost.lut / lut, 3)} if lut else {}
        own = {"MHz": clock_mhz, "LUT": cost.lut, "FF": cost.ff, "cycles": pipeline.latency_cycles}
        rows.append({"replayed": SAMPLES, "CPU s": round(seconds), **own, **beside})
    return rows
