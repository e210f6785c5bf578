"""Table `window_products`: convolutions at a window a cycle beside da4ml on the same weights, whole units as built.

da4ml gets a window's pixels as a vector and gives the layer with its ReLU and rounding; ours is the core of that one
layer on a stream: window registers, counters, circuit, rounding, valid and ready, credits. Line memories and the FIFO
at the end stand apart, in LUT RAM. Our clock is the highest whose circuit has no more stages. GATEWRIGHT_BENCH_PYTHON
names a Python with da4ml and Alkaid; one yosys script for all.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import mnist_stream, peers
from benchmarks.cells import Cells, count
from benchmarks.networks import Baseline
from benchmarks.streams import CASES
from benchmarks.streams_worker import exported
from benchmarks.tables import BUILD, publish
from gatewright.fixedpoint import Fixed, Rounding
from gatewright.flow.codes import random_codes
from gatewright.ir import Constant, Dense, Input, Interpreter, Program, Relu, Requant, ranges
from gatewright.ir.ops import Conv
from gatewright.lower.pipeline.schedule import schedule
from gatewright.lower.streaming.windowed import Windowed
from gatewright.rtl.manifest import write_design
from gatewright.sim import require_match, simulate_compiled
from gatewright.tools import digest
from tests.lowering import lower_for

WORK = BUILD / "window_products"
SETTING = peers.SETTINGS[1]
VECTORS, FRAMES = 500, 4
_LOWEST_MHZ, _HIGHEST_MHZ, _STEPS = 20.0, 800.0, 12
NOTES = (
    "Sums, ReLU, a cut to the layer's own format, saturating. stages: behind the window's or inputs' registers. LUT:",
    "LUT1..LUT6 and LUT6_2, one each. LUT RAM: cells, of line memories and the FIFO. Ours is simulated on frames with",
    "stalls, da4ml's emulated on random windows, both ==. Ratios: ours / da4ml's.",
)
FRAME = 12  # rows and columns: a line memory is apart, so its length does not count


def run() -> None:
    """Print the table."""
    rows: list[dict[str, Any]] = []
    digits = mnist_stream.network()[0]
    images = exported(CASES["SVHN CNN"])[0].program
    for name, program, number in (("mnist 9", digits, 0), ("SVHN 27", images, 0), ("mnist 144", digits, 1)):
        rows += _rows(name, *_layer(program, number))
        print(rows[-3:], flush=True)
    publish("window_products", "window_products: a window a cycle, xc7", rows, NOTES)


def _layer(program: Program, number: int) -> tuple[Program, Program]:
    """Return a convolution with its ReLU and rounding, over small frames, and the same as a layer of vectors."""
    at = [n for n, op in enumerate(program.ops) if isinstance(op, Conv)][number]
    conv = program.ops[at]
    assert isinstance(conv, Conv)
    rounding = next(op for op in program.ops[at:] if isinstance(op, Requant))
    relu = Relu(name="relu", layer=conv.layer, source=conv.name)
    rounding = replace(rounding, source=relu.name, rounding=Rounding.TRUNCATE)
    known = ranges(program)[conv.source]
    fixed = Fixed.holding(int(np.min(known.lo)), int(np.max(known.hi)), known.frac_bits)
    weight = program.constants[conv.weight]
    rows, columns, lanes, results = weight.q.shape
    taps = rows * columns * lanes
    constants = {key: program.constants[key] for key in (conv.weight, conv.bias)}
    source = Input(name="x", layer="input", shape=(FRAME, FRAME, lanes), format=fixed)
    first = replace(conv, source="x", pads=((0, 0), (0, 0)))
    behind = (relu, rounding)
    whole = Program(name="unit", ops=(source, first, *behind), output=rounding.name, constants=constants)
    dense = Dense(name=conv.name, layer=conv.layer, source="x", weight=conv.weight, bias=conv.bias)
    flat = {**constants, conv.weight: Constant(weight.q.reshape(taps, results), weight.frac_bits)}
    vector = replace(source, shape=(taps,))
    return whole, Program(name="window", ops=(vector, dense, *behind), output=rounding.name, constants=flat)


def _rows(name: str, whole: Program, vector: Program) -> list[dict[str, Any]]:
    """Return da4ml's row of a layer, ours, and the ratios."""
    x = random_codes(vector, VECTORS)
    baseline = Baseline(program=vector, x=x, y=Interpreter(vector).run(x))
    request = {"task": "compile", "peer": SETTING.peer, "repeats": 1, "delay_constraint": SETTING.delay_constraint}
    request["latency_cutoff"] = SETTING.latency_cutoff
    work = WORK / name.replace(" ", "_")
    answer = peers.ask(request, f"window-{name.replace(' ', '_')}", baseline)
    assert answer["exact"], f"da4ml misses a window of {name}"
    sources = [Path(source) for source in answer["sources"]]
    theirs = _row(SETTING.label, count(sources, top=peers.TOP, family="xc7", out=work / "da4ml"), answer["stages"])
    stages, cells = _ours(whole, answer["stages"], work)
    mine = _row("gatewright, the unit", cells, stages)
    ratio = {key: round(mine[key] / theirs[key], 3) for key in ("LUT", "FF")}
    return [{"layer": name, **row} for row in (theirs, mine, {"compiler": "  ratio", **ratio})]


def _row(compiler: str, cells: Cells, stages: int) -> dict[str, Any]:
    rams = sum(number for kind, number in cells.by_type.items() if kind.startswith("RAM"))
    return {"compiler": compiler, "stages": stages, "LUT": cells.lut, "LUT RAM": rams, "INV": cells.inv, "FF": cells.ff}


def _ours(program: Program, most: int, work: Path) -> tuple[int, Cells]:
    """Compile a layer at the highest clock with at most so many stages, simulate and count it."""
    x = random_codes(program, FRAMES)
    settings: dict[str, Any] = {"family": "xc7", "stream": "always", "engine": "parallel"}
    (unit,) = lower_for(program, x, clock_mhz=_LOWEST_MHZ, **settings).units
    assert isinstance(unit, Windowed)
    low, high = _LOWEST_MHZ, _HIGHEST_MHZ
    for _ in range(_STEPS):
        middle = (low + high) / 2
        fits = schedule(unit.circuit, family="xc7", clock_mhz=middle).latency_cycles <= most
        low, high = (middle, high) if fits else (low, middle)
    made = lower_for(program, x, clock_mhz=low, **settings)
    (unit,) = made.units
    assert isinstance(unit, Windowed)
    folder = work / "rtl"
    manifest = write_design(made, program_hash=digest(program.name), stream_bits=0, folder=folder)
    require_match(simulate_compiled(program, manifest, x, folder=folder, stall_fraction=0.3, seed=0, out=work / "sim"))
    cells = count(manifest.sources(folder), top=manifest.core, family="xc7", out=work / "ours")
    return unit.schedule.latency_cycles, cells
