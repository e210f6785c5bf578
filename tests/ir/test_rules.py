"""What the verifier refuses, in words; single ops attain their ranges; an LSTM is a scan."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import ProgramError
from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.ir import (
    Add,
    Concat,
    Const,
    Constant,
    Conv,
    Dense,
    Fill,
    Input,
    Interpreter,
    Lookup,
    Mul,
    Pad,
    Pool,
    PoolKind,
    Program,
    Requant,
    Reshape,
    Scan,
    Slice,
    Transpose,
    Upsample,
    parse_program,
    pool_cells,
    print_program,
    ranges,
    verify,
)
from tests.operators import operator_programs, samples

NAME = {"name": "y", "layer": "l"}
Y = {**NAME, "source": "x"}
CONV = Conv(**Y, weight="w", bias="b", strides=(1, 1), dilation=(1, 1), pads=((0, 0), (0, 0)), groups=1)
POOL = Pool(**Y, kind=PoolKind.MAX, size=(2, 2), strides=(1, 1), pads=((0, 0), (0, 0)))


def program(op, weight: tuple[int, ...] = (2, 2, 2, 3), bias: tuple[int, ...] = (3,)) -> Program:
    """Return an image (4, 5, 2) and one op."""
    source = Input(name="x", layer="input", shape=(4, 5, 2), format=Fixed(width_bits=4, frac_bits=0))
    tables = {"w": Constant(np.ones(weight, dtype=np.int64), 0), "b": Constant(np.ones(bias, dtype=np.int64), 0)}
    return Program(name="p", ops=(source, op), output=op.name, constants=tables)


def changed(op, **fields):
    return program(dataclasses.replace(op, **fields))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (program(CONV, weight=(2, 2, 3, 3)), r"weight must be \(\*kernel of 2 axes, 2, c_out\).*not \(2, 2, 3, 3\)"),
        (program(CONV, weight=(2, 2, 3)), r"weight must be \(\*kernel of 2 axes"),
        (program(CONV, bias=(4,)), r"not \(2, 2, 2, 3\) and \(4,\)"),
        (changed(CONV, groups=3), "groups must divide the 2 channels, not 3"),
        (changed(CONV, strides=(1,)), r"strides must have one entry for each axis of \(4, 5\), not \(1,\)"),
        (changed(CONV, strides=(1, 0)), r"strides must be positive, not \(1, 0\)"),
        (changed(CONV, dilation=(4, 1)), r"a window of \(2, 2\) \(dilation \(4, 1\)\) does not fit into \(4, 5\)"),
        (changed(CONV, pads=((0, -1), (0, 0))), r"pads must be \(before, after\) >= 0"),
        (changed(CONV, weight="none"), r"constant 'none' is not in the table \['b', 'w'\]"),
        (changed(POOL, pads=((2, 0), (0, 0))), "a window lies in the padding .* alone and has no greatest value"),
        (changed(POOL, size=(2, 6)), r"a window of \(2, 6\).*does not fit into \(4, 5\)"),
        (program(Reshape(**Y, shape=(3, 13))), r"\(4, 5, 2\) has 40 elements, \(3, 13\) 39"),
        (program(Transpose(**Y, axes=(0, 1, 1))), r"axes must be an order of 0..2, not \(0, 1, 1\)"),
        (
            program(Slice(**Y, starts=(0, 3, 0), stops=(4, 6, 2), steps=(1, 1, 1))),
            r"axis 1: range\(3, 6\) must be one or more of the indices 0..4",
        ),
        (program(Slice(**Y, starts=(0, 3, 0), stops=(4, 6, 2), steps=(1, 1, 0))), "steps must not be 0"),
        (program(Pad(**Y, pads=((0, 0),), value=0)), r"pads must have one entry for each axis of \(4, 5, 2\)"),
        (program(Upsample(**Y, factors=(1, 0, 1), fill=Fill.ZEROS)), r"positive sizes, not \(4, 0, 2\)"),
        (program(Upsample(**Y, factors=(1 << 30, 1, 1), fill=Fill.ZEROS)), "more than 67108864 elements"),
        (program(Concat(**NAME, sources=("x", "x"), axis=3)), "axis must be 0..2 of one or more results, not 3"),
        (program(Add(**NAME, left="x", right="z")), "reads 'z', which no earlier op defines"),
    ],
)
def test_refused(wrong: Program, message: str):
    with pytest.raises(ProgramError, match=rf"program 'p', op 1 'y' \({type(wrong.ops[1]).__name__}\): .*{message}"):
        verify(wrong)
    with pytest.raises(ProgramError, match=message):
        parse_program(print_program(wrong))


def test_shapes_that_do_not_broadcast():
    wrong = program(Const(name="c", layer="l", value="b"))
    wrong = dataclasses.replace(wrong, ops=(*wrong.ops, Add(**NAME, left="x", right="c")), output="y")
    with pytest.raises(ProgramError, match=r"shapes \(4, 5, 2\) and \(3,\) do not broadcast; reshape one of them"):
        verify(wrong)


@st.composite
def tiny_programs(draw: st.DrawFn) -> Program:
    """Draw one op whose ends are attained when its input is free, over at most 4 elements of at most 2 bits."""
    kinds = ("dense", "conv", "pool", "relu", "concat", "reshape", "transpose", "slice", "pad", "upsample", "lookup")
    shape = draw(st.sampled_from(((1,), (3,), (2, 2), (4, 1), (2, 2, 1), (1, 2, 2))))
    return draw(operator_programs(max_ops=1, kinds=kinds, shape=shape, max_width=2))


@given(tiny_programs())
@settings(max_examples=100, deadline=None)
def test_ranges_of_one_op_are_attained(drawn: Program):
    fixed, shape = drawn.input.format, drawn.input.shape
    every = itertools.product(range(fixed.lo, fixed.hi + 1), repeat=int(np.prod(shape)))
    trace = Interpreter(drawn).trace(np.array(list(every)).reshape(-1, *shape))
    for name, bounds in ranges(drawn).items():
        if name != "class":
            assert (trace[name].min(axis=0) == bounds.lo).all(), name
            assert (trace[name].max(axis=0) == bounds.hi).all(), name


def test_a_mean_counts_only_cells_inside():
    cells = pool_cells((4, 5), (2, 2), (2, 2), ((0, 0), (1, 0)))
    assert cells.tolist() == [[2, 4, 4], [2, 4, 4]]


# ------------------------------------------------------------------------------------------------ a scan's rules
UNITS, FEATURES, STEPS = 2, 3, 6


def narrow(name: str, source: str, width: int, frac: int) -> Requant:
    return Requant(
        name=name,
        layer="cell",
        source=source,
        frac_bits=frac,
        width_bits=(width,),
        keep_frac_bits=(frac,),
        signed=(True,),
        rounding=Rounding.HALF_EVEN,
        overflow=Overflow.SATURATE,
    )


def part(name: str, source: str, start: int, stop: int) -> Slice:
    return Slice(name=name, layer="cell", source=source, starts=(start,), stops=(stop,), steps=(1,))


def table(f) -> Constant:
    """Return f of every fixed<8,4> as fixed<9,1>."""
    return Constant(np.rint(f(np.arange(-128, 128) / 16) * 256).astype(np.int64)[None], 8)


def lstm(**options) -> Program:
    """Return x (steps, features) -> h: gates i, f, g, o; the state is h (fixed<10,2>) and c (fixed<12,4>)."""
    rng = np.random.default_rng(5)
    u = UNITS
    weight = rng.integers(-20, 21, (FEATURES + 2 * u, 4 * u))
    weight[FEATURES + u :] = 0  # the gates read x and h, not c
    look = {
        gate: Lookup(
            name=gate, layer="cell", source=f"{gate}.in", table="tanh" if gate == "g" else "sigmoid", first=-128
        )
        for gate in "ifgo"
    }
    body = Program(
        name="cell",
        ops=(
            Input(name="xs", layer="in", shape=(FEATURES + 2 * u,), format=Fixed(width_bits=12, frac_bits=8)),
            Dense(name="sums", layer="cell", source="xs", weight="weight", bias="bias"),
            narrow("gates", "sums", 8, 4),
            *(
                op
                for k, gate in enumerate("ifgo")
                for op in (part(f"{gate}.in", "gates", k * u, k * u + u), look[gate])
            ),
            part("c.old", "xs", FEATURES + u, FEATURES + 2 * u),
            Mul(name="keep", layer="cell", left="f", right="c.old"),
            Mul(name="new", layer="cell", left="i", right="g"),
            Add(name="both", layer="cell", left="keep", right="new"),
            narrow("c", "both", 12, 8),
            narrow("c.short", "c", 8, 4),
            Lookup(name="c.tanh", layer="cell", source="c.short", table="tanh", first=-128),
            Mul(name="out", layer="cell", left="o", right="c.tanh"),
            narrow("h", "out", 10, 8),
            Concat(name="state", layer="cell", sources=("h", "c"), axis=0),
        ),
        output="state",
        constants={
            "weight": Constant(weight, 4),
            "bias": Constant(rng.integers(-20, 21, 4 * u), 4),
            "tanh": table(np.tanh),
            "sigmoid": table(lambda v: 1 / (1 + np.exp(-v))),
        },
    )
    given = {"initial": "start", "emit": (0, u), "reverse": False, "sequences": True, "body": body, **options}
    return Program(
        name="lstm",
        ops=(
            Input(name="x", layer="input", shape=(STEPS, FEATURES), format=Fixed(width_bits=8, frac_bits=5)),
            Scan(name="h", layer="lstm", source="x", **given),
        ),
        output="h",
        constants={"start": Constant(np.zeros(2 * u, dtype=np.int64), 0)},
    )


def clipped(v: np.ndarray, width: int, frac: int) -> np.ndarray:
    return np.clip(np.rint(v * 2.0**frac), -(2 ** (width - 1)), 2 ** (width - 1) - 1) * 2.0**-frac


def lstm_in_float64(x: np.ndarray, body: Program) -> np.ndarray:
    """Return the hidden states (n, steps, units): the textbook's equations, every number dyadic and so exact."""
    look = {
        key: lambda v, q=body.constants[key].q[0]: q[(v * 16).astype(int) + 128] / 256 for key in ("tanh", "sigmoid")
    }
    w, b = body.constants["weight"].q / 16, body.constants["bias"].q / 16
    h, c, every = np.zeros((len(x), UNITS)), np.zeros((len(x), UNITS)), []
    for step in range(x.shape[1]):
        gates = clipped(x[:, step] @ w[:FEATURES] + h @ w[FEATURES : FEATURES + UNITS] + b, 8, 4)
        i, f, g, o = np.split(gates, 4, axis=1)
        c = clipped(look["sigmoid"](f) * c + look["sigmoid"](i) * look["tanh"](g), 12, 8)
        h = clipped(look["sigmoid"](o) * look["tanh"](clipped(c, 8, 4)), 10, 8)
        every.append(h)
    return np.stack(every, axis=1)


def test_an_lstm_is_a_scan():
    program = lstm()
    verify(program)
    x = samples(program, 200)
    scan = program.ops[1]
    assert isinstance(scan, Scan)
    want = lstm_in_float64(x / 32, scan.body)
    assert np.array_equal(Interpreter(program).run(x) / 256, want)
    assert len(np.unique(want)) > 100
    assert np.array_equal(Interpreter(lstm(sequences=False)).run(x) / 256, want[:, -1])
    assert np.array_equal(Interpreter(lstm(reverse=True)).run(x[:, ::-1]) / 256, want)
    assert parse_program(print_program(program)) == program


def with_body(**fields) -> Program:
    scan = lstm().ops[1]
    assert isinstance(scan, Scan)
    return lstm(body=dataclasses.replace(scan.body, **fields))


def body_ops(**swap) -> tuple:
    scan = lstm().ops[1]
    assert isinstance(scan, Scan)
    return tuple(swap.get(op.name.replace(".", "_"), op) for op in scan.body.ops)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: lstm(emit=(0, 5)), r"emit must name elements of the body's result \(4,\), not \(0, 5\)"),
        (lambda: with_body(output="h"), r"return a vector of at least 4 elements, the state, not \(2,\)"),
        (
            lambda: with_body(ops=body_ops(c=narrow("c", "both", 14, 8))),
            r"op 'h': the state may reach .*outside the body's input format fixed<12,4>; widen it, or end the",
        ),
        (
            lambda: with_body(ops=body_ops(h=narrow("h", "out", 10, 9))),
            "op 'h': the body returns 9 frac_bits, its input has 8",
        ),
        (
            lambda: dataclasses.replace(lstm(), constants={"start": Constant(np.zeros(3, dtype=np.int64), 0)}),
            r"the body must read \(6,\), features 3 and states 3, not \(7,\)",
        ),
        (
            lambda: with_body(
                ops=body_ops(xs=Input(name="xs", layer="in", shape=(7,), format=Fixed.parse("fixed<9,5>")))
            ),
            r"the body's input fixed<9,5> must have the step input's 5 frac_bits",
        ),
    ],
)
def test_refused_scans(wrong, message: str):
    with pytest.raises(ProgramError, match=message):
        verify(wrong())
