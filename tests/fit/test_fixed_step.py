"""The step of fixed widths by hand gives the bits of the layers one by one under autograd, and so does training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")
import torch
from torch import Tensor

from gatewright.data import Dataset
from gatewright.fit.modules.dense import Widths
from gatewright.fit.modules.fixed_step import FixedStep
from gatewright.fit.modules.stack import Stack
from gatewright.fit.modules.stacks import dense_stack
from gatewright.fit.modules.steps import STEPS, Steps
from gatewright.fit.train import train_student
from gatewright.fit.training.loop import one_thread
from gatewright.fixedpoint import Fixed
from gatewright.graph.store import checksum

from .conftest import make_config

pytestmark = pytest.mark.torch
SOURCE = Fixed(width_bits=7, frac_bits=4, signed=True)


def _stack(
    *, units: bool, bits: tuple[int, int, int], bias: int = 0, steps: Steps | None = None
) -> tuple[Stack, Tensor]:
    """Return a stack with formats, some weights pruned and some at the ends of theirs, and inputs."""
    generator = torch.Generator().manual_seed(3)
    widths = [Widths(weight=w, bias=bias, activation=a) for w, a in zip(bits, (3, 5, 0), strict=True)]
    stack = dense_stack([5, 8, 6, 3], source=SOURCE, widths=widths, dropout=0.0, generator=generator, steps=steps)
    x = torch.randint(-64, 64, (48, 5), generator=generator) * 2.0**-4
    if units:
        stack.fold_inputs(x.mean(dim=0).double() + 0.3, torch.tensor(0.7))
        stack.fold_outputs(torch.tensor([3.0, 0.5, 7.0]), torch.randn(3, generator=generator))
    with torch.no_grad():
        for group in stack.groups():
            group.mask.copy_(torch.rand(group.mask.shape, generator=generator) > 0.4)
    stack.calibrate(x, first=True)
    with torch.no_grad():
        for layer in stack.biases():
            layer.add_(torch.randn(layer.shape, generator=generator) * 0.3)
    return stack, x


def _learn(stack: Stack, x: Tensor, *, by_hand: bool, steps: int) -> list[Tensor]:
    """Take steps down a loss; return outputs, gradients and parameters after each."""
    learnt = [*stack.decayed(), *stack.biases()]
    optimizer = torch.optim.AdamW(learnt, lr=0.05, fused=True)
    target = torch.randn(len(x), 3, generator=torch.Generator().manual_seed(5))
    found: list[Tensor] = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        step = stack.by_hand() if by_hand else None
        if step is None:
            outputs = stack(x)
            (outputs - target).square().mean().backward()  # type: ignore[no-untyped-call]
        else:
            outputs = step.forward(x).requires_grad_()
            step.backward(torch.autograd.grad((outputs - target).square().mean(), outputs)[0])
        found += [outputs.detach().clone(), *(p.grad.clone() for p in learnt if p.grad is not None)]
        optimizer.step()
        stack.clamp()
        found += [p.detach().clone() for p in learnt]
    return found


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.parametrize("bits", [(4, 4, 4), (6, 3, 8), (2, 2, 2)])
@pytest.mark.parametrize("units", [False, True])
def test_by_hand_and_by_autograd_are_the_same_bits(bits: tuple[int, int, int], *, units: bool) -> None:
    found = [_learn(*_stack(units=units, bits=bits), by_hand=by_hand, steps=12) for by_hand in (True, False)]
    assert len(found[0]) == len(found[1]) == 12 * 13
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)


def test_a_sum_of_nothing_passes_its_gradient() -> None:
    found: list[list[Tensor]] = []
    for by_hand in (True, False):
        stack, _ = _stack(units=False, bits=(4, 4, 4))
        with torch.no_grad():
            for bias in stack.biases():
                bias.zero_()
        found.append(_learn(stack, torch.zeros(4, 5), by_hand=by_hand, steps=1))
    assert bool((found[0][5] != 0).any()), "the gradient of the second layer's biases"
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found, strict=True))


def test_only_layers_that_it_knows_are_taken() -> None:
    known, _ = _stack(units=False, bits=(4, 4, 4))
    assert isinstance(known.by_hand(), FixedStep)
    assert known.by_hand() is known.by_hand()
    for stack in (_stack(units=False, bits=(1, 4, 4))[0], _stack(units=False, bits=(4, 4, 4), bias=6)[0]):
        assert stack.by_hand() is None
    assert _stack(units=False, bits=(4, 4, 4), steps=STEPS["sign"])[0].by_hand() is None
    known.dropout = 0.1
    assert known.by_hand() is None
    known.dropout = 0.0
    assert known.eval().by_hand() is None


def test_training_gives_the_same_network_and_history(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(student={"epochs": 8, "batch_size": 32, "sparsity": 0.5, "hidden": (8, 6)})
    teacher = torch.randn(len(data.x), 3, generator=torch.Generator().manual_seed(1)).double().numpy()
    ours = train_student(config, data, teacher, work=tmp_path / "by_hand")
    asked: list[Stack] = []

    def unknown(stack: Stack) -> None:
        asked.append(stack)

    monkeypatch.setattr(Stack, "by_hand", unknown)
    theirs = train_student(config, data, teacher, work=tmp_path / "autograd")
    assert asked
    assert checksum(ours.network) == checksum(theirs.network)
    assert ours.history == theirs.history
