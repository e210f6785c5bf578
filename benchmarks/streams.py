"""Table `streams`: named networks of other projects on streams, from their file to Verilog that was simulated exactly.

Each is imported, exported (what is float in it after calibration), compiled, written as Verilog and simulated with
stalls at both ends, every channel against the interpreter; a frame of millions of values is cropped, and the row says
so. A case runs in a process of its own, whose CPU seconds and memory are measured, and its row is kept until the code
or the file changes, so a run that was stopped goes on. GATEWRIGHT_BENCH_NETWORKS names some, by semicolons.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.imports_keras import MODELS
from benchmarks.tables import BUILD, ROOT, publish
from gatewright.sources import code_digest
from gatewright.tools import digest, run_tool, write_json

WORK = BUILD / "streams"
CLOCK_MHZ, FAMILY = 100.0, "xc7"
ROOMS = ("export", "fixedpoint", "graph", "importers", "ir", "lower", "rtl", "sim")  # of the package, that make a row
NOTES = (
    "frame: of the input, ~ where it is cropped. exact: frames simulated with stalls, every channel == interpreter.",
    "cycles, latency: claimed, and measured in simulation. FIFO / maps: bits of all FIFOs, beside whole frames of the",
    "same channels. sizing s: CPU s of the run of tokens; Verilog s: from the program to Verilog; MiB: of the whole",
    f"process. LUT, FF, DSP, BRAM (18 kbit): estimates for {FAMILY} at {CLOCK_MHZ:g} MHz.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file. given: the format of its samples where it has none of its own; bits: of what is float in it, 0: nothing.

    crop: rows and columns of the frame, where it is too large; interval: cycles that a frame may take, 0: its beats.
    frames: that are simulated; 0 sizes and writes the design alone.
    """

    file: str
    given: str = ""
    bits: int = 0
    crop: tuple[int, ...] = ()
    interval: int = 0
    frames: int = 8


_NEUTRINO = "neutdetector/src__python__models__quant__quant_{}_Vplane_nu.h5"
_ONNX = "example_models/onnx/{}_ch_last.onnx"
CASES: dict[str, Case] = {
    "neutrino w2 a3": Case(file=_NEUTRINO.format("w2_a3"), given="fixed<12,6>"),
    "neutrino w4 a6": Case(file=_NEUTRINO.format("w4_a6"), given="fixed<12,6>"),
    "neutrino w8 a8": Case(file=_NEUTRINO.format("w8_a8"), given="fixed<12,6>"),
    "neutrino w16 a16": Case(file=_NEUTRINO.format("w16_a16"), given="fixed<12,6>", bits=16),
    "jetTagger_Conv2D": Case(file="example_models/keras/jetTagger_Conv2D_Small.json", given="fixed<12,4>", bits=8),
    "KERAS_conv1d": Case(
        file="example_models/keras/KERAS_conv1d.json", given="fixed<12,4>", bits=8, interval=25_600, frames=2
    ),
    "separable_conv": Case(file=_ONNX.format("separable_conv_model"), crop=(32, 32), frames=4),
    "branched_model": Case(file=_ONNX.format("branched_model"), crop=(32, 32), interval=16_384, frames=4),
    "tiny_unet": Case(file=_ONNX.format("tiny_unet"), crop=(32, 32), interval=16_384, frames=4),
    "SVHN CNN, 16,384": Case(
        file="hls4ml_tutorial/quantized_pruned_cnn_model.h5", given="ufixed<8,0>", bits=16, interval=16_384, frames=4
    ),
    "SVHN CNN": Case(file="hls4ml_tutorial/quantized_pruned_cnn_model.h5", given="ufixed<8,0>", bits=16, frames=4),
    "branched_model, whole": Case(file=_ONNX.format("branched_model"), interval=1 << 20, frames=0),
    "tiny_unet, whole": Case(file=_ONNX.format("tiny_unet"), interval=1 << 20, frames=0),
}


def run() -> None:
    """Measure what has no row yet and publish the table."""
    named = os.environ.get("GATEWRIGHT_BENCH_NETWORKS", "")
    names = named.split(";") if named else list(CASES)
    rows = [{"network": name, **_row(name)} for name in names]
    publish("streams", "streams: networks of other projects", rows, NOTES)


def _row(name: str) -> dict[str, Any]:
    """Return a case's row, an earlier one where nothing has changed."""
    case, work = CASES[name], WORK / name.replace(",", "").replace(" ", "_")
    key = digest(repr(case), MODELS / case.file, Path(__file__).with_name("streams_worker.py"), code_digest(*ROOMS))
    kept = work / "row.json"
    if kept.is_file():
        found = json.loads(kept.read_text())
        if found["key"] == key:
            return found["row"]
    work.mkdir(parents=True, exist_ok=True)
    run_tool([sys.executable, "-m", "benchmarks.streams_worker", name, str(work)], cwd=ROOT, log=work / "log")
    row = json.loads((work / "answer.json").read_text())
    write_json(kept, {"row": row, "key": key})
    print(name, row, flush=True)
    return row
