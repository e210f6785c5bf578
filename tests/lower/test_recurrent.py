"""Recurrent cells as units on streams: values against the interpreter, intervals, both ways, stacked, and refusals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gatewright.errors import LowerError
from gatewright.export import export_graph
from gatewright.flow.codes import random_codes
from gatewright.graph.nodes import Concat, Dense
from gatewright.ir import Constant, Interpreter, Program
from gatewright.ir.op_moves import Reshape
from gatewright.ir.ops import Input
from gatewright.ir.program import Scan
from gatewright.ir.shapes import shapes
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.estimate import estimate
from gatewright.lower.inventory import inventory
from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.streaming.reordered import Reordered
from tests.graph.test_recurrent import INPUT, cell
from tests.graphs import chain
from tests.lower.test_streams import stream
from tests.lowering import lower_for

STEPS = 5


def recurrent(kind: str, *, units: int = 2, **fields) -> Program:
    """Return a small cell of Keras' equations over 5 steps of 3 features, with quantizers, as a program.

    It begins in a state that is not zero, of numbers of both signs.
    """
    node = cell(kind, exact=True, hard=True, units=units, name="cell", **fields)
    program = export_graph(chain((STEPS, 3), node), name=f"{kind}_cell", input_format=INPUT).program
    (op,) = (op for op in program.ops if isinstance(op, Scan))
    states = np.arange(program.constants[op.initial].q.size)
    return dataclasses.replace(
        program, constants={**program.constants, op.initial: Constant((-1) ** states * (7 + states), 4)}
    )


def check(made: Dataflow, program: Program) -> None:
    x = random_codes(program, 40, seed=3)
    assert np.array_equal(made.replay(x), Interpreter(program).run(x))


def cells(made: Dataflow) -> list[Recurrent]:
    return [unit for unit in made.units if isinstance(unit, Recurrent)]


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_cell_takes_its_loop_for_every_step(kind: str):
    program = recurrent(kind)
    made = stream(program, stream="auto")
    (unit,) = cells(made)
    assert made.units == (unit,)
    loop = unit.schedule.latency_cycles
    assert (unit.rule.rest, unit.rule.latency_cycles, made.initiation_interval) == (loop, loop, STEPS * loop)
    row = inventory(made)[1]
    assert row.kind == f"recurrent, {loop} cycles a step"
    assert estimate(made).lut == made.cost.lut >= row.lut > 0
    check(made, program)


def test_the_last_step_alone_leaves_and_backwards_a_memory_turns_the_steps_round():
    program = recurrent("gru", sequences=False, backwards=True)
    made = stream(program)
    assert [type(unit) for unit in made.units] == [Reordered, Recurrent]
    assert (made.result.stream.beats, made.source.stream.beats) == (1, STEPS)
    check(made, program)


@pytest.mark.parametrize(("kind", "interval", "each"), [("rnn", 100, 2), ("lstm", 200, 1), ("gru", 200, 1)])
def test_a_cell_that_may_take_its_time_shares_its_multipliers(kind: str, interval: int, each: int):
    """Some units at a time: sums of their gates one word after the other, then what follows, then the next ones."""
    program = recurrent(kind, units=4, reset_after=kind == "gru", sequences=kind == "rnn")
    made = stream(program, interval=interval, engine="folded", multiplier="dsp")
    (unit,) = made.units
    assert isinstance(unit, FoldedCell)
    assert (unit.units, unit.each, made.initiation_interval) == (4, each, STEPS * unit.rule.rest)
    assert made.initiation_interval <= interval
    assert 0 < made.cost.dsp == unit.multipliers <= unit.sides.multipliers
    assert inventory(made)[1].kind == f"recurrent, {each} of 4 units at a time, {unit.rule.rest} cycles a step"
    check(made, program)


def test_a_cell_shares_its_multipliers_where_that_is_less_logic():
    program = recurrent("lstm", units=4)
    at_once, slowly = (stream(program, stream="auto", interval=interval) for interval in (0, 5 * 60))
    assert isinstance(at_once.units[0], Recurrent)
    assert isinstance(slowly.units[0], FoldedCell)
    assert 2 * slowly.cost.lut < at_once.cost.lut
    assert isinstance(stream(program, interval=5 * 60, engine="parallel").units[0], Recurrent)


def test_cells_that_cannot_be_folded_are_named_with_the_reason():
    before = recurrent("gru", units=2)
    assert isinstance(stream(before, interval=1000).units[0], Recurrent)
    with pytest.raises(
        LowerError,
        match=r"^layer 'cell': no streaming hardware for Scan that is folded, for op 'cell\.sums' multiplies what "
        r"other products of the step make; hardware\.engine = \"auto\" takes all units at once",
    ):
        stream(before, interval=1000, engine="folded")
    with pytest.raises(
        LowerError,
        match=r"^layer 'cell' takes \d+ cycles a frame at the least with hardware\.engine \"folded\", "
        r"hardware\.interval allows 20; raise it, or set hardware\.engine = \"auto\"$",
    ):
        stream(recurrent("lstm", units=2), interval=20, engine="folded")


def test_a_slow_clock_keeps_the_state_in_one_cycle():
    program = recurrent("rnn")
    made = lower_for(program, random_codes(program, 6), family="ice40", clock_mhz=1.0, stream="always")
    assert (cells(made)[0].rule.rest, made.initiation_interval) == (1, STEPS)
    check(made, program)


def test_both_ways_stacked_and_scores_of_every_step():
    """Two directions side by side, a second cell behind them, a dense layer of each of its steps."""
    ways = [cell("lstm", exact=True, hard=True, units=2, name=f"way{i}", backwards=i > 0) for i in range(2)]
    ways = [dataclasses.replace(way, sequences=True) for way in ways]
    graph = chain((STEPS, 3), ways[0])
    source = graph.nodes[0].name
    both = Concat(name="both", sources=("way0", "way1"), axis=1)
    top = cell("gru", exact=True, hard=True, units=2, features=4, name="top", sources=("both",))
    scores = Dense(
        name="scores", sources=("top",), weight=np.eye(2), bias=np.array([0.5, -0.5]), weight_scale=np.array(1.0)
    )
    nodes = (*graph.nodes, dataclasses.replace(ways[1], sources=(source,)), both, top, scores)
    graph = dataclasses.replace(graph, nodes=nodes, output="scores")
    program = export_graph(graph, name="stacked", input_format=INPUT).program
    made = stream(program)
    assert [unit.name for unit in cells(made)] == ["way0", "way1_part2", "top"]
    assert made.initiation_interval == max(unit.rule.interval for unit in cells(made))
    check(made, program)


def test_an_input_that_comes_flat_is_taken_step_by_step():
    """A vector that becomes steps and features at once: beats are the features."""
    plain = recurrent("rnn")
    first = Input(name="flat", layer="input", shape=(STEPS * 3,), format=plain.input.format)
    steps = Reshape(name=plain.input.name, layer="steps", source="flat", shape=(STEPS, 3))
    program = dataclasses.replace(plain, ops=(first, steps, *plain.ops[1:]))
    made = stream(program, stream="auto")
    assert made.source.stream.per_beat == 3
    check(made, program)


def test_several_steps_a_beat_are_cut_into_steps():
    program = recurrent("rnn")
    made = stream(program, pixels_per_beat=STEPS)
    assert made.source.stream.beats == 1
    check(made, program)


def test_bodies_that_no_circuit_computes_are_refused():
    plain = recurrent("rnn")
    (op,) = (op for op in plain.ops if isinstance(op, Scan))
    body, size = op.body, shapes(op.body)[op.body.output]
    table = Reshape(name="rows", layer="cell", source=body.output, shape=(1, *size))
    flat = Reshape(name="back", layer="cell", source="rows", shape=size)
    inner = dataclasses.replace(body, ops=(*body.ops, table, flat), output="back")
    ops = tuple(dataclasses.replace(each, body=inner) if each is op else each for each in plain.ops)
    with pytest.raises(
        LowerError,
        match=r"^layer 'cell': no streaming hardware for Scan whose body holds a Reshape of shape \(1, 4\), op 'rows' "
        r"\(op 'cell'\) yet; use the interpreter",
    ):
        stream(dataclasses.replace(plain, ops=ops))


def test_an_interval_that_the_loop_cannot_keep_is_an_error():
    with pytest.raises(
        LowerError, match=r"^'gru_cell' takes \d+ cycles a frame, hardware\.interval allows 6; raise it"
    ):
        stream(recurrent("gru"), interval=6)
