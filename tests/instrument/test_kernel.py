"""The kernel between a host and a memory that others wrote, in Icarus: results, rates, every way in which it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from gatewright.errors import LowerError
from gatewright.flow.codes import random_codes
from gatewright.instrument.header import Units
from gatewright.instrument.kernel.bundle import kernel_record
from gatewright.instrument.kernel.top import WrittenKernel, make_kernel
from gatewright.ir import Program
from gatewright.rtl.manifest import write_design
from gatewright.sim import lint
from tests.axi.test_outside_client import RUN
from tests.instrument.blocks import vectors
from tests.lowering import lower_for
from tests.programs import mlp

HERE = Path(__file__).parent
SMALL = mlp((5, 6, 3), seed=2, output="scores")


def built(folder: Path, program: Program, *, data_bits: int = 0, **options: Any) -> tuple[WrittenKernel, int]:
    """Return the kernel of a program, whose Verilog lies in `folder`, and its core's cycles from vector to vector."""
    dataflow = lower_for(program, random_codes(program, 40, seed=1), family="ecp5", clock_mhz=60, **options)
    manifest = write_design(dataflow, program_hash="c0ffee01" * 8, stream_bits=0, folder=folder / "rtl")
    made = make_kernel(manifest, folder / "rtl", data_bits=data_bits)
    for name, text in made.files.items():
        (folder / name).write_text(text)
    return made, manifest.claims.initiation_interval


def drive(
    folder: Path, program: Program, runs: list[tuple[int, float]], least: float, *, only: str = "", **options: Any
) -> list[float]:
    """Run scenarios of kernel_client.py; all must pass. Returns the share of the core's throughput of each run.

    `python -m benchmarks kernel` does so at length, and for a core on streams.
    """
    made, interval = built(folder, program, **options)
    x, y = vectors(program, 60)
    kernel = made.kernel
    given = {
        "design": kernel_record(kernel, Units()),
        "x": x.tolist(),
        "y": y.tolist(),
        "bytes": [kernel.vector_bytes(kernel.x), kernel.vector_bytes(kernel.y)],
        "interval": interval,
        "runs": runs,
        "least": least,
        "top": kernel.name,
        "xml": str(folder / "results.xml"),
        "sources": [str(folder / name) for name in made.files],
    }
    (folder / "given.json").write_text(json.dumps(given))
    client = str(files("gatewright.instrument") / "client")
    path = os.pathsep.join([str(HERE), client, os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "GATEWRIGHT_LITE": str(folder / "given.json"), "COCOTB_TEST_FILTER": only}
    argv = [sys.executable, "-c", RUN.replace('"client"', '"kernel_client"'), str(folder / "given.json")]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    results = (folder / "results.xml").read_text()
    assert results.count("<testcase") - results.count("<skipped") == (1 if only else 3)
    assert "<failure" not in results, done.stdout[-6000:]
    return json.loads((folder / "rates.json").read_text())


@pytest.mark.icarus
@pytest.mark.axi
@pytest.mark.slow
def test_an_outside_memory_sees_whole_bursts_and_every_end(tmp_path: Path):
    drive(tmp_path, SMALL, [(1, 0.0), (37, 0.4), (150, 0.1)], 0.4, data_bits=64)


@pytest.mark.sim
def test_lint_is_clean(tmp_path: Path):
    made, _ = built(tmp_path, SMALL, data_bits=512)
    lint(sources=[tmp_path / name for name in made.files], top=made.kernel.name, out=tmp_path / "lint")


def test_the_bus_is_as_wide_as_the_core_wants(tmp_path: Path):
    assert built(tmp_path / "a", SMALL)[0].kernel.data_bits == 64  # five bytes in every cycle
    slow, every = built(tmp_path / "b", SMALL, reuse=6)
    assert slow.kernel.data_bits == 32
    assert every >= slow.kernel.x.words == 2
    with pytest.raises(LowerError, match="bus to memory must have one of 32, 64, 128, 256, 512 bits, not 96"):
        built(tmp_path / "c", SMALL, data_bits=96)
