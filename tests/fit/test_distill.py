from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")
import torch

from gatewright.fit.training.distill import classification_loss, regression_loss, soft_labels

pytestmark = pytest.mark.torch


def test_loss_equals_the_value_computed_by_hand():
    temperature, weight = 2.0, 0.25
    student, teacher = [1.0, -1.0], [3.0, 1.0]
    p = 1 / (1 + math.exp((teacher[1] - teacher[0]) / temperature))
    q = 1 / (1 + math.exp((student[1] - student[0]) / temperature))
    kl = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    ce = -math.log(1 / (1 + math.exp(student[0] - student[1])))
    soft = soft_labels(torch.tensor([teacher]), temperature)
    got = classification_loss(torch.tensor([student]), torch.tensor([1]), soft, temperature=temperature, weight=weight)
    assert float(got) == pytest.approx((1 - weight) * ce + weight * temperature**2 * kl, abs=1e-6)


def test_factor_t_squared_keeps_the_gradient_at_high_temperature():
    teacher = torch.tensor([[0.3, -0.1, -0.2]])
    sizes = []
    for temperature in (50.0, 500.0):
        student = torch.tensor([[0.0, 0.1, -0.1]], requires_grad=True)
        soft = soft_labels(teacher, temperature)
        classification_loss(student, torch.tensor([0]), soft, temperature=temperature, weight=1.0).backward()
        assert student.grad is not None
        sizes.append(student.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)
    # Hinton et al. 2015, eq. 4: for zero-mean scores the gradient tends to (student - teacher) / classes
    assert sizes[1] == pytest.approx((torch.tensor([[0.0, 0.1, -0.1]]) - teacher).norm().item() / 3, rel=0.02)


def test_equal_scores_cost_nothing_and_have_no_gradient():
    scores = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True)
    loss = classification_loss(
        scores, torch.tensor([0]), soft_labels(scores.detach(), 3.0), temperature=3.0, weight=1.0
    )
    loss.backward()
    assert scores.grad is not None
    assert abs(loss.item()) < 1e-6
    assert scores.grad.abs().max() < 1e-6


def test_weight_zero_is_cross_entropy_alone():
    scores, labels = torch.tensor([[2.0, -1.0]]), torch.tensor([1])
    soft = soft_labels(torch.tensor([[9.0, -9.0]]), 3.0)
    plain = torch.nn.functional.cross_entropy(scores, labels)
    assert classification_loss(scores, labels, soft, temperature=3.0, weight=0.0) == plain


def test_regression_mixes_targets_and_teacher():
    out, y, teacher = torch.tensor([[1.0]]), torch.tensor([[3.0]]), torch.tensor([[2.0]])
    assert float(regression_loss(out, y, teacher, weight=0.25)) == 0.75 * 4 + 0.25 * 1
    assert float(regression_loss(out, y, None, weight=0.25)) == 4.0
