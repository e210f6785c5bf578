"""A layer's sums in, the same of mean 0 and deviation 1 out until formats apply; then it is folded into the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from gatewright.errors import FitError

MOMENTUM = 0.1  # of a batch in the averages that stand for the training set
EPSILON = 1e-3  # added to a variance: an output that never changes has none


class BatchNorm(nn.Module):
    """y = (z - mean) / deviation * scale + shift, per output, over samples and positions (Ioffe and Szegedy 2015).

    In training, mean and deviation are the batch's, otherwise averages of those of earlier batches.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(units))
        self.shift = nn.Parameter(torch.zeros(units))
        self.register_buffer("mean", torch.zeros(units))
        self.register_buffer("variance", torch.ones(units))

    def forward(self, z: Tensor) -> Tensor:
        """Return sums normalised. z: (n, ..., units)."""
        rows = z.reshape(-1, z.shape[-1])
        y = batch_norm(
            rows, self.mean, self.variance, self.scale, self.shift, self.training, momentum=MOMENTUM, eps=EPSILON
        )
        return y.view(z.shape)

    def settle(self, z: Tensor) -> None:
        """Take mean and deviation of all these sums in place of the averages. z: (n, ..., units)."""
        rows = z.reshape(-1, z.shape[-1])
        self.mean.copy_(rows.mean(dim=0))
        self.variance.copy_(rows.var(dim=0, correction=0))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return what it does outside training as y = z * scale + shift: (units,) each, float64."""
        scale = self.scale.double() / (self.variance.double() + EPSILON).sqrt()
        return scale, self.shift.double() - self.mean.double() * scale

    def parts(self) -> list[nn.Parameter]:
        """Return what is learnt."""
        return [self.scale, self.shift]


def fold_norm(norm: BatchNorm, z: Tensor, weight: Tensor, bias: Tensor) -> None:
    """Let weight (n_in, units) and bias (units,) give in place of the sums z what the norm makes of them."""
    norm.settle(z)
    scale, shift = norm.affine()
    weight.mul_(scale)
    bias.mul_(scale).add_(shift)


def no_start(norm: BatchNorm | None) -> None:
    """Raise FitError where a layer with a norm should begin with given weights, whose sums it would change."""
    if norm is not None:
        raise FitError("a layer with `norm` cannot start from trained weights; take `norm` out of the student's lines")
