"""What `run` computes in floating point equals, integer for integer, what `trace` computes as ops are defined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir import (
    Constant,
    Conv,
    Dense,
    Input,
    Interpreter,
    Op,
    Pool,
    PoolKind,
    Program,
    Relu,
    Requant,
    Thresholds,
    verify,
)
from gatewright.ir.fast import steps
from gatewright.ir.linear import narrowest


def requant(source: str, channels: int, draw: st.DrawFn, name: str = "q") -> Requant:
    some = draw(st.sampled_from([1, channels]))
    width = draw(st.lists(st.integers(0, 9), min_size=some, max_size=some))
    keep = draw(st.lists(st.integers(-3, 9), min_size=some, max_size=some))
    return Requant(
        name=name,
        layer="l",
        source=source,
        frac_bits=max(keep),
        width_bits=tuple(width),
        keep_frac_bits=tuple(keep),
        signed=tuple(draw(st.booleans()) for _ in range(some)),
        rounding=draw(st.sampled_from(Rounding)),
        overflow=draw(st.sampled_from(Overflow)),
    )


@st.composite
def layers(draw: st.DrawFn) -> Program:
    """A convolution or a dense layer, perhaps a ReLU, a requantization, perhaps a pool; small numbers and large."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    fixed = Fixed(width_bits=draw(st.integers(1, 20)), frac_bits=draw(st.integers(-2, 8)), signed=draw(st.booleans()))
    c_in, c_out, bits = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 26))
    spatial = draw(st.booleans())
    shape = (4, 5, c_in) if spatial else (c_in,)
    kernel = (2, 2, c_in, c_out) if spatial else (c_in, c_out)
    constants = {
        "w": Constant(rng.integers(-(1 << bits) + 1, 1 << bits, kernel), draw(st.integers(0, 6))),
        "b": Constant(rng.integers(-(1 << bits) + 1, 1 << bits, c_out), draw(st.integers(0, 9))),
    }
    plain = {"name": "y", "layer": "l", "source": "x", "weight": "w", "bias": "b"}
    one = ((1, 0), (0, 0))
    ops: list[Op] = [Input(name="x", layer="x", shape=shape, format=fixed)]
    ops.append(Conv(**plain, strides=(1, 1), dilation=(1, 1), pads=one, groups=1) if spatial else Dense(**plain))
    if draw(st.booleans()):
        ops.append(Relu(name="r", layer="l", source="y"))
    ops.append(requant(ops[-1].name, c_out, draw))
    if spatial and draw(st.booleans()):
        kind, pads = draw(st.sampled_from(PoolKind)), ((0, 0), (1, 0))
        ops.append(Pool(name="p", layer="l", source="q", kind=kind, size=(2, 2), strides=(2, 2), pads=pads))
    if draw(st.booleans()):
        count, rows = draw(st.sampled_from([3, 40])), draw(st.sampled_from([1, c_out]))
        constants["t"] = Constant(np.sort(rng.integers(-300, 300, (rows, count))), draw(st.integers(0, 6)))
        plain = {"name": "t", "layer": "l", "source": ops[-1].name, "thresholds": "t"}
        ops.append(Thresholds(**plain, start=-3, step=2, frac_bits=0))
    return Program(name="p", ops=tuple(ops), output=ops[-1].name, constants=constants)


@given(layers())
@settings(max_examples=60)
def test_run_equals_trace(program):
    verify(program)
    fixed, rng = program.input.format, np.random.default_rng(1)
    x = rng.integers(fixed.lo, fixed.hi, (9, *program.input.shape), endpoint=True)
    x[0], x[1] = fixed.lo, fixed.hi
    interpreter = Interpreter(program)
    assert np.array_equal(interpreter.run(x), interpreter.trace(x)[program.output])


@pytest.mark.parametrize(
    ("bound", "kind"),
    [(0, np.float32), (2**24 - 1, np.float32), (2**24, np.float64), (2**53 - 1, np.float64), (2**53, None)],
)
def test_the_narrowest_type_that_is_exact(bound, kind):
    assert narrowest(bound) is kind


@pytest.mark.parametrize(("bias", "kind"), [(0, np.float32), (256, np.float64)])
def test_a_sum_at_the_bound_takes_the_wider_type(bias, kind):
    """255 * 65792 is 2**24 - 256: with a bias of 256 float32 holds the next integer no longer."""
    fixed = Fixed(width_bits=8, frac_bits=0, signed=False)
    ops = (
        Input(name="x", layer="x", shape=(1,), format=fixed),
        Dense(name="y", layer="l", source="x", weight="w", bias="b"),
    )
    constants = {"w": Constant(np.array([[65792]]), 0), "b": Constant(np.array([bias]), 0)}
    program = Program(name="p", ops=ops, output="y", constants=constants)
    x = np.array([[255]])
    interpreter = Interpreter(program)
    assert interpreter.run(x).tolist() == [[255 * 65792 + bias]]
    compute = steps(program, interpreter.ranges)[-1].compute
    assert compute is not None
    assert compute([x]).dtype == kind


def test_a_layer_with_what_follows_it_is_one_step():
    fixed = Fixed(width_bits=4, frac_bits=0, signed=False)
    keys = {"layer": "l", "frac_bits": 0, "width_bits": (3,), "keep_frac_bits": (0,), "signed": (False,)}
    how = {"rounding": Rounding.HALF_UP, "overflow": Overflow.SATURATE}
    ops = [
        Input(name="x", layer="x", shape=(4, 4, 1), format=fixed),
        Conv(
            name="y", layer="l", source="x", weight="w", bias="b", strides=(1, 1), dilation=(1, 1),
            pads=((0, 0), (0, 0)), groups=1,
        ),
        Relu(name="r", layer="l", source="y"),
        Requant(name="q", source="r", **keys, **how),
        Pool(name="p", layer="l", source="q", kind=PoolKind.MAX, size=(2, 2), strides=(2, 2), pads=((0, 0), (0, 0))),
    ]  # fmt: skip
    constants = {"w": Constant(np.ones((1, 1, 1, 2), dtype=np.int64), 1), "b": Constant(np.array([1, -9]), 2)}
    program = Program(name="p", ops=tuple(ops), output="p", constants=constants)
    assert [step.name for step in steps(program, Interpreter(program).ranges)] == ["x", "p"]
    read_twice = Program(name="p", ops=tuple(ops[:4]), output="r", constants=constants)
    assert [step.name for step in steps(read_twice, Interpreter(read_twice).ranges)] == ["x", "y", "r", "q"]
