"""Dense layers of fixed widths and a batch in, outputs and then the parameters' gradients out: one step, by hand.

All weights lie in one vector and all biases in another, so that rounding takes a few small kernels for all layers, and
no graph is recorded. Sums and activations are held in units of the activations' LSB: scaling by a power of two is
exact, so what comes out is what the layers compute one by one, to the bit (fit/modules/dense.py); a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gatewright.fit.modules.dense import TrainDense
from gatewright.fit.modules.protocol import Format, TrainLayer

BELOW_HALF = 0.5 - 2.0**-25  # floor(v + this) rounds v >= 0 half up in float32; v + 1/2 may itself be rounded to 1
BELOW_ZERO = -(2.0**-100)  # smaller than any sum's LSB: a gradient passes at 0
ALIGNED = 16  # numbers: layers begin at whole cache lines, as matrices of their own do


@dataclass(frozen=True, slots=True, kw_only=True)
class _Factors:
    """One layer's constants. Weights and biases are rounded at twice their integers: half up is ceil(floor(2 v) / 2).

    up, ends, matrix: from a weight to twice its integer, that clipped, and from an integer to units of what is read and
    of what is given; slope: back to the parameter. clamps: where a weight stops. The same of biases.
    """

    up: Tensor
    ends: tuple[Tensor, Tensor]
    matrix: Tensor
    slope: Tensor
    clamps: tuple[Tensor, Tensor]
    bias_up: Tensor
    bias_shift: Tensor
    bias_down: Tensor
    bias_slope: Tensor

    @staticmethod
    def of(layer: TrainDense, *, unit: Tensor, finest: Tensor, own: Tensor) -> _Factors:
        """Return a layer's: unit: fractional bits of a 1 that it reads, finest: of what it reads, own: of its sums."""
        scale, lo, hi, _ = layer.constants["weight"]
        ends = lo.expand_as(layer.weight), hi.expand_as(layer.weight)
        low, high = (end / (scale * layer.gain) for end in ends)
        lsb = layer.weight_frac + finest
        return _Factors(
            up=layer.gain * scale * 2.0,
            ends=(ends[0] * 2.0, ends[1] * 2.0),
            matrix=layer.mask * _power(own - unit - layer.weight_frac),
            slope=layer.mask * layer.gain * _power(own - unit),
            clamps=(low, high),
            bias_up=layer.bias_gain * _power(lsb + 1),
            bias_shift=layer.bias_shift * _power(lsb + 1),
            bias_down=_power(own - lsb),
            bias_slope=layer.bias_gain * _power(own),
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """What `backward` needs of a batch: what each layer read, the sums of hidden ones, and the weights as rounded."""

    read: list[Tensor]
    sums: list[Tensor]
    inside: Tensor
    matrices: list[Tensor]


class FixedStep:
    """The training step of TrainDense layers in a row; their parameters become views of two vectors.

    To be made anew where formats or masks have changed.
    """

    @staticmethod
    def of(layers: Sequence[TrainLayer], reads: Format) -> FixedStep | None:
        """Return the step of layers that have formats; None where one is of a kind that it does not know.

        reads: the format of the inputs.
        """
        dense = [layer for layer in layers if type(layer) is TrainDense and layer.even and not layer.adds]
        chained = [layer.relu for layer in dense] == [True] * (len(dense) - 1) + [False]
        return FixedStep(dense, reads) if chained and len(dense) == len(layers) else None

    def __init__(self, layers: Sequence[TrainDense], reads: Format) -> None:
        self._layers = layers
        self._sizes = [-(-layer.weight.numel() // ALIGNED) * ALIGNED for layer in layers]
        self._lend()
        zero = torch.zeros_like(layers[0].activation_frac)
        given = [layer.activation_frac for layer in layers[:-1]]
        finest = [reads.finest.to(zero.device), *given]
        places = zip(layers, [zero, *given], finest, [*given, zero], strict=True)
        factors = [_Factors.of(layer, unit=unit, finest=fine, own=own) for layer, unit, fine, own in places]
        self._up, self._matrix = self._flat([f.up for f in factors]), self._flat([f.matrix for f in factors])
        self._slope = self._flat([f.slope for f in factors])
        self._ends = self._flat([f.ends[0] for f in factors]), self._flat([f.ends[1] for f in factors])
        self._clamps = self._flat([f.clamps[0] for f in factors]), self._flat([f.clamps[1] for f in factors])
        self._bias_up = self._row([f.bias_up for f in factors])
        self._bias_down = self._row([f.bias_down for f in factors])
        self._bias_slope = self._row([f.bias_slope for f in factors])
        shift = self._row([f.bias_shift for f in factors])
        self._bias_shift = shift if bool(shift.any()) else None
        centre = layers[0].centre
        self._centre = centre if bool(centre.any()) else None
        own = given[0] if given else zero
        self._centre_up = centre * _power(layers[0].weight_frac + finest[0] + 1 - own)
        tops = [np.float32(layer.constants["activation"][2].item()) for layer in layers[:-1]]
        self._tops = [(float(top), float(np.nextafter(top, np.float32(np.inf)))) for top in tops]
        self._batch: _Batch | None = None

    def _lend(self) -> None:
        """Gather the parameters into two vectors and let the layers have views of these, and of their gradients."""
        layers = self._layers
        self._weights = self._flat([layer.weight.detach() for layer in layers])
        self._biases = torch.cat([layer.bias.detach() for layer in layers])
        self._weight_slopes, self._bias_slopes = torch.zeros_like(self._weights), torch.zeros_like(self._biases)
        self._weight_grads, self._bias_grads = self._matrices(self._weight_slopes), self._rows(self._bias_slopes)
        parts = zip(layers, self._matrices(self._weights), self._rows(self._biases), strict=True)
        for layer, weight, bias in parts:
            layer.weight.data, layer.bias.data = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of a batch, (n, features) -> (n, outputs), and remember what `backward` needs."""
        wanted = self._weights * self._up
        rounded = wanted.clamp(*self._ends)
        inside = rounded == wanted
        matrices = self._matrices(rounded.floor_().mul_(0.5).ceil_().mul_(self._matrix))
        bias = self._biases * self._bias_up
        if self._bias_shift is not None:
            bias.add_(self._bias_shift)
        if self._centre is not None:
            bias[: matrices[0].shape[1]].sub_(self._centre_up @ matrices[0])
        rows = self._rows(bias.floor_().mul_(0.5).ceil_().mul_(self._bias_down))
        read, sums = [x], list[Tensor]()
        for matrix, row, (top, _) in zip(matrices, rows, self._tops, strict=False):
            z = torch.addmm(row, read[-1], matrix)
            sums.append(z)
            read.append(z.clamp(0.0, top).add_(BELOW_HALF).floor_())
        self._batch = _Batch(read, sums, inside, matrices)
        return torch.addmm(rows[-1], read[-1], matrices[-1])

    def backward(self, slope: Tensor) -> None:
        """Leave the gradients of the last batch in the parameters. slope: of the outputs, (n, outputs)."""
        assert self._batch is not None, "backward follows forward"
        batch, self._batch = self._batch, None
        for index in reversed(range(len(self._layers))):
            torch.mm(batch.read[index].t(), slope, out=self._weight_grads[index])
            torch.sum(slope, dim=0, out=self._bias_grads[index])
            if index:
                passed = torch.mm(slope, batch.matrices[index].t())
                beyond = self._tops[index - 1][1]
                slope = torch.ops.aten.hardtanh_backward(passed, batch.sums[index - 1], BELOW_ZERO, beyond)
        if self._centre is not None:
            self._weight_grads[0].sub_(torch.outer(self._centre, self._bias_grads[0]))
        self._weight_slopes.mul_(self._slope).mul_(batch.inside)
        self._bias_slopes.mul_(self._bias_slope)
        for layer, weight, bias in zip(self._layers, self._weight_grads, self._bias_grads, strict=True):
            layer.weight.grad, layer.bias.grad = weight, bias

    def clamp(self) -> None:
        """Bring weights back to the ends of their formats."""
        self._weights.clamp_(*self._clamps)

    def _flat(self, parts: Sequence[Tensor]) -> Tensor:
        """Return one value per weight as a vector, layers at whole cache lines."""
        flat = self._layers[0].weight.new_zeros(sum(self._sizes))
        for view, part in zip(self._matrices(flat), parts, strict=True):
            view.copy_(part)
        return flat

    def _matrices(self, flat: Tensor) -> list[Tensor]:
        shapes = [layer.weight.shape for layer in self._layers]
        parts = zip(flat.split(self._sizes), shapes, strict=True)
        return [part[: shape.numel()].view(shape) for part, shape in parts]

    def _row(self, parts: Sequence[Tensor]) -> Tensor:
        """Return one value per bias as a vector."""
        return torch.cat([part.expand_as(layer.bias) for part, layer in zip(parts, self._layers, strict=True)])

    def _rows(self, flat: Tensor) -> Sequence[Tensor]:
        return flat.split([len(layer.bias) for layer in self._layers])


def _power(exponent: Tensor) -> Tensor:
    """Return 2**exponent, exact. exponent: whole."""
    return torch.exp2(exponent.float())
