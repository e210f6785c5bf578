"""Programs of images and signals as units on streams, without a simulator: values, refusals, and what tokens show."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.flow.codes import random_codes
from gatewright.flow.lowering import taken
from gatewright.ir import Constant, Interpreter, Op, Program
from gatewright.ir.op_moves import Concat, Fill, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.ops import Add, Const, Conv, Dense, Input, Max, Mul, Pool, PoolKind, Relu, Requant
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.estimate import estimate
from gatewright.lower.streaming.regrouped import Regrouped
from gatewright.lower.streaming.tokens import run
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.target import Choices
from gatewright.lower.tensor.depths import interval_of, net_of
from gatewright.lower.unrolled import Unrolled
from tests.images import image_programs
from tests.lower.units_contract import check_channels
from tests.lowering import lower_for


def stream(program: Program, frames: int = 6, **settings) -> Dataflow:
    x = random_codes(program, frames, seed=1)
    return lower_for(program, x, family="xc7", clock_mhz=200, **{"stream": "always", **settings})


def conv(name: str, source: str, constants: dict, shape: tuple[int, ...], *, pads=((1, 1), (1, 1))) -> Conv:
    rng = np.random.default_rng(len(constants))
    constants[f"{name}.weight"] = Constant(rng.integers(-3, 4, shape), 0)
    constants[f"{name}.bias"] = Constant(np.zeros(shape[-1], dtype=np.int64), 0)
    ones = (1,) * (len(shape) - 2)
    return Conv(
        name=name,
        layer=name,
        source=source,
        weight=f"{name}.weight",
        bias=f"{name}.bias",
        strides=ones,
        dilation=ones,
        pads=pads,
        groups=1,
    )


def residual() -> Program:
    """Two convolutions that keep the size, and a skip around both."""
    constants: dict[str, Constant] = {}
    fixed = Fixed(width_bits=4, frac_bits=0, signed=False)
    ops = [Input(name="x", layer="input", shape=(8, 8, 2), format=fixed)]
    ops += [conv("a", "x", constants, (3, 3, 2, 2)), Relu(name="a.relu", layer="a", source="a")]
    ops += [conv("b", "a.relu", constants, (3, 3, 2, 2)), Add(name="sum", layer="sum", left="b", right="x")]
    return Program(name="residual", ops=tuple(ops), output="sum", constants=constants)


def moving() -> Program:
    """Down, up again and beside what was left; then each of the other ways to move rows, columns and frames."""
    constants: dict[str, Constant] = {}
    fixed = Fixed(width_bits=4, frac_bits=0, signed=True)
    two = {"size": (2, 2), "strides": (2, 2), "pads": ((0, 0), (0, 0)), "kind": PoolKind.MAX}
    ops: list[Op] = [Input(name="x", layer="input", shape=(6, 8, 2), format=fixed)]
    ops += [conv("a", "x", constants, (3, 3, 2, 2)), Pool(name="p", layer="p", source="a", **two)]
    ops += [Upsample(name="u", layer="up", source="p", factors=(2, 2, 1), fill=Fill.REPEAT)]
    ops += [Concat(name="skip", layer="skip", sources=("u", "a"), axis=2)]
    ops += [Pad(name="pad", layer="pad", source="skip", pads=((1, 0), (2, 1), (0, 0)), value=-1)]
    ops += [Slice(name="s", layer="s", source="pad", starts=(1, 0, 0), stops=(7, 11, 4), steps=(2, 3, 1))]
    ops += [Transpose(name="t", layer="t", source="s", axes=(1, 2, 0)), Relu(name="r", layer="r", source="t")]
    ops += [Concat(name="rows", layer="rows", sources=("t", "r"), axis=0)]
    ops += [Upsample(name="z", layer="z", source="rows", factors=(1, 2, 1), fill=Fill.ZEROS)]
    ops += [Reshape(name="flat", layer="flat", source="z", shape=(192,)), formats((192,), "flat")]
    return Program(name="moving", ops=tuple(ops), output="t_", constants=constants)


def test_every_way_to_move():
    made = stream(moving())
    kinds = {type(unit).__name__ for unit in made.units}
    assert kinds == {"Windowed", "Pooled", "Resampled", "Unrolled", "Reordered", "Joined", "Regrouped"}
    x = random_codes(made.program, 4, seed=3)
    assert np.array_equal(made.replay(x), Interpreter(moving()).run(x))


def test_what_follows_in_wider_beats_reads_narrow_ones_where_they_come_from():
    """A reordered value goes on in the beats of what came; the next reordering takes it before these are made."""
    swap = {"axes": (0, 2, 1)}
    ops = (Transpose(name="a", layer="a", source="x", **swap), Transpose(name="b", layer="b", source="a", **swap))
    made = stream(small(*ops, output="b", shape=(1, 2, 2)))
    assert [unit.name for unit in made.units if unit.takes[0].value == "a"] == ["b"]
    x = random_codes(made.program, 4, seed=3)
    assert np.array_equal(made.replay(x), Interpreter(made.program).run(x))


@given(image_programs(layers=3), st.sampled_from((0, 300)))
@settings(max_examples=60, deadline=None)
def test_drawn_programs_compute_what_the_interpreter_does(program: Program, interval: int):
    made = stream(program, interval=interval)
    x = random_codes(program, 6, seed=2)
    assert np.array_equal(made.replay(x), Interpreter(program).run(x))
    check_channels(made)
    assert made.initiation_interval >= made.source.stream.beats
    assert made.checked > 0
    assert estimate(made).latency_cycles == made.latency_cycles > 0


def test_a_skip_is_as_deep_as_the_way_around_it():
    made = stream(residual())
    (skip,) = (c for c in made.channels if c.producer is None and c.consumer == "sum")
    around = sum(unit.window.lead for unit in made.units if isinstance(unit, Windowed))
    assert around < skip.depth <= around + sum(u.timing.latency_cycles for u in made.units) + 4
    assert made.initiation_interval == 64


def test_one_word_less_costs_throughput_or_stops_the_design():
    """Depths are the least: of any channel, one word less takes longer, and a skip far too shallow stops it."""
    made = stream(residual())
    depths = [c.depth for c in made.channels]
    for number, channel in enumerate(made.channels):
        if channel.depth > 1:
            less = [*depths[:number], channel.depth - 1, *depths[number + 1 :]]
            slower = interval_of(made, less)
            assert slower > made.initiation_interval, channel.name
            assert channel.less == ("stops" if slower == float("inf") else "slower"), channel.name
    (skip,) = (i for i, c in enumerate(made.channels) if c.producer is None and c.consumer == "sum")
    with pytest.raises(LowerError, match=r"nothing moves any more: .* wait for places; channels \[.*\] are full"):
        run(net_of(made, [*depths[:skip], 9, *depths[skip + 1 :]]), frames=2)


def test_depths_that_are_told_are_kept_or_refused():
    """More words are taken as they are; too few for anything to move are refused by the channel's name."""
    told = stream(residual(), fifo_depths={"x -> sum": 40})
    (skip,) = (c for c in told.channels if c.producer is None and c.consumer == "sum")
    assert (skip.depth, told.initiation_interval) == (40, 64)
    with pytest.raises(
        LowerError,
        match=r"^hardware\.fifo_depths stops the design for good: 'x -> sum' has 9 words and needs 1\d, .* would hang",
    ):
        stream(residual(), fifo_depths={"x -> sum": 9})
    with pytest.raises(LowerError, match=r"names 'x -> som', which is no FIFO\. Did you mean 'x -> sum'\?"):
        stream(residual(), fifo_depths={"x -> som": 9})


def test_a_frame_takes_no_more_than_its_beats():
    """Strides and pools take nothing: the input is the slowest."""
    program = residual()
    assert stream(program).initiation_interval == 64


def small(*more, output: str, shape: tuple[int, ...] = (4, 6, 2), constants=None) -> Program:
    fixed = Fixed(width_bits=3, frac_bits=0, signed=True)
    ops = (Input(name="x", layer="input", shape=shape, format=fixed), *more)
    return Program(name="small", ops=ops, output=output, constants=constants or {})


def formats(shape: tuple[int, ...], source: str = "x") -> Requant:
    """Formats that differ from position to position."""
    count = int(np.prod(shape))
    return Requant(
        name="t_",
        layer="act",
        source=source,
        frac_bits=0,
        width_bits=(*(2, 3) * (count // 2 - 1), 1, 1),
        keep_frac_bits=(0,) * count,
        signed=(True,) * (count - 1) + (False,),
        rounding=Rounding.HALF_UP,
        overflow=Overflow.WRAP,
    )


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (
            Concat(name="t", layer="twice", sources=("x", "x"), axis=0),
            r"^layer 'twice': no streaming hardware for Concat of a value with itself \(op 't'\) yet; use",
        ),
        (
            formats((32, 33, 2)),
            r"^layer 'act': no streaming hardware for Requant with formats that differ from position to position",
        ),
    ],
)
def test_what_has_no_hardware_is_refused_by_layer(op, message):
    with pytest.raises(LowerError, match=message):
        stream(small(op, output=op.name, shape=(32, 33, 2)))


def test_formats_of_a_small_value_take_it_in_one_beat():
    """A frame of 48 elements is gathered for formats that differ from position to position, and stays a beat."""
    program = small(formats((4, 6, 2)), output="t_")
    made = stream(program)
    assert [type(unit) for unit in made.units] == [Regrouped, Unrolled]
    assert [port.stream.per_beat for unit in made.units for port in unit.gives] == [48, 48]
    assert made.initiation_interval == 24


def test_zeros_around_a_convolution_are_its_own_padding():
    """A layer of padding with zeros takes nothing; one with another number is a unit, and takes its beats."""
    for value, units, cycles in ((0, 1, 24), (3, 2, 48)):
        constants: dict[str, Constant] = {}
        pad = Pad(name="p", layer="pad", source="x", pads=((1, 1), (1, 1), (0, 0)), value=value)
        made = stream(
            small(pad, conv("c", "p", constants, (3, 3, 2, 1), pads=((0, 0),) * 2), output="c", constants=constants)
        )
        assert (len(made.units), made.initiation_interval) == (units, cycles)


def test_a_leaking_relu_stays_in_the_circuit_in_front():
    """What branches and joins again on a beat needs no FIFO and no unit of its own."""
    constants = {"slope": Constant(np.array([1]), 2)}
    ops = [conv("c", "x", constants, (3, 3, 2, 2)), Const(name="k", layer="leaky", value="slope")]
    ops += [Mul(name="m", layer="leaky", left="c", right="k"), Max(name="y", layer="leaky", left="c", right="m")]
    made = stream(small(*ops, output="y", constants=constants))
    assert [type(unit) for unit in made.units] == [Windowed]


def test_what_computes_nothing_is_refused():
    with pytest.raises(LowerError, match=r"^'small' computes nothing: its result is its input in another shape$"):
        stream(small(Reshape(name="r", layer="r", source="x", shape=(48,)), output="r"))


def test_a_window_that_does_not_fit_is_refused_by_layer():
    constants: dict[str, Constant] = {}
    op = conv("edge", "x", constants, (3, 3, 2, 1), pads=((2, 2), (1, 1)))
    with pytest.raises(LowerError, match=r"layer 'edge': .* Conv with this window: padding 2 and 2 must be less than"):
        stream(small(op, output="edge", constants=constants))


def test_settings_that_do_not_suit_are_said():
    program = small(Relu(name="r", layer="r", source="x"), output="r")
    with pytest.raises(
        LowerError, match=r"pixels_per_beat must divide the 24 positions of the input \(4, 6, 2\), not be 5"
    ):
        stream(program, pixels_per_beat=5)
    with pytest.raises(
        LowerError, match=r"interval must be at least 24, for a frame of 'small' comes in so many .*, not 9"
    ):
        stream(program, interval=9)
    with pytest.raises(
        LowerError, match=r"'signal' takes 11 cycles a frame, hardware\.interval allows 10; raise it, or"
    ):
        stream(signal(64, 3, 5), pixels_per_beat=8, interval=10)
    x = random_codes(program, 4)
    with pytest.raises(LowerError, match=r"cannot choose the clock of units on streams: set hardware\.clock_mhz above"):
        lower_for(program, x, family="xc7", clock_mhz=0, stream="always", max_latency_cycles=50)
    with pytest.raises(LowerError, match=r"needs \d+ cycles on streams at 200 MHz on xc7, allowed are 3"):
        stream(program, max_latency_cycles=3)


def test_auto_builds_vectors_as_ever():
    fixed = Fixed(width_bits=3, frac_bits=0, signed=True)
    relu = Relu(name="r", layer="r", source="x")
    vector = Program(
        name="v", ops=(Input(name="x", layer="input", shape=(4,), format=fixed), relu), output="r", constants={}
    )
    assert stream(vector, stream="auto").paced is None
    assert stream(small(relu, output="r"), stream="auto").paced is not None
    whole = stream(small(relu, output="r"), stream="never")
    assert (whole.paced, whole.initiation_interval) == (None, 1)


def test_a_vector_that_is_reshaped_at_once_comes_pixel_by_pixel():
    """A leading Reshape before layers of images, and a Flatten before dense ones."""
    constants = {"w": Constant(np.arange(12).reshape(6, 2) - 5, 0), "b": Constant(np.array([1, -2]), 0)}
    fixed = Fixed(width_bits=3, frac_bits=0, signed=True)
    image = Program(
        name="r",
        ops=(
            Input(name="x", layer="input", shape=(24,), format=fixed),
            Reshape(name="image", layer="image", source="x", shape=(4, 3, 2)),
            Pool(
                name="p",
                layer="p",
                source="image",
                kind=PoolKind.MAX,
                size=(2, 2),
                strides=(2, 2),
                pads=((0, 0), (0, 0)),
            ),
        ),
        output="p",
        constants={},
    )
    made = stream(image)
    assert made.source.stream.per_beat == 2
    flat = Program(
        name="f",
        ops=(
            Input(name="x", layer="input", shape=(3, 2), format=fixed),
            Reshape(name="flat", layer="flat", source="x", shape=(6,)),
            Dense(name="d", layer="d", source="flat", weight="w", bias="b"),
        ),
        output="d",
        constants=constants,
    )
    plain = Choices(reuse=1, multiplier="auto", truth_tables=True, boundaries="rigid")
    assert taken(flat, plain).input.shape == (6,)
    assert taken(flat, dataclasses.replace(plain, stream="always")).input.shape == (3, 2)
    for program in (image, flat):
        x = random_codes(program, 6, seed=3)
        assert np.array_equal(stream(program).replay(x), Interpreter(program).run(x))


def signal(frames: int, stride: int, taps: int, *, channels: int = 2) -> Program:
    """A convolution of a signal, whose result goes to a dense layer."""
    rng = np.random.default_rng(frames)
    count = (frames - taps) // stride + 1
    constants = {
        "c.weight": Constant(rng.integers(-3, 4, (taps, channels, 3)), 0),
        "c.bias": Constant(np.array([1, 0, -2]), 0),
        "d.weight": Constant(rng.integers(-3, 4, (count * 3, 2)), 0),
        "d.bias": Constant(np.array([5, -5]), 0),
    }
    fixed = Fixed(width_bits=4, frac_bits=0, signed=True)
    ops = (
        Input(name="x", layer="input", shape=(frames, channels), format=fixed),
        Conv(
            name="c",
            layer="c",
            source="x",
            weight="c.weight",
            bias="c.bias",
            strides=(stride,),
            dilation=(1,),
            pads=((0, 0),),
            groups=1,
        ),
        Reshape(name="flat", layer="flat", source="c", shape=(count * 3,)),
        Dense(name="d", layer="d", source="flat", weight="d.weight", bias="d.bias"),
    )
    return Program(name="signal", ops=ops, output="d", constants=constants)


@pytest.mark.parametrize(
    ("interval", "windows", "cycles"), [(0, 2, 12), (30, 1, 24)], ids=["as fast as it goes", "as slow as allowed"]
)
def test_windows_at_a_time_follow_from_the_interval(interval: int, windows: int, cycles: int):
    """64 samples, 8 a beat, 5 taps, stride 3: 20 windows; two at a time take 6 samples a step, of beats of 8."""
    made = stream(signal(64, 3, 5), pixels_per_beat=8, interval=interval)
    unit = made.units[0]
    assert isinstance(unit, Windowed)
    assert (unit.window.outputs, unit.window.beats, unit.regroups) == (windows, -(-64 // (3 * windows)), True)
    assert unit.rule.beats == 8
    assert made.initiation_interval <= max(cycles, interval)
    x = random_codes(made.program, 6, seed=4)
    assert np.array_equal(made.replay(x), Interpreter(made.program).run(x))
