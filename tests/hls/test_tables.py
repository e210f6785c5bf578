"""Lookups become tables, a softmax the ops that it is made of; without hls4ml."""

from __future__ import annotations

import numpy as np
import pytest

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed
from gatewright.hls import Backend, Io, translate
from gatewright.hls.expand import expanded
from gatewright.ir import (
    Add,
    ArgMax,
    Constant,
    Input,
    Interpreter,
    Lookup,
    Program,
    Range,
    Softmax,
    SoftmaxVariant,
    Thresholds,
    softmax_op,
    verify,
)
from tests.operators import samples

GIVEN = Input(name="x", layer="input", shape=(3,), format=Fixed(width_bits=6, frac_bits=2))
READ = Lookup(name="read", layer="read", source="x", table="t", first=-32)


def probabilities(variant: SoftmaxVariant) -> Program:
    """Return a softmax of three inputs, whose tables are short."""
    values = Range(np.full(3, -32), np.full(3, 31), 2)
    output = Fixed(width_bits=8, frac_bits=8, signed=False)
    op, tables = softmax_op(
        name="softmax", layer="out", source="x", values=values, output=output, variant=variant, max_entries=20
    )
    return Program(name="p", ops=(GIVEN, op), output="softmax", constants=tables)


@pytest.mark.parametrize("variant", SoftmaxVariant)
def test_a_softmax_equals_what_it_is_written_out_as(variant):
    program = probabilities(variant)
    written = expanded(program)
    verify(written)
    x = samples(program, 2000)
    assert not any(isinstance(op, Softmax) for op in written.ops)
    assert np.array_equal(Interpreter(written).run(x), Interpreter(program).run(x))


def test_a_softmax_at_the_end_is_part_of_the_project_where_its_tables_can_be():
    program = probabilities(SoftmaxVariant.STABLE)
    made = translate(program, Backend.QUARTUS)
    assert (made.host, made.layers[-1].op, made.layers[-1].kind) == ((), "softmax", "Activation")
    assert translate(program, Backend.CATAPULT).host == ("softmax",)


def test_a_choice_behind_a_softmax_leaves_both_to_the_host():
    program = probabilities(SoftmaxVariant.LATENCY)
    choice = ArgMax(name="class", layer="out", source="softmax")
    both = Program(name="p", ops=(*program.ops, choice), output="class", constants=program.constants)
    assert translate(both, Backend.VITIS).host == ("softmax", "class")


def test_rows_of_channels_lie_one_behind_the_other():
    rows = Constant(np.arange(3 * 64).reshape(3, 64), 3)
    made = translate(Program(name="p", ops=(GIVEN, READ), output="read", constants={"t": rows}), Backend.VITIS)
    index, read = made.layers[1:]
    assert index.settings["scale_data"].tolist() == [4.0, 4.0, 4.0]
    assert index.settings["bias_data"].tolist() == [32.0, 96.0, 160.0]
    assert str(index.types["result"]) == "ufixed<8,8,TRN,WRAP,0>"
    assert (read.kind, read.settings["table_data"][100]) == ("UnaryLUT", 12.5)
    parts = translate(Program(name="p", ops=(GIVEN, READ), output="read", constants={"t": rows}), Backend.QUARTUS)
    assert [layer.kind for layer in parts.layers] == ["InputLayer", "ApplyAlpha", "Embedding", "Reshape"]
    assert parts.output == parts.layers[-1].name


def test_tables_that_hls4ml_has_no_place_for_are_refused():
    rows = Constant(np.zeros((1, 64), dtype=np.int64), 0)
    program = Program(name="p", ops=(GIVEN, READ), output="read", constants={"t": rows})
    with pytest.raises(LowerError, match="hls4ml's Quartus back end has no table of given numbers that compiles here"):
        translate(program, Backend.QUARTUS, Io.STREAM)
    wide = Input(name="x", layer="input", shape=(3,), format=Fixed(width_bits=17, frac_bits=2))
    long = Constant(np.zeros((1, 1 << 17), dtype=np.int64), 0)
    read = Lookup(name="read", layer="read", source="x", table="t", first=-(1 << 16))
    with pytest.raises(LowerError, match="a table of 131,072 entries; hls4ml is given at most 65,536"):
        translate(Program(name="p", ops=(wide, read), output="read", constants={"t": long}), Backend.VITIS)


def test_thresholds_on_the_way_are_a_table_of_their_counts():
    cuts = Constant(np.array([[-3, 5], [0, 9], [1, 2]]), 1)
    steps = Thresholds(name="steps", layer="steps", source="x", thresholds="t", start=-1, step=2, frac_bits=0)
    program = Program(name="p", ops=(GIVEN, steps), output="steps", constants={"t": cuts})
    written = expanded(program)
    assert isinstance(written.ops[-1], Lookup)
    x = samples(program, 500)
    assert np.array_equal(Interpreter(written).run(x), Interpreter(program).run(x))
    doubled = Add(name="more", layer="more", left="steps", right="steps")
    whole = Program(name="p", ops=(GIVEN, steps, doubled), output="more", constants={"t": cuts})
    assert [layer.op for layer in translate(whole, Backend.VITIS).layers] == ["x", "", "steps", "more"]
