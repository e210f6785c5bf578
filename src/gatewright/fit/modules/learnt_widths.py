"""Real numbers and learnt widths in, rounded numbers and their cost out, with gradients to both.

A width is a real number of fractional bits. It is rounded to f forward, and trains by straight-through gradients (Sun
et al. 2024, arXiv 2405.00645, eq. 8): round(w 2^f) 2^-f = q passes them to w, and ln2 (w - q) to f. The bits of a
weight, log2 |q| 2^f, have one to f and 1 / (q ln2) to q.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

LN2 = math.log(2.0)
DIGIT_BITS = 3.0  # bits per non-zero signed digit of a random integer (Reitwiesner 1960): its product's adder inputs
LUT_PER_BIT = 0.4  # LUTs of a ternary adder tree per adder input and bit read, fitted to compiled networks (docs)
GROWTH_BITS = 2.8  # bits by which a sum's adders are wider than what they add, from the same fit
FINEST = 24.0  # most fractional bits, relative to the layer's own unit, that a bias may have
BIAS_GUARD_BITS = 2  # bits of a bias below the activation's LSB
FADE = 0.99  # per step, of the greatest activation seen


def whole(widths: Tensor) -> Tensor:
    """Return widths rounded half up to whole bits. Any shape, same out."""
    return widths.add(0.5).floor_()


def whole_bits(greatest: Tensor) -> Tensor:
    """Return the bits of whole numbers >= 0: floor(log2 v) + 1, 0 for 0."""
    return torch.frexp(greatest)[1].to(torch.float32)


def adder_inputs(integer: Tensor, used: Tensor | None = None) -> Tensor:
    """Return the adder inputs of products with integers by the mean: (bits + 2) / 3, 0 for 0. Any shape, same out.

    used: whether each is not 0, where that is known already.
    """
    bits = whole_bits(integer)  # frexp takes a sign as it comes
    return bits.add_(DIGIT_BITS - 1.0).div_(DIGIT_BITS).mul_(integer != 0 if used is None else used)


def tree_luts(inputs: Tensor, read_bits: Tensor) -> Tensor:
    """Return the LUTs of sums of products, (). inputs: adder inputs (n_in, n_out); read_bits: bits read, (n_in,)."""
    return ((read_bits + GROWTH_BITS) @ inputs.sum(dim=1)) * LUT_PER_BIT


def bias_on_grid(
    bias: Tensor, integer: Tensor, frac: Tensor, read_frac: Tensor, activation_frac: Tensor | None
) -> Tensor:
    """Return biases on the grid of their sums, in a hidden layer at most BIAS_GUARD_BITS below the activation's LSB.

    bias: (n_out,), integer and frac: of the weights (n_in, n_out), read_frac: (n_in,), activation_frac: (n_out,).
    """
    sums = torch.where(integer != 0, frac + read_frac[:, None], -FINEST).amax(dim=0)
    finest = torch.where(sums > -FINEST, sums, FINEST)
    if activation_frac is not None:
        finest = torch.minimum(finest, activation_frac + BIAS_GUARD_BITS)
    scale = torch.exp2(finest).to(bias.dtype)
    return (bias * scale).add_(0.5).floor_().div_(scale)


def greatest(z: Tensor) -> Tensor:
    """Return z.amax(dim=0), several times faster for few columns, which torch does not reduce in vectors."""
    n, columns = z.shape
    if n % 16:
        return z.amax(dim=0)
    return z.view(n // 16, 16 * columns).amax(dim=0).view(16, columns).amax(dim=0)


class RoundedWeight(torch.autograd.Function):
    """Weights at the nearest multiples of 2**-f; see the module."""

    @staticmethod
    def forward(ctx: Any, wanted: Tensor, widths: Tensor) -> Tensor:
        """Return the rounded weights. wanted, widths: of one shape."""
        scale = torch.exp2(whole(widths))
        weight = (wanted * scale).add_(0.5).floor_() / scale
        ctx.save_for_backward(wanted, weight)
        return weight

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of weights and widths."""
        wanted, weight = ctx.saved_tensors
        return grads[0], ((wanted - weight) * grads[0]).mul_(LN2)


class AdderInputs(torch.autograd.Function):
    """Adder inputs of rounded weights; see adder_inputs."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, widths: Tensor) -> Tensor:
        """Return the adder inputs of each weight. weight, widths: of one shape."""
        integer = weight * torch.exp2(whole(widths))
        ctx.save_for_backward(weight, integer)
        return adder_inputs(integer)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of weights and widths."""
        weight, integer = ctx.saved_tensors
        used = integer != 0
        slope = grads[0] * torch.where(integer.abs() > 1.5, 1.0 / DIGIT_BITS, 1.0).mul_(used)
        return (slope / LN2).div_(torch.where(used, weight, 1.0)), slope


class RoundedActivation(torch.autograd.Function):
    """ReLU(z) at the nearest multiples of 2**-f, where f is a neuron's; gradients as for weights where z > 0."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, widths: Tensor) -> Tensor:
        """Return the activations. z: (n, neurons), widths: (neurons,)."""
        scale = torch.exp2(whole(widths))
        h = torch.relu(z).mul_(scale).add_(0.5).floor_().div_(scale)
        ctx.save_for_backward(z, h)
        return h

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of sums and widths."""
        z, h = ctx.saved_tensors
        g = grads[0] * (z > 0)
        return g, (z - h).mul_(g).sum(dim=0).mul_(LN2)


class ReachedBits(torch.autograd.Function):
    """Bits of activations whose greatest value is known."""

    @staticmethod
    def forward(ctx: Any, top: Tensor, widths: Tensor) -> Tensor:
        """Return the bits. top, widths: (neurons,)."""
        bits = whole_bits((top * torch.exp2(whole(widths))).add_(0.5).floor_())
        ctx.save_for_backward(bits)
        return bits

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        """Return the widths' gradient: a fractional bit more is a bit more, but of none."""
        (bits,) = ctx.saved_tensors
        return None, grads[0] * (bits > 0)


class BiasOnGrid(torch.autograd.Function):
    """Biases on the grid of their sums, see bias_on_grid; gradients pass straight through."""

    @staticmethod
    def forward(
        _ctx: Any, bias: Tensor, weight: Tensor, frac: Tensor, read_frac: Tensor, activation_frac: Tensor | None
    ) -> Tensor:
        """Return the biases, (n_out,)."""
        return bias_on_grid(bias, weight, frac, read_frac, activation_frac)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the biases' gradient."""
        return grads[0], None, None, None, None


class CutInputs(torch.autograd.Function):
    """The leading bits of inputs, as many as the widths say.

    What readers make of a feature is its value cut plus the offset, whose gradient is thus that of the values.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, widths: Tensor, centre: Tensor, frac_bits: int, width_bits: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return inputs cut (n, features); and bits, fractional bits and offset of each, (features,); see cut_of."""
        bits, frac, offset = cut_of(widths, centre, frac_bits, width_bits)
        h = (x * torch.exp2(frac)).floor_().mul_(torch.exp2(-frac).mul_(bits > 0))
        inside = (widths >= frac_bits - width_bits) & (widths <= frac_bits)
        ctx.save_for_backward(x, h, bits, centre + offset, inside)
        ctx.mark_non_differentiable(frac, offset)
        return h, bits, frac, offset

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the widths."""
        x, h, bits, moved, inside = ctx.saved_tensors
        g_h, g_bits = grads[:2]
        g = (x - h).mul_(g_h).sum(dim=0).sub_(g_h.sum(dim=0).mul_(moved)).mul_(LN2)
        return None, g.add_(g_bits * (bits > 0)).mul_(inside), None, None, None


def cut_of(widths: Tensor, centre: Tensor, frac_bits: int, width_bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return how many leading bits of each feature are read, their fractional bits, and the offset; (features,) each.

    frac_bits, width_bits: the input's. offset: brings a floor to the middle of its cell, less the centre; 0 where
    nothing is read.
    """
    least = float(frac_bits - width_bits)
    frac = whole(widths).clamp(least, frac_bits)
    bits = frac - least
    half = 2.0 ** (-frac_bits - 1)
    return bits, frac, torch.exp2(-1.0 - frac).sub_(half).sub_(centre).mul_(bits > 0)
