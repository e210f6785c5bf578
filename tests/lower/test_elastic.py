"""Elastic dataflows without a simulator: what units compute, and what depths do, by a model of starts and places."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed
from gatewright.ir import Constant, Input, Interpreter, Program, Relu
from gatewright.ir.ops import Add, Const
from gatewright.lower.dataflow import Channel, Dataflow
from gatewright.lower.elastic import elastic, needed_depth
from gatewright.lower.folded.unit import Folded
from tests.lower.residual import JOIN, SIZE, residual
from tests.lowering import lower_for
from tests.programs import codes, mlp, programs

X = np.random.default_rng(0).integers(-32, 32, (64, SIZE))
RESIDUALS = [
    pytest.param({}, id="skip"),
    pytest.param({"with_input": True}, id="skip of the input too"),
    pytest.param({"reuse": (4, 1)}, id="skip behind a folded layer"),
    pytest.param({"reuse": (1, 8), "with_input": True}, id="skip around a folded layer"),
]


def last_starts(dataflow: Dataflow, vectors: int) -> list[int]:
    """Return the cycles in which results are taken, the input coming and the results leaving as fast as they may.

    The model of rtl/elastic.py: a unit starts when a word waits in each channel that it reads, each that it feeds has
    a place to promise and it has rested; a place is free, and a word there, in the cycle after the register changed.
    """
    wires = {c.name: c for c in dataflow.channels if not c.depth}
    free = {id(c): c.depth for c in dataflow.channels}
    words: dict[int, list[int]] = {id(c): [] for c in dataflow.channels}  # cycles from which on a word waits
    back: dict[int, list[int]] = {id(c): [] for c in dataflow.channels}  # cycles from which on a place is free again
    rested = {unit.name: 0 for unit in dataflow.units}
    feeds = {unit.name: [c for c in dataflow.channels if c.producer == unit.name] for unit in dataflow.units}
    first = [unit for unit in dataflow.units if all(not c.depth for c in dataflow.into(unit))]
    entering = [c for c in dataflow.channels if c.producer is None and c.depth]
    entering += [c for unit in first for c in feeds[unit.name]]
    found: list[int] = []
    due = cycle = given = 0
    assert wires
    while len(found) < vectors and cycle < 200 * vectors:
        for channel in dataflow.channels:
            waiting = back[id(channel)]
            free[id(channel)] += sum(when <= cycle for when in waiting)
            back[id(channel)] = [when for when in waiting if when > cycle]

        def ready(channel: Channel, now: int = cycle) -> bool:
            return bool(words[id(channel)]) and words[id(channel)][0] <= now

        def take(channels: list[Channel] | tuple[Channel, ...], now: int = cycle) -> None:
            for channel in channels:
                if channel.depth:
                    words[id(channel)].pop(0)
                    back[id(channel)].append(now + 1)

        def give(channels: list[Channel], latency: int, now: int = cycle) -> None:
            for channel in channels:
                free[id(channel)] -= 1
                words[id(channel)].append(now + latency + 1)

        started: list[str] = []
        if given < vectors and cycle >= due and all(free[id(c)] > 0 for c in entering):
            given, due = given + 1, cycle + dataflow.initiation_interval
            give([c for c in dataflow.channels if c.producer is None and c.depth], 0)
            started = [unit.name for unit in first]
        for unit in dataflow.units:
            if unit in first:
                continue
            reads = dataflow.into(unit)
            room = all(free[id(c)] > 0 for c in feeds[unit.name])
            if room and all(ready(c) for c in reads) and cycle >= rested[unit.name]:
                started.append(unit.name)
                take(reads)
        for unit in dataflow.units:
            if unit.name in started:
                give(feeds[unit.name], unit.timing.latency_cycles)
                rested[unit.name] = cycle + unit.timing.initiation_interval
        (leaving,) = (c for c in dataflow.channels if c.consumer is None)
        if ready(leaving):
            take([leaving])
            found.append(cycle)
        cycle += 1
    return found


def interval(dataflow: Dataflow, vectors: int = 60) -> float:
    """Return cycles per result in the second half of a run."""
    taken = last_starts(dataflow, vectors)
    assert len(taken) == vectors, "nothing moves"
    return (taken[-1] - taken[vectors // 2]) / (vectors - 1 - vectors // 2)


def shallower(dataflow: Dataflow, channel: Channel) -> Dataflow:
    channels = [dataclasses.replace(c, depth=c.depth - (c is channel)) for c in dataflow.channels]
    return dataclasses.replace(dataflow, channels=tuple(channels))


def check(dataflow: Dataflow, program: Program, x: np.ndarray) -> None:
    """Check the laws that need no hardware."""
    assert np.array_equal(dataflow.replay(x), Interpreter(program).run(x))
    order = {None: -1} | {unit.name: number for number, unit in enumerate(dataflow.units)}
    for channel in dataflow.channels:
        assert channel.consumer is None or order[channel.producer] < order[channel.consumer]
        assert channel.depth == needed_depth(dataflow, channel)
    for unit in dataflow.units:
        assert all(channel.port is port for channel, port in zip(dataflow.into(unit), unit.takes, strict=True))
    taken = last_starts(dataflow, 60)
    assert taken[0] == dataflow.latency_cycles + 1
    assert interval(dataflow) == dataflow.initiation_interval


@given(programs(), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_drawn_programs_keep_the_laws(program: Program, reuse: int):
    x = codes(program, 24)
    largest = max(c.q.size for name, c in program.constants.items() if name.endswith(".weight"))
    made = lower_for(
        program, x, family="xc7", clock_mhz=150, reuse=min(reuse, largest), boundaries="elastic"
    )  # fmt: skip
    rigid = lower_for(program, x, family="xc7", clock_mhz=150, reuse=min(reuse, largest))
    check(made, program, x)
    assert np.array_equal(made.replay(x), rigid.replay(x))
    kinds, same = ({unit.name for unit in each.units if isinstance(unit, Folded)} for each in (made, rigid))
    if kinds == same:
        assert made.initiation_interval == rigid.initiation_interval
    else:  # between units nobody sees that a layer's input never changes (x - x)
        assert same < kinds


@pytest.mark.parametrize("options", RESIDUALS)
def test_joins_keep_the_laws(options):
    made = residual(X, **options)
    check(made, made.program, X)


@pytest.mark.parametrize("options", RESIDUALS)
def test_no_depth_is_too_large(options):
    """One word less costs throughput: everywhere at a vector per cycle; else where no beats are allowed for."""
    made = residual(X, **options)
    starts = made.starts
    for channel in made.channels:
        outer = channel.consumer is None or not starts.get(channel.producer or "", 0)
        if channel.depth > 1 and (made.initiation_interval == 1 or not outer):
            assert interval(shallower(made, channel)) > made.initiation_interval, channel.name


def test_a_skip_waits_as_long_as_the_way_around():
    made = residual(X)
    (skip,) = (c for c in made.channels if c.value == "fc1.relu" and c.consumer == JOIN)
    (way,) = (unit for unit in made.units if unit.gives[0].value == "fc2")
    (to_way,) = (c for c in made.channels if c.consumer == way.name)
    assert skip.depth == to_way.depth + way.timing.latency_cycles + 1


def test_a_layer_of_constants_starts_with_the_input():
    ops = (
        Input(name="x", layer="input", shape=(2,), format=Fixed(width_bits=4, frac_bits=0)),
        Const(name="c", layer="c", value="c"),
        Relu(name="r", layer="r", source="c"),
        Add(name="sum", layer="sum", left="x", right="r"),
    )
    program = Program(name="p", ops=ops, output="sum", constants={"c": Constant(np.array([3, -2]), 0)})
    x = codes(program, 20)
    check(lower_for(program, x, family="xc7", clock_mhz=150, boundaries="elastic"), program, x)


def test_each_layer_is_a_unit_and_rigid_stays_one():
    program = mlp((6, 5, 4, 3), seed=2)
    x = codes(program, 20)
    rigid = lower_for(program, x, family="xc7", clock_mhz=200)
    waits = lower_for(program, x, family="xc7", clock_mhz=200, boundaries="elastic")
    assert len(rigid.units) == 1
    assert not rigid.elastic
    assert waits.elastic
    assert [unit.gives[0].value for unit in waits.units] == ["fc1.act", "fc2.act", "out", "class"]
    assert waits.latency_cycles == sum(unit.timing.latency_cycles for unit in waits.units) + len(waits.units) - 1
    assert elastic(waits) == waits
    assert waits.cost.ff > rigid.cost.ff


def test_a_limit_of_latency():
    program = mlp((6, 5, 3), seed=1)
    x = codes(program, 20)
    with pytest.raises(LowerError, match=r"with elastic boundaries at 200 MHz on xc7, allowed are 3"):
        lower_for(program, x, family="xc7", clock_mhz=200, boundaries="elastic", max_latency_cycles=3)
    with pytest.raises(LowerError, match=r"cannot choose the clock of elastic boundaries: set hardware\.clock_mhz"):
        lower_for(program, x, family="xc7", clock_mhz=0, boundaries="elastic", max_latency_cycles=30)
