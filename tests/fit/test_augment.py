"""Augmentation: shifted images are shifted images, noise is on the input's grid, and wrong settings are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gatewright.config import Augment
from gatewright.data import Dataset
from gatewright.errors import FitError
from gatewright.fit.training.augment import Inputs
from gatewright.fixedpoint import Fixed

pytestmark = pytest.mark.torch


def _inputs(shape: tuple[int, ...], *, signed: bool = False, **augment: Any) -> tuple[Inputs, torch.Tensor]:
    form = Fixed(width_bits=6, frac_bits=2, signed=signed)
    n = int(np.prod(shape))
    x = np.random.default_rng(1).integers(form.lo, form.hi + 1, (40, n))
    data = Dataset(
        name="t",
        task="classification",
        x=x.astype(np.int64),
        shape=shape,
        y=np.arange(40) % 2,
        split=np.zeros(40, dtype=np.uint8),
        format=form,
        classes=("a", "b"),
        feature_names=tuple(f"x{i}" for i in range(n)),
        contract={},
    )
    values = torch.tensor(x, dtype=torch.float32) / 4
    return Inputs(values, data, Augment(**augment)), values


@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 2)])
def test_every_sample_is_one_of_the_shifts_of_itself(shape: tuple[int, ...]) -> None:
    inputs, x = _inputs(shape, shift=1)
    index = torch.randperm(40)[:30]
    batch = inputs.batch(index, torch.Generator().manual_seed(1))
    used = set[tuple[int, int]]()
    for row, sample in zip(batch, x[index], strict=True):
        image = sample.view(shape).numpy()
        pad = ((1, 1), (1, 1), *((0, 0),) * (image.ndim - 2))
        padded = np.pad(image, pad, mode="edge")
        height, width = shape[:2]
        found = [
            (dy, dx)
            for dy in range(3)
            for dx in range(3)
            if np.array_equal(padded[dy : dy + height, dx : dx + width], row.view(shape).numpy())
        ]
        assert found
        used.update(found)
    assert len(used) == 9


def test_noise_is_of_the_asked_size_and_on_the_grid() -> None:
    inputs, x = _inputs((6,), signed=True, noise=0.3)
    index = torch.arange(40).repeat(50)
    batch = inputs.batch(index, torch.Generator().manual_seed(2))
    assert torch.equal(batch * 4, torch.round(batch * 4))
    assert float(batch.min()) >= -8.0
    assert float(batch.max()) <= 7.75
    middle = x[index].abs() < 4  # far from where noise is clipped
    ratio = (batch - x[index])[middle].std() / x.std(dim=0).mean()
    assert float(ratio) == pytest.approx(0.3, rel=0.1)


def test_without_augmentation_a_batch_is_the_samples() -> None:
    inputs, x = _inputs((6,))
    assert torch.equal(inputs.batch(torch.tensor([3, 1]), torch.Generator()), x[[3, 1]])


def test_shifts_need_images() -> None:
    with pytest.raises(FitError, match=r"augment.shift needs images.*not \(6,\); set augment.shift = 0"):
        _inputs((6,), shift=1)
    with pytest.raises(FitError, match=r"augment.shift must be below the image's 5 pixels, not 5"):
        _inputs((5, 7), shift=5)
