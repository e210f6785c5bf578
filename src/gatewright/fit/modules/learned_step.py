"""Numbers, widths and a batch in, outputs and cost out: a stack of LearnedDense as one step, gradients by hand.

All weights of all layers lie in one vector and so do all widths: rounding, costs and the optimizer then take one small
kernel each instead of one per layer, and the gradients need no graph. Networks this small spend their time on calls.
What it computes is what the layers compute one by one, to the bit (fit/modules/learned.py); a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatewright.fit.modules.learnt_widths import (
    BIAS_GUARD_BITS,
    DIGIT_BITS,
    FADE,
    FINEST,
    GROWTH_BITS,
    LN2,
    LUT_PER_BIT,
    adder_inputs,
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
    """weight (weights,), bias and shift (biases,), centre (features,): from the optimizer's numbers to values.

    reads: (weights,) which hidden activation each weight reads, or behind these, which feature.
    """

    weight: Tensor
    bias: Tensor
    shift: Tensor
    centre: Tensor
    reads: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the gradients of a batch need.

    wanted, weight, integer, used: weights before rounding, after it, in units of their LSB, and whether they are not 0;
    read_bits, adders: of the hidden activations, then of the features, their bits and the adder inputs that they feed;
    offset: what brings a floor of a feature to the middle of its cell, less the centre; features: their widths.
    read: what each layer reads; sums: of the hidden layers.
    """

    shape: Shape
    units: Units
    x: Tensor
    kept: Sequence[Tensor] | None
    wanted: Tensor
    weight: Tensor
    integer: Tensor
    used: Tensor
    offset: Tensor
    read_bits: Tensor
    adders: Tensor
    features: Tensor
    read: list[Tensor]
    sums: list[Tensor]


def outputs_and_cost(
    numbers: Tensor,
    widths: Tensor,
    x: Tensor,
    shape: Shape,
    units: Units,
    top: Tensor,
    training: bool,
    kept: Sequence[Tensor] | None,
) -> tuple[Tensor, Tensor, Batch]:
    """Return outputs (n, outputs), cost () and what `gradients` needs of a batch x (n, features).

    cost: LUT_PER_BIT times, over all weights, adder inputs times (bits read + GROWTH_BITS). top: (hidden,) greatest
    activations seen, updated where `training`. kept: per hidden layer a mask (n, neurons) that scales outputs
    (dropout), or None.
    """
    frac = widths.add(0.5).floor_()
    weight_frac, activation_frac = frac[: shape.weights], shape.activations(frac)
    scale, activation_scale = torch.exp2(weight_frac), torch.exp2(activation_frac)
    wanted = numbers[: shape.weights] * units.weight
    integer = (wanted * scale).add_(0.5).floor_()
    weight, used = integer / scale, integer != 0
    matrices = shape.matrices(weight)
    features = shape.features(widths)
    feature_bits, feature_frac, offset = cut_of(features, units.centre, shape.frac_bits, shape.width_bits)
    bias = (numbers[shape.weights :] * units.bias).add_(units.shift)
    bias[: shape.sizes[1]].add_(offset @ matrices[0])
    sums_frac = torch.cat((activation_frac, feature_frac)).index_select(0, units.reads).add_(weight_frac)
    bias = rounded_biases(bias, shape, torch.where(used, sums_frac, -FINEST), activation_frac)
    scales, rows = shape.per_layer(activation_scale), bias.split(shape.sizes[1:])
    h = (x * torch.exp2(feature_frac)).floor_().mul_(torch.exp2(-feature_frac).mul_(feature_bits > 0))
    read, sums = [h], list[Tensor]()
    for index, (matrix, row, step) in enumerate(zip(matrices, rows, scales, strict=False)):
        z = torch.addmm(row, h, matrix)
        h = torch.relu(z).mul_(step).add_(0.5).floor_().div_(step)
        if kept is not None:
            h = h * kept[index]
        sums.append(z)
        read.append(h)
    if training and sums:
        torch.maximum(top.mul_(FADE), torch.cat([greatest(z) for z in sums]), out=top)
    bits = whole_bits((top * activation_scale).add_(0.5).floor_())
    inputs = [matrix.sum(dim=1) for matrix in shape.matrices(adder_inputs(integer, used))]
    grown = [part + GROWTH_BITS for part in (feature_bits, *shape.per_layer(bits))]
    cost = sum((part @ fed for part, fed in zip(grown, inputs, strict=True)), x.new_zeros(()))
    batch = Batch(
        shape=shape,
        units=units,
        x=x,
        kept=kept,
        wanted=wanted,
        weight=weight,
        integer=integer,
        used=used,
        offset=offset,
        read_bits=torch.cat((bits, feature_bits)),
        adders=torch.cat((*inputs[1:], inputs[0])),
        features=features,
        read=read,
        sums=sums,
    )
    return torch.addmm(rows[-1], h, matrices[-1]), cost * LUT_PER_BIT, batch


def rounded_biases(bias: Tensor, shape: Shape, sums_frac: Tensor, activation_frac: Tensor) -> Tensor:
    """Return all layers' biases on their grids, see bias_on_grid. sums_frac: of each product, -FINEST where it is 0."""
    finest = torch.cat([part.amax(dim=0) for part in shape.matrices(sums_frac)])
    finest = torch.where(finest > -FINEST, finest, FINEST)
    hidden = finest[: shape.hidden]
    torch.minimum(hidden, activation_frac + BIAS_GUARD_BITS, out=hidden)
    scale = torch.exp2(finest)
    return bias.mul_(scale).add_(0.5).floor_().div_(scale)


def gradients(batch: Batch, slope: Tensor, cost_slope: float) -> tuple[Tensor, Tensor]:
    """Return the gradients of numbers and widths; see fit/modules/learnt_widths.py.

    slope: of the outputs, (n, outputs); cost_slope: of the cost.
    """
    shape, units, kept, g_z = batch.shape, batch.units, batch.kept, slope
    g_cost = float(np.float32(cost_slope) * np.float32(LUT_PER_BIT))
    g_numbers = g_z.new_empty(shape.weights + sum(shape.sizes[1:]))
    g_widths = g_z.new_empty(shape.weights + shape.hidden + shape.sizes[0])
    g_weight, g_bias = shape.matrices(g_numbers), shape.biases(g_numbers)
    g_activation = shape.per_layer(shape.activations(g_widths))
    matrices = shape.matrices(batch.weight)
    for index in reversed(range(len(matrices))):
        torch.mm(batch.read[index].t(), g_z, out=g_weight[index])
        torch.sum(g_z, dim=0, out=g_bias[index])
        g_h = torch.mm(g_z, matrices[index].t())
        if index == 0:
            break
        z, h = batch.sums[index - 1], batch.read[index]
        if kept is not None:
            g_h, h = g_h * kept[index - 1], h / kept[index - 1].clamp(min=1e-9)
        g_z = torch.ops.aten.threshold_backward(g_h, z, 0.0)
        torch.sum((z - h).mul_(g_z), dim=0, out=g_activation[index - 1])
    g_weight[0].add_(torch.outer(batch.offset, g_bias[0]))
    # of the features: x - centre - (h + offset), offset the same for all samples
    g_read = shape.features(g_widths)
    torch.sum((batch.x - batch.read[0]).mul_(g_h), dim=0, out=g_read)
    g_read.sub_(g_h.sum(dim=0).mul_(units.centre + batch.offset))
    per_bit = (batch.read_bits + GROWTH_BITS).mul_(g_cost).index_select(0, units.reads)
    per_bit.mul_(torch.where(batch.integer.abs() > 1.5, 1.0 / DIGIT_BITS, 1.0).mul_(batch.used))
    g, g_frac = g_numbers[: shape.weights], g_widths[: shape.weights]
    g.add_((per_bit / LN2).div_(torch.where(batch.used, batch.weight, 1.0)))
    torch.mul(batch.wanted - batch.weight, g, out=g_frac)
    g_widths.mul_(LN2)
    g_frac.add_(per_bit)
    g.mul_(units.weight)
    g_numbers[shape.weights :].mul_(units.bias)
    g_widths[shape.weights :].addcmul_(batch.adders, (batch.read_bits > 0).float(), value=g_cost)
    widths, least = batch.features, shape.frac_bits - shape.width_bits
    g_read.mul_((widths >= least) & (widths <= shape.frac_bits))
    return g_numbers, g_widths


class QuantizedStep(torch.autograd.Function):
    """outputs_and_cost under autograd, with everything rounded."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        """Return (outputs, cost)."""
        outputs, cost, ctx.batch = outputs_and_cost(*given)
        return outputs, cost

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of numbers and widths."""
        return *gradients(ctx.batch, grads[0], float(grads[1])), None, None, None, None, None, None
