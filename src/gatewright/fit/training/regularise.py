"""Groups of weights in, the penalty that draws to zero what pruning is going to remove out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

if TYPE_CHECKING:
    from gatewright.config import Pruning

SMALL = 1e-12  # below a square root, so that its gradient at 0 is finite


def penalty(weights: Sequence[Tensor], pruning: Pruning) -> Tensor:
    """Return sum |w| for single weights, or the group lasso, sum of sqrt(size) |group|_2, for neurons and blocks.

    Group lasso: Yuan and Lin 2006, eq. 2.2. A hidden unit's lasso holds the weights into it and out of it.
    weights: (units, inputs) each, of order one; returns a scalar.
    """
    if pruning.kind == "neurons":
        squares = [
            here.square().sum(dim=1) + after.square().sum(dim=0).view(-1, len(here)).sum(dim=0)
            for here, after in itertools.pairwise(weights)
        ]
        sizes = [here.shape[1] + after.numel() // len(here) for here, after in itertools.pairwise(weights)]
        return torch.stack([(s + SMALL).sqrt().sum() * n**0.5 for s, n in zip(squares, sizes, strict=True)]).sum()
    if pruning.kind == "blocks":
        return torch.stack([_blocks(weight.t(), pruning.block) for weight in weights]).sum()
    return torch.stack([weight.abs().sum() for weight in weights]).sum()


def _blocks(weight: Tensor, block: tuple[int, int]) -> Tensor:
    """Return the lasso of a matrix's blocks. weight: (inputs, units), as a block's sizes are."""
    rows, columns = (-(-n // size) for n, size in zip(weight.shape, block, strict=True))
    whole = pad(weight, (0, columns * block[1] - weight.shape[1], 0, rows * block[0] - weight.shape[0]))
    squares = whole.square().reshape(rows, block[0], columns, block[1]).sum(dim=(1, 3))
    return (squares + SMALL).sqrt().sum() * (block[0] * block[1]) ** 0.5
