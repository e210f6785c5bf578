"""A teacher's features in, the loss that makes a student's hidden layer predict them out (FitNets)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import mse_loss

from gatewright.errors import FitError
from gatewright.fit.modules.stack import Stack

if TYPE_CHECKING:
    from gatewright.config import Distill


class Hint:
    """Adds weight * MSE(features, h @ P + c) with a learnt projection P, c of the student's hidden activations h.

    Romero et al. 2015 (arXiv 1412.6550), eq. 3, as one more term of the loss instead of a stage before; features
    are standardised, a constant one is left out. features: (training samples, k).
    """

    def __init__(self, module: Stack, settings: Distill, features: NDArray[Any]) -> None:
        self.weight, self.layer = settings.hint_weight, settings.hint_layers[1]
        hidden = module.hidden_units
        if not -len(hidden) <= self.layer < len(hidden):
            raise FitError(
                f"distill.hint_layers[1] must name one of the student's {len(hidden)} hidden layers, not {self.layer}"
            )
        deviation = features.std(axis=0)
        varying = deviation > 1e-9 * max(float(np.abs(features).max(initial=0.0)), 1e-300)
        if not varying.any():
            raise FitError("features must vary over the training samples; choose another hidden layer of the teacher")
        standard = (features[:, varying] - features[:, varying].mean(axis=0)) / deviation[varying]
        self.features = torch.tensor(standard, dtype=torch.float32, device=module.device)
        module.add_projection(hidden[self.layer], self.features.shape[1])
        self.module = module

    def loss(self, hidden: Sequence[Tensor], batch: Tensor) -> Tensor:
        """Return the weighted loss of a batch of training indices. hidden: activations per hidden layer, (n, width)."""
        return self.weight * mse_loss(self.module.project(hidden[self.layer]), self.features[batch])
