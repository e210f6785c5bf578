import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings

from gatewright.errors import ProgramError
from gatewright.ir import Constant, Op, Program, load_program, parse_program, print_program, save_program
from gatewright.ir.text import OPS
from tests.programs import mlp, programs


@given(programs())
@settings(max_examples=150, deadline=None)
def test_round_trip(program: Program):
    text = print_program(program)
    assert parse_program(text) == program
    assert print_program(parse_program(text)) == text


def test_save_load(tmp_path: Path):
    program = mlp((4, 3, 2), seed=0)
    save_program(program, tmp_path / "p.txt")
    assert load_program(tmp_path / "p.txt") == program


def test_a_name_with_line_breaks_is_read_again():
    program = dataclasses.replace(mlp((4, 3, 2), seed=0), name="a\nb\u2028return c")
    assert parse_program(print_program(program)) == dataclasses.replace(program, name="a b return c")


def test_every_op_is_specified():
    """The union, whose classes' names spell the ops, and the written spec list the same ones."""
    spec = (Path(__file__).parents[2] / "docs" / "program.md").read_text()
    written = set(re.findall(r"^### `(\w+)`", spec, flags=re.MULTILINE))
    assert len(OPS) == len(get_args(Op))
    assert written == set(OPS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("gatewright-program 1", "something else"), "expected 'gatewright-program 1'"),
        (("= relu ", "= softplus "), "unknown op 'softplus'; known: input, const, dense"),
        (("%fc1.relu = relu layer=fc1 source=%fc1\n", ""), "reads 'fc1.relu', which no earlier op defines"),
        (("rounding=half_up", "rounding=odd"), "'odd' is not a valid Rounding"),
        ((" overflow=saturate", ""), "takes .*'overflow'"),
        (("@fc1.bias shape=[3]", "@fc1.bias shape=[4]"), "needs 4 integers, got 3"),
        (("return %class", "return %fc1"), "ArgMax may only be the output"),
        (("layer=fc1 source=%x", "layer=fc1 source=%y"), "reads 'y', which no earlier op defines"),
        (("shape=[4]", "shape=[5]"), r"weight must be \(5, n_out\)"),
    ],
)
def test_parse_errors(change: tuple[str, str], message: str):
    text = print_program(mlp((4, 3, 2), seed=0))
    assert change[0] in text
    with pytest.raises(ProgramError, match=message):
        parse_program(text.replace(*change), where="file")


def test_verifier_bounds_accumulators():
    program = mlp((4, 3, 2), seed=0)
    wide = Constant(program.constants["fc1.weight"].q << 55, 5)
    with pytest.raises(ProgramError, match=r"values need 6\d bits, at most 62 fit"):
        parse_program(print_program(dataclasses.replace(program, constants={**program.constants, "fc1.weight": wide})))


def test_missing_file(tmp_path: Path):
    with pytest.raises(ProgramError, match="cannot read program"):
        load_program(tmp_path / "none.txt")
