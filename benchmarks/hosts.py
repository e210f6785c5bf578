"""Table `hosts`: the C client and the XRT host on the Verilated kernel, the OpenCL host on PoCL; every result by ==.

GATEWRIGHT_OPENCL names a Python that has an OpenCL of others (pip install pyopencl pocl-binary-distribution); there a
kernel of the same name and arguments, in OpenCL C, looks the vectors up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.tables import BUILD, publish
from gatewright.errors import GatewrightError
from gatewright.sim.objects import compile_objects, library_objects
from gatewright.sim.toolchain import find_compiler, find_verilator
from gatewright.tools import run_tool, write_atomic
from tests.instrument.test_hosts import CLIENT_SAYS, HOSTS, STRICT, bundle

_OPENCL = """
import json, sys
import numpy as np
import pyopencl as cl
sys.path.insert(0, sys.argv[1])
from gw_opencl import OpenclKernel
raw = open(sys.argv[2], "rb").read()
x_bytes, y_bytes, _, known = np.frombuffer(raw[8:24], "<u4").tolist()
words, x_words, y_words = np.frombuffer(raw[24:], "<u4").tolist(), x_bytes // 4, y_bytes // 4
x, y = words[: known * x_words], words[known * x_words :]
name = json.load(open(sys.argv[1] + "/kernel.json"))["name"]
listed = [", ".join(f"{word}u" for word in side) for side in (x, y)]
text = f'''
__constant uint known_x[] = {{{listed[0]}}}, known_y[] = {{{listed[1]}}};
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void {name}(__global const uint *x, __global uint *y, uint count)
{{
    for (uint i = 0; i < count; i++)
        for (uint k = 0; k < {known}; k++) {{
            uint same = 1;
            for (uint w = 0; w < {x_words}; w++) same &= x[i * {x_words} + w] == known_x[k * {x_words} + w];
            if (!same) continue;
            for (uint w = 0; w < {y_words}; w++) y[i * {y_words} + w] = known_y[k * {y_words} + w];
            break;
        }}
}}
'''
kernel = OpenclKernel(sys.argv[1] + "/kernel.json", text)
print(kernel.self_test(), kernel.device.name.replace(" ", "_"), cl.VERSION_TEXT)
"""


def run() -> None:
    """Build kernel and card, and let each host send its stored vectors."""
    python = os.environ.get("GATEWRIGHT_OPENCL", "")
    if not python:
        raise GatewrightError("GATEWRIGHT_OPENCL must name a Python that has pyopencl and PoCL; see hosts.py")
    folder = BUILD / "hosts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = bundle(folder, data_bits=64)
    name, client = made.kernel.name, folder / "made" / "client"
    rows: list[dict[str, Any]] = []
    card = _card(folder, name, list(made.files))
    write_atomic(folder / "DESIGN.h", f'#include "{name}.h"\n')
    own = [f"-DDESIGN={name}", f"-I{client}", f"-I{HOSTS}", f"-I{folder}"]
    for source in (client / "gk.c", client / f"{name}.c", HOSTS / "client.c"):
        run_tool(["cc", *STRICT, *own, "-c", str(source)], cwd=folder, log=folder / "cc.log")
    objects = ["gk.o", f"{name}.o", *card, "-lstdc++", "-lm", "-pthread"]
    run_tool(["cc", "client.o", *objects, "-o", "client"], cwd=folder, log=folder / "link.log")
    said, took = _timed(["./client"], folder)
    if said != CLIENT_SAYS.replace("time-out 8\n", ""):
        raise GatewrightError(f"the client in C says\n{said}")
    rows.append({"host": "gk.c", "on": "the Verilated kernel", "wrong": 0, "wall s": took})
    flags = ["-std=c++17", "-O1", *own, f"-I{HOSTS}", "-Ixrt"]
    shutil.copytree(HOSTS / "xrt", folder / "xrt" / "xrt")
    run_tool(
        ["c++", *flags, str(folder / "made" / "host" / "host_xrt.cpp"), *objects, "-o", "host_xrt"],
        cwd=folder, log=folder / "xrt.log",
    )  # fmt: skip
    write_atomic(folder / "kernel.xclbin", "")
    said, took = _timed(["./host_xrt", "kernel.xclbin"], folder)
    if not said.startswith("60 vectors, 0 codes differ"):
        raise GatewrightError(f"the host for XRT says\n{said}")
    rows.append({"host": "host_xrt.cpp", "on": "the Verilated kernel", "wrong": 0, "wall s": took})
    said, took = _timed([python, "-c", _OPENCL, str(client), str(folder / "table")], folder)
    tested, device, version = said.split()
    rows.append(
        {"host": "gw_opencl.py", "on": f"{device}, pyopencl {version}", "wrong": 60 - int(tested), "wall s": took}
    )
    publish(
        "hosts", "hosts of a kernel, 60 vectors each", rows, ("XRT: a stand-in for its library; PoCL: the real one.",)
    )


def _card(folder: Path, name: str, files: list[str]) -> list[str]:
    """Return the objects of a card that is the Verilated kernel."""
    verilator = find_verilator()
    argv = [
        verilator.program,
        "--cc",
        "--prefix",
        "Vkernel",
        "--top-module",
        name,
        "--Mdir",
        "model",
        "-O3",
        "-Wno-fatal",
    ]
    sources = [str(folder / "made" / "verilog" / file) for file in files]
    run_tool([*argv, *sources], cwd=folder, log=folder / "verilator.log", env=verilator.env)
    models = [HOSTS / "card_rtl.cpp", *sorted((folder / "model").glob("*.cpp"))]
    compiler, includes = find_compiler(), [f"-I{folder / 'model'}", f"-I{HOSTS}", *verilator.includes]
    made = compile_objects(compiler, models, out=folder, includes=includes, level=1)
    return [str(path) for path in (*made, *library_objects(verilator, compiler, out=folder))]


def _timed(argv: list[str], folder: Path) -> tuple[str, float]:
    """Return what a program says, and the seconds that it takes. Raises GatewrightError where it fails."""
    begun = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GatewrightError(f"{argv[0]} fails:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout, time.perf_counter() - begun
