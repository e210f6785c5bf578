"""Numbers, widths and a batch in, outputs and cost out: a stack of LearnedDense as one step, gradients by hand.

All weights of all layers lie in one vector and so do all widths: rounding, costs and the optimizer then take one small
kernel each instead of one per layer, and the gradients need no graph. Networks this small spend their time on calls.
What it computes is what the layers compute one by one, to the bit (fit/modules/learned.py); a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gatewright.fit.modules.learnt_widths import (
    DIGIT_BITS,
    FADE,
    GROWTH_BITS,
    LN2,
    LUT_PER_BIT,
    adder_inputs,
    bias_on_grid,
    cut_of,
    greatest,
    whole_bits,
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How the vectors are cut: sizes (features, hidden .., outputs), and the input's fractional and total bits.

    numbers: weights (n_in, n_out) layer by layer, then all biases. widths: the weights' fractional bits, the hidden
    activations', the features'.
    """

    sizes: tuple[int, ...]
    frac_bits: int
    width_bits: int
    pairs: tuple[tuple[int, int], ...] = field(init=False)
    weights: int = field(init=False)
    hidden: int = field(init=False)

    def __post_init__(self) -> None:
        pairs = tuple(zip(self.sizes, self.sizes[1:], strict=False))
        object.__setattr__(self, "pairs", pairs)
        object.__setattr__(self, "weights", sum(a * b for a, b in pairs))
        object.__setattr__(self, "hidden", sum(self.sizes[1:-1]))

    def matrices(self, vector: Tensor) -> list[Tensor]:
        """Return the layers' (n_in, n_out) views of a vector that begins with one entry per weight."""
        parts = vector[: self.weights].split([a * b for a, b in self.pairs])
        return [part.view(pair) for part, pair in zip(parts, self.pairs, strict=True)]

    def biases(self, numbers: Tensor) -> Sequence[Tensor]:
        """Return the layers' views of the biases."""
        return numbers[self.weights :].split(list(self.sizes[1:]))

    def activations(self, widths: Tensor) -> Tensor:
        """Return the view of the hidden activations' widths."""
        return widths[self.weights : self.weights + self.hidden]

    def features(self, widths: Tensor) -> Tensor:
        """Return the view of the features' widths."""
        return widths[self.weights + self.hidden :]

    def per_layer(self, hidden: Tensor) -> Sequence[Tensor]:
        """Return the hidden layers' views of a vector with one entry per hidden activation."""
        return hidden.split(list(self.sizes[1:-1]))


@dataclass(frozen=True, kw_only=True)
class Units:
    """weight (weights,), bias and shift (biases,), centre (features,): from the optimizer's numbers to values."""

    weight: Tensor
    bias: Tensor
    shift: Tensor
    centre: Tensor


@dataclass(frozen=True, kw_only=True)
class Rounded:
    """Numbers and widths as the hardware has them; every tensor is flat, `matrix` the weights' views layer by layer.

    integer: weights in units of their LSB; read: bits of each feature, read_frac their fractional bits, offset: what
    brings a floor to the middle of its cell, less the centre (all features,).
    """

    wanted: Tensor
    weight: Tensor
    integer: Tensor
    weight_frac: Tensor
    activation_frac: Tensor
    read: Tensor
    read_frac: Tensor
    offset: Tensor
    matrix: list[Tensor]


def rounded(shape: Shape, units: Units, numbers: Tensor, widths: Tensor) -> Rounded:
    """Round widths to whole bits and weights to their grids."""
    frac = widths.add(0.5).floor_()
    weight_frac = frac[: shape.weights]
    scale = torch.exp2(weight_frac)
    wanted = numbers[: shape.weights] * units.weight
    integer = (wanted * scale).add_(0.5).floor_()
    weight = integer / scale
    read, read_frac, offset = cut_of(shape.features(widths), units.centre, shape.frac_bits, shape.width_bits)
    return Rounded(
        wanted=wanted,
        weight=weight,
        integer=integer,
        weight_frac=weight_frac,
        activation_frac=shape.activations(frac),
        read=read,
        read_frac=read_frac,
        offset=offset,
        matrix=shape.matrices(weight),
    )


class QuantizedStep(torch.autograd.Function):
    """outputs (n, outputs) and cost () of a batch x (n, features) with everything rounded.

    Gradients: see fit/modules/learnt_widths.py. cost: LUT_PER_BIT times, over all weights, adder inputs times (bits
    read + GROWTH_BITS). top: (hidden,) greatest activations seen, updated where `training`.
    kept: per hidden layer a mask (n, neurons) that scales outputs (dropout), or None.
    """

    @staticmethod
    def forward(
        ctx: Any,
        numbers: Tensor,
        widths: Tensor,
        x: Tensor,
        shape: Shape,
        units: Units,
        top: Tensor,
        training: bool,
        kept: Sequence[Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """Return (outputs, cost)."""
        now = rounded(shape, units, numbers, widths)
        integers, fracs = shape.matrices(now.integer), shape.matrices(now.weight_frac)
        bias = shape.biases(torch.cat((now.weight, numbers[shape.weights :] * units.bias + units.shift)))
        activation_frac, tops = shape.per_layer(now.activation_frac), shape.per_layer(top)
        read_frac = now.read_frac
        h = (x * torch.exp2(read_frac)).floor_().mul_(torch.exp2(-read_frac).mul_(now.read > 0))
        hs, zs, scales = [h], list[Tensor](), list[Tensor]()
        for index, weight in enumerate(now.matrix):
            b = bias[index] if index else bias[0] + now.offset @ weight
            last = index == len(now.matrix) - 1
            frac = None if last else activation_frac[index]
            z = torch.addmm(bias_on_grid(b, integers[index], fracs[index], read_frac, frac), h, weight)
            if frac is None:
                h = z
                break
            if training:
                torch.maximum(tops[index].mul_(FADE), greatest(z), out=tops[index])
            scale = torch.exp2(frac)
            h = torch.relu(z).mul_(scale).add_(0.5).floor_().div_(scale)
            zs.append(z)
            scales.append(scale)
            if kept is not None:
                h = h * kept[index]
            hs.append(h)
            read_frac = frac
        flat_scale = torch.exp2(now.activation_frac)
        read = [now.read, *shape.per_layer(whole_bits((top * flat_scale).add_(0.5).floor_()))]
        per_read = [m.sum(dim=1) for m in shape.matrices(adder_inputs(now.integer))]
        cost = sum(((r + GROWTH_BITS) @ p for r, p in zip(read, per_read, strict=True)), x.new_zeros(()))
        ctx.shape, ctx.units, ctx.now, ctx.kept = shape, units, now, kept
        ctx.hs, ctx.zs, ctx.x, ctx.read, ctx.per_read = hs, zs, x, read, per_read
        ctx.inside = shape.features(widths)
        return h, cost * LUT_PER_BIT

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of numbers and widths."""
        shape, units, now, kept = ctx.shape, ctx.units, ctx.now, ctx.kept
        g_z, g_cost = grads[0], grads[1] * LUT_PER_BIT
        g_numbers = g_z.new_empty(shape.weights + sum(shape.sizes[1:]))
        g_widths = g_z.new_empty(shape.weights + shape.hidden + shape.sizes[0])
        g_weight, g_bias = shape.matrices(g_numbers), shape.biases(g_numbers)
        g_activation = shape.per_layer(shape.activations(g_widths))
        for index in reversed(range(len(now.matrix))):
            torch.mm(ctx.hs[index].t(), g_z, out=g_weight[index])
            torch.sum(g_z, dim=0, out=g_bias[index])
            g_h = g_z @ now.matrix[index].t()
            if index == 0:
                break
            if kept is not None:
                g_h = g_h * kept[index - 1]
            z = ctx.zs[index - 1]
            g_z = g_h * (z > 0)
            error = z - ctx.hs[index] if kept is None else z - ctx.hs[index] / kept[index - 1].clamp(min=1e-9)
            torch.sum(error.mul_(g_z), dim=0, out=g_activation[index - 1])
        g_weight[0].add_(torch.outer(now.offset, g_bias[0]))
        # of the features: x - centre - (h + offset), offset the same for all samples
        g_read = shape.features(g_widths)
        torch.sum((ctx.x - ctx.hs[0]).mul_(g_h), dim=0, out=g_read)
        g_read.sub_(g_h.sum(dim=0).mul_(units.centre + now.offset))
        used = now.integer != 0
        slope = torch.empty_like(now.weight)
        for part, read in zip(shape.matrices(slope), ctx.read, strict=True):
            part.copy_((read + GROWTH_BITS)[:, None].expand_as(part))
        slope.mul_(g_cost).mul_(torch.where(now.integer.abs() > 1.5, 1.0 / DIGIT_BITS, 1.0).mul_(used))
        g, g_frac = g_numbers[: shape.weights], g_widths[: shape.weights]
        g.add_((slope / LN2).div_(torch.where(used, now.weight, 1.0)))
        torch.mul(now.wanted - now.weight, g, out=g_frac)
        g_widths.mul_(LN2)
        g_frac.add_(slope)
        g.mul_(units.weight)
        g_numbers[shape.weights :].mul_(units.bias)
        for part, per_read, read in zip((g_read, *g_activation), ctx.per_read, ctx.read, strict=True):
            part.addcmul_(per_read, (read > 0).float(), value=float(g_cost))
        least = shape.frac_bits - shape.width_bits
        inside = ctx.inside
        g_read.mul_((inside >= least) & (inside <= shape.frac_bits))
        return g_numbers, g_widths, None, None, None, None, None, None
