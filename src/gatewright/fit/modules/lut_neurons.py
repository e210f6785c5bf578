"""Trainable layers of truth tables: inputs compared to thresholds, tables of bits, ones counted per class.

A feature becomes bits by thresholds; each neuron of a layer reads a few bits of the layer before through a truth table;
the last layer's ones are counted per class. On an FPGA a neuron of six inputs is one LUT. Both tables and connections
are learnt (differentiable weightless networks, Bacellar et al. 2024, arXiv 2410.11112): forward, a table's entry is the
sign of a real number and a pin reads the candidate that it prefers; backward, gradients pass straight through both.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from gatewright.fit.device import array
from gatewright.fit.frozen import dense_layer, steps, tables
from gatewright.fit.modules.protocol import Format, TrainLayer
from gatewright.fixedpoint import Fixed, Ints
from gatewright.graph.nodes import AnyNode, Stored

STRIDE = 15.0  # steps of tables and preferences, whose range is 1, in units of the learning rate of weights
DECAY = 0.25  # weight of a table's entry in a pin's gradient, per other pin in which its address differs
EVERY = 2  # steps between two of the preferences, whose gradient is most of a step's work
SHARPNESS = 0.3  # a class's count is divided by so many of its standard deviations sqrt(tables) / 2, twice, for a score
LUT_PINS = 6
WIRES = Stored(weight=None)  # connections and counts


class Bits(TrainLayer):
    """Comparisons of features to thresholds, which are not learnt: the first layer.

    features, codes: (bits,), which feature each reads and the code that it must reach; inputs: features of a sample.
    """

    feature: Tensor
    threshold: Tensor

    def __init__(self, features: Ints, codes: Ints, *, source: Fixed, inputs: int) -> None:
        super().__init__()
        self.features, self.codes, self.source, self.inputs = features, codes, source, inputs
        values = np.ldexp(codes.astype(np.float64), -source.frac_bits).astype(np.float32)
        self.register_buffer("feature", torch.tensor(features), persistent=False)
        self.register_buffer("threshold", torch.tensor(values[:, None]), persistent=False)

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return 1.0 where a feature reaches its threshold, else 0.0. (n, inputs) -> (n, bits)."""
        return (x.T.index_select(0, self.feature) >= self.threshold).float().T, _bit_format()

    def cost(self, read: Format) -> Tensor:
        """Return a LUT per comparison of six bits, and one for every further five."""
        width = int(read.width_bits.max())
        return torch.tensor(float(len(self.codes) * (1 + max(0, -(-(width - LUT_PINS) // (LUT_PINS - 1))))))

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return the comparisons, feature - threshold >= 0."""
        weight = np.zeros((self.inputs, len(self.features)))
        weight[self.features, np.arange(len(self.features))] = 1.0
        bias = -np.ldexp(self.codes.astype(np.float64), -self.source.frac_bits)
        return dense_layer(name, weight, bias, stored=WIRES, then=steps(name, (0.0,))), _bit_format()


class TableLayer(TrainLayer):
    """n_out tables of `inputs` pins. table: its signs are entries; preference: a pin reads what it prefers most.

    steps: of training so far; connected: whether preferences stand, which are learnt before.
    """

    slope: Tensor
    steps: Tensor
    connected: Tensor

    def __init__(self, n_in: int, n_out: int, inputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.units, self.pins = n_out, inputs
        self.table = nn.Parameter((torch.rand(n_out, 1 << inputs, generator=generator) - 0.5) / STRIDE)
        self.preference = nn.Parameter(torch.rand(n_out * inputs, n_in, generator=generator) / STRIDE)
        self.register_buffer("slope", slopes(inputs), persistent=False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("connected", torch.zeros((), dtype=torch.bool))

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return the tables' entries, 0.0 or 1.0. x: (n, n_in), 0.0 or 1.0 -> (n, n_out)."""
        learns = self.training and not bool(self.connected) and int(self.steps) % EVERY == 0
        preference = self.preference if learns else self.preference.detach()
        found = _Look.apply(x.T, self.table, preference, self.sources(), self.slope)
        return cast(Tensor, found).T, _bit_format()

    def sources(self) -> Tensor:
        """Return which bit each pin reads, (n_out * inputs,); pin k of a table is bit k of its address."""
        return self.preference.detach().argmax(dim=1)

    def connect(self, learning: bool) -> None:
        """Let connections be learnt, or stand."""
        self.connected.fill_(not learning)

    def cost(self, read: Format) -> Tensor:
        """Return a LUT per table of up to six pins; twice as many for every further pin."""
        return torch.tensor(float(self.units << max(0, self.pins - LUT_PINS)))

    def clamp(self) -> None:
        """Count the step; bring tables back to their range, so that no entry is out of reach of the other sign."""
        self.steps += 1
        self.table.clamp_(-1.0 / STRIDE, 1.0 / STRIDE)

    def biases(self) -> list[nn.Parameter]:
        """Return tables and preferences: only signs and orders matter, hence nothing decays."""
        return [self.table, self.preference]

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return the tables; a bit that two pins of one read is one of its inputs."""
        pins, table = array(self.sources()).reshape(self.units, -1), array(self.table >= 0)
        weight, entries = np.zeros((self.preference.shape[1], self.units)), np.zeros(table.shape)
        for neuron, row in enumerate(pins):
            found, pin = np.unique(row, return_inverse=True)
            address = np.arange(1 << len(found))
            old = np.sum([(address >> bit & 1) << k for k, bit in enumerate(pin)], axis=0)
            weight[found, neuron] = 2.0 ** np.arange(len(found))
            entries[neuron, : len(address)] = table[neuron, old]
        nodes = dense_layer(name, weight, np.zeros(self.units), stored=WIRES, then=tables(name, entries))
        return nodes, _bit_format()


class Counts(TrainLayer):
    """The ones of each class's group of bits, as a score: the last layer. group: bits per class."""

    def __init__(self, classes: int, group: int) -> None:
        super().__init__()
        self.units, self.group = classes, group
        self.scale = 1.0 / (SHARPNESS * math.sqrt(group))

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return scores. x: (n, classes * group), 0.0 or 1.0 -> (n, classes)."""
        bits = x.T.reshape(self.units, self.group, len(x))
        return bits.mean(dim=1).sub(0.5).T * (self.scale * self.group), None

    def cost(self, read: Format) -> Tensor:
        """Return a LUT per full adder: a group's bits less the ones in their number."""
        return torch.tensor(float(self.units * (self.group - self.group.bit_count())))

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return the counts, in units of a power of two near the scores'."""
        frac = round(-math.log2(self.scale))
        weight = np.repeat(np.eye(self.units), self.group, axis=0) * 2.0**-frac
        return dense_layer(name, weight, np.zeros(self.units), stored=WIRES), None


@cache
def _bit_format() -> Format:
    return Format(frac_bits=torch.tensor(0), width_bits=torch.tensor(1))


def slopes(inputs: int) -> Tensor:
    """Return what makes a pin's slope at each address of a table's entries: (entries, inputs * entries).

    The slope in pin k at address a is the difference of entries with and without bit k, summed over the addresses that
    agree with a but in d of the other pins, weighted DECAY**d: d = 0 alone would be the difference at a itself, and
    1 / (d + 1) is the extended finite difference of Bacellar et al. (section 3.1), which learns worse on our data.
    """
    address = torch.arange(1 << inputs)
    parts: list[Tensor] = []
    for pin in range(inputs):
        differing = (address[:, None] ^ address[None, :]) & ~(1 << pin)
        distance = sum((differing >> k & 1 for k in range(inputs)), torch.zeros_like(differing))
        sign = (address >> pin & 1) * 2.0 - 1.0
        parts.append(sign[:, None] * DECAY**distance)
    return torch.cat(parts, dim=1)


class _Look(torch.autograd.Function):
    """Entries of tables at the addresses that their pins make; see TableLayer."""

    @staticmethod
    def forward(ctx: Any, bits: Tensor, table: Tensor, preference: Tensor, sources: Tensor, slope: Tensor) -> Tensor:
        del preference  # what it decides is in sources; its gradient alone is made here
        count = sources.numel() // len(table)
        small = bits.to(torch.uint8)  # a quarter of the bytes to move
        pins = small.index_select(0, sources).view(len(table), count, -1)
        address = pins[:, 0].clone()
        for pin in range(1, count):
            address |= pins[:, pin] << pin
        address = address.long()
        ctx.save_for_backward(small, table, sources, slope, address)
        return (table >= 0).float().gather(1, address)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        small, table, sources, slope, address = ctx.saved_tensors
        wants_bits, _, wants_preference, *_ = ctx.needs_input_grad
        grad_table = torch.zeros_like(table).scatter_add_(1, address, grad)
        if not (wants_bits or wants_preference):
            return None, grad_table, None, None, None
        count = sources.numel() // len(table)
        slopes = ((table * STRIDE) @ slope).view(len(table), count, -1)
        pins = grad.new_empty(len(table), count, grad.shape[1])
        for pin in range(count):
            torch.mul(slopes[:, pin].gather(1, address), grad, out=pins[:, pin])
        pins = pins.view(sources.numel(), -1)
        grad_bits = grad_preference = None
        if wants_bits:
            grad_bits = grad.new_zeros(small.shape).index_add_(0, sources, pins)
        if wants_preference:  # what each candidate would have done, -1 or +1; bfloat16 is exact for these and fast
            grad_preference = (pins.bfloat16() @ (small.T.bfloat16() * 2 - 1)).float()
        return grad_bits, grad_table, grad_preference, None, None
