"""Binary and ternary weights and activations: grids, gradients, what is frozen, what is exported, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")
import torch

from gatewright.data import Dataset
from gatewright.errors import ConfigError, FitError
from gatewright.export.vectors import graph_outputs, graph_trace
from gatewright.fit import train_student
from gatewright.fit.frozen import dense_layers
from gatewright.fit.modules.dense import TrainDense, Widths
from gatewright.fit.modules.quantizers import fit_grid
from gatewright.fit.modules.stacks import dense_stack
from gatewright.fit.modules.steps import STEPS, step_activation
from gatewright.fixedpoint import Fixed, Grid
from gatewright.graph import load_graph
from gatewright.graph.figures import ebops, figures
from gatewright.graph.store import checksum, from_bytes, to_bytes
from gatewright.ir import Thresholds

from .conftest import make_config
from .networks import proved, saved

pytestmark = pytest.mark.torch


def test_one_bit_is_minus_and_plus_one_and_a_tie_goes_up() -> None:
    grid = Grid.uniform(1, 2, signed=True)
    assert grid.quantize(np.array([-9.0, -0.01, -0.0, 0.0, 0.01, 9.0])).tolist() == [
        -0.25,
        -0.25,
        0.25,
        0.25,
        0.25,
        0.25,
    ]
    assert (int(grid.lo), int(grid.hi)) == (-1, 1)
    assert grid.contains(np.array([0.25, -0.25]))
    assert not grid.contains(np.array([0.0]))
    assert str(grid) == "binary ±0.25"
    assert str(Grid.uniform(2, 0, signed=True)) == "ternary 0, ±1"
    assert Grid.from_json(grid.to_json()).quantize(np.array([0.1])) == 0.25
    with pytest.raises(FitError, match=r"1 bit \(binary\) must hold for a whole tensor"):
        Grid(width_bits=np.array([1, 3]), frac_bits=np.array(0), signed=True)


@given(st.integers(0, 2**32), st.sampled_from([1, 2]))
def test_scale_is_the_power_of_two_of_least_squared_error(seed: int, bits: int) -> None:
    """Li et al. 2016 (ternary weight networks), eq. 2, and Rastegari et al. 2016, eq. 5, over powers of two."""
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 2.0 ** rng.integers(-5, 5), 40)
    best = fit_grid(w, bits, signed=True)
    errors = {
        frac: float(np.mean((Grid.uniform(bits, frac, signed=True).quantize(w) - w) ** 2))
        for frac in range(int(best.frac_bits) - 4, int(best.frac_bits) + 5)
    }
    assert errors[int(best.frac_bits)] == min(errors.values())


def test_steps_and_their_gradient() -> None:
    z = torch.tensor([-2.0, -0.5, -0.25, 0.0, 0.5, 1.0, 3.0], requires_grad=True)
    sign = step_activation(z, STEPS["sign"], quantized=True)
    assert sign.tolist() == [-1, -1, -1, 1, 1, 1, 1]
    assert step_activation(z, STEPS["ternary"], quantized=True).tolist() == [-1, 0, 0, 0, 1, 1, 1]
    assert step_activation(z, STEPS["sign"], quantized=False).tolist() == [-1, -0.5, -0.25, 0, 0.5, 1, 1]
    sign.sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("kind", ["sign", "ternary"])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_frozen_counts_give_what_training_computed(kind: str, bits: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    stack = dense_stack(
        [5, 7, 6, 3],
        source=Fixed(width_bits=6, frac_bits=2),
        widths=[Widths(weight=bits, bias=0, activation=4)] * 3,
        dropout=0.0,
        generator=generator,
        steps=STEPS[kind],
    )
    for layer in stack.layers:
        assert isinstance(layer, TrainDense)
        layer.bias.data = torch.randn(layer.bias.shape, generator=generator)
    codes = np.random.default_rng(0).integers(-32, 32, (200, 5))
    x = torch.tensor(codes / 4, dtype=torch.float32)
    stack.calibrate(x, first=True)
    with torch.no_grad():
        want = stack(x).double().numpy()
    network = stack.freeze(classes=("a", "b", "c"))
    assert np.array_equal(graph_outputs(network, codes), want)
    assert {row.activation_format for row in figures(network).layers[:-1]} == {
        {"sign": "sign, 1 bit", "ternary": "ternary, 2 bits"}[kind]
    }
    counts = graph_trace(network, codes)["fc1.act"]
    assert set(np.unique(counts)) == set(range(2 if kind == "sign" else 3))
    assert ebops(network) == ebops(from_bytes(to_bytes(network)))


@pytest.mark.parametrize(
    "student",
    [
        {"weight_bits": 1},
        {"weight_bits": 1, "activation": "sign", "sparsity": 0.0},
        {"weight_bits": 2, "activation": "ternary"},
        {"weight_bits": (8, 1, 4), "hidden": (12, 8), "activation": "sign", "bias_bits": 6},
        {"weight_bits": 1, "activation": "sign", "hidden": (16, 8), "pruning": {"kind": "neurons"}},
    ],
)
def test_students_learn_and_are_exported_exactly(student: dict[str, Any], data: Dataset, tmp_path: Path) -> None:
    config = make_config(student={"hidden": (16,), "epochs": 60, **student})
    network = train_student(config, data, np.eye(3)[data.y] * 4.0, work=tmp_path).network
    bits = config.student.weight_bits
    widths = bits if isinstance(bits, tuple) else (bits,) * len(dense_layers(network))
    for layer, width in zip(dense_layers(network), widths, strict=True):
        assert layer.stored is not None
        if width <= 2:
            sizes = np.unique(np.abs(layer.weight[layer.weight != 0]))
            assert len(sizes) == 1
            assert np.log2(sizes[0]) % 1 == 0
        if width == 1 and not config.student.sparsity:
            assert layer.weight.all()
    x, y = data.part("test")
    assert (graph_outputs(network, x).argmax(axis=1) == y).mean() > 0.6
    program = proved(network, data.x, "argmax")
    hidden = [op for op in program.ops if isinstance(op, Thresholds)]
    assert len(hidden) == (len(dense_layers(network)) - 1) * (config.student.activation != "relu")
    saved(network, tmp_path / "saved")
    assert checksum(load_graph(tmp_path / "saved" / "graph.npz")) == checksum(network)


def test_settings_that_do_not_go_together(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'activation "sign" needs hidden layers; set hidden'):
        make_config(student={"activation": "sign", "hidden": ()})
    with pytest.raises(ConfigError, match=r'activation "sign" has fixed widths; set precision = "fixed"'):
        make_config(student={"activation": "sign", "precision": "learned"})
    with pytest.raises(ConfigError, match=r"bias_bits must be 0 \(as the accumulator\) or at least 2, not 1"):
        make_config(student={"bias_bits": 1})
    with pytest.raises(FitError, match=r'student.activation "sign" needs formats; train with quantize=True'):
        train_student(
            make_config(student={"activation": "sign"}), data, np.eye(3)[data.y] * 4, work=tmp_path, quantize=False
        )
