"""The fast way through a Scan: the same integers as op by op, for drawn quantizers, and the bodies that it leaves."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.export import export_graph
from gatewright.fixedpoint import Overflow, Rounding
from gatewright.flow.codes import random_codes
from gatewright.ir import Constant, Interpreter, Program
from gatewright.ir.fast_scan import FastScan
from gatewright.ir.ops import Requant
from gatewright.ir.program import Scan
from gatewright.ir.ranges import ranges, scan_ranges
from tests.graph.test_recurrent import INPUT, KINDS, cell
from tests.graphs import chain, quantizer


def drawn(data: st.DataObject) -> Program:
    """Return a small cell with drawn formats, rounding, overflow and initial state."""
    kind, reset_after = data.draw(st.sampled_from(KINDS))
    state = quantizer(
        "q",
        2.0 ** -data.draw(st.integers(0, 9)),
        -(1 << 9),
        (1 << 9) - 1,
        rounding=data.draw(st.sampled_from(Rounding)),
        overflow=data.draw(st.sampled_from(Overflow)),
    )
    ways: dict[str, Any] = {"sequences": data.draw(st.booleans()), "backwards": data.draw(st.booleans())}
    node = cell(kind, reset_after, exact=True, hard=data.draw(st.booleans()), units=2, state_quantizer=state, **ways)
    program = export_graph(chain((4, 3), node), name="p", input_format=INPUT).program
    (op,) = (op for op in program.ops if isinstance(op, Scan))
    first = np.arange(program.constants[op.initial].q.size) - 1
    return dataclasses.replace(program, constants={**program.constants, op.initial: Constant(first, 0)})


def op_by_op(program: Program) -> Interpreter:
    """Return an interpreter that runs the body of a Scan as it runs any program."""
    made = Interpreter(program)
    (op,) = (op for op in program.ops if isinstance(op, Scan))
    inside, _ = scan_ranges(op, program, made.ranges[op.source])
    made._ready[op.name] = Interpreter(op.body, inside)
    return made


def steps_of(program: Program) -> FastScan | None:
    (op,) = (op for op in program.ops if isinstance(op, Scan))
    return FastScan.of(op, program, scan_ranges(op, program, ranges(program)[op.source])[0])


@settings(max_examples=5, deadline=None)
@given(st.data())
def test_the_fast_way_gives_the_same_integers(data: st.DataObject):
    program = drawn(data)
    assert steps_of(program) is not None
    x = random_codes(program, 20, seed=1)
    got, want = Interpreter(program).run(x), op_by_op(program).run(x)
    assert got.dtype == want.dtype == np.int64
    assert np.array_equal(got, want)


@pytest.mark.parametrize(("frac_bits", "kind"), [(6, np.int32), (22, np.int64)])
def test_numbers_that_need_more_than_32_bits_are_held_in_64(frac_bits: int, kind: type):
    """Weights of many bits make sums wider than int32, and products that no float32 holds."""
    program = export_graph(
        chain((4, 3), cell("lstm", exact=True, hard=True, units=2)), name="p", input_format=INPUT
    ).program
    (op,) = (op for op in program.ops if isinstance(op, Scan))
    keys = [key for key in op.body.constants if key.endswith("weight")]
    wide = {key: Constant(op.body.constants[key].q << (frac_bits - 4), frac_bits) for key in keys}
    body = dataclasses.replace(op.body, constants={**op.body.constants, **wide})
    ops = tuple(dataclasses.replace(each, body=body) if each is op else each for each in program.ops)
    program = dataclasses.replace(program, ops=ops)
    made = steps_of(program)
    assert made is not None
    assert made.kind is kind
    x = random_codes(program, 20, seed=1)
    assert np.array_equal(Interpreter(program).run(x), op_by_op(program).run(x))


def test_formats_that_differ_by_element_are_left_to_the_interpreter():
    program = export_graph(chain((4, 3), cell("rnn", exact=True, hard=True, units=2)), name="p", input_format=INPUT)
    (op,) = (op for op in program.program.ops if isinstance(op, Scan))
    last = next(each for each in op.body.ops[::-1] if isinstance(each, Requant))
    apart = dataclasses.replace(last, width_bits=last.width_bits * 2)
    body = dataclasses.replace(op.body, ops=tuple(apart if each is last else each for each in op.body.ops))
    ops = tuple(dataclasses.replace(each, body=body) if each is op else each for each in program.program.ops)
    program = dataclasses.replace(program.program, ops=ops)
    assert steps_of(program) is None
    x = random_codes(program, 20, seed=1)
    assert np.array_equal(Interpreter(program).run(x), op_by_op(program).run(x))
