"""Table `overlay`: PYNQ overlays under cocotbpynq and read by PYNQ itself, which others wrote; what they take on xc7.

GATEWRIGHT_COCOTBPYNQ and GATEWRIGHT_PYNQ name Pythons that have them (pip install cocotbpynq==0.2.0, GPL;
pynq==4.0.0): environments of their own, for neither is imported by anything of ours.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.bus import LUT_SITES
from benchmarks.cells import count
from benchmarks.tables import BUILD, publish
from gatewright.errors import GatewrightError
from gatewright.instrument.overlay.module import LEAVES, counting_module
from gatewright.ir import Program
from gatewright.rtl.leaves import PLAIN
from gatewright.rtl.verilog import module_text
from gatewright.tools import write_atomic
from tests.instrument.test_overlay import SMALL, bundle, drive
from tests.lower.test_streams import residual

CASES: tuple[tuple[str, Program, int, dict[str, Any]], ...] = (
    ("a vector every cycle", SMALL, 1000, {}),
    ("folded", SMALL, 1000, {"reuse": 6}),
    ("on streams", residual(), 12, {"stream": "always"}),
)
"""A name, the program, vectors, options of the lowering."""
_WORKER = Path(__file__).with_name("overlay_worker.py")
_RUN = """
import sys
from cocotb_tools.runner import get_results, get_runner
made, top = sys.argv[1:]
runner = get_runner("icarus")
sources = [f"{made}/verilog/{line.strip()}" for line in open(f"{made}/verilog/files.f")]
runner.build(sources=sources, hdl_toplevel=top, build_dir="build", always=True, build_args=["-g2012"],
             timescale=("1ns", "1ps"))
env = {"HWH_LOCATION_DIR": f"{made}/simulation", "GATEWRIGHT_BOOK": f"{made}/board/{top}.ipynb"}
found = runner.test(hdl_toplevel=top, test_module="overlay_worker", build_dir="build", test_dir=".", extra_env=env)
assert get_results(found) == (1, 0)
"""
_READ = """
import json, sys
from pynq.pl_server import hwh_parser
for file, kind in zip(sys.argv[1:], (hwh_parser._HWHZynq, hwh_parser._HWHUltrascale)):
    read = kind(file)
    net = read.ip_dict["net"]
    words = {name: row["address_offset"] for name, row in net["registers"].items()}
    print(json.dumps([net["phys_addr"], words, read.clock_dict[0]]))
"""


def run() -> None:
    """Run each notebook under cocotbpynq and on cocotbext-axi's streams, every result by ==; let PYNQ read the .hwh."""
    pythons = {name: os.environ.get(f"GATEWRIGHT_{name}", "") for name in ("COCOTBPYNQ", "PYNQ")}
    if lacking := [f"GATEWRIGHT_{name}" for name, python in pythons.items() if not python]:
        raise GatewrightError(f"{', '.join(lacking)} must name Pythons that have these packages; see overlay.py")
    rows: list[dict[str, Any]] = []
    for name, program, vectors, options in CASES:
        folder = BUILD / "overlay" / name.replace(" ", "_")
        shutil.rmtree(folder, ignore_errors=True)
        drive(folder / "outside", program, count=min(vectors, 40), **options)
        made = bundle(folder, program, count=vectors, data_bits=32, **options)
        path = os.pathsep.join([str(_WORKER.parent), str(folder / "made" / "board")])
        done = subprocess.run(
            [pythons["COCOTBPYNQ"], "-c", _RUN, str(folder / "made"), made.overlay.name],
            cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise GatewrightError(f"{name}: cocotbpynq says\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
        inner = {**PLAIN.files(*LEAVES), "top.v": module_text(counting_module(made.overlay, "top"))}
        for file, text in inner.items():
            write_atomic(folder / file, text)
        cells = count([folder / file for file in inner], top="top", family="xc7", out=folder / "synth")
        memory = sum(LUT_SITES.get(kind, 0) * number for kind, number in cells.by_type.items())
        said = [line for line in done.stdout.splitlines() if " cycles a vector" in line]
        rows.append(
            {"core": name, "vectors": vectors, "under cocotbpynq": said[0].split()[0], "LUT": cells.lut + memory}
            | {"FF": cells.ff, "PYNQ reads": _read(folder, program, pythons["PYNQ"], options)}
        )
    notes = (
        "under cocotbpynq: cycles a vector, every one right; LUT, FF: the counters behind AXI4-Lite, all but core and",
        "stream; PYNQ reads: registers of the .hwh of a PYNQ-Z2 and of a KV260 by pynq 4.0's own readers.",
    )
    publish("overlay", "overlay: notebook and driver as they are, on what others wrote", rows, notes)


def _read(folder: Path, program: Program, python: str, options: dict[str, Any]) -> int:
    """Return how many registers PYNQ finds where they are. Raises GatewrightError for others."""
    files: list[str] = []
    for board in ("pynq-z2", "kv260"):
        made = bundle(folder / board, program, board, count=2, **options)
        files.append(str(folder / board / "made" / "simulation" / f"{made.overlay.name}.hwh"))
    said = subprocess.run([python, "-c", _READ, *files], capture_output=True, text=True, check=True).stdout
    wanted = {register.name: register.offset for register in made.overlay.registers}
    for line, address in zip(said.splitlines()[-2:], (0x43C00000, 0xA0010000), strict=True):
        where, registers, clock = json.loads(line)
        if (where, registers, clock["enable"]) != (address, wanted, 1):
            raise GatewrightError(f"PYNQ reads {line}, expected {wanted} at {address:#x}")
    return len(wanted)
