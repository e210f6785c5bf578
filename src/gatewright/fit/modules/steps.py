"""Sums in, activations of two or three levels out: sign and ternary, which hardware makes with comparators alone.

Training sees -1, (0,) +1; a frozen network counts the thresholds that a sum reaches, 0, 1, (2), and the next layer's
weights and bias take up the difference, so that one or two bits leave a neuron.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """An activation lo + step * (number of thresholds t with z >= t)."""

    thresholds: tuple[float, ...]
    lo: int
    step: int

    @property
    def width_bits(self) -> int:
        """Bits of the count."""
        return len(self.thresholds).bit_length()


STEPS = {
    "sign": Steps(thresholds=(0.0,), lo=-1, step=2),
    "ternary": Steps(thresholds=(-0.5, 0.5), lo=-1, step=1),
}


class _Step(torch.autograd.Function):
    """Forward: the steps; backward: 1 where |z| <= 1, else 0 (Courbariaux et al. 2016, arXiv 1602.02830, eq. 4)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, steps: Steps) -> Tensor:
        ctx.save_for_backward(z.abs() <= 1.0)
        out = torch.full_like(z, steps.lo)
        for threshold in steps.thresholds:
            out = out + steps.step * (z >= threshold)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return grads[0] * inside, None


def step_activation(z: Tensor, steps: Steps, *, quantized: bool) -> Tensor:
    """Return the steps of z, or before formats apply what they approximate, z clipped to -1..1. Same shape out."""
    return _Step.apply(z, steps) if quantized else z.clamp(-1.0, 1.0)  # type: ignore[no-any-return]
