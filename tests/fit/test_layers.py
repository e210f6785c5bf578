"""The layer protocol: one by one and fused are the same; kinds go together; a new kind needs nothing but its class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")
import torch
from torch import Tensor, nn

from gatewright.config import Granularity, Tables
from gatewright.data import Dataset
from gatewright.errors import FitError
from gatewright.export.vectors import graph_outputs
from gatewright.fit.frozen import dense_layer, dense_layers, relu
from gatewright.fit.modules import learned_step, learnt_widths
from gatewright.fit.modules.dense import TrainDense, Widths
from gatewright.fit.modules.learned import LearnedDense, LearnedRead
from gatewright.fit.modules.lut_neurons import Bits
from gatewright.fit.modules.packed import Packed
from gatewright.fit.modules.protocol import Format, Group, TrainLayer, per_input
from gatewright.fit.modules.quantizers import fake_quantize, fit_grid, grid_tensors
from gatewright.fit.modules.stack import Stack
from gatewright.fit.modules.stacks import learned_stack
from gatewright.fit.train import CALIBRATION_SAMPLES, Tensors
from gatewright.fit.training.checkpoint import Checkpoint
from gatewright.fit.training.loop import Job, train
from gatewright.fit.training.recipe import Recipe
from gatewright.fit.truth_tables import table_stack
from gatewright.fixedpoint import Fixed, Grid
from gatewright.graph.nodes import AnyNode, Stored
from gatewright.graph.store import checksum

from .conftest import make_config

pytestmark = pytest.mark.torch
SOURCE = Fixed(width_bits=7, frac_bits=4, signed=True)


def _learned(granularity: Granularity, dropout: float = 0.0) -> tuple[Stack, Packed, Tensor]:
    """Return a stack whose widths differ, among them some of no bits, and inputs."""
    generator = torch.Generator().manual_seed(3)
    sizes = [5, 8, 6, 3]
    stack = learned_stack(sizes, source=SOURCE, dropout=dropout, generator=generator, granularity=granularity)
    x = torch.randint(-64, 64, (48, 5), generator=generator) * 2.0**-4
    stack.fold_inputs(x.mean(dim=0).double(), torch.rand(5, 1, generator=generator) + 0.5)
    stack.fold_outputs(torch.tensor([3.0, 0.5, 7.0]), torch.randn(3, generator=generator))
    stack.calibrate(x, first=True)
    assert stack.packed is not None
    with torch.no_grad():
        stack.packed.widths.add_(torch.randn(stack.packed.widths.shape, generator=generator) * 1.5)
        if granularity != "tensor":
            stack.packed.widths[-5:-2] = torch.tensor([4.0, -3.0, 0.3])  # of features
        stack.packed.numbers.add_(torch.randn(stack.packed.numbers.shape, generator=generator) * 0.1)
    return stack, stack.packed, x


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("granularity", ["weight", "channel", "tensor"])
def test_layer_by_layer_and_the_fused_step_give_the_same_bits(
    granularity: Granularity, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs, costs and gradients, in training, with ==.

    Gradients of outputs and of the cost are compared apart: both are linear, and a weight's gradient is the sum of
    both times what the layer knows, where (a + b) c and a c + b c are rounded differently. For the same reason the
    factor of the cost, which one path multiplies each layer by and the other their sum, is a power of two here, and so
    is what dropout keeps: exact wherever it stands.
    """
    for module in (learned_step, learnt_widths):
        monkeypatch.setattr(module, "LUT_PER_BIT", 0.5)
    stack, packed, x = _learned(granularity, dropout)
    target = torch.randn(48, 3, generator=stack.generator)
    drawn, top = stack.generator.get_state(), packed.top.clone()
    for part in ("outputs", "cost", "float"):
        found: list[list[Tensor]] = []
        stack.quantizing = part != "float"
        for path in (stack.outputs_and_cost, stack.walk):
            stack.generator.set_state(drawn)
            packed.top.copy_(top)
            stack.zero_grad()
            outputs, cost = path(x)
            loss = 0.01 * cost if part == "cost" else (outputs - target).square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            grads = [v.grad for v in (packed.numbers, packed.widths) if v.grad is not None]
            assert all(bool((grad != 0).any()) for grad in grads)
            found.append([outputs.detach(), cost.detach(), packed.top.clone(), *grads])
        assert len(found[0]) == (4 if part == "float" else 5)  # float arithmetic reads no widths
        for fused, walked in zip(*found, strict=True):
            assert torch.equal(fused, walked)
        assert torch.equal(packed.top, top) == (part == "float")


def test_layers_that_are_not_packed_learn_by_their_own_parameters() -> None:
    generator = torch.Generator().manual_seed(3)
    layers: dict[str, TrainLayer] = {"read": LearnedRead(5, source=SOURCE, shared=False)}
    for name, n_in, n_out in (("fc1", 5, 8), ("fc2", 8, 6), ("out", 6, 3)):
        layers[name] = LearnedDense(n_in, n_out, relu=name != "out", generator=generator)
    plain = Stack(layers, source=SOURCE, dropout=0.0, generator=generator)
    packed = learned_stack([5, 8, 6, 3], source=SOURCE, dropout=0.0, generator=torch.Generator().manual_seed(3))
    x = torch.randint(-64, 64, (48, 5), generator=generator) * 2.0**-4
    for stack in (plain, packed):
        stack.fold_inputs(x.mean(dim=0).double(), torch.ones(()))
        stack.calibrate(x, first=True)
    outputs, cost = plain.outputs_and_cost(x)
    assert torch.equal(outputs, packed(x))
    (outputs.square().sum() + cost).backward()  # type: ignore[no-untyped-call]
    learnt = [*plain.biases(), *plain.widths()]
    assert len(learnt) == 3 * 4 + 1
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in learnt if p.numel())
    assert checksum(plain.freeze(classes=(), x=x)) == checksum(packed.freeze(classes=(), x=x))
    assert plain.sparsity() == packed.sparsity()


def test_only_learnt_layers_in_a_row_are_packed() -> None:
    generator = torch.Generator()
    dense = TrainDense(4, 3, widths=None, relu=False, generator=generator)
    learned = LearnedDense(4, 3, relu=False, generator=generator)
    read = learned_stack([4, 3], source=SOURCE, dropout=0.0, generator=generator).layers[0]
    assert Packed.of([read, dense]) is None
    assert Packed.of([learned]) is None
    assert Packed.of([]) is None
    hidden = LearnedDense(4, 4, relu=False, generator=generator)  # sums where the fused step expects activations
    assert Packed.of([read, hidden, learned]) is None


def test_a_dense_layer_of_fixed_widths_costs_what_one_of_learnt_widths_does() -> None:
    """Where both have the same weights: those of 3 bits after the point, read by 7 bits."""
    generator = torch.Generator().manual_seed(1)
    fixed = TrainDense(6, 4, widths=Widths(weight=12, bias=0, activation=4), relu=False, generator=generator)
    learned = LearnedDense(6, 4, relu=False, generator=generator)
    numbers = np.round(np.random.default_rng(2).normal(size=(6, 4)) * 8) / 8
    read = Format(frac_bits=torch.tensor(4), width_bits=torch.tensor(7))
    with torch.no_grad():
        for layer in (fixed, learned):
            layer.start(numbers, np.zeros(4))
        fixed.weight_frac.fill_(3)
        fixed.refresh()
        learned.weight_widths.fill_(3.0)
    whole = np.abs(numbers * 8).astype(np.int64)
    inputs = np.where(whole > 0, (np.frexp(whole)[1] + 2) / 3, 0).sum()
    assert torch.equal(fixed.cost(read), learned.cost(read).detach())
    assert float(fixed.cost(read)) == pytest.approx(inputs * (7 + learnt_widths.GROWTH_BITS) * 0.4, rel=1e-6)


def test_tables_cost_their_luts() -> None:
    features, codes = np.arange(8) % 4, np.arange(8)
    costs: dict[int, list[float]] = {}
    for pins in (4, 6, 8):
        stack = table_stack(
            Tables(layers=(20, 9), inputs=pins),
            source=SOURCE,
            features=features,
            thresholds=codes,
            inputs=4,
            classes=3,
            generator=torch.Generator(),
        )
        read = Format(frac_bits=torch.tensor(4), width_bits=torch.tensor(7))
        costs[pins] = [float(layer.cost(read)) for layer in stack.layers]
        assert float(stack.outputs_and_cost(torch.zeros(2, 4))[1]) == sum(costs[pins])
    # 8 comparisons of 7 bits: 2 LUTs each; 3 counts of 3 bits: a full adder each
    assert costs == {4: [16, 20, 9, 3], 6: [16, 20, 9, 3], 8: [16, 80, 36, 3]}
    narrow = Bits(features, codes, source=SOURCE, inputs=4)
    assert float(narrow.cost(Format(frac_bits=torch.tensor(0), width_bits=torch.tensor(6)))) == 8


class ToyConv(TrainLayer):
    """A 1-D convolution of one channel, without padding, and ReLU: all that a new kind of layer is.

    Filters are (units, taps), fixed formats of `bits`; outputs are places times filters, filters fastest.
    """

    def __init__(self, taps: int, filters: int, *, bits: int, generator: torch.Generator) -> None:
        super().__init__()
        self.units, self.taps, self.bits = filters, taps, bits
        self.weight = nn.Parameter(torch.randn(filters, taps, generator=generator) * (2.0 / taps) ** 0.5)
        self.mask: Tensor
        self.fracs: Tensor
        self.register_buffer("mask", torch.ones(filters, taps))
        self.register_buffer("fracs", torch.zeros(2, dtype=torch.int64))  # of weights and activations

    def _grids(self) -> tuple[Grid, Grid]:
        weight, activation = self.fracs.tolist()
        return Grid.uniform(self.bits, weight, signed=True), Grid.uniform(self.bits, activation, signed=False)

    def _sums(self, x: Tensor, *, quantized: bool) -> Tensor:
        weight = self.stored(quantized=quantized)[0]
        return (x.unfold(1, self.taps, 1) @ weight.t()).flatten(1)

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        z = self._sums(x, quantized=read is not None)
        if read is None:
            return torch.relu(z), None
        y = fake_quantize(z, *grid_tensors(self._grids()[1], torch.float32))
        return y, Format(frac_bits=self.fracs[1], width_bits=torch.tensor(self.bits))

    def stored(self, *, quantized: bool) -> list[Tensor]:
        weight = (
            fake_quantize(self.weight, *grid_tensors(self._grids()[0], torch.float32)) if quantized else self.weight
        )
        return [weight * self.mask]

    def cost(self, read: Format) -> Tensor:
        integer = (self.stored(quantized=True)[0] * 2.0 ** self.fracs[0]).detach().t()
        return learnt_widths.tree_luts(learnt_widths.adder_inputs(integer), per_input(read.width_bits, self.taps))

    def groups(self) -> list[Group]:
        return [Group(weight=self.weight, mask=self.mask)]

    def calibrate(self, x: Tensor, read: Format, *, first: bool) -> tuple[Tensor, Format | None]:
        del first
        for index, (values, signed) in enumerate(((self.weight, True), (None, False))):
            found = torch.relu(self._sums(x, quantized=True)) if values is None else values
            self.fracs[index] = int(fit_grid(found.numpy(), self.bits, signed=signed).frac_bits)
        return self(x, read)

    def decayed(self) -> list[nn.Parameter]:
        return [self.weight]

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        assert read is not None
        weight = self.stored(quantized=True)[0].double().numpy()
        places = self.places
        matrix = np.zeros((places + self.taps - 1, places, self.units))
        for place in range(places):
            matrix[place : place + self.taps, place] = weight.T
        flat, (grid, activation) = matrix.reshape(len(matrix), -1), self._grids()
        nodes = dense_layer(
            name, flat, np.zeros(flat.shape[1]), stored=Stored(weight=grid), then=relu(name, activation)
        )
        return nodes, Format(frac_bits=self.fracs[1], width_bits=torch.tensor(self.bits))

    places: int = 4  # of 6 features and 3 taps


@pytest.mark.parametrize("kind", ["weights", "neurons", "n_of_m"])
def test_a_new_kind_of_layer_trains_is_pruned_costed_and_frozen_without_a_change_elsewhere(
    kind: str, data: Dataset, tmp_path: Path
) -> None:
    config = make_config(student={"epochs": 30, "sparsity": 0.5, "pruning": {"kind": kind, "regularise": 1e-4}})
    tensors, generator = Tensors(config, data, np.eye(3)[data.y] * 4.0), torch.Generator().manual_seed(5)
    conv = ToyConv(3, 6, bits=6, generator=generator)
    out = TrainDense(24, 3, widths=Widths(weight=6, bias=0, activation=0), relu=False, generator=generator)
    module = Stack({"conv1": conv, "out": out}, source=tensors.source, dropout=0.1, generator=generator)
    assert module.hidden_units == [6]
    recipe = Recipe(config.student, module, tensors.x[:CALIBRATION_SAMPLES], None, quantize=True)
    costs: list[float] = []

    def loss(batch: Tensor) -> Tensor:
        return tensors.loss(module(tensors.batch(batch, generator)), batch) + recipe.loss()

    def validate() -> dict[str, float]:
        costs.append(float(module.outputs_and_cost(tensors.x_val)[1]))
        return {**tensors.validate(module), "sparsity": module.sparsity()}

    job = Job(
        stage="student",
        settings=config.student,
        samples=len(tensors.x),
        loss=loss,
        begin_epoch=recipe.begin_epoch,
        after_step=recipe.after_step,
        validate=torch.no_grad()(validate),
        first_selectable=recipe.frozen,
    )
    history = train(job, module, Checkpoint(path=tmp_path / "toy.checkpoint", key="toy"), progress=False)
    assert max(row["score"] for row in history[recipe.frozen :]) > 0.6
    assert history[-1]["sparsity"] > 0.3
    assert 0.0 < costs[-1] < 0.8 * max(costs)
    if kind == "neurons":  # half of six filters, with every column that reads them
        gone = ~(conv.mask != 0).any(dim=1)
        assert int(gone.sum()) == 3
        assert not bool((out.mask.t().reshape(3, 4, 6) != 0)[:, :, gone].any())
    module.eval()
    network = module.freeze(classes=data.classes)
    with torch.no_grad():
        want = module(torch.tensor(data.x * 0.25, dtype=torch.float32)).double().numpy()
    assert np.array_equal(graph_outputs(network, data.x), want)
    assert [layer.name for layer in dense_layers(network)] == ["conv1", "out"]


def test_learnt_and_fixed_widths_go_together(data: Dataset) -> None:
    """A layer of fixed widths reads what layers of learnt widths give; what is frozen computes the same."""
    tensors, generator = Tensors(make_config(), data), torch.Generator().manual_seed(7)
    module = Stack(
        {
            "read": LearnedRead(6, source=tensors.source, shared=False),
            "fc1": LearnedDense(6, 8, relu=True, generator=generator),
            "fc2": TrainDense(8, 5, widths=Widths(weight=5, bias=0, activation=4), relu=True, generator=generator),
            "out": LearnedDense(5, 3, relu=False, generator=generator),
        },
        source=tensors.source,
        dropout=0.0,
        generator=generator,
    )
    module.fold_inputs(torch.full((6,), 8.0).double(), torch.tensor(0.25))
    module.calibrate(tensors.x, first=True)
    outputs, cost = module(tensors.x), module.outputs_and_cost(tensors.x)[1]  # sees the greatest activations
    assert torch.equal(outputs, module.walk(tensors.x)[0])
    assert float(cost.detach()) > 0.0
    cost.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in module.widths() if p.numel())
    module.eval()
    network = module.freeze(classes=data.classes, x=tensors.x)
    with torch.no_grad():
        assert np.array_equal(graph_outputs(network, data.part("train")[0]), module(tensors.x).double().numpy())


def test_what_a_layer_cannot_do_is_an_error() -> None:
    stack = Stack(
        {"conv1": ToyConv(3, 6, bits=6, generator=torch.Generator())},
        source=SOURCE,
        dropout=0.0,
        generator=torch.Generator(),
    )
    with pytest.raises(FitError, match=r"must take up the targets' units, but ToyConv cannot; end the stack with a d"):
        stack.fold_outputs(torch.ones(3), torch.zeros(3))
    with pytest.raises(FitError, match=r"ToyConv cannot start from a trained float layer; start from random weights"):
        stack.layers[0].start(np.ones((3, 6)), np.zeros(6))
