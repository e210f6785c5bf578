"""A run's folder, copied to another place: its scripts find all that they read inside it, and make the same again."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gatewright.errors import ConfigError
from gatewright.flow.build import build_program
from gatewright.ir import save_program
from gatewright.tools import run_tool
from tests.programs import mlp

YOSYS = "import sys; from pyosys import libyosys as y; y.Design().run_pass('script synth.ys')"
READ = re.compile(r'^read_verilog .*"(.+)"$', re.MULTILINE)


@pytest.mark.sim
@pytest.mark.synth
@pytest.mark.place
@pytest.mark.slow
def test_every_script_of_a_copied_run_works(tmp_path: Path):
    """With a board, whose link has cells of its own, and a layer that is called as the shell for the board would be."""
    program = mlp((4, 3), seed=2)
    ops = tuple(replace(op, layer="link") if op.layer == "out" else op for op in program.ops)
    save_program(replace(program, ops=ops), tmp_path / "program.txt")
    run = tmp_path / "run"
    build_program(
        tmp_path / "program.txt",
        run,
        hardware={"board": "ulx3s_25f", "clock_mhz": 25.0, "prefix": "mine_"},
        synthesis={"families": ["xc7"]},
        simulation={"vectors": 20},
    )
    copied = tmp_path / "elsewhere" / "copied"
    shutil.copytree(run, copied)
    shutil.rmtree(run)
    scripts = sorted(copied.rglob("*.ys"))
    where = [script.parent.relative_to(copied).as_posix() for script in scripts]
    assert where == ["bitstream", "synth/ecp5", "synth/xc7"]
    for script in scripts:
        names = READ.findall(script.read_text())
        assert names
        for name in names:
            assert not Path(name).is_absolute()
            assert (script.parent / name).resolve().is_relative_to(copied)
        before = (script.parent / "stat.json").read_text()
        (script.parent / "stat.json").unlink()
        run_tool([sys.executable, "-P", "-c", YOSYS], cwd=script.parent, log=script.parent / "again.log")
        assert cells(script.parent / "stat.json") == json.loads(before)["design"]["num_cells_by_type"]
    text = "".join(path.read_text() for path in copied.rglob("*") if path.suffix in {".ys", ".v", ".lpf"})
    assert str(tmp_path) not in text
    assert "site-packages" not in text
    assert {"mine_net_link.v", "mine_net_link_2.v", "mine_gw_uart_rx.v"} <= {path.name for path in copied.rglob("*.v")}


def test_cells_of_one_vendor_are_refused_for_another(tmp_path: Path):
    save_program(mlp((4, 3), seed=2), tmp_path / "program.txt")
    text = r'"cells" instantiates LUT6_2 and CARRY4, unknown to ecp5, ice40; set mapping = "auto"'
    with pytest.raises(ConfigError, match=text):
        build_program(
            tmp_path / "program.txt",
            tmp_path / "run",
            hardware={"part": "XC7A35T", "mapping": "cells"},
            synthesis={"families": ["xc7", "ecp5", "ice40"]},
        )


def cells(stat: Path) -> object:
    return json.loads(stat.read_text())["design"]["num_cells_by_type"]
