"""Training inputs in, a batch of changed copies out: images shifted by whole pixels, features with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gatewright.config import Augment
from gatewright.errors import FitError

if TYPE_CHECKING:
    from gatewright.data import Dataset


class Inputs:
    """The training split's input values x (n, features), and batches of them, changed as `augment` says.

    Raises FitError for shifts of data that are no images (samples of one axis) or larger than the image.
    """

    def __init__(self, x: Tensor, data: Dataset, augment: Augment) -> None:
        self.x = x
        self.noise = augment.noise
        self.unit = 2.0**-data.format.frac_bits
        self.low, self.high = data.format.lo * self.unit, data.format.hi * self.unit
        self.deviation = x.std(dim=0, correction=0) * augment.noise if augment.noise else torch.zeros(0)
        self.shift = augment.shift
        self.image: tuple[int, int, int] = (0, 0, 0)
        if augment.shift:
            self.image = _image(data, augment.shift)
            self.padded = _padded(x.view(-1, *self.image), augment.shift)

    def batch(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the inputs of training samples `index`, (len(index), features), changed anew each time.

        Shifts are drawn once per part of a batch, as many parts as there are shifts: batches are in random order.
        """
        if self.shift:
            x = self._shifted(self.padded.index_select(0, index), generator)
        else:
            x = self.x.index_select(0, index)  # several times faster than x[index]
        if self.noise:
            x = x + torch.randn(x.shape, generator=generator).to(x.device) * self.deviation
            x = (x / self.unit).add_(0.5).floor_().mul_(self.unit).clamp_(self.low, self.high)
        return x

    def _shifted(self, padded: Tensor, generator: torch.Generator) -> Tensor:
        side = 2 * self.shift + 1
        height, width, channels = self.image
        out = padded.new_empty(len(padded), height, width, channels)
        offsets = torch.randperm(side * side, generator=generator).tolist()
        parts = zip(padded.tensor_split(side * side), out.tensor_split(side * side), strict=True)
        for offset, (source, target) in zip(offsets, parts, strict=True):
            dy, dx = divmod(offset, side)
            target.copy_(source[:, dy : dy + height, dx : dx + width])
        return out.view(len(padded), -1)


def _image(data: Dataset, shift: int) -> tuple[int, int, int]:
    if len(data.shape) not in (2, 3):
        raise FitError(
            "augment.shift needs images, samples of shape (height, width) or (height, width, channels), not "
            f"{data.shape}; set augment.shift = 0"
        )
    height, width, channels = data.shape if len(data.shape) == 3 else (*data.shape, 1)
    if shift >= min(height, width):
        raise FitError(f"augment.shift must be below the image's {min(height, width)} pixels, not {shift}")
    return height, width, channels


def _padded(x: Tensor, shift: int) -> Tensor:
    """Repeat the edges of images (n, height, width, channels) by `shift` pixels on each side."""
    rows = torch.arange(-shift, x.shape[1] + shift).clamp(0, x.shape[1] - 1)
    columns = torch.arange(-shift, x.shape[2] + shift).clamp(0, x.shape[2] - 1)
    return x[:, rows][:, :, columns]
