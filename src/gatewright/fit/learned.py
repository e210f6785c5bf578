"""Trainable dense layers whose bit widths are learnt too: input values in, scores and a hardware cost out.

Every weight, every activation and every input feature has its own number of fractional bits, a real number that is
rounded in the forward pass and trains by straight-through gradients (Sun et al. 2024, arXiv 2405.00645); a width of 0
bits prunes. Beyond that paper, a weight's bits also have a gradient to its magnitude, d log2|w| / dw = 1 / (w ln 2),
which draws superfluous weights to zero, and wide weights cost adders (signed digits), not multiplier bits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from gatewright.fit.layers import layer_name
from gatewright.fit.network import Layer, Network, frac_bits
from gatewright.fit.prune import remove_dead
from gatewright.fit.quantizers import Grid
from gatewright.ir import Fixed

LN2 = math.log(2.0)
DIGIT_BITS = 3.0  # bits per non-zero signed digit of a random integer (Reitwiesner 1960): its product's adder inputs
START_BITS = 4.0  # bits below a typical magnitude with which widths start
FINEST = 24.0  # most fractional bits, relative to the layer's own unit, that a width may grow to
BIAS_GUARD_BITS = 2  # bits of a bias below the activation's LSB
FADE = 0.99  # per step, of the greatest activation seen


class _RoundWeight(torch.autograd.Function):
    """q = floor(w 2^f + 1/2) 2^-f; dq/dw = 1, dq/df = ln2 (w - q)."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, f: Tensor) -> Tensor:
        scale = torch.exp2(torch.floor(f + 0.5))
        q = torch.floor(w * scale + 0.5) / scale
        ctx.save_for_backward(w - q)
        return q

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (error,) = ctx.saved_tensors
        return grads[0], grads[0] * error * LN2


class _RoundActivation(torch.autograd.Function):
    """q = floor(max(z, 0) 2^f + 1/2) 2^-f, 0 where not alive. z: (n, channels); f, alive: (channels,)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, f: Tensor, alive: Tensor) -> Tensor:
        scale = torch.exp2(torch.floor(f + 0.5))
        h = torch.relu(z)
        q = torch.floor(h * scale + 0.5) / scale * alive
        ctx.save_for_backward(h - q, z > 0)
        return q

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        error, positive = ctx.saved_tensors
        return grads[0] * positive, (grads[0] * error * LN2).sum(dim=0), None


class _ReadInput(torch.autograd.Function):
    """The middle, less the centre, of the cell that the leading bits of a code leave; 0 where none is read.

    x: (n, features) = codes 2^-frac; f: fractional bits read; none: where no bit is read; centre, offset: (features,).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Tensor, none: Tensor, centre: Tensor, offset: Tensor) -> Tensor:
        scale = torch.exp2(f)
        q = (torch.floor(x * scale) / scale + offset).masked_fill(none, 0.0)
        ctx.save_for_backward(x - centre - q)
        return q

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None, None, None]:
        (error,) = ctx.saved_tensors
        return None, (grads[0] * error * LN2).sum(dim=0), None, None, None


class _WeightBits(torch.autograd.Function):
    """floor(log2 |q| 2^f) + 1, 0 where q = 0; gradients of log2 |q| 2^f to f and to q."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, f: Tensor) -> Tensor:
        integer = q.abs() * torch.exp2(torch.floor(f + 0.5))
        ctx.save_for_backward(q)
        return torch.where(integer > 0, torch.floor(torch.log2(integer.clamp(min=1.0))) + 1.0, 0.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (q,) = ctx.saved_tensors
        grad = grads[0] * (q != 0)
        return torch.where(q != 0, grad / (q * LN2), 0.0), grad


class LearnedDense(nn.Module):
    """One layer. weight (n_in, n_out), bias (n_out,): of order one; gain, bias_gain, bias_shift, centre: units.

    frac: fractional bits of each weight, in units of weight * gain; activation_frac: of each output, where `relu`.
    top: greatest activation seen lately.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    frac: nn.Parameter
    activation_frac: nn.Parameter
    centre: Tensor
    gain: Tensor
    bias_gain: Tensor
    bias_shift: Tensor
    top: Tensor

    def __init__(self, n_in: int, n_out: int, *, relu: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.relu = relu
        std = (2.0 / n_in) ** 0.5 if relu else (1.0 / n_in) ** 0.5
        self.weight = nn.Parameter(torch.randn(n_in, n_out, generator=generator) * std)
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.frac = nn.Parameter(torch.zeros(n_in, n_out))
        self.activation_frac = nn.Parameter(torch.zeros(n_out))
        self.register_buffer("centre", torch.zeros(n_in))
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("bias_gain", torch.ones(()))
        self.register_buffer("bias_shift", torch.zeros(n_out))
        self.register_buffer("top", torch.zeros(n_out))

    def format_per_output(self) -> None:
        """Do nothing: every weight has its own LSB anyway."""

    def folded_weight(self) -> Tensor:
        """Return gain * weight, (n_in, n_out), as floats."""
        return self.weight * self.gain

    def quantized_weight(self) -> Tensor:
        """Return the weights on their grids, (n_in, n_out)."""
        return cast(Tensor, _RoundWeight.apply(self.folded_weight(), self.frac))

    def float_bias(self) -> Tensor:
        """Return the bias in the output's unit, (n_out,)."""
        return self.bias * self.bias_gain + self.bias_shift

    def bias_frac(self, weight: Tensor, read_frac: Tensor) -> Tensor:
        """Return the bias's fractional bits: the sums' own, in a hidden layer little more than the activation's."""
        used = weight != 0
        sums = torch.where(used, torch.floor(self.frac + 0.5) + read_frac[:, None], -FINEST).amax(dim=0)
        finest = torch.where(used.any(dim=0), sums, FINEST)
        if not self.relu:
            return finest
        return torch.minimum(finest, torch.floor(self.activation_frac + 0.5) + BIAS_GUARD_BITS)

    def activation_bits(self) -> Tensor:
        """Return the bits of each activation (with gradient to activation_frac): integer bits cover `top`."""
        whole = torch.floor(self.activation_frac.detach() + 0.5)
        greatest = torch.floor(self.top * torch.exp2(whole) + 0.5)
        bits = torch.where(greatest > 0, torch.floor(torch.log2(greatest.clamp(min=1.0))) + 1.0, 0.0)
        return bits + (self.activation_frac - self.activation_frac.detach()) * (bits > 0)


class LearnedStack(nn.Module):
    """Dense layers with ReLU between. quantizing: whether widths apply (a float warm-up comes first)."""

    input_frac: nn.Parameter

    def __init__(self, sizes: Sequence[int], *, source: Fixed, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        last = len(sizes) - 2
        self.source = source
        self.generator = generator
        self.dropout = dropout
        self.quantizing = False
        self.input_frac = nn.Parameter(torch.full((sizes[0],), float(source.frac_bits)))
        self.layers: list[LearnedDense] = []
        for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            layer = LearnedDense(n_in, n_out, relu=index < last, generator=generator)
            self.add_module(layer_name(index, last), layer)
            self.layers.append(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for input values x = codes * 2**-frac: (n, features) -> (n, outputs)."""
        return self.outputs_and_cost(x)[0]

    def outputs_and_cost(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs and the differentiable cost: over all weights, bits read times adder inputs."""
        if not self.quantizing:
            return self._float(x), torch.zeros(())
        read, frac = self._read_bits(), self._read_frac()
        h = self._read(x, frac, read.detach() == 0)
        offset = self._offset(frac, read.detach() == 0)
        cost = torch.zeros(())
        for layer in self.layers:
            weight = layer.quantized_weight()
            cost = cost + (read @ _adder_inputs(cast(Tensor, _WeightBits.apply(weight, layer.frac)))).sum()
            bias = layer.float_bias()
            if offset is not None:
                bias = bias + (
                    _on_grid(bias + offset @ weight, layer.bias_frac(weight, frac)) - (bias + offset @ weight)
                )
            else:
                bias = _on_grid(bias, layer.bias_frac(weight, frac))
            z = torch.addmm(bias, h, weight)
            if not layer.relu:
                return z, cost
            if self.training:
                with torch.no_grad():
                    layer.top.copy_(torch.maximum(layer.top * FADE, z.amax(dim=0).clamp(min=0.0)))
            read = layer.activation_bits()
            h = cast(Tensor, _RoundActivation.apply(z, layer.activation_frac, (read.detach() > 0).float()))
            h = self._dropped(h)
            frac, offset = torch.floor(layer.activation_frac.detach() + 0.5), None
        raise AssertionError("the last layer has no ReLU")

    def _float(self, x: Tensor) -> Tensor:
        h = x - self.layers[0].centre
        for layer in self.layers:
            h = torch.addmm(layer.float_bias(), h, layer.folded_weight())
            if layer.relu:
                h = self._dropped(torch.relu(h))
        return h

    def _dropped(self, h: Tensor) -> Tensor:
        if not (self.training and self.dropout):
            return h
        kept = torch.empty_like(h).bernoulli_(1.0 - self.dropout, generator=self.generator)
        return h * kept / (1.0 - self.dropout)

    def _read_bits(self) -> Tensor:
        """Return how many leading bits of each feature are read, with a gradient to input_frac."""
        least = self.source.frac_bits - self.source.width_bits
        inside = self.input_frac.clamp(least, self.source.frac_bits)
        return torch.floor(inside.detach() + 0.5) - least + (inside - inside.detach())

    def _read_frac(self) -> Tensor:
        least = float(self.source.frac_bits - self.source.width_bits)
        return torch.floor(self.input_frac.detach().clamp(least, self.source.frac_bits) + 0.5)

    def _offset(self, frac: Tensor, none: Tensor) -> Tensor:
        """Return what brings the floor of an input to the middle of its cell, less the input's centre. (features,)."""
        cell = torch.exp2(-frac - 1.0) - 2.0 ** (-self.source.frac_bits - 1)
        return (cell - self.layers[0].centre).masked_fill(none, 0.0)

    def _read(self, x: Tensor, frac: Tensor, none: Tensor) -> Tensor:
        centre = self.layers[0].centre
        # the gradient goes to the parameter, the value uses its rounded form
        f = frac + (self.input_frac - self.input_frac.detach())
        return cast(Tensor, _ReadInput.apply(x, f, none, centre, self._offset(frac, none)))

    @torch.no_grad()
    def start_widths(self, x: Tensor) -> None:
        """Choose the first widths from trained float weights and training inputs x: START_BITS below typical values."""
        h = x - self.layers[0].centre
        for layer in self.layers:
            weight = layer.folded_weight()
            typical = layer.weight.square().mean().sqrt() * torch.ones_like(layer.weight) * layer.gain
            layer.frac.copy_(START_BITS - torch.log2(typical))
            h = torch.addmm(layer.float_bias(), h, weight)
            if layer.relu:
                h = torch.relu(h)
                layer.top.copy_(h.amax(dim=0))
                layer.activation_frac.fill_(START_BITS - float(torch.log2(h.square().mean().sqrt().clamp(min=1e-6))))
        self.quantizing = True

    def widths(self) -> list[nn.Parameter]:
        """Return the parameters that are widths."""
        return [self.input_frac, *(p for layer in self.layers for p in (layer.frac, layer.activation_frac))]

    def numbers(self) -> list[nn.Parameter]:
        """Return the parameters that are weights and biases."""
        return [p for layer in self.layers for p in (layer.weight, layer.bias)]

    @torch.no_grad()
    def freeze(self, x: Tensor, *, classes: tuple[str, ...], wrap: bool) -> Network:
        """Return what was learnt as a Network whose activations hold every value that training inputs x reach.

        wrap: values beyond return modulo their range instead of stopping at its end.
        """
        read, frac = self._read_bits(), self._read_frac()
        input_bits = tuple(int(bits) for bits in read)
        scale = torch.exp2(frac.double())
        h = torch.floor(x.double() * scale) / scale * (read > 0)
        offset = self._offset(frac, read == 0).double()
        layers: list[Layer] = []
        for index, layer in enumerate(self.layers):
            weight = (layer.quantized_weight() * (read > 0)[:, None]).double()
            bias = layer.float_bias().double() + (offset @ weight if index == 0 else 0.0)
            bias = _on_grid(bias, layer.bias_frac(weight, frac).double())
            z = h @ weight + bias
            name = layer_name(index, len(self.layers) - 1)
            grid = None
            if layer.relu:
                frac = torch.floor(layer.activation_frac + 0.5)
                h = torch.floor(z.clamp(min=0.0) * torch.exp2(frac.double()) + 0.5)
                grid = _activation_grid(h.amax(dim=0).numpy(), frac.numpy(), wrap=wrap)
                read = torch.tensor(grid.width_bits)
                h = h * torch.exp2(-frac.double())
            layers.append(_frozen(name, weight.numpy(), bias.numpy(), grid))
        network = Network(
            input=self.source,
            layers=tuple(layers),
            classes=classes,
            input_bits=input_bits,
        )
        return remove_dead(network)


def _on_grid(value: Tensor, frac: Tensor) -> Tensor:
    """Return value rounded to so many fractional bits; its gradient passes."""
    scale = torch.exp2(frac)
    return value + (torch.floor(value * scale + 0.5) / scale - value).detach()


def _adder_inputs(bits: Tensor) -> Tensor:
    """Return a product's adder inputs for a weight of so many bits: 1 for a power of two, then a third per bit."""
    return torch.where(bits > 1.0, 1.0 + (bits - 1.0) / DIGIT_BITS, bits)


def _activation_grid(greatest: np.ndarray, frac: np.ndarray, *, wrap: bool) -> Grid:
    width = np.where(greatest > 0, np.frexp(greatest)[1], 0)
    return Grid(width_bits=width, frac_bits=frac.astype(np.int64), signed=False, wrap=wrap)


def _frozen(name: str, weight: np.ndarray, bias: np.ndarray, activation: Grid | None) -> Layer:
    return Layer(
        name=name,
        weight=weight,
        bias=bias,
        relu=activation is not None,
        weight_grid=_tight_grid(weight),
        bias_grid=_tight_grid(bias),
        activation_grid=activation,
    )


def _tight_grid(values: np.ndarray) -> Grid:
    """Return for each number the signed grid of least width that holds it (0 bits hold 0)."""
    flat = values.ravel()
    frac = np.array([frac_bits(v) for v in flat[:, None]], dtype=np.int64)
    integer = np.abs(np.ldexp(flat, frac))
    width = np.where(integer > 0, np.frexp(integer)[1] + 1, 0)
    return Grid(width_bits=width.reshape(values.shape), frac_bits=frac.reshape(values.shape), signed=True)
