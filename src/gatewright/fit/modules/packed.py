"""Layers of learnt widths in; their numbers and widths as two vectors, and one fused training step, out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from gatewright.fit.modules.learned import LearnedDense, LearnedRead, shared_by
from gatewright.fit.modules.learned_step import Batch, QuantizedStep, Shape, Units, gradients, outputs_and_cost
from gatewright.fit.modules.protocol import TrainLayer


class Packed(nn.Module):
    """The parameters of a LearnedRead and LearnedDense layers after it, which keep views of them.

    numbers: all weights and biases; widths: the fractional bits that are learnt, weights' layer by layer, then
    activations', then features', and share: which of them each weight, activation and feature has, None for one each.
    top: greatest activations seen lately. How numbers and `all_widths` are cut into layers is `shape`'s.
    """

    numbers: nn.Parameter
    widths: nn.Parameter
    share: Tensor | None
    top: Tensor

    @staticmethod
    def of(layers: Sequence[TrainLayer]) -> Packed | None:
        """Return the layers packed; None where a layer is of another kind than the fused step knows."""
        if not layers or not isinstance(layers[0], LearnedRead):
            return None
        dense = [layer for layer in layers[1:] if isinstance(layer, LearnedDense)]
        chained = [layer.relu for layer in dense] == [True] * (len(dense) - 1) + [False]
        return Packed(layers[0], dense) if chained and len(dense) == len(layers) - 1 else None

    def __init__(self, read: LearnedRead, dense: Sequence[LearnedDense]) -> None:
        super().__init__()
        self._parts = read, tuple(dense)  # in a tuple, hence not this module's to train or save
        sizes = (*dense[0].weight.shape, *(layer.units for layer in dense[1:]))
        self.shape = Shape(sizes=sizes, frac_bits=read.source.frac_bits, width_bits=read.source.width_bits)
        weights = [layer.weight.detach().flatten() for layer in dense]
        self.numbers = nn.Parameter(torch.cat((*weights, *(layer.bias.detach() for layer in dense))))
        learnt = [*(v.weight_widths for v in dense), *(v.activation_widths for v in dense), read.feature_widths]
        self._sizes = [part.numel() for part in learnt]
        self._shapes = [part.shape for part in learnt]
        self.widths = nn.Parameter(torch.cat([part.detach().flatten() for part in learnt]))
        shares = [*(v.weight_share for v in dense), *(v.activation_share for v in dense), read.share]
        self.register_buffer("share", _joined(shares, self._sizes), persistent=False)
        self.register_buffer("top", torch.cat([layer.top for layer in dense]))
        self._units: Units | None = None
        del read.feature_widths
        for layer in dense:
            del layer.weight, layer.bias, layer.weight_widths, layer.activation_widths, layer.top
        self.lend()

    def lend(self) -> None:
        """Give the layers views of their numbers as they lie now; gradients of what they compute come here."""
        read, dense = self._parts
        tops = (*self.shape.per_layer(self.top), self.top[self.shape.hidden :])
        numbers = zip(dense, self.shape.matrices(self.numbers), self.shape.biases(self.numbers), tops, strict=True)
        for layer, weight, bias, top in numbers:
            layer.weight, layer.bias, layer.top = weight, bias, top
        learnt = [p.view(s) for p, s in zip(self.widths.split(self._sizes), self._shapes, strict=True)]
        read.feature_widths = learnt[-1]
        for layer, weights, activations in zip(dense, learnt[: len(dense)], learnt[len(dense) : -1], strict=True):
            layer.weight_widths, layer.activation_widths = weights, activations

    def floats(self, x: Tensor, kept: Sequence[Tensor] | None) -> tuple[Tensor, Tensor]:
        """Return the outputs in float arithmetic, and no cost: what the layers do before formats apply."""
        dense = self._parts[1]
        h = x if dense[0].centre is None else x - dense[0].centre
        weights, biases = self.shape.matrices(self.numbers), self.shape.biases(self.numbers)
        for index, (layer, weight, bias) in enumerate(zip(dense, weights, biases, strict=True)):
            h = torch.addmm(bias * layer.bias_gain + layer.bias_shift, h, weight * layer.gain)
            if index < len(dense) - 1:
                h = torch.relu(h)
                h = h if kept is None else h * kept[index]
        return h, x.new_zeros(())

    def step(self, x: Tensor, kept: Sequence[Tensor] | None) -> tuple[Tensor, Tensor]:
        """Return the outputs and the differentiable cost in LUTs; see QuantizedStep."""
        outputs, cost = QuantizedStep.apply(
            self.numbers, self.all_widths(), x, self.shape, self.units(), self.top, self.training, kept
        )
        return outputs, cost

    def begin(self, x: Tensor) -> tuple[Tensor, Tensor, Batch]:
        """Return the outputs, the cost, and what `learn` needs of a batch: `step` without autograd and dropout."""
        with torch.no_grad():
            return outputs_and_cost(
                self.numbers, self.all_widths(), x, self.shape, self.units(), self.top, self.training, None
            )

    def learn(self, batch: Batch, slope: Tensor, cost_slope: float) -> None:
        """Leave the gradients of a batch in the parameters. slope: of the outputs; cost_slope: of the cost."""
        self.numbers.grad, all_widths = gradients(batch, slope, cost_slope)
        if self.share is not None:
            all_widths = torch.zeros_like(self.widths).index_add_(0, self.share, all_widths)
        self.widths.grad = all_widths

    def all_widths(self) -> Tensor:
        """Return the fractional bits of every weight, activation and feature: (weights + hidden + features,)."""
        return shared_by(self.widths, self.share)

    def refresh(self) -> None:
        """Forget the layers' units, which are made vectors when first needed."""
        self._units = None

    def units(self) -> Units:
        """Return the layers' units as vectors."""
        if self._units is None:
            read, dense = self._parts
            pairs, sizes = zip(dense, self.shape.pairs, strict=True), zip(dense, self.shape.sizes[1:], strict=True)
            self._units = Units(
                weight=torch.cat([layer.gain.expand(pair).reshape(-1) for layer, pair in pairs]),
                bias=torch.cat([layer.bias_gain.expand(n) for layer, n in sizes]),
                shift=torch.cat([layer.bias_shift for layer in dense]),
                centre=read.centre,
                reads=self._reads().to(read.centre.device),
            )
        return self._units

    def _reads(self) -> Tensor:
        """Return which activation each weight reads: the hidden ones in a row, then the features."""
        hidden = self.shape.sizes[1:-1]
        starts = [self.shape.hidden, *accumulate(hidden[:-1], initial=0)][: len(self.shape.pairs)]
        pairs = zip(starts, self.shape.pairs, strict=True)
        return torch.cat([torch.arange(first, first + n).repeat_interleave(units) for first, (n, units) in pairs])


def _joined(shares: Sequence[Tensor | None], sizes: Sequence[int]) -> Tensor | None:
    """Return which of all learnt widths each number has, of which of its part's it has; None for one each."""
    if all(share is None for share in shares):
        return None
    parts = [torch.arange(n) if share is None else share.flatten() for share, n in zip(shares, sizes, strict=True)]
    firsts = accumulate(sizes, initial=0)
    return torch.cat([part + first for part, first in zip(parts, firsts, strict=False)])
