"""Every operator: interpreter == rational arithmetic index by index, ranges hold and are attained, text is lossless."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

import gatewright.ir.interp
from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed
from gatewright.ir import (
    Input,
    Interpreter,
    Pool,
    PoolKind,
    Program,
    Reshape,
    parse_program,
    print_program,
    ranges,
    shapes,
)
from tests.lowering import lower_for
from tests.operators import GROW, operator_programs, rational, samples, scaled


@given(operator_programs())
@settings(max_examples=200, deadline=None)
def test_interpreter_is_the_definition(program: Program):
    x = samples(program, 3)
    trace, bounds = Interpreter(program).trace(x), ranges(program)
    assert (Interpreter(program).run(x) == trace[program.output]).all()
    for n, sample in enumerate(x):
        for name, want in rational(program, scaled(sample, program.input.format.frac_bits)).items():
            assert trace[name][n].shape == want.shape == shapes(program)[name]
            assert (scaled(trace[name][n], bounds[name].frac_bits) == want).all(), name


@pytest.mark.parametrize("kind", sorted(GROW))
def test_each_kind_is_drawn_and_right(kind: str):
    @given(operator_programs(max_ops=2, kinds=(kind,)))
    @settings(max_examples=25, deadline=None)
    def check(program: Program):
        x = samples(program, 2)
        got = Interpreter(program).trace(x)
        assert (Interpreter(program).run(x) == got[program.output]).all()
        for n, sample in enumerate(x):
            for name, want in rational(program, scaled(sample, program.input.format.frac_bits)).items():
                assert (scaled(got[name][n], ranges(program)[name].frac_bits) == want).all(), name

    check()


@given(operator_programs())
@settings(max_examples=150, deadline=None)
def test_ranges_hold(program: Program):
    trace = Interpreter(program).trace(samples(program, 32))
    for name, bounds in ranges(program).items():
        assert (trace[name] >= bounds.lo).all(), name
        assert (trace[name] <= bounds.hi).all(), name


@given(operator_programs())
@settings(max_examples=150, deadline=None)
def test_text_round_trip(program: Program):
    text = print_program(program)
    assert parse_program(text) == program
    assert print_program(parse_program(text)) == text


@given(operator_programs())
@settings(max_examples=50, deadline=None)
def test_batches_do_not_matter(program: Program):
    x = samples(program, 7)
    want = Interpreter(program).trace(x)[program.output]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatewright.ir.interp, "WORKING_SET", 1)
        interpreter = Interpreter(program)
        assert interpreter.chunk == 1
        assert np.array_equal(interpreter.run(x), want)
    streamed = list(Interpreter(program).stream([x[:4], x[4], x[5:5], x[5:]]))
    assert np.array_equal(np.concatenate([s if s.ndim == want.ndim else s[None] for s in streamed]), want)


def test_hardware_names_the_layer():
    source = Input(name="x", layer="input", shape=(3,), format=Fixed(width_bits=4, frac_bits=0))
    square = Reshape(name="square", layer="picture", source="x", shape=(3, 1))
    pool = Pool(name="most", layer="pool", source="square", kind=PoolKind.MAX, size=(2,), strides=(1,), pads=((0, 0),))
    program = Program(name="p", ops=(source, square, pool), output="most", constants={})
    with pytest.raises(LowerError, match=r"layer 'pool': no hardware for Pool \(op 'most'\) in the parallel and"):
        lower_for(program, samples(program, 2), family="ecp5", clock_mhz=100.0, reuse=2)
    image = dataclasses.replace(source, shape=(3, 1))
    program = Program(name="p", ops=(image, dataclasses.replace(pool, source="x")), output="most", constants={})
    with pytest.raises(LowerError, match=r"layer 'pool': no hardware for Pool \(op 'most'\) in the parallel and"):
        lower_for(program, samples(program, 2), family="ecp5", clock_mhz=100.0, reuse=2)
