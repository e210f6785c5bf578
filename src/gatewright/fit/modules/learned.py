"""Trainable dense layers whose bit widths are learnt too: input values in, scores and a hardware cost out.

Every weight, every activation and every input feature has its own number of fractional bits, or those of a neuron or a
layer share one: a real number that is rounded in the forward pass and trains by straight-through gradients (Sun et al.
2024, arXiv 2405.00645); a width of 0 bits prunes. Beyond that paper, a weight's bits also have a gradient to its
magnitude, d log2|w| / dw = 1 / (w ln 2), which draws superfluous weights to zero, and the cost is LUTs of adder trees,
fitted to compiled networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gatewright.config import Granularity
from gatewright.fit.frozen import dense_layer, frozen_graph, relu
from gatewright.fit.modules.dense import layer_name
from gatewright.fit.modules.learned_step import QuantizedStep, Shape, Units, bias_on_grid, rounded
from gatewright.fit.training.prune import remove_dead
from gatewright.fixedpoint import Fixed, Grid, frac_bits
from gatewright.graph.nodes import AnyNode, Graph, Stored

CHUNK = 8192  # samples evaluated at once
START_BITS = 4.0  # bits below a typical magnitude with which widths start


class LearnedDense(nn.Module):
    """One layer's units; its numbers lie in the stack. gain: () or (n_in, 1); centre (n_in,); bias_* (n_out,)."""

    centre: Tensor
    gain: Tensor
    bias_gain: Tensor
    bias_shift: Tensor

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_in))
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("bias_gain", torch.ones(()))
        self.register_buffer("bias_shift", torch.zeros(n_out))

    def format_per_output(self) -> None:
        """Do nothing: every weight has its own LSB anyway."""


class LearnedStack(nn.Module):
    """Dense layers with ReLU between. quantizing: whether widths apply (a float warm-up comes first).

    numbers: all weights and biases, of order one; widths: the fractional bits that are learnt, in units of the values,
    and share: which of them each weight, activation and feature has; how numbers and `all_widths` are cut into layers
    is `shape`'s. top: greatest activations seen lately.
    """

    numbers: nn.Parameter
    widths: nn.Parameter
    share: Tensor
    top: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        source: Fixed,
        dropout: float,
        generator: torch.Generator,
        granularity: Granularity = "weight",
    ) -> None:
        super().__init__()
        self.source = source
        self.generator = generator
        self.dropout = dropout
        self.quantizing = False
        self.shape = Shape(sizes=tuple(sizes), frac_bits=source.frac_bits, width_bits=source.width_bits)
        last = len(self.shape.pairs) - 1
        weights: list[Tensor] = []
        self.layers: list[LearnedDense] = []
        for index, (n_in, n_out) in enumerate(self.shape.pairs):
            std = (1.0 / n_in) ** 0.5 if index == last else (2.0 / n_in) ** 0.5
            weights.append((torch.randn(n_in, n_out, generator=generator) * std).flatten())
            layer = LearnedDense(n_in, n_out)
            self.add_module(layer_name(index, last), layer)
            self.layers.append(layer)
        self.numbers = nn.Parameter(torch.cat((*weights, torch.zeros(sum(sizes[1:])))))
        self.register_buffer("share", self.shape.sharing(granularity), persistent=False)
        self.widths = nn.Parameter(torch.zeros(int(self.share.max()) + 1))
        self.widths.data[self.shape.features(self.share)] = float(source.frac_bits)
        self.register_buffer("top", torch.zeros(self.shape.hidden))
        self._units: Units | None = None

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.numbers.device

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for input values x = codes * 2**-frac: (n, features) -> (n, outputs)."""
        return self.outputs_and_cost(x)[0]

    def outputs_and_cost(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs and the differentiable cost in LUTs; see QuantizedStep."""
        kept = self._kept(len(x)) if self.training and self.dropout else None
        if not self.quantizing:
            return self._float(x, kept), x.new_zeros(())
        outputs, cost = QuantizedStep.apply(
            self.numbers, self.all_widths(), x, self.shape, self.units(), self.top, self.training, kept
        )
        return outputs, cost

    def all_widths(self) -> Tensor:
        """Return the fractional bits of every weight, activation and feature: (weights + hidden + features,)."""
        return self.widths if len(self.widths) == len(self.share) else self.widths[self.share]

    def _float(self, x: Tensor, kept: list[Tensor] | None) -> Tensor:
        h = x - self.layers[0].centre
        weights, biases = self.shape.matrices(self.numbers), self.shape.biases(self.numbers)
        for index, (layer, weight, bias) in enumerate(zip(self.layers, weights, biases, strict=True)):
            h = torch.addmm(bias * layer.bias_gain + layer.bias_shift, h, weight * layer.gain)
            if index < len(self.layers) - 1:
                h = torch.relu(h)
                h = h if kept is None else h * kept[index]
        return h

    def _kept(self, count: int) -> list[Tensor]:
        share = 1.0 - self.dropout
        return [
            torch.empty(count, width).bernoulli_(share, generator=self.generator).div_(share).to(self.device)
            for width in self.shape.sizes[1:-1]
        ]

    def units(self) -> Units:
        """Return the layers' units as vectors; computed once, when widths start or a state is loaded."""
        if self._units is None:
            pairs = zip(self.layers, self.shape.pairs, strict=True)
            sizes = zip(self.layers, self.shape.sizes[1:], strict=True)
            self._units = Units(
                weight=torch.cat([layer.gain.expand(pair).reshape(-1) for layer, pair in pairs]),
                bias=torch.cat([layer.bias_gain.expand(n) for layer, n in sizes]),
                shift=torch.cat([layer.bias_shift for layer in self.layers]),
                centre=self.layers[0].centre,
            )
        return self._units

    @torch.no_grad()
    def start_widths(self, x: Tensor) -> None:
        """Choose the first widths from trained float weights and training inputs x: START_BITS below typical values."""
        self._units = None
        h = x - self.layers[0].centre
        weights, biases = self.shape.matrices(self.numbers), self.shape.biases(self.numbers)
        widths = self.all_widths().clone()
        fracs = self.shape.matrices(widths)
        activations = self.shape.per_layer(self.shape.activations(widths))
        tops = self.shape.per_layer(self.top)
        for index, (layer, weight, bias) in enumerate(zip(self.layers, weights, biases, strict=True)):
            typical = weight.square().mean().sqrt() * layer.gain.expand(weight.shape)
            fracs[index].copy_(START_BITS - torch.log2(typical))
            h = torch.addmm(bias * layer.bias_gain + layer.bias_shift, h, weight * layer.gain)
            if index < len(self.layers) - 1:
                h = torch.relu(h)
                tops[index].copy_(h.amax(dim=0))
                typical = h.square().mean().sqrt().clamp(min=1e-6)
                activations[index].fill_(START_BITS - float(torch.log2(typical)))
        self.widths.data.zero_().index_add_(0, self.share, widths).div_(self.share.bincount())
        self.quantizing = True

    @torch.no_grad()
    def sparsity(self) -> float:
        """Return the share of weights that are zero now."""
        integer = rounded(self.shape, self.units(), self.numbers, self.all_widths()).integer
        return 1.0 - int(integer.count_nonzero()) / self.shape.weights

    @torch.no_grad()
    def freeze(self, x: Tensor, *, classes: tuple[str, ...], wrap: bool) -> Graph:
        """Return what was learnt as a graph whose activations hold every value that training inputs x reach.

        wrap: values beyond return modulo their range instead of stopping at its end. All on the CPU, where x must lie.
        """
        shape, units, numbers = self.shape, self.units().cpu(), self.numbers.cpu()
        now = rounded(shape, units, numbers, self.all_widths().cpu())
        integers, weight_fracs = shape.matrices(now.integer), shape.matrices(now.weight_frac)
        flat = torch.cat((now.weight, numbers[shape.weights :] * units.bias + units.shift))
        biases = shape.biases(flat.double())
        fracs = [now.read_frac, *shape.per_layer(now.activation_frac)]
        parts: list[tuple[Tensor, Tensor]] = []
        for index, matrix in enumerate(now.matrix):
            weight, bias = matrix.double(), biases[index]
            if index == 0:
                bias = bias + now.offset.double() @ weight
            finest = fracs[index + 1] if index + 1 < len(fracs) else None
            parts.append((weight, bias_on_grid(bias, integers[index], weight_fracs[index], fracs[index], finest)))
        tops = _greatest(x, now.read > 0, [2.0 ** frac.double() for frac in fracs], parts)
        read, layers = now.read, list[list[AnyNode]]()
        for index, (weight_t, bias_t) in enumerate(parts):
            name = layer_name(index, len(parts) - 1)
            weight, bias = (weight_t * (read > 0)[:, None]).numpy(), bias_t.numpy()
            then: list[AnyNode] = []
            if index < len(tops):
                grid = _activation_grid(tops[index].numpy(), fracs[index + 1].numpy(), wrap=wrap)
                read, then = torch.tensor(grid.width_bits), relu(name, grid)
            stored = Stored(weight=_tight_grid(weight), bias=_tight_grid(bias))
            layers.append(dense_layer(name, weight, bias, stored=stored, then=then))
        bits = tuple(int(bits) for bits in now.read)
        return remove_dead(frozen_graph(self.source, layers, classes=classes, input_bits=bits))


def _greatest(x: Tensor, read: Tensor, scales: list[Tensor], parts: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Return the greatest integer activation of each hidden layer over inputs x. read: (features,), whether read."""
    tops = [torch.zeros(len(bias), dtype=torch.float64) for _, bias in parts[:-1]]
    for chunk in x.split(CHUNK):
        h = torch.floor(chunk.double() * scales[0]) / scales[0] * read
        for top, (weight, bias), scale in zip(tops, parts, scales[1:], strict=False):
            h = torch.floor((h @ weight + bias).clamp(min=0.0) * scale + 0.5)
            torch.maximum(top, h.amax(dim=0), out=top)
            h = h / scale
    return tops


def _activation_grid(greatest: np.ndarray, frac: np.ndarray, *, wrap: bool) -> Grid:
    width = np.where(greatest > 0, np.frexp(greatest)[1], 0)
    return Grid(width_bits=width, frac_bits=frac.astype(np.int64), signed=False, wrap=wrap)


def _tight_grid(values: np.ndarray) -> Grid:
    """Return for each number the signed grid of least width that holds it (0 bits hold 0)."""
    flat = values.ravel()
    frac = np.array([frac_bits(v) for v in flat[:, None]], dtype=np.int64)
    integer = np.abs(np.ldexp(flat, frac))
    width = np.where(integer > 0, np.frexp(integer)[1] + 1, 0)
    return Grid(width_bits=width.reshape(values.shape), frac_bits=frac.reshape(values.shape), signed=True)
