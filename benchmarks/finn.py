"""Table `finn`: windows and folded products beside the SystemVerilog of FINN's library, through one yosys script.

GATEWRIGHT_BENCH_FINN names a Python with finn-plus 1.6.1, qonnx 1.0, onnx and torch, whose own code writes its windows;
GATEWRIGHT_BENCH_FINN_MVU one with the files of finn-plus 1.0.0 (`pip install --no-deps finn-plus==1.0.0`), the last
whose matrix-vector unit for DSP48 yosys' read_slang elaborates. FINN's files are read by read_slang, ours by
read_verilog; what follows is the same script.
"""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import BUILD, ROOT, publish
from gatewright.errors import MissingToolError
from gatewright.fixedpoint import Fixed
from gatewright.flow.codes import random_codes
from gatewright.ir import Constant, Program
from gatewright.ir.ops import Conv, Dense, Input
from gatewright.lower.streaming.swept import Swept
from gatewright.rtl.manifest import write_design
from gatewright.rtl.names import names_of
from gatewright.rtl.netlist import Module, Name, Port
from gatewright.rtl.products import accumulators, sums_of_products
from gatewright.rtl.signals import CLK
from gatewright.rtl.verilog import module_text
from gatewright.synth import SynthReport
from gatewright.synth.yosys import find_yosys, parse_stat, script, synthesize
from gatewright.tools import digest, run_tool, write_atomic, write_json
from tests.lowering import lower_for

WORK = BUILD / "finn"
WINDOWS, PRODUCTS = "GATEWRIGHT_BENCH_FINN", "GATEWRIGHT_BENCH_FINN_MVU"
READ = "read_slang --allow-use-before-declare --ignore-initial --ignore-timing"
LANES, RESULTS, CYCLES, PER_CYCLE, AT_A_TIME = 144, 16, 128, 9, 2
MVU = f"""module mvu(
  input logic clk, rst, en, last, zero,
  input logic signed [{AT_A_TIME - 1}:0][{PER_CYCLE - 1}:0][7:0] w,
  input logic [{PER_CYCLE - 1}:0][7:0] a,
  output logic vld,
  output logic signed [{AT_A_TIME - 1}:0][23:0] p);
  mvu_8sx8u_dsp48 #(
    .PE({AT_A_TIME}), .SIMD({PER_CYCLE}), .ACCU_WIDTH(24), .ACTIVATION_WIDTH(8), .WEIGHT_WIDTH(8)) u(.*);
endmodule
"""
NOTES = (
    "sites: LUTs of any use (a RAM32M takes four). 3 x 3 windows of 8 bits, all at once, no padding, line memory",
    "included. products: 144 unsigned inputs to 16 outputs, 8 bits, 128 cycles, weights and inputs come from outside.",
    "cycles: of a frame, by FINN's own estimate; ours as the run of tokens says, and simulation confirms.",
)


def run() -> None:
    """Print the table."""
    rows: list[dict[str, Any]] = []
    for channels, columns in ((16, 32), (3, 34)):
        theirs, version, cycles = _finn_window(channels, columns)
        mine, own = _window(channels, columns)
        name = f"window, {channels} channels, {columns} columns"
        rows += _pair(name, f"FINN {version}", (theirs, cycles), (mine, own))
    theirs, version = _finn_products()
    rows += _pair("products 144 -> 16", f"FINN {version}", (theirs, CYCLES), (_products(), CYCLES))
    publish("finn", "finn: parts beside FINN's library, xc7", rows, NOTES)


def _pair(part: str, peer: str, theirs: tuple[SynthReport, int], mine: tuple[SynthReport, int]) -> list[dict[str, Any]]:
    """Return a peer's row, ours, and their ratios."""
    found = [
        {
            "part": part,
            "tool": tool,
            "LUT": report.lut,
            "LUT RAM": report.lutram,
            "sites": report.sites,
            "FF": report.ff,
            "DSP": report.dsp,
            "cycles": cycles,
        }
        for tool, (report, cycles) in ((peer, theirs), ("gatewright", mine))
    ]
    ratio = {key: round(found[1][key] / found[0][key], 2) for key in ("sites", "FF", "cycles")}
    return [*found, {"part": part, "tool": "  ratio", **ratio}]


# ---- FINN's


def _ask(variable: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return what a worker answers that runs with the interpreter that a variable names."""
    python = os.environ.get(variable)
    if python is None:
        raise MissingToolError(f"the comparison needs {variable}; see the first lines of benchmarks/finn.py")
    work = Path(request["out"])
    write_json(work / "request.json", request)
    worker = ROOT / "benchmarks" / "finn_worker.py"
    argv = [python, "-P", str(worker), str(work / "request.json"), str(work / "answer.json")]
    run_tool(argv, cwd=work, log=work / "log")
    return json.loads((work / "answer.json").read_text())


def _finn_window(channels: int, columns: int) -> tuple[SynthReport, str, int]:
    """Return the counts of FINN's window, its version, and the cycles that it says a frame takes."""
    top = f"swg{channels}"
    work = WORK / top
    answer = _ask(WINDOWS, {"task": "window", "top": top, "channels": channels, "columns": columns, "out": str(work)})
    sources = [Path(source) for source in answer["sources"]]
    return _counted(sources, top, work, dsp=False), answer["version"], answer["cycles"]


def _finn_products() -> tuple[SynthReport, str]:
    """Return the counts of FINN's products and accumulators, without its replay buffer, and the version."""
    work = WORK / "mvu"
    answer = _ask(PRODUCTS, {"task": "products", "out": str(work)})
    write_atomic(work / "mvu.sv", MVU)
    write_atomic(work / "cells.v", _cells("DSP48E1", "LUT6_2"))
    sources = [work / "cells.v", *map(Path, answer["sources"]), work / "mvu.sv"]
    return _counted(sources, "mvu", work, dsp=True), answer["version"]


def _cells(*names: str) -> str:
    """Return the headers of vendor cells that a design instantiates, as black boxes, from yosys' own library."""
    spec = find_spec("pyosys")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "share" / "xilinx" / "cells_sim.v").read_text()
    found: list[str] = []
    for name in names:
        body = re.search(rf"module {name}\b.*?endmodule", text, re.DOTALL)
        assert body is not None
        head = re.match(r"module .*?\);", body[0], re.DOTALL)
        assert head is not None
        ports = re.sub(r"`(ifdef|else|endif).*", "", re.sub(r"\(\*.*?\*\)", "", head[0]))
        settings = re.findall(r"^\s*parameter[^;]*;", body[0], re.MULTILINE)
        found.append("\n".join(["(* blackbox *)", ports, *settings, "endmodule", ""]))
    return "\n".join(found)


def _counted(sources: list[Path], top: str, work: Path, *, dsp: bool) -> SynthReport:
    """Synthesize SystemVerilog by the script that ours goes through; equal sources are counted once."""
    rest = script(sources=(), top=top, family="xc7", keep=(), out=work, dsp=dsp)
    text = f"{READ} --top {top} {' '.join(map(str, sources))}\n{rest}"
    key = digest(text, *sources)
    kept = work / "report.json"
    if kept.is_file() and json.loads((work / "key.json").read_text()) == key:
        return SynthReport.load(kept)
    package, code = find_yosys()
    write_atomic(work / "synth.ys", text)
    write_atomic(work / "srl_register.v", (files("gatewright.synth") / "srl_register.v").read_text())
    run_tool([sys.executable, "-P", "-c", code, "synth.ys"], cwd=work, log=work / "synth.log")
    report = parse_stat((work / "stat.json").read_text(), top=top, family="xc7", tool=package)
    report.save(kept)
    write_json(work / "key.json", key)
    return report


# ---- ours


def _window(channels: int, columns: int) -> tuple[SynthReport, int]:
    """Return the counts of a window's line memory, registers and counters, and the cycles of a frame."""
    pixels = ((0, 0), (0, 0))
    conv = Conv(
        name="c", layer="c", source="x", weight="w", bias="b", strides=(1, 1), dilation=(1, 1), pads=pixels, groups=1
    )
    weight = np.ones((3, 3, channels, 1), np.int64)
    program = _program("lines", (columns, columns, channels), conv, weight, signed=True)
    made = lower_for(program, random_codes(program, 2), family="xc7", clock_mhz=100, stream="always")
    work = WORK / f"ours{channels}"
    write_design(made, program_hash=digest(program.name), stream_bits=0, folder=work / "rtl")
    top = "lines_c_window"
    found = synthesize(sources=[work / "rtl" / f"{top}.v"], top=top, family="xc7", out=work / "synth")
    return found, made.initiation_interval


def _products() -> SynthReport:
    """Return the counts of a sweep's multipliers, their sums and accumulators."""
    weight = np.random.default_rng(0).integers(-128, 128, (LANES, RESULTS))
    dense = Dense(name="c", layer="c", source="x", weight="w", bias="b")
    program = _program("folded", (4, 4, LANES), dense, weight, signed=False)
    made = lower_for(
        program,
        random_codes(program, 2),
        family="xc7",
        clock_mhz=150,
        stream="always",
        interval=16 * CYCLES,
        engine="folded",
        multiplier="dsp",
        dsp_blocks=LANES,
    )
    unit = made.units[0]
    assert isinstance(unit, Swept)
    assert (unit.sweep.cycles, unit.sweep.sides.word, unit.sweep.sides.outputs) == (CYCLES, PER_CYCLE, AT_A_TIME)
    plan, work = unit.plan, WORK / "ours_products"
    values = {m.slot: Name(f"x{m.slot}", 8, False) for m in plan.multipliers}
    widths = [width for _, width in plan.words]
    word = Name("weights", sum(widths), False)
    weights = [(word, sum(widths[:number])) for number in range(len(widths))]
    inputs = [values[multiplier.slot] for multiplier in plan.multipliers]
    items, inner, sums = sums_of_products(
        plan, unit.tree, unit.schedule, weights, inputs, names=names_of(made), program_hash=digest(program.name)
    )
    first = Name("first", 1, False)
    made_sums = accumulators(items, plan, sums, first, None, late=unit.tree_cycles)
    outputs = [Name(f"y{number}", own.width, own.signed) for number, (own, _) in enumerate(made_sums)]
    module = Module(
        name="products",
        header=("The products of one sweep, their sums and accumulators; weights and inputs come from outside.",),
        ports=(
            Port(CLK, False),
            Port(word, False),
            Port(first, False),
            *(Port(value, False) for value in values.values()),
            *(Port(y, True) for y in outputs),
        ),
        items=tuple(items),
        drives=tuple((y, own) for y, (own, _) in zip(outputs, made_sums, strict=True)),
        attributes=(("use_dsp", "yes"),),
    )
    manifest = write_design(made, program_hash=digest(program.name), stream_bits=0, folder=work / "rtl")
    sources = [source for source in manifest.sources(work / "rtl") if source.name.startswith("gw_")]
    for each in (module, *inner):
        sources.append(work / f"{each.name}.v")
        write_atomic(sources[-1], module_text(each))
    return synthesize(sources=sources, top="products", family="xc7", out=work / "synth", dsp=True)


def _program(name: str, shape: tuple[int, ...], op: Conv | Dense, weight: np.ndarray, *, signed: bool) -> Program:
    """Return a program of one layer of 8-bit inputs."""
    constants = {"w": Constant(weight, 0), "b": Constant(np.zeros(weight.shape[-1], np.int64), 0)}
    fixed = Fixed(width_bits=8, frac_bits=0, signed=signed)
    return Program(
        name=name, ops=(Input(name="x", layer="input", shape=shape, format=fixed), op), output="c", constants=constants
    )
