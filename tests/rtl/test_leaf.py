"""Hand-mapped leaf cells against their behavioural twins, proven by SAT for every input."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from gatewright.errors import ToolError
from gatewright.tools import run_tool
from tests.leaf_files import LEAF

YOSYS = [sys.executable, "-c", "import sys; from pyosys import libyosys as y; y.Design().run_pass('script prove.ys')"]
# (W, FIRST, LAST): whole carry cells and parts of one; instantiated LUTs everywhere, in the middle, nowhere
SPANS = ((1, 0, 1), (2, 0, 2), (4, 0, 4), (5, 1, 4), (9, 0, 3), (12, 3, 12), (12, 0, 12), (6, 6, 6))
# (W, LO, HI): ReLU, signed ends, ends that are no powers of two, odd and even widths
CLIPS = ((2, 0, 3), (5, 0, 31), (4, 8, 7), (6, 0, 37), (7, 85, 42), (8, 128, 127))
PROVEN = {"gw_add3.v", "gw_clip.v", "gw_choose.v", "gw_lut.v", "gw_lut2.v"}


def test_every_leaf_with_two_forms_is_proven_here():
    two_forms = {file.name for file in LEAF.glob("*.v") if re.search(r"^`if", file.read_text(), re.MULTILINE)}
    assert two_forms == PROVEN


def prove(folder: Path, cell: str, settings: Sequence[tuple[Mapping[str, int | str], int]], *, mapped: str) -> str:
    """Run the proof of `mapped`, the text of the cell, for each (parameters, LUT6_2 cells); return yosys' log."""
    script = ["read_verilog +/xilinx/cells_sim.v", "design -save cells"]
    for name, text in (("plain", (LEAF / f"{cell}.v").read_text()), ("mapped", mapped)):
        (folder / f"{name}.v").write_text(text.replace(f"module {cell}", f"module {name}"))
    for parameters, luts in settings:
        values = " ".join(f"-chparam {key} {value}" for key, value in parameters.items())
        script += [
            "design -reset",
            "read_verilog plain.v",
            f"hierarchy -top plain {values}",
            "proc; rename -top gold; design -stash gold",
            "design -load cells",
            "read_verilog -D GW_XILINX_CELLS mapped.v",
            f"hierarchy -top mapped {values}",
            f"select -assert-count {luts} t:*LUT6_2*",
            "proc; flatten; rename -top gate; opt_clean",
            "design -copy-from gold gold",
            "miter -equiv -flatten gold gate miter",
            "hierarchy -top miter",
            "sat -verify -prove trigger 0 -show-inputs miter",
        ]
    (folder / "prove.ys").write_text("\n".join(script) + "\n")
    return run_tool(YOSYS, cwd=folder, log=folder / "prove.log").stdout


def sums(minus_b: int, minus_c: int) -> list[tuple[Mapping[str, int | str], int]]:
    return [
        ({"W": w, "MINUS_B": minus_b, "MINUS_C": minus_c, "FIRST": first, "LAST": last}, last - first)
        for w, first, last in SPANS
    ]


@pytest.mark.synth
@pytest.mark.parametrize("minus", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_ternary_adder_cells_equal_the_sum(tmp_path: Path, minus: tuple[int, int]):
    log = prove(tmp_path, "gw_add3", sums(*minus), mapped=(LEAF / "gw_add3.v").read_text())
    assert log.count("SUCCESS!") == len(SPANS)


@pytest.mark.synth
def test_saturation_cells_equal_the_choice(tmp_path: Path):
    settings = [({"W": w, "LO": low, "HI": high}, w // 2) for w, low, high in CLIPS]
    log = prove(tmp_path, "gw_clip", settings, mapped=(LEAF / "gw_clip.v").read_text())
    assert log.count("SUCCESS!") == len(CLIPS)


@pytest.mark.synth
def test_multiplexer_cells_equal_the_choice(tmp_path: Path):
    settings = [({"W": w}, w // 2) for w in (1, 2, 5, 8)]
    log = prove(tmp_path, "gw_choose", settings, mapped=(LEAF / "gw_choose.v").read_text())
    assert log.count("SUCCESS!") == len(settings)


@pytest.mark.synth
@pytest.mark.parametrize("inputs", [1, 5, 6, 7, 8])
def test_lut_cells_equal_the_table(tmp_path: Path, inputs: int):
    """Ten random tables of up to eight inputs, and pairs of tables of at most five."""
    rng = np.random.default_rng(inputs)
    lower, upper = ([f"256'h{rng.bytes((1 << inputs) // 8 or 1).hex()}" for _ in range(10)] for _ in range(2))
    one = [({"N": inputs, "TABLE": table}, 0) for table in lower]
    assert prove(tmp_path, "gw_lut", one, mapped=(LEAF / "gw_lut.v").read_text()).count("SUCCESS!") == 10
    if inputs < 6:
        two = [({"N": inputs, "LOWER": a, "UPPER": b}, 1) for a, b in zip(lower, upper, strict=True)]
        assert prove(tmp_path, "gw_lut2", two, mapped=(LEAF / "gw_lut2.v").read_text()).count("SUCCESS!") == 10


@pytest.mark.synth
@pytest.mark.parametrize(
    ("cell", "right", "wrong", "settings"),
    [
        ("gw_add3", "E8E8E8E8", "E8E8E8E0", sums(0, 0)),
        ("gw_clip", "4'b1010", "4'b1110", [({"W": 4, "LO": 0, "HI": 15}, 2)]),
        ("gw_choose", "CCCCAAAA", "CCCCAAA8", [({"W": 4}, 2)]),
        ("gw_lut", ".I1(index[1]), .I2(index[2])", ".I1(index[2]), .I2(index[1])", [({"N": 3, "TABLE": "64'd37"}, 0)]),
        (
            "gw_lut2",
            "{{COPIES{UPPER}}, {COPIES{LOWER}}}",
            "{{COPIES{LOWER}}, {COPIES{UPPER}}}",
            [({"N": 3, "LOWER": "32'd37", "UPPER": "32'd91"}, 1)],
        ),
    ],
)
def test_the_proof_sees_a_wrong_table(
    tmp_path: Path, cell: str, right: str, wrong: str, settings: list[tuple[Mapping[str, int | str], int]]
):
    text = (LEAF / f"{cell}.v").read_text()
    assert right in text
    with pytest.raises(ToolError):
        prove(tmp_path, cell, settings, mapped=text.replace(right, wrong))
    assert "proof did fail" in (tmp_path / "prove.log").read_text()
