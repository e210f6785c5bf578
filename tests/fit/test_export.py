from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.data import Dataset
from gatewright.errors import ExportError, ProgramError
from gatewright.fit import Grid, Layer, Network, check_export, export_program
from gatewright.fixedpoint import Fixed
from gatewright.ir import Constant, OutputStage, run

ARGMAX, SCORES = OutputStage(), OutputStage(kind="scores")
pytestmark = pytest.mark.torch


def random_network(
    rng, sizes, *, sparsity=0.3, bias_bits=0, per="tensor", classes=True, frac=2, signed=True
) -> Network:
    layers, last = [], len(sizes) - 2
    x_frac = frac
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        shape = {"tensor": (), "channel": (n_out,), "weight": (n_in, n_out)}[per]
        grid = Grid(width_bits=rng.integers(2, 9, shape), frac_bits=rng.integers(-2, 7, shape), signed=True)
        weight = grid.quantize(rng.normal(0, 2, (n_in, n_out)) * (rng.random((n_in, n_out)) >= sparsity))
        finest = x_frac + int(grid.frac_bits.max())
        bias_grid = Grid.uniform(bias_bits or 24, finest, signed=True)
        a_shape = () if per == "tensor" else (n_out,)
        act = Grid(width_bits=rng.integers(1, 8, a_shape), frac_bits=rng.integers(-3, 6, a_shape), signed=False)
        relu = index < last
        layers.append(
            Layer(
                name=f"fc{index + 1}" if relu else "out",
                weight=weight,
                bias=bias_grid.quantize(rng.normal(0, 2, n_out)),
                relu=relu,
                weight_grid=grid,
                bias_grid=bias_grid if bias_bits else None,
                activation_grid=act if relu else None,
            )
        )
        x_frac = int(act.frac_bits.max())
    names = tuple(f"c{k}" for k in range(sizes[-1])) if classes else ()
    return Network(input=Fixed(width_bits=6, frac_bits=frac, signed=signed), layers=tuple(layers), classes=names)


def dataset_for(network: Network, n: int = 40, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    features, source = network.layers[0].weight.shape[0], network.input
    return Dataset(
        name="random",
        task="classification" if network.classes else "regression",
        x=rng.integers(source.lo, source.hi + 1, (n, features)),
        shape=(features,),
        y=np.zeros(n, dtype=np.int64) if network.classes else np.zeros((n, network.layers[-1].bias.size)),
        split=np.zeros(n, dtype=np.uint8),
        format=source,
        classes=network.classes,
        feature_names=tuple(f"f{k}" for k in range(features)),
        contract={},
    )


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    hidden=st.lists(st.integers(1, 6), max_size=3),
    per=st.sampled_from(["tensor", "channel", "weight"]),
    bias_bits=st.sampled_from([0, 5, 9]),
    frac=st.integers(-3, 5),
    signed=st.booleans(),
    output=st.sampled_from(
        [
            ARGMAX,
            SCORES,
            OutputStage(kind="topk", top_k=2),
            OutputStage(kind="threshold", threshold=0.3),
            OutputStage(kind="threshold", threshold=(-1.0, 0.0, 2.5)),
            OutputStage(kind="softmax"),
            OutputStage(kind="softmax", softmax="latency", softmax_format="ufixed<6,1>", softmax_entries=64),
        ]
    ),
)
def test_program_equals_float64_network(seed, hidden, per, bias_bits, frac, signed, output):
    rng = np.random.default_rng(seed)
    network = random_network(rng, [4, *hidden, 3], per=per, bias_bits=bias_bits, frac=frac, signed=signed)
    data = dataset_for(network)
    program = export_program(network, name="net", data=data, output=output)
    assert check_export(network, program, data.x) == len(data.x)
    if output is ARGMAX:
        assert np.array_equal(run(program, data.x)[:, 0], network.evaluate(data.x).argmax(axis=1))


def test_names_of_ops_and_classes():
    network = random_network(np.random.default_rng(0), [4, 3, 2])
    program = export_program(network, name="net", data=dataset_for(network), output=ARGMAX)
    assert [op.name for op in program.ops] == ["x", "fc1", "fc1.relu", "fc1.act", "out", "class"]
    assert list(program.constants) == ["fc1.weight", "fc1.bias", "out.weight", "out.bias"]
    assert program.layers == ("fc1", "out", "argmax")
    assert program.classes == ("c0", "c1")
    assert export_program(network, name="net", data=dataset_for(network), output=SCORES).output == "out"


def test_a_wrong_program_is_caught_with_layer_sample_element_and_difference():
    network = random_network(np.random.default_rng(3), [4, 3, 2])
    data = dataset_for(network)
    program = export_program(network, name="net", data=data, output=ARGMAX)
    bias = program.constants["fc1.bias"]
    q = bias.q.copy()
    q[1] += 1
    wrong = replace(program, constants={**program.constants, "fc1.bias": Constant(q, bias.frac_bits)})
    with pytest.raises(ExportError, match=r"op 'fc1', sample 0, element 1: network gives .* LSB; 40 of 120 values"):
        check_export(network, wrong, data.x)


def test_float_network_cannot_be_exported():
    network = random_network(np.random.default_rng(0), [4, 3, 2])
    plain = replace(network, layers=tuple(replace(v, weight_grid=None, activation_grid=None) for v in network.layers))
    with pytest.raises(ExportError, match="'fc1' must have a weight format, not float; export a trained student"):
        export_program(plain, name="net", data=dataset_for(network), output=ARGMAX)


def test_data_of_another_format_or_width_is_refused():
    network = random_network(np.random.default_rng(0), [4, 3, 2])
    data = dataset_for(network)
    other = replace(data, format=Fixed(width_bits=7, frac_bits=2, signed=True))
    with pytest.raises(ExportError, match=r"reads fixed<6,4>, not fixed<7,5>; train it on this dataset"):
        export_program(network, name="net", data=other, output=ARGMAX)
    short = replace(data, x=data.x[:, :3], feature_names=data.feature_names[:3])
    with pytest.raises(ExportError, match="reads 4 features, not 3"):
        export_program(network, name="net", data=short, output=ARGMAX)


def test_sums_past_53_bits_are_refused():
    grid = Grid.uniform(32, 0, signed=True)
    layer = Layer(name="out", weight=np.full((4, 1), 2.0**30), bias=np.zeros(1), relu=False, weight_grid=grid)
    network = Network(input=Fixed(width_bits=30, frac_bits=0), layers=(layer,))
    layer1 = replace(layer, weight=np.full((4, 1), 2.0**30 - 1))
    with pytest.raises(ExportError, match=r"op 'out' needs \d+ bits, at most 53"):
        export_program(replace(network, layers=(layer1,)), name="n", data=dataset_for(network), output=SCORES)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (OutputStage(kind="topk", top_k=3), r"hardware.top_k must be 1..2, the number of scores, not 3"),
        (OutputStage(kind="threshold", threshold=(1.0, 2.0, 3.0)), r"must be one number or 2, one per score, not 3"),
        (
            OutputStage(kind="softmax", softmax_format="fixed<8,1>"),
            r"must be ufixed<W,0> or ufixed<W,1>.*not fixed<8,1>",
        ),
    ],
)
def test_output_stages_that_do_not_suit(stage: OutputStage, message: str):
    network = random_network(np.random.default_rng(0), [4, 3, 2])
    with pytest.raises(ProgramError, match=message):
        export_program(network, name="net", data=dataset_for(network), output=stage)


def test_a_wrong_softmax_is_caught():
    network = random_network(np.random.default_rng(3), [4, 3, 2])
    data = dataset_for(network)
    program = export_program(network, name="net", data=data, output=OutputStage(kind="softmax"))
    top = program.constants["probability.exp"]
    wrong = replace(
        program, constants={**program.constants, "probability.exp": Constant(top.q // 2 + 1, top.frac_bits)}
    )
    with pytest.raises((ExportError, ProgramError), match=r"away from the exact softmax|reads entries"):
        check_export(network, wrong, data.x)
