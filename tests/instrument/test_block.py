"""The block on its bus: cocotbext-axi's AXI4-Lite master in Icarus, and Verilator's lint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gatewright.errors import LowerError
from gatewright.instrument.registers import Block, FifoPair, Frame
from gatewright.ir import Program
from gatewright.sim import lint
from tests.axi.test_outside_client import RUN
from tests.instrument.blocks import built, vectors, words
from tests.lower.test_streams import residual
from tests.programs import mlp

HERE = Path(__file__).parent
SMALL = mlp((5, 6, 3), seed=2, output="scores")
FRAME = Frame(elements=4, width_bits=8, signed=True, frac_bits=4)


def drive(folder: Path, program: Program, count: int, *, only: str = "", **options: Any) -> int:
    """Run scenarios of lite_client.py; all must pass. Returns the transactions of the longest."""
    made = built(folder, program, **options)
    x, y = vectors(program, 24)
    block = made.block
    assert block.x is not None
    assert block.y is not None
    given = {
        "words": words(block.x, x),
        "answers": words(block.y, y),
        "registers": [asdict(register) for register in block.registers],
        "inputs": block.inputs,
        "depth": block.fifos and block.fifos.output_depth,
        "ram_words": block.ram_words,
        "bursts": 12,
        "vectors": count,
        "top": made.top,
        "xml": str(folder / "results.xml"),
        "sources": [str(folder / name) for name in made.files],
    }
    (folder / "given.json").write_text(json.dumps(given))
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "GATEWRIGHT_LITE": str(folder / "given.json"), "COCOTB_TEST_FILTER": only}
    run = RUN.replace('"client"', '"lite_client"')
    argv = [sys.executable, "-c", run, str(folder / "given.json")]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    results = (folder / "results.xml").read_text()
    assert results.count("<testcase") - results.count("<skipped") == (only.count("|") + 1 if only else 4)
    assert "<failure" not in results, done.stdout[-6000:]
    return int((folder / "transactions").read_text())


@pytest.mark.icarus
@pytest.mark.axi
@pytest.mark.slow
def test_an_outside_master_loses_nothing(tmp_path: Path):
    assert drive(tmp_path, SMALL, 40, ram_words=256) > 240


@pytest.mark.icarus
@pytest.mark.axi
@pytest.mark.slow
def test_a_core_on_streams_is_a_block_too(tmp_path: Path):
    some = "every_register|vectors_pass"
    assert drive(tmp_path, residual(), 4, only=some, depth=128, registers=2, stream="always") > 300


@pytest.mark.sim
@pytest.mark.parametrize(
    "options", [{"ram_words": 1024}, {"reuse": 4, "boundaries": "elastic", "registers": 0}], ids=["rigid", "folded"]
)
def test_lint_is_clean(tmp_path: Path, options: dict[str, Any]):
    made = built(tmp_path, mlp((6, 8, 3), seed=3, output="scores"), **options)
    lint(sources=[tmp_path / name for name in made.files], top=made.top, out=tmp_path / "lint")


def test_a_ram_of_two_ports_is_refused_where_the_chip_has_none(tmp_path: Path):
    with pytest.raises(LowerError, match="block RAM with two ports that write, which ice40 has not; leave it out"):
        built(tmp_path, mlp((3, 2), seed=1, output="scores"), ram_words=64, family="ice40")


def test_what_the_map_has_no_place_for_is_refused():
    with pytest.raises(LowerError, match=r"depth of the input FIFO must be a power of two in 16\.\.32768, not 100"):
        FifoPair(input_depth=100)
    with pytest.raises(LowerError, match=r"must have 0\.\.16 output registers, not 17"):
        Block(name="b", outputs=17)
    with pytest.raises(LowerError, match=r"a RAM must have a power of two of words in 32\.\.262144, not 48"):
        Block(name="b", ram_words=48)
    with pytest.raises(LowerError, match="a block with FIFOs needs the frames x and y"):
        Block(name="b", fifos=FifoPair(), x=FRAME)
