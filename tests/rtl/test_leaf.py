"""Hand-mapped leaf cells against their behavioural twins, proven by SAT for every input."""

import re
import sys
from pathlib import Path

import pytest

from gatewright.errors import ToolError
from gatewright.tools import run_tool

LEAF = Path(__file__).parents[2] / "src" / "gatewright" / "rtl" / "leaf"
YOSYS = [sys.executable, "-c", "import sys; from pyosys import libyosys as y; y.Design().run_pass('script prove.ys')"]
# (W, FIRST, LAST): whole carry cells and parts of one; instantiated LUTs everywhere, in the middle, nowhere
SPANS = ((1, 0, 1), (2, 0, 2), (4, 0, 4), (5, 1, 4), (9, 0, 3), (12, 3, 12), (12, 0, 12), (6, 6, 6))
PROVEN = {"gw_add3.v"}


def test_every_leaf_with_two_forms_is_proven_here():
    two_forms = {file.name for file in LEAF.glob("*.v") if re.search(r"^`if", file.read_text(), re.MULTILINE)}
    assert two_forms == PROVEN


def prove(folder: Path, minus_b: int, minus_c: int, *, mapped: str) -> str:
    """Run the proof of `mapped`, the text of the cell, for every span; return yosys' log."""
    script = ["read_verilog +/xilinx/cells_sim.v", "design -save cells"]
    for name, text in (("plain", (LEAF / "gw_add3.v").read_text()), ("mapped", mapped)):
        (folder / f"{name}.v").write_text(text.replace("module gw_add3", f"module {name}"))
    for width, first, last in SPANS:
        signs = f"-chparam W {width} -chparam MINUS_B {minus_b} -chparam MINUS_C {minus_c}"
        script += [
            "design -reset",
            "read_verilog plain.v",
            f"hierarchy -top plain {signs}",
            "proc; rename -top gold; design -stash gold",
            "design -load cells",
            "read_verilog -D GW_XILINX_CELLS mapped.v",
            f"hierarchy -top mapped {signs} -chparam FIRST {first} -chparam LAST {last}",
            f"select -assert-count {last - first} t:*LUT6_2*",
            "proc; flatten; rename -top gate; opt_clean",
            "design -copy-from gold gold",
            "miter -equiv -flatten gold gate miter",
            "hierarchy -top miter",
            "sat -verify -prove trigger 0 -show-inputs miter",
        ]
    (folder / "prove.ys").write_text("\n".join(script) + "\n")
    return run_tool(YOSYS, cwd=folder, log=folder / "prove.log").stdout


@pytest.mark.synth
@pytest.mark.parametrize("minus", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_ternary_adder_cells_equal_the_sum(tmp_path: Path, minus: tuple[int, int]):
    log = prove(tmp_path, *minus, mapped=(LEAF / "gw_add3.v").read_text())
    assert log.count("SUCCESS!") == len(SPANS)


@pytest.mark.synth
def test_the_proof_sees_a_wrong_table(tmp_path: Path):
    wrong = (LEAF / "gw_add3.v").read_text().replace("E8E8E8E8", "E8E8E8E0")
    with pytest.raises(ToolError):
        prove(tmp_path, 0, 0, mapped=wrong)
    assert "proof did fail" in (tmp_path / "prove.log").read_text()
