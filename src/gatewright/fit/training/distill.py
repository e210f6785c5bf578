"""Scores, labels and cached teacher scores in, the loss out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, mse_loss


def soft_labels(teacher_scores: Tensor, temperature: float) -> Tensor:
    """Return softmax(teacher / T), computed once per run. (n, classes) -> (n, classes)."""
    return torch.softmax(teacher_scores.double() / temperature, dim=-1).to(torch.float32)


def classification_loss(
    scores: Tensor,
    labels: Tensor,
    soft: Tensor | None,
    *,
    temperature: float,
    weight: float,
    by_class: Tensor | None = None,
) -> Tensor:
    """Return the mean over samples of (1-w) CE(labels, scores) + w T^2 KL(soft || softmax(scores / T)).

    scores: raw scores before any softmax (n, classes); labels: (n,) class numbers; soft: `soft_labels`, or None
    for the first term alone. T^2 keeps the second term's gradients at the size of the first's when T changes
    (Hinton, Vinyals, Dean 2015, section 2). by_class: (classes,), what both terms of a sample are multiplied by.
    """
    if by_class is not None:
        return (_each(scores, labels, soft, temperature, weight) * by_class.index_select(0, labels)).mean()
    if soft is None or weight == 0.0:
        return cross_entropy(scores, labels)
    divergence = kl_div(torch.log_softmax(scores / temperature, dim=-1), soft, reduction="batchmean")
    distilled = divergence * (weight * temperature**2)
    if weight == 1.0:
        return distilled
    return cross_entropy(scores, labels) * (1.0 - weight) + distilled


def _each(scores: Tensor, labels: Tensor, soft: Tensor | None, temperature: float, weight: float) -> Tensor:
    """Return the loss of each sample: (n,)."""
    hard = cross_entropy(scores, labels, reduction="none")
    if soft is None or weight == 0.0:
        return hard
    divergence = kl_div(torch.log_softmax(scores / temperature, dim=-1), soft, reduction="none").sum(dim=-1)
    return hard * (1.0 - weight) + divergence * (weight * temperature**2)


def regression_loss(outputs: Tensor, targets: Tensor, teacher: Tensor | None, *, weight: float) -> Tensor:
    """Return (1-w) MSE(outputs, targets) + w MSE(outputs, teacher); all in units of the targets' deviation."""
    if teacher is None or weight == 0.0:
        return mse_loss(outputs, targets)
    return mse_loss(outputs, targets) * (1.0 - weight) + mse_loss(outputs, teacher) * weight
