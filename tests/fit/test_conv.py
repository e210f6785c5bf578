"""Layers over maps: what is frozen computes what the module does, with ==; filters go whole; errors before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")
import torch

from gatewright.config import Config, Granularity
from gatewright.config.layers import network_lines
from gatewright.data import Dataset
from gatewright.errors import FitError
from gatewright.export import check_graph_export, export_graph
from gatewright.export.vectors import graph_outputs, samples
from gatewright.fit import train_student, train_teacher
from gatewright.fit.frozen import weighted_layers
from gatewright.fit.modules.dense import TrainDense, Widths
from gatewright.fit.modules.plan import planned, sample_shape
from gatewright.fit.modules.stacks import layer_stack, learned_layers
from gatewright.fit.train import check_layers
from gatewright.fit.training.recipe import Recipe
from gatewright.fixedpoint import Fixed
from gatewright.graph.figures import figures

from .conftest import make_config

pytestmark = pytest.mark.torch
SOURCE = Fixed(width_bits=5, frac_bits=1, signed=True)
IMAGE = ("average pool 2x3 stride 1x2", "conv 3x2 5 stride 2x1", "depthwise 3x3", "max pool 2", "conv 1x1 4", "dense 7")
BLOCK = (
    "conv 3x3 4",
    "conv 3x3 6",
    "depthwise 3x3",
    "conv 3x3 4",
    "residual 3",
    "average pool 2",
    "conv 1x1 4",
    "residual 1",
)
SIGNAL = ("conv 5 6 padding valid", "average pool 3", "conv 4 4 stride 2", "global average pool")


@pytest.mark.parametrize(
    ("lines", "shape"),
    [
        (IMAGE, (9, 10, 2)),
        (BLOCK, (6, 6, 1)),
        (SIGNAL, (40, 3)),
        (("flatten", "dense 5"), (3, 4)),
        (("dense 5", "dense 5", "residual 1", "dense 5", "residual 3"), (12,)),
    ],
)
def test_frozen_float_and_quantized_networks_compute_what_the_module_does(
    lines: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(3)
    parsed = network_lines(lines, ())
    plan = planned(parsed, sample_shape(parsed, shape), 3, "student")
    widths = [Widths(weight=4, bias=0, activation=4)] * sum(layer.line.weighted for layer in plan)
    module = layer_stack(plan, source=SOURCE, widths=widths, dropout=0.0, generator=generator)
    codes = np.random.default_rng(5).integers(-16, 16, (40, int(np.prod(shape))))
    x = torch.tensor(codes * 0.5, dtype=torch.float32)
    maps = x.double().reshape(-1, module.shape[-1])
    module.fold_inputs(maps.mean(dim=0), (1 / maps.std(dim=0))[:, None].float())
    module.eval()
    with torch.no_grad():
        real = module(x).double().numpy()
        np.testing.assert_allclose(graph_outputs(module.freeze(classes=()), codes), real, rtol=1e-4, atol=1e-4)
        module.fold_inputs(maps.mean(dim=0), (1 / maps.std()).float())  # a student's: one scale
        module.calibrate(x, first=True)
        got, cost = module.outputs_and_cost(x)
    network = module.freeze(classes=())
    assert float(cost) > 0
    assert np.array_equal(graph_outputs(network, codes), got.double().numpy())
    made = export_graph(network, name="maps", precision=network.precision)
    assert check_graph_export(made, samples(network, codes, SOURCE)) == 40


NORMED = ("conv 3x2 5 stride 2x1 norm", "depthwise 3x3 norm", "max pool 2", "conv 1x1 4", "dense 7 norm")


@pytest.mark.parametrize("learned", [False, True])
def test_a_norm_is_folded_into_weights_and_biases_when_formats_apply(learned: bool) -> None:
    """Float networks freeze with its averages; what is quantized, of 9 bits, is near what it was in training."""
    kept = [line for line in NORMED if not learned or "depth" not in line]
    parsed = network_lines([*kept[:-1], *(("global max pool",) if learned else ()), kept[-1]], ())
    plan = planned(parsed, sample_shape(parsed, (9, 10, 2)), 3, "student")
    widths = [Widths(weight=9, bias=0, activation=9)] * sum(layer.line.weighted for layer in plan)
    generator = torch.Generator().manual_seed(3)
    made: dict[str, Any] = {"source": SOURCE, "dropout": 0.0, "generator": generator}
    module = learned_layers(plan, **made) if learned else layer_stack(plan, widths=widths, **made)
    codes = np.random.default_rng(5).integers(-16, 16, (64, 180))
    x = torch.tensor(codes * 0.5, dtype=torch.float32)
    with torch.no_grad():
        for name, part in module.named_parameters():
            if "norm" in name:
                part.add_(torch.rand(part.shape, generator=generator) * 0.5)
    for _ in range(3):
        trained = module(x).detach()  # with the batch's own mean and deviation
    module.eval()
    with torch.no_grad():
        real = module(x).double().numpy()
    assert not np.array_equal(real, trained.detach().double().numpy())
    np.testing.assert_allclose(graph_outputs(module.freeze(classes=()), codes), real, rtol=1e-3, atol=1e-4)
    module.calibrate(x, first=True)
    with torch.no_grad():
        for part in module.widths():
            part.add_(4)
        got = module(x)
    assert float((got - trained).abs().max()) < 0.05 * float(trained.abs().max())
    network = module.freeze(classes=(), x=x)
    assert np.array_equal(graph_outputs(network, codes), got.double().numpy())


def test_a_neuron_that_only_a_sum_reads_stays_and_a_constant_one_goes_where_it_is_read() -> None:
    lines = network_lines(("dense 5", "dense 5", "residual 1", "dense 4"), ())
    plan = planned(lines, sample_shape(lines, (6,)), 3, "student")
    widths = [Widths(weight=4, bias=0, activation=4)] * 4
    generator = torch.Generator().manual_seed(3)
    module = layer_stack(plan, source=SOURCE, widths=widths, dropout=0.0, generator=generator).eval()
    codes = np.random.default_rng(5).integers(-16, 16, (200, 6))
    x = torch.tensor(codes * 0.5, dtype=torch.float32)
    first, second, _, third, _ = module.layers
    assert isinstance(first, TrainDense)
    assert isinstance(second, TrainDense)
    assert isinstance(third, TrainDense)
    with torch.no_grad():
        second.weight[0] = 0.0  # nothing but the sum reads fc1's first neuron
        first.weight[:, 1] = 0.0  # a constant, in fc2 and in the sum
        second.weight[:, 2] = third.weight[2] = 0.0  # a constant, in a sum that nothing reads
        for layer in (first, second):
            layer.bias[1:3] = 0.5
        module.calibrate(x, first=True)
        network = module.freeze(classes=())
        assert np.array_equal(graph_outputs(network, codes), module(x).double().numpy())
    fc1, fc2 = weighted_layers(network)[:2]
    assert fc1.weight[:, 0].any()
    assert fc1.bias[1] > 0
    assert fc2.bias[2] == 0


@pytest.mark.parametrize("granularity", ["weight", "tensor"])
def test_learnt_widths_of_convolutions_freeze_as_they_are(granularity: Granularity) -> None:
    """Where widths differ, among them some of no bits; outputs and cost have gradients to all that is learnt."""
    generator = torch.Generator().manual_seed(3)
    lines = network_lines(
        (
            "conv 3x2 5 stride 2x1",
            "conv 3 5",
            "residual 1",
            "max pool 2x3",
            "conv 2 4 padding valid",
            "global average pool",
        ),
        (),
    )
    plan = planned(lines, sample_shape(lines, (9, 10, 2)), 3, "student")
    module = learned_layers(plan, source=SOURCE, dropout=0.0, generator=generator, granularity=granularity)
    codes = np.random.default_rng(5).integers(-16, 16, (48, 180))
    x = torch.tensor(codes * 0.5, dtype=torch.float32)
    maps = x.double().reshape(-1, 2)
    module.fold_inputs(maps.mean(dim=0), (1 / maps.std(dim=0))[:, None].float())
    module.eval()
    with torch.no_grad():
        real = module(x).double().numpy()
    np.testing.assert_allclose(graph_outputs(module.freeze(classes=()), codes), real, rtol=1e-4, atol=1e-4)
    module.train()
    module.calibrate(x, first=True)
    with torch.no_grad():
        for widths in module.widths():
            widths.add_(torch.randn(widths.shape, generator=generator))
    outputs, cost = module.outputs_and_cost(x)
    (outputs.square().mean() + 0.01 * cost).backward()  # type: ignore[no-untyped-call]
    learnt = [*module.biases(), *module.widths()]
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in learnt if p.numel())
    module.eval()
    network = module.freeze(classes=(), x=x)
    with torch.no_grad():
        assert np.array_equal(graph_outputs(network, codes), module(x).double().numpy())
    made = export_graph(network, name="maps", precision=network.precision)
    assert check_graph_export(made, samples(network, codes, SOURCE)) == 48
    assert figures(network).layers[2].shape == (2, 2, 5, 4)


def images() -> Dataset:
    """Return 6 x 6 images of noise with a bright row, a bright column or a bright square: what a convolution sees."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    x = rng.integers(0, 12, (300, 6, 6))
    for image, kind, at in zip(x, y, rng.integers(0, 5, 300), strict=True):
        where = [(at, slice(None)), (slice(None), at), (slice(at, at + 2), slice(0, 2))][kind]
        image[where] += 12
    return Dataset(
        name="bars",
        task="classification",
        x=x.reshape(300, 36).astype(np.int64),
        shape=(6, 6),
        y=y.astype(np.int64),
        split=np.repeat(np.array([0, 1, 2], dtype=np.uint8), (200, 50, 50)),
        format=Fixed(width_bits=5, frac_bits=0, signed=False),
        classes=("row", "column", "square"),
        feature_names=tuple(f"p{k}" for k in range(36)),
        contract={},
    )


def see(*lines: str, **student: object) -> Config:
    settings = {"layers": lines, "hidden": (32,), "epochs": 12, "batch_size": 16, **student}
    return make_config(
        student=settings,
        teacher={"layers": ["conv 3x3 8", "global max pool"], "hidden": (128, 64), "epochs": 12},
        hardware={"architecture": "stream"},
    )


def test_a_convolution_teaches_a_student_that_loses_whole_filters(tmp_path: Path) -> None:
    data = images()
    config = see("conv 3x3 8 norm", "pool 2", "conv 2x2 6", "dense 6", pruning={"kind": "neurons"}, sparsity=0.4)
    teacher = train_teacher(config, data, work=tmp_path)
    assert teacher.history[-1]["score"] > 0.8
    student = train_student(config, data, teacher.network, work=tmp_path)
    assert student.history[-1]["score"] > 0.6  # three classes
    sizes = [layer.bias.size for layer in weighted_layers(student.network)]
    assert sum(sizes[:3]) <= 20 - 8  # four tenths of the 20 hidden filters and neurons are gone
    assert all(layer.weight.any() for layer in weighted_layers(student.network))
    made = export_graph(student.network, name="bars", precision=student.network.precision)
    assert check_graph_export(made, samples(student.network, data.x, data.format)) == 300


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ("pool 2", "conv 3x3 4", "pool 2", "pool 2"),
            r"^student\.layers: 'pool 2' has a pool of 2 x 2, larger than its input of 1 x 1; take a smaller one",
        ),
        (
            ("conv 7x3 4",),
            r"^student\.layers: 'conv 7x3 4' has a kernel of 7 x 3, larger than its input of 6 x 6; take a smaller one",
        ),
        (
            ("conv 3x3 4", "residual 2"),
            r"'residual 2' ends a block of 2 lines, and there are 1 above it; count the lines",
        ),
        (
            ("pool 2", "conv 3x3 1", "residual 1"),
            r"'residual 1' would add the input itself, whose numbers no layer has",
        ),
        (
            ("conv 3x3 4", "conv 3x3 8 stride 2", "residual 1"),
            r"'residual 1' adds what its block reads, 6 x 6 x 4, to what it gives, 3 x 3 x 8, and both must be of",
        ),
        (("dense 4", "conv 3 4"), r"'conv 3 4' needs a map of an axis or two and channels, not 4; put it before what"),
        (
            ("conv 3x3 4", "conv 3x3 4", "dense 60000", "dense 60000"),
            r"asks for 3,600,000,000 weights, at most 134,217,",
        ),
    ],
)
def test_layers_that_do_not_suit_the_samples_are_refused_before_training(lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(FitError, match=message):
        check_layers(see(*lines), images())


def test_lines_of_one_axis_refuse_a_kernel_of_two() -> None:
    with pytest.raises(FitError, match=r"'conv 3x3 4' has windows over 2 axes and reads 36 x 1, with 1 before the cha"):
        planned(
            network_lines(("conv 3x3 4",), ()), sample_shape(network_lines(("conv 3x3 4",), ()), (36,)), 3, "student"
        )
    lines = network_lines(("conv 3 4", "pool 2"), ())
    steps = planned(lines, sample_shape(lines, (6, 5)), 3, "student")  # no line says that it is an image
    assert [layer.gives for layer in steps] == [(6, 4), (3, 4), (12,), (3,)]


def test_pruning_to_a_share_counts_convolutions_and_a_depthwise_layer() -> None:
    plan = planned(network_lines(("conv 3x3 4", "depthwise 3x3"), ()), (6, 6, 1), 3, "student")
    config = see("conv 3x3 4", "depthwise 3x3", sparsity=0.5)
    module = layer_stack(
        plan,
        source=SOURCE,
        widths=[Widths(weight=4, bias=0, activation=4)] * 3,
        dropout=0.0,
        generator=torch.Generator().manual_seed(1),
    )
    recipe = Recipe(config.student, module, torch.randint(-16, 16, (20, 36)) * 0.5, None, quantize=True)
    recipe.begin_epoch(recipe.frozen)
    assert [tuple(group.weight.shape) for group in module.groups()] == [(4, 9), (4, 9), (3, 144)]
    assert module.sparsity() >= 0.5
