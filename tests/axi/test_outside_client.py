"""cocotbext-axi, a client that others wrote, on generated cores in Icarus: widths, pauses, torn packets, resets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gatewright.config import Framing
from gatewright.fixedpoint import Ints
from gatewright.flow.codes import random_codes
from gatewright.ir import Interpreter, Program
from gatewright.lower.target import Boundaries
from gatewright.rtl.beats import pack
from gatewright.rtl.manifest import RtlManifest, write_design
from gatewright.rtl.shell import StreamPort
from tests.lower.test_streams import residual, signal
from tests.lowering import lower_for
from tests.programs import codes, mlp

pytestmark = [pytest.mark.icarus, pytest.mark.axi, pytest.mark.slow]

HERE = Path(__file__).parent
RUN = """
import json, sys
from cocotb_tools.runner import get_runner
given = json.loads(open(sys.argv[1]).read())
runner = get_runner("icarus")
runner.build(sources=given["sources"], hdl_toplevel=given["top"], build_dir="build", always=True,
             build_args=["-g2012"], timescale=("1ns", "1ps"))
runner.test(hdl_toplevel=given["top"], test_module="client", build_dir="build", test_dir=".", results_xml=given["xml"],
            extra_env={"GATEWRIGHT_AXI": sys.argv[1]})
"""


def as_bytes(port: StreamPort, values: Ints, noise: np.random.Generator | None = None) -> list[str]:
    """Return each vector's beats as they lie on the bus, lowest byte first. noise: fills what a receiver ignores."""
    words = pack(port, values, noise=noise)
    raw = words.reshape(len(values), port.beats, -1).astype("<u4")
    return ["".join(beat.tobytes()[: port.beat_bits // 8].hex() for beat in vector) for vector in raw]


def check(folder: Path, manifest: RtlManifest, x: Ints, expected: Ints) -> None:
    """Run every scenario of client.py; all must pass."""
    assert len(np.unique(expected, axis=0)) > 10
    outward = manifest.core_beats[1]
    given = {
        "vectors": as_bytes(manifest.source, x, np.random.default_rng(1)),
        "results": as_bytes(manifest.result, expected),
        "beats": manifest.source.beats,
        "tail": manifest.result.beat_bits // 8 * (manifest.result.beats // outward * (outward - 1)),
        "framed": manifest.framed,
        "top": manifest.top,
        "xml": str(folder / "results.xml"),
        "sources": [str(path) for path in manifest.sources(folder)],
    }
    (folder / "given.json").write_text(json.dumps(given))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    argv = [sys.executable, "-c", RUN, str(folder / "given.json")]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    results = (folder / "results.xml").read_text()
    assert results.count("<testcase") == 6
    assert "<failure" not in results, done.stdout[-6000:]
    skipped = 0 if manifest.framed and manifest.source.beats > 1 else 1 if manifest.framed else 2
    assert results.count("<skipped") == skipped


@pytest.mark.parametrize(
    ("stream_bits", "inputs", "framing", "io_registers"),
    [
        (8, 5, "auto", False),
        (16, 5, "auto", True),
        (24, 10, "auto", False),
        (64, 20, "auto", True),
        (1024, 300, "auto", False),
        (0, 6, "packets", True),
        (32, 10, "none", False),
    ],
)
def test_parallel(tmp_path: Path, stream_bits: int, inputs: int, framing: Framing, io_registers: bool):
    sizes = (inputs, 3, 3) if inputs < 100 else (inputs, 3)
    program = mlp(sizes, seed=2, output="scores", sparsity=1 - 4 / inputs)
    x = codes(program, 40)
    dataflow = lower_for(program, x, family="xc7", clock_mhz=200)
    manifest = write_design(
        dataflow,
        program_hash="0" * 64,
        stream_bits=stream_bits,
        folder=tmp_path,
        framing=framing,
        io_registers=io_registers,
    )
    check(tmp_path, manifest, x, Interpreter(program).run(x))


@pytest.mark.parametrize(("boundaries", "stream_bits"), [("rigid", 16), ("elastic", 8), ("elastic", 0)])
def test_folded_on_a_chip_without_lut_ram(tmp_path: Path, boundaries: Boundaries, stream_bits: int):
    """The core takes a vector every so many cycles; wide results wait in block RAM."""
    program = mlp((6, 8, 12), seed=3, output="scores")
    x = codes(program, 40)
    dataflow = lower_for(program, x, family="ice40", clock_mhz=40, reuse=4, boundaries=boundaries)
    manifest = write_design(dataflow, program_hash="0" * 64, stream_bits=stream_bits, folder=tmp_path)
    check(tmp_path, manifest, x, Interpreter(program).run(x))


@pytest.mark.parametrize(
    ("program", "framing", "stream_bits"),
    [(residual(), "auto", 0), (signal(12, 1, 3), "packets", 8), (signal(12, 1, 3), "none", 0)],
    ids=["image to image", "signal to numbers", "signal without packets"],
)
def test_streams(tmp_path: Path, program: Program, framing: Framing, stream_bits: int):
    """Frames for vectors."""
    x = random_codes(program, 40, seed=1)
    dataflow = lower_for(program, x, family="ecp5", clock_mhz=60, stream="always")
    manifest = write_design(
        dataflow, program_hash="0" * 64, stream_bits=stream_bits, folder=tmp_path, framing=framing, io_registers=True
    )
    assert (manifest.core_beats[1] > 1) == (program.name == "residual")
    check(tmp_path, manifest, x.reshape(len(x), -1), Interpreter(program).run(x).reshape(len(x), -1))
