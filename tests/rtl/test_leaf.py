"""Hand-mapped leaf cells against their behavioural twins, proven by SAT for every input."""

import sys
from pathlib import Path

import pytest

from gatewright.tools import run_tool

LEAF = Path(__file__).parents[2] / "src" / "gatewright" / "rtl" / "leaf"
YOSYS = [sys.executable, "-c", "import sys; from pyosys import libyosys as y; y.Design().run_pass('script prove.ys')"]


@pytest.mark.synth
@pytest.mark.parametrize("width", [1, 2, 5, 12])
@pytest.mark.parametrize("minus", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_ternary_adder_cells_equal_the_sum(tmp_path: Path, width: int, minus: tuple[int, int]):
    for name in ("plain", "mapped"):
        text = (LEAF / "gw_add3.v").read_text().replace("module gw_add3", f"module {name}")
        (tmp_path / f"{name}.v").write_text(text)
    settings = f"-chparam W {width} -chparam MINUS_B {minus[0]} -chparam MINUS_C {minus[1]}"
    (tmp_path / "prove.ys").write_text(
        f"""
        read_verilog plain.v
        hierarchy -top plain {settings}
        proc; rename -top gold; design -stash gold
        read_verilog -D GW_XILINX_CELLS mapped.v
        read_verilog +/xilinx/cells_sim.v
        hierarchy -top mapped {settings}
        proc; flatten; rename -top gate; opt_clean
        design -copy-from gold gold
        miter -equiv -flatten gold gate miter
        hierarchy -top miter
        sat -verify -prove trigger 0 -show-inputs miter
        """
    )
    run = run_tool(YOSYS, cwd=tmp_path, log=tmp_path / "prove.log")
    assert "SUCCESS!" in run.stdout
