"""Trainable dense layers: input values in, scores out, with fixed-point weights, biases and activations in between."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewright.fit.frozen import dense_layer, frozen_graph, relu, steps
from gatewright.fit.modules.quantizers import covering_grid, fake_quantize, fit_grid, grid_tensors
from gatewright.fit.modules.steps import Steps, step_activation
from gatewright.fit.training.device import array
from gatewright.fit.training.prune import Masks, remove_dead
from gatewright.fixedpoint import Fixed, Grid
from gatewright.graph.nodes import AnyNode, Floats, Graph, Stored

Constants = tuple[Tensor, Tensor, Tensor, Tensor | None]
FEW_BITS = 2  # binary and ternary
_UNBOUNDED = torch.tensor(2.0**60)


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Bits of one layer's roles; bias 0 follows the accumulator, activation 0 is an output layer's.

    digits: most signed digits of a weight, 0 for any (see Grid).
    """

    weight: int
    bias: int
    activation: int
    digits: int = 0


class TrainDense(nn.Module):
    """y = (x - centre) @ w + b with w = gain * weight, or quantized: y = x @ Q(w) + Q(b - centre @ Q(w)).

    weight (n_in, n_out) and bias (n_out,) are what the optimizer sees: of order one, whatever the units of x.
    gain: () or (n_in, 1); bias_gain, bias_shift: units of the output. The affine maps are folded before
    quantization, so that the hardware's first layer reads raw codes.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    mask: Tensor
    centre: Tensor
    gain: Tensor
    bias_gain: Tensor
    bias_shift: Tensor
    weight_frac: Tensor
    activation_frac: Tensor

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        widths: Widths | None,
        relu: bool,
        generator: torch.Generator,
        steps: Steps | None = None,
    ) -> None:
        super().__init__()
        self.widths = widths
        self.relu = relu
        self.steps = steps
        std = (2.0 / n_in) ** 0.5 if relu else (1.0 / n_in) ** 0.5  # He et al. 2015; 1/n_in where no ReLU follows
        self.weight = nn.Parameter(torch.randn(n_in, n_out, generator=generator) * std)
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.register_buffer("mask", torch.ones(n_in, n_out))
        self.register_buffer("centre", torch.zeros(n_in))
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("bias_gain", torch.ones(()))
        self.register_buffer("bias_shift", torch.zeros(n_out))
        self.register_buffer("weight_frac", torch.zeros((), dtype=torch.int64))
        self.register_buffer("activation_frac", torch.zeros((), dtype=torch.int64))
        self._tensors: dict[str, Constants] = {}

    def weight_grid(self) -> Grid:
        """Return the format of the weights as it stands."""
        assert self.widths is not None
        return _grid(self.widths.weight, self.weight_frac, signed=True, digits=self.widths.digits)

    def activation_grid(self) -> Grid:
        """Return the format of the activations as it stands."""
        assert self.widths is not None
        return _grid(self.widths.activation, self.activation_frac, signed=False)

    def format_per_output(self) -> None:
        """Give each output its own LSB, for outputs of different units."""
        self.weight_frac = torch.zeros_like(self.bias, dtype=torch.int64)

    def refresh(self) -> None:
        """Rebuild the constants of forward() after a format has changed or a checkpoint was read."""
        if self.widths is None:
            return
        device = self.weight.device
        self._tensors = {"weight": grid_tensors(self.weight_grid(), torch.float32, device)}
        if self.relu:
            self._tensors["activation"] = grid_tensors(self.activation_grid(), torch.float32, device)

    def fit_weight_grid(self, *, first: bool) -> None:
        """Choose the weights' LSB by the least squared error over the weights that are not pruned.

        Binary and ternary weights keep the first one: clipped to it, they would ask for a smaller one each time.
        """
        assert self.widths is not None
        if self.widths.weight <= FEW_BITS and not first:
            self.refresh()
            return
        w = array(self.folded_weight())
        kept = array(self.mask) > 0
        if self.weight_frac.ndim == 0:
            self.weight_frac.fill_(self._best_frac(w[kept]))
        for channel in range(self.weight_frac.numel() if self.weight_frac.ndim else 0):
            self.weight_frac[channel] = self._best_frac(w[kept[:, channel], channel])
        self.refresh()

    def _best_frac(self, w: NDArray[np.float32]) -> int:
        assert self.widths is not None
        return int(fit_grid(w, self.widths.weight, signed=True, digits=self.widths.digits).frac_bits)

    def fit_activation_grid(self, z: Tensor) -> None:
        """Choose the activations' LSB by the least squared error over ReLU(z)."""
        assert self.widths is not None
        grid = fit_grid(array(z.clamp(min=0.0)), self.widths.activation, signed=False)
        self.activation_frac.fill_(int(grid.frac_bits))
        self.refresh()

    def folded_weight(self) -> Tensor:
        """Return gain * weight, (n_in, n_out)."""
        return self.weight * self.gain

    def sums(self, x: Tensor, source_frac: int | None) -> Tensor:
        """Return y for x: (n, n_in) -> (n, n_out). source_frac: the input's frac_bits, or None for float arithmetic."""
        weight, bias = self.values(source_frac)
        return torch.addmm(bias, x, weight)

    def values(self, source_frac: int | None) -> tuple[Tensor, Tensor]:
        """Return (weight, bias) as the hardware has them, with gradients; float where source_frac is None."""
        weight = self.folded_weight()
        if source_frac is not None:
            weight = fake_quantize(weight, *self._tensors["weight"])
        weight = weight * self.mask
        bias = self.bias * self.bias_gain + self.bias_shift - self.centre @ weight
        if source_frac is not None:
            bias = fake_quantize(bias, *self.bias_tensors(bias, source_frac))
        return weight, bias

    def bias_grid(self, bias: Tensor, source_frac: int) -> Grid:
        """Return the bias's format: as many bits as configured, at the finest LSB that fits (at most the sum's)."""
        assert self.widths is not None
        finest = source_frac + array(self.weight_frac)
        return covering_grid(array(bias.double()), self.widths.bias, finest=finest)

    def bias_tensors(self, bias: Tensor, source_frac: int) -> Constants:
        """Return the (scale, lo, hi, levels) of the bias; a width of 0 follows the accumulator and never clips."""
        assert self.widths is not None
        if self.widths.bias:
            return grid_tensors(self.bias_grid(bias, source_frac), torch.float32, bias.device)
        unbounded = _UNBOUNDED.to(bias.device)
        return torch.exp2((self.weight_frac + source_frac).float()), -unbounded, unbounded, None

    def activate(self, z: Tensor, *, quantized: bool) -> Tensor:
        """Return ReLU(z), on the activations' grid where quantized; or the steps."""
        if self.steps is not None:
            return step_activation(z, self.steps, quantized=quantized)
        if quantized:
            return fake_quantize(z, *self._tensors["activation"])
        return torch.relu(z)


class Stack(nn.Module):
    """Dense layers with ReLU, or steps, between. quantizing: whether formats are applied (a float warm-up comes first).

    shrinkage: weight of the penalty that comes before pruning; goal: sparsity that a budget asks for. They are the
    recipe's, and kept here so that a checkpoint holds them.
    """

    shrinkage: Tensor
    goal: Tensor
    projection: nn.Parameter | None
    offset: nn.Parameter | None

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        source: Fixed,
        widths: Sequence[Widths] | None,
        dropout: float,
        generator: torch.Generator,
        steps: Steps | None = None,
    ) -> None:
        super().__init__()
        last = len(sizes) - 2
        self.source = source
        self.generator = generator
        self.dropout = dropout
        self.quantizing = False
        self.projection = self.offset = None
        self.register_buffer("shrinkage", torch.zeros(()))
        self.register_buffer("goal", torch.zeros((), dtype=torch.float64))
        self.layers: list[TrainDense] = []
        for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            hidden = index < last
            layer = TrainDense(
                n_in,
                n_out,
                widths=widths[index] if widths else None,
                relu=hidden and steps is None,
                generator=generator,
                steps=steps if hidden else None,
            )
            self.add_module(layer_name(index, last), layer)
            self.layers.append(layer)

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.layers[0].weight.device

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for input values x = codes * 2**-frac: (n, features) -> (n, outputs)."""
        return self.with_hidden(x)[0]

    def with_hidden(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the outputs, and the activations of every hidden layer (before dropout), (n, width) each."""
        frac = self.source.frac_bits if self.quantizing else None
        hidden: list[Tensor] = []
        for layer in self.layers[:-1]:
            x = layer.activate(layer.sums(x, frac), quantized=self.quantizing)
            hidden.append(x)
            if frac is not None:
                frac = int(layer.activation_frac)
            if self.training and self.dropout:
                kept = torch.empty(x.shape).bernoulli_(1.0 - self.dropout, generator=self.generator)
                x = x * kept.to(x.device) / (1.0 - self.dropout)
        return self.layers[-1].sums(x, frac), hidden

    def add_projection(self, n_in: int, n_out: int) -> None:
        """Add the parameters that map one hidden layer to a teacher's features; they are dropped when it freezes."""
        start = torch.randn(n_in, n_out, generator=self.generator).to(self.device) / n_in**0.5
        self.projection, self.offset = nn.Parameter(start), nn.Parameter(torch.zeros_like(start[0]))

    def project(self, hidden: Tensor) -> Tensor:
        """Return what the projection makes of hidden activations. (n, width) -> (n, features)."""
        assert self.projection is not None
        assert self.offset is not None
        return torch.addmm(self.offset, hidden, self.projection)

    def decayed(self) -> list[nn.Parameter]:
        """Return the parameters that weight decay applies to: weights."""
        extra = [] if self.projection is None else [self.projection]
        return [*(layer.weight for layer in self.layers), *extra]

    def biases(self) -> list[nn.Parameter]:
        """Return the parameters that it does not apply to."""
        extra = [] if self.offset is None else [self.offset]
        return [*(layer.bias for layer in self.layers), *extra]

    def refresh(self) -> None:
        """Rebuild the layers' constants after a state was loaded."""
        for layer in self.layers:
            layer.refresh()

    @torch.no_grad()
    def calibrate(self, x: Tensor, *, first: bool) -> None:
        """Choose every format anew, layer by layer, on training inputs x: (n, features); first: for the first time."""
        frac = self.source.frac_bits
        for layer in self.layers[:-1]:
            layer.fit_weight_grid(first=first)
            z = layer.sums(x, frac)
            if layer.relu:
                layer.fit_activation_grid(z)
            x, frac = layer.activate(z, quantized=True), int(layer.activation_frac)
        self.layers[-1].fit_weight_grid(first=first)

    def magnitudes(self) -> list[NDArray[np.float32]]:
        """Return the weights by which pruning chooses, pruned ones too; units (gain) play no part."""
        return [array(layer.weight) for layer in self.layers]

    @torch.no_grad()
    def set_masks(self, masks: Masks) -> None:
        """Set which weights of each layer stay."""
        for layer, mask in zip(self.layers, masks, strict=True):
            layer.mask.copy_(torch.from_numpy(mask))

    @torch.no_grad()
    def clamp(self) -> None:
        """Bring weights back to the ends of their formats, so that none is stuck where its gradient is zero."""
        for layer in self.layers:
            scale, lo, hi, _ = layer._tensors["weight"]
            unit = scale * layer.gain
            layer.weight.copy_(torch.clamp(layer.weight, lo / unit, hi / unit))

    @torch.no_grad()
    def freeze(self, *, classes: tuple[str, ...]) -> Graph:
        """Return what was learnt: numbers on their grids, affine maps folded, dead neurons emptied."""
        graph = frozen_graph(self.source, self._frozen_layers(), classes=classes)
        return remove_dead(graph) if self.quantizing else graph

    def _frozen_layers(self) -> list[list[AnyNode]]:
        layers: list[list[AnyNode]] = []
        frac = self.source.frac_bits
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            name = layer_name(index, last)
            if not self.quantizing:
                weight = _float64(layer.weight) * _float64(layer.gain) * _float64(layer.mask)
                bias = _float64(layer.bias) * _float64(layer.bias_gain) + _float64(layer.bias_shift)
                bias = bias - _float64(layer.centre) @ weight
                layers.append(dense_layer(name, weight, bias, then=relu(name, None) if layer.relu else ()))
                continue
            assert layer.widths is not None
            weight_t, bias_t = layer.values(frac)
            grid = layer.weight_grid()
            stored = Stored(weight=grid, bias=layer.bias_grid(bias_t, frac) if layer.widths.bias else None)
            weight, bias = _float64(weight_t), _float64(bias_t)
            if index and (before := self.layers[index - 1].steps) is not None:
                weight, bias, stored = _reading_counts(weight, bias, grid, before)
            then = relu(name, layer.activation_grid()) if layer.relu else []
            if layer.steps is not None:
                then = steps(name, layer.steps.thresholds)
            layers.append(dense_layer(name, weight, bias, stored=stored, then=then))
            frac = int(layer.activation_frac)
        return layers


def _reading_counts(weight: Floats, bias: Floats, grid: Grid, before: Steps) -> tuple[Floats, Floats, Stored]:
    """Return numbers that give for counts what the given ones give for lo + step * counts, biases off their grid."""
    finer = replace(grid, frac_bits=grid.frac_bits - (before.step.bit_length() - 1))
    return weight * before.step, bias + before.lo * weight.sum(axis=0), Stored(weight=finer)


def layer_name(index: int, last: int) -> str:
    """Return fc1, fc2, ... for hidden layers and out for the last."""
    return "out" if index == last else f"fc{index + 1}"


def _grid(width_bits: int, frac_bits: Tensor, *, signed: bool, digits: int = 0) -> Grid:
    return Grid(width_bits=np.array(width_bits), frac_bits=array(frac_bits), signed=signed, digits=digits)


def _float64(value: Tensor) -> NDArray[np.float64]:
    return array(value.double())
