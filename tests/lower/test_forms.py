"""What `gatewright lower` shows: the very forms that the compiler goes through, as text that people can read."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.fixedpoint import Fixed
from gatewright.ir import Constant, Dense, Input, Program, save_program, verify
from gatewright.lower.circuit.nodes import Add3, Clamp, Const, Floor, GreaterEqual, Join, Select, Shift, Table, Wrap
from gatewright.lower.forms import form_names, forms
from gatewright.lower.text import operation
from tests.lowering import lower_for, only
from tests.programs import codes, mlp, requant, sparse_mlp

BUILT = """\
circuit net: 9 nodes, 3 adders
#  layer  operation         range    bits
0  input  x[0]              -4..3       3
1  input  x[1]              -4..3       3
2  fc     1                 1..1        1
3  fc     #0 + #2           -3..4       4
4  fc     #3 + (#1 << 1)    -11..10     5
5  q      1                 1..1        1
6  q      #4 + #5           -10..11     5
7  q      #6 >> 1           -5..5       4
8  q      clamp(#7, -4, 3)  -4..3       3
layer fc: #4 (#0 << 1)
layer q: #8 #0
output fixed<3,4>: #8 #0
"""
SCHEDULED = """\
circuit net: 9 nodes, 3 adders, 4 cycles at 200 MHz on ecp5
#  stage  layer  operation         range    bits
0      0  input  x[0]              -4..3       3
1      0  input  x[1]              -4..3       3
2      0  fc     1                 1..1        1
3      0  fc     #0 + #2           -3..4       4
4      1  fc     #3 + (#1 << 1)    -11..10     5
5      0  q      1                 1..1        1
6      2  q      #4 + #5           -10..11     5
7      2  q      #6 >> 1           -5..5       4
8      3  q      clamp(#7, -4, 3)  -4..3       3
layer fc: #4 (#0 << 1)
layer q: #8 #0
output fixed<3,4>: #8 #0
"""


@pytest.fixture
def program() -> Program:
    made = Program(
        name="net",
        ops=(
            Input(name="x", layer="input", shape=(2,), format=Fixed(width_bits=3, frac_bits=0)),
            Dense(name="fc", layer="fc", source="x", weight="fc.weight", bias="fc.bias"),
            requant("q", "fc", frac_bits=-1, width_bits=3),
        ),
        output="q",
        constants={"fc.weight": Constant(np.array([[1, 2], [2, 0]]), 0), "fc.bias": Constant(np.array([1, 0]), 0)},
    )
    verify(made)
    return made


def shown(path: Path, *words: str) -> str:
    done = CliRunner().invoke(main, ["lower", str(path), *words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("truth_tables", [True, False])
@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_the_last_form_is_what_is_built(family: str, truth_tables: bool):
    for program in (mlp((6, 5, 3), seed=2), sparse_mlp((6, 4, 3), seed=1, fan_in=3)):
        x = codes(program, 40)
        made = lower_for(program, x, family=family, clock_mhz=150.0, truth_tables=truth_tables)
        steps = list(forms(program, x, made.target, truth_tables=truth_tables))
        assert tuple(step.after for step in steps) == form_names(family=family, truth_tables=truth_tables)
        assert steps[-1].value == only(made).circuit
        assert steps[-1].schedule == only(made).schedule


def test_text(tmp_path: Path, program: Program):
    path = tmp_path / "program.txt"
    save_program(program, path)
    title, *lines, last = shown(path, "--after", "program").splitlines()
    assert (title, last) == ("program net: 3 ops", "output %q")
    assert [re.split("  +", line) for line in lines[:3]] == [
        ["#", "layer", "op", "shape", "range", "bits"],
        ["0", "input", "%x = input shape=[2] format=fixed<3,3>", "2", "-4..3", "3"],
        ["1", "fc", "%fc = dense source=%x weight=@fc.weight bias=@fc.bias", "2", "-11..10", "5"],
    ]
    assert shown(path, "--after", "build") == BUILT
    assert BUILT in (Path(__file__).parents[2] / "docs" / "compiler.md").read_text()
    assert shown(path, "--part", "LFE5U-25F", "--truth-tables", "never") == SCHEDULED


def test_every_operation_is_spelt():
    a = {"layer": "l", "lo": -4, "hi": 3}
    nodes = {
        "-4": Const(layer="l", lo=-4, hi=-4),
        "#1 - (#2 << 3) + #4": Add3(**a, a=1, b=2, c=4, shift_a=0, shift_b=3, shift_c=0, minus_b=True, minus_c=False),
        "#1 >> 2": Floor(**a, a=1, drop=2),
        "#1 << 2": Shift(**a, a=1, up=2),
        "clamp(#1, -4, 3)": Clamp(**a, a=1),
        "signed(#1[2:0])": Wrap(**a, a=1, width_bits=3, signed=True),
        "unsigned(#1[2:0])": Wrap(layer="l", lo=0, hi=7, a=1, width_bits=3, signed=False),
        "#1 >= #2": GreaterEqual(layer="l", lo=0, hi=1, a=1, b=2),
        "#1 ? #2 : #3": Select(**a, condition=1, a=2, b=3),
        "table(#1[0:0], #2[1:0]): 0 1 2 3 -4 -3 -2 -1": Table(
            **a, reads=(1, 2), widths=(1, 2), values=(0, 1, 2, 3, -4, -3, -2, -1)
        ),
        "join(#1[0:0], #2[1:0])": Join(**a, reads=(1, 2), widths=(1, 2)),
    }
    assert {operation(node): node for node in nodes.values()} == nodes
    long = Table(layer="l", lo=0, hi=31, reads=(1,), widths=(5,), values=tuple(range(32)))
    assert operation(long) == "table(#1[4:0]): 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 ..."


def test_names_are_listed(tmp_path: Path, program: Program):
    path = tmp_path / "program.txt"
    save_program(program, path)
    every = ["program", "fold_rounding", "fuse_relu", "fold_bias", "build", "drop_dead", "early_floor", "fuse_ternary"]
    assert shown(path, "--after", "list").split() == [*every, "join_disjoint", "tabulate", "schedule"]
    ecp5 = ("--part", "LFE5U-25F", "--truth-tables", "never")
    assert shown(path, "--after", "list", *ecp5).split() == [*every[:-1], "join_disjoint", "schedule"]
    done = CliRunner().invoke(main, ["lower", str(path), "--after", "fuse_ternary", *ecp5])
    assert done.exit_code == 2
    assert done.output == (
        "gatewright: error: --after must name a step of the compiler, not 'fuse_ternary'; on ecp5 they are, in order: "
        "program, fold_rounding, fuse_relu, fold_bias, build, drop_dead, early_floor, join_disjoint, schedule\n"
    )


def test_codes_are_checked(tmp_path: Path, program: Program):
    (tmp_path / "program").mkdir()
    save_program(program, tmp_path / "program" / "program.txt")
    np.save(tmp_path / "x.npy", np.array([[3, -4]]))
    assert shown(tmp_path, "--codes", str(tmp_path / "x.npy")) == shown(tmp_path)
    np.save(tmp_path / "x.npy", np.array([[3, 4]]))
    done = CliRunner().invoke(main, ["lower", str(tmp_path), "--codes", str(tmp_path / "x.npy")])
    assert done.exit_code == 2
    assert "input codes must lie in -4..3 (fixed<3,3>), not 3..4; encode samples" in done.output
