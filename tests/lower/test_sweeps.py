"""Convolutions that share multipliers over several cycles: what is chosen, what it takes, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed
from gatewright.flow.codes import random_codes
from gatewright.ir import Constant, Interpreter, Program
from gatewright.ir.ops import Conv, Dense, Input
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.sweep import Sides, Sweep, all_sides
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.window import Window
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.target import Choices
from gatewright.lower.tensor.compile import intervals
from tests.lowering import lower_for


def conv(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    results: int,
    *,
    strides: tuple[int, int] = (1, 1),
    pads: tuple[tuple[int, int], tuple[int, int]] = ((1, 1), (1, 1)),
    groups: int = 1,
) -> Program:
    """Return one convolution of random weights of 6 bits, on unsigned numbers of 4."""
    rng = np.random.default_rng(7)
    weight = rng.integers(-32, 32, (*kernel, shape[-1] // groups, results))
    op = Conv(
        name="c",
        layer="c",
        source="x",
        weight="w",
        bias="b",
        strides=strides,
        dilation=(1, 1),
        pads=pads,
        groups=groups,
    )
    fixed = Fixed(width_bits=4, frac_bits=0, signed=False)
    return Program(
        name="conv",
        ops=(Input(name="x", layer="input", shape=shape, format=fixed), op),
        output="c",
        constants={"w": Constant(weight, 0), "b": Constant(rng.integers(-99, 99, results), 0)},
    )


def stream(program: Program, **settings) -> Dataflow:
    settings = {"family": "xc7", "clock_mhz": 200, "stream": "always", **settings}
    return lower_for(program, random_codes(program, 6, seed=1), **settings)


def test_engines_follow_from_the_interval():
    """As many multipliers as the interval asks for: all constants at once, then ever fewer that are shared."""
    program = conv((8, 8, 4), (3, 3), 8)
    windowed = stream(program).units[0]
    assert isinstance(windowed, Windowed)
    counts: list[int] = []
    for interval in (64 * 36, 64 * 72, 64 * 288):
        made = stream(program, interval=interval)
        (unit,) = made.units
        assert isinstance(unit, Swept)
        assert made.initiation_interval == unit.rule.interval <= interval
        assert unit.cost("xc7").lut < windowed.cost("xc7").lut
        counts.append(unit.multipliers)
        x = random_codes(program, 6, seed=2)
        assert np.array_equal(made.replay(x), Interpreter(program).run(x))
    assert counts == [8, 4, 1]


def test_a_stride_leaves_the_cycles_of_the_beats_without_a_window():
    """4 of 64 beats complete a window: these take all the cycles but those that write the others' two words."""
    made = stream(conv((8, 8, 4), (4, 4), 8, strides=(4, 4), pads=((0, 0), (0, 0))), interval=64 * 32)
    (unit,) = made.units
    assert isinstance(unit, Swept)
    assert (unit.multipliers, unit.sweep.cycles, unit.sweep.sides.words) == (2, 256, 2)
    assert made.initiation_interval == 4 * 256 + 60 * 2


@pytest.mark.parametrize(
    ("lanes", "results", "groups", "count"),
    [(4, 6, 1, 12), (6, 6, 2, 4), (4, 4, 4, 3), (2, 4, 2, 3)],
    ids=["all to all", "two groups", "depthwise", "depthwise, two results each"],
)
def test_what_a_convolution_can_be_cut_into(lanes: int, results: int, groups: int, count: int):
    """Words divide a group's lanes, and outputs its results; of a depthwise one they are several groups'."""
    found = list(all_sides(lanes, results, groups))
    assert len(found) == len(set(found)) == count
    one = ((0, 0), (0, 0))
    window = Window(grid=(3, 3), size=(2, 2), strides=(1, 1), dilation=(1, 1), pads=one)
    for sides in found:
        sweep = Sweep(window=window, sides=sides)
        weights = 4 * (lanes // groups) * results  # each is met once
        assert sweep.cycles * sides.multipliers == weights
        assert sweep.cycles % sweep.again == 0


def test_pixels_are_held_from_the_first_tap_to_the_last():
    """3 x 3 taps two apart, in rows of 10: 4 rows and 5 pixels, and two that come meanwhile, of 3 words each."""
    window = Window(grid=(9, 10), size=(3, 3), strides=(1, 1), dilation=(2, 2), pads=((2, 2), (2, 2)))
    sweep = Sweep(window=window, sides=Sides(lanes=6, results=4, groups=1, word=2, outputs=4))
    assert sweep.held == 4 * 10 + 5 + 2
    assert sweep.depth == 256 >= 3 * sweep.held


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"engine": "folded", "interval": 200},
            r"^layer 'c' takes 576 cycles a frame at the least with hardware\.engine .folded., .* allows 200; raise it",
        ),
        ({"interval": 9}, r"hardware\.interval must be at least 64, for a frame of 'conv' comes in so many beats"),
    ],
)
def test_an_interval_that_no_sweep_keeps_says_the_least(settings, message: str):
    with pytest.raises(LowerError, match=message):
        stream(conv((8, 8, 4), (3, 3), 8), **settings)


@pytest.mark.parametrize("dead", [(1,), (0, 2, 5)])
def test_filters_that_training_left_empty_are_swept_beside_others(dead: tuple[int, ...]):
    """Results without a weight: a CNN of hls4ml's examples has them, and took 139,000 LUTs for want of a sweep."""
    program = conv((8, 8, 4), (3, 3), 8)
    weight = program.constants["w"].q.copy()
    weight[..., list(dead)] = 0
    program = replace(program, constants={**program.constants, "w": Constant(weight, 0)})
    made = stream(program, interval=64 * 72)
    (unit,) = made.units
    assert isinstance(unit, Swept)
    x = random_codes(program, 6, seed=2)
    assert np.array_equal(made.replay(x), Interpreter(program).run(x))


def test_a_dense_layer_of_each_pixel_is_a_sweep_too():
    program = conv((4, 4, 8), (1, 1), 4, pads=((0, 0), (0, 0)))
    constants = {"w": Constant(program.constants["w"].q.reshape(8, 4), 0), "b": program.constants["b"]}
    dense = Dense(name="c", layer="c", source="x", weight="w", bias="b")
    made = stream(Program(name="conv", ops=(program.ops[0], dense), output="c", constants=constants), interval=16 * 32)
    (unit,) = made.units
    assert isinstance(unit, Swept)
    assert unit.multipliers == 1
    assert not any(isinstance(unit, Summed) for unit in made.units)


def test_the_fastest_design_that_fits_a_part():
    """Less room, more cycles for a frame, and with less than the least an error that says what that takes."""
    program = conv((8, 8, 4), (3, 3), 8)
    windowed = stream(program).cost.lut
    assert stream(program, fit=True, lut=windowed).initiation_interval == 64
    tight = stream(program, fit=True, lut=windowed // 2)
    assert tight.cost.lut <= windowed // 2
    assert tight.initiation_interval > 64
    with pytest.raises(
        LowerError, match=r"^no interval fits .*: the smallest .*, 18,432 cycles a frame, .* LUT of 50; choose a larger"
    ):
        stream(program, fit=True, lut=50)


def test_other_intervals_of_a_design_are_costed():
    program = conv((8, 8, 4), (3, 3), 8)
    made = stream(program, interval=64 * 72)
    x = random_codes(program, 6, seed=1)
    choices = Choices(reuse=1, multiplier="lut", truth_tables=True, boundaries="rigid", stream="always")
    points = intervals(program, x, made.target, choices, made)
    cycles = [point.cycles for point in points]
    assert made.initiation_interval in cycles
    assert cycles == sorted(set(cycles))
    assert len(cycles) >= 4
    for point in points:
        assert stream(program, interval=point.allowed).cost.lut <= point.lut


def test_a_layer_has_the_engine_that_it_is_given():
    program = conv((8, 8, 4), (3, 3), 8)
    assert isinstance(stream(program, interval=64 * 72, engines={"c": "parallel"}).units[0], Windowed)
    assert isinstance(stream(program, interval=64 * 72, engine="parallel", engines={"c": "folded"}).units[0], Swept)
    with pytest.raises(LowerError, match=r"engines names 'd', which is no convolution and no dense layer of 'conv'"):
        stream(program, engines={"d": "folded"})
