"""Every node against PyTorch (float) or against exact arithmetic (quantizers)."""

from fractions import Fraction
from math import ceil, floor, trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.fixedpoint import Overflow, Rounding
from gatewright.graph.evaluate import evaluate, trace
from gatewright.graph.nodes import (
    Activation,
    Affine,
    Combine,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    Graph,
    Input,
    Pad,
    Pool,
    Quantize,
    Recurrent,
    Slice,
    Softmax,
    Thresholds,
    TopK,
    Transpose,
    Upsample,
)

RNG = np.random.default_rng(7)
ONE = np.array(1.0)


def chain(shape, *nodes):
    """Return the graph of nodes each of which reads the one before; those without sources get theirs here."""
    import dataclasses

    ordered = [Input(name="x", shape=shape)]
    for node in nodes:
        ordered.append(node if node.sources else dataclasses.replace(node, sources=(ordered[-1].name,)))
    return Graph(name="g", nodes=tuple(ordered), output=ordered[-1].name)


def close(got, expected):
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "parameters", "call"),
    [
        ("relu", (), "F.relu(x)"),
        ("relu", (6.0,), "F.relu6(x)"),
        ("leaky_relu", (0.1,), "F.leaky_relu(x, 0.1)"),
        ("prelu", (0.1, 0.2, -0.3), "torch.where(x >= 0, x, x * torch.tensor([0.1, 0.2, -0.3], dtype=x.dtype))"),
        ("elu", (0.7,), "F.elu(x, 0.7)"),
        ("selu", (), "F.selu(x)"),
        ("celu", (1.3,), "F.celu(x, 1.3)"),
        ("sigmoid", (), "torch.sigmoid(x)"),
        ("tanh", (), "torch.tanh(x)"),
        ("hard_sigmoid", (1 / 6, 0.5), "F.hardsigmoid(x)"),
        ("hard_tanh", (-0.5, 2.0), "F.hardtanh(x, -0.5, 2.0)"),
        ("hard_swish", (), "F.hardswish(x)"),
        ("silu", (), "F.silu(x)"),
        ("gelu", (), "F.gelu(x)"),
        ("gelu_tanh", (), "F.gelu(x, approximate='tanh')"),
        ("softplus", (), "F.softplus(x, threshold=1000)"),
        ("softsign", (), "F.softsign(x)"),
        ("exp", (), "torch.exp(x)"),
        ("mish", (), "F.mish(x)"),
        ("abs", (), "x.abs()"),
        ("neg", (), "-x"),
        ("sqrt", (), "torch.sqrt(x)"),
        ("square", (), "x * x"),
        ("sign", (), "torch.sign(x)"),
    ],
)
def test_activations_are_torchs(kind, parameters, call):
    torch = pytest.importorskip("torch")
    x = RNG.normal(0, 3, (20, 4, 3))
    x = np.abs(x) if kind == "sqrt" else x
    expected = eval(call, {"torch": torch, "F": torch.nn.functional, "x": torch.tensor(x)})
    close(evaluate(chain((4, 3), Activation(name="a", kind=kind, parameters=parameters)), x), expected.numpy())


@pytest.mark.torch
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_and_pools_are_torchs(groups):
    torch = pytest.importorskip("torch")
    x, w, b = RNG.normal(size=(3, 9, 8, 4)), RNG.normal(size=(3, 2, 4 // groups, 8)), RNG.normal(size=8)
    conv = Conv(
        name="c",
        weight=w,
        bias=b,
        weight_scale=ONE,
        strides=(2, 1),
        dilation=(1, 2),
        pads=((1, 1), (2, 2)),
        groups=groups,
    )
    average = Pool(name="a", kind="average", size=(2, 2), strides=(2, 1), pads=((1, 1), (0, 0)), include_pad=True)
    inside = Pool(name="i", kind="average", size=(2, 2), strides=(1, 1), pads=((1, 1), (1, 1)))
    greatest = Pool(name="m", kind="max", size=(2, 3), strides=(1, 1), pads=((1, 1), (1, 1)))
    got = trace(chain((9, 8, 4), conv, average, inside, greatest), x)
    first = lambda v: v.permute(0, 3, 1, 2)  # noqa: E731
    t = torch.nn.functional.conv2d(
        first(torch.tensor(x)), torch.tensor(w).permute(3, 2, 0, 1), torch.tensor(b), (2, 1), (1, 2), (1, 2), groups
    )
    close(got["c"], t.permute(0, 2, 3, 1).numpy())
    t = torch.nn.functional.avg_pool2d(t, 2, (2, 1), (1, 0))
    close(got["a"], t.permute(0, 2, 3, 1).numpy())
    t = torch.nn.functional.avg_pool2d(t, 2, 1, 1, count_include_pad=False)
    close(got["i"], t.permute(0, 2, 3, 1).numpy())
    t = torch.nn.functional.max_pool2d(t, (2, 3), 1, 1)
    close(got["m"], t.permute(0, 2, 3, 1).numpy())


@pytest.mark.torch
def test_transposed_convolution_is_torchs():
    torch = pytest.importorskip("torch")
    x, w, b = RNG.normal(size=(2, 5, 4, 3)), RNG.normal(size=(3, 3, 3, 6)), RNG.normal(size=6)
    node = ConvTranspose(name="t", weight=w, bias=b, weight_scale=ONE, strides=(2, 3), crop=((1, 0), (1, 1)))
    expected = torch.nn.functional.conv_transpose2d(
        torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(w).permute(2, 3, 0, 1), torch.tensor(b), (2, 3), 1, (1, 0)
    )
    close(evaluate(chain((5, 4, 3), node), x), expected.permute(0, 2, 3, 1).numpy())


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("backwards", [False, True])
def test_recurrent_cells_are_torchs(kind, backwards):
    torch = pytest.importorskip("torch")
    cell = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](3, 5, batch_first=True).double()
    kernel, recurrent, b_in, b_rec = (p.detach().numpy() for p in cell.parameters())
    order = [1, 0, 2] if kind == "gru" else list(range(len(kernel) // 5))  # torch: r z n; Keras: z r h
    gates = lambda v: np.concatenate([np.split(v, len(order))[i] for i in order])  # noqa: E731
    kernel, recurrent, b_in, b_rec = map(gates, (kernel, recurrent, b_in, b_rec))
    node = Recurrent(
        name="r",
        kind=kind,
        kernel=kernel.T,
        recurrent=recurrent.T,
        bias=np.stack([b_in, b_rec]) if kind == "gru" else b_in + b_rec,
        activation=Activation(name="", kind="tanh"),
        gate_activation=Activation(name="", kind="sigmoid"),
        sequences=True,
        backwards=backwards,
        reset_after=True,
    )
    x = RNG.normal(size=(4, 6, 3))
    read = x[:, ::-1].copy() if backwards else x
    close(evaluate(chain((6, 3), node), x), cell(torch.tensor(read))[0].detach().numpy())


ROUND = {
    Rounding.TRUNCATE: floor,
    Rounding.HALF_UP: lambda v: floor(v + Fraction(1, 2)),
    Rounding.HALF_EVEN: round,
    Rounding.HALF_DOWN: lambda v: ceil(v - Fraction(1, 2)),
    Rounding.HALF_AWAY: lambda v: floor(v + Fraction(1, 2)) if v >= 0 else ceil(v - Fraction(1, 2)),
    Rounding.HALF_ZERO: lambda v: ceil(v - Fraction(1, 2)) if v >= 0 else floor(v + Fraction(1, 2)),
    Rounding.ZERO: trunc,
    Rounding.CEIL: ceil,
}


@given(st.data())
def test_quantizers_are_exact(data):
    rounding, overflow = data.draw(st.sampled_from(list(ROUND))), data.draw(st.sampled_from(list(Overflow)))
    frac, zero = data.draw(st.integers(-3, 8)), data.draw(st.integers(-3, 3))
    lo = data.draw(st.integers(-20, 0))
    hi = lo + data.draw(st.integers(1, 40))
    x = np.array(data.draw(st.lists(st.integers(-5000, 5000), min_size=1, max_size=9))) / 2.0 ** data.draw(
        st.integers(0, 9)
    )
    node = Quantize(
        name="q",
        scale=np.array(2.0**-frac),
        lo=np.array(lo),
        hi=np.array(hi),
        zero_point=np.array(zero),
        rounding=rounding,
        overflow=overflow,
    )
    got = evaluate(chain((), node), x)
    for value, result in zip(x.tolist(), got.tolist(), strict=True):
        q = ROUND[rounding](Fraction(value) * Fraction(2) ** frac) + zero
        bottom = lo if overflow is Overflow.SATURATE else max(lo, -hi)
        q = (q - lo) % (hi - lo + 1) + lo if overflow is Overflow.WRAP else min(max(q, bottom), hi)
        assert Fraction(result) == (q - zero) / Fraction(2) ** frac


def test_scales_that_are_no_power_of_two_stay_apart_from_the_integers():
    """(codes * 0.1) @ (weights * 0.3) + bias is exact as integers times 0.03, whatever floats make of it."""
    codes, w = RNG.integers(-8, 8, (50, 6)), RNG.integers(-3, 4, (6, 5))
    q = lambda name, scale, lo, hi: Quantize(  # noqa: E731
        name=name,
        scale=np.array(scale),
        lo=np.array(lo),
        hi=np.array(hi),
        zero_point=np.array(0),
        rounding=Rounding.HALF_EVEN,
        overflow=Overflow.SATURATE,
    )
    bias = RNG.integers(-9, 9, 5)
    dense = Dense(
        name="d",
        weight=(w * 0.3).astype(np.float32).astype(float),
        bias=(bias * 0.03).astype(np.float32).astype(float),
        weight_scale=np.array(np.float32(0.3), dtype=float),
    )
    graph = chain((6,), q("in", 0.1, -8, 7), dense)
    from gatewright.graph.exact import lattices

    known = lattices(graph)["d"]
    assert known is not None
    acc = codes @ w + bias
    assert np.array_equal(evaluate(graph, codes * 0.1), acc * float(known.scale))
    assert np.array_equal(
        evaluate(graph, codes * 0.1, precision="single"), (acc * float(known.scale)).astype(np.float32)
    )


def test_structure_and_combinations():
    x = RNG.normal(size=(4, 3, 2))
    nodes = (
        Input(name="x", shape=(3, 2)),
        Transpose(name="t", sources=("x",), axes=(1, 0)),
        Slice(name="s", sources=("x",), starts=(None, 0), stops=(None, 1), steps=(-2, 1)),
        Upsample(name="u", sources=("x",), factors=(2, 1)),
        Pad(name="p", sources=("x",), pads=((1, 0), (0, 2)), value=0.5),
        Constant(name="k", value=np.array([2.0, -1.0])),
        Combine(name="m", sources=("x", "k"), kind="mul"),
        Concat(name="c", sources=("x", "m"), axis=-1),
        Affine(name="a", sources=("x",), scale=np.array([2.0, 0.3]), offset=np.array([0.1, -1.0])),
        Softmax(name="e", sources=("x",)),
        TopK(name="i", sources=("x",), k=2),
        Thresholds(name="b", sources=("x",), thresholds=np.array([[-0.5, 0.0, 0.5]]), start=ONE * -1, step=ONE * 2),
    )
    got = trace(Graph(name="g", nodes=nodes, output="c"), x)
    assert np.array_equal(got["t"], x.transpose(0, 2, 1))
    assert np.array_equal(got["s"], x[:, ::-2, :1])
    assert np.array_equal(got["u"], np.repeat(x, 2, axis=1))
    assert np.array_equal(got["p"], np.pad(x, ((0, 0), (1, 0), (0, 2)), constant_values=0.5))
    assert np.array_equal(got["c"], np.concatenate([x, x * [2, -1]], axis=-1))
    assert np.array_equal(got["a"], x * [2.0, 0.3] + [0.1, -1.0])
    close(got["e"].sum(axis=-1), np.ones((4, 3)))
    assert np.array_equal(got["i"][..., 0], x.argmax(-1))
    assert np.array_equal(got["b"], -1 + 2 * (x[..., None] >= [-0.5, 0, 0.5]).sum(-1))


def test_chunks_do_not_show():
    x = RNG.integers(-9, 9, (700, 40, 40, 1)).astype(float)
    w = RNG.integers(-9, 9, (5, 5, 1, 2)).astype(float)
    conv = Conv(
        name="c",
        weight=w,
        bias=np.zeros(2),
        weight_scale=ONE,
        strides=(1, 1),
        dilation=(1, 1),
        pads=((0, 0),) * 2,
        groups=1,
    )
    got = evaluate(chain((40, 40, 1), conv), x)
    assert len(got) == 700
    assert np.array_equal(got[[0, 350, 699]], evaluate(chain((40, 40, 1), conv), x[[0, 350, 699]]))
