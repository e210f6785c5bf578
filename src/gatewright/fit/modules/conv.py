"""Trainable convolutions over one axis or two, of fixed widths and learnt: maps in, activations out; layers of windows.

Its weights are a matrix (taps * channels in, filters), channels fastest, so that formats, pruning and folding are those
of a dense layer; a depthwise one has (taps, channels), a filter of its own for each channel.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gatewright.config import Granularity
from gatewright.fit.frozen import conv_layer
from gatewright.fit.modules.dense import TrainDense, Widths
from gatewright.fit.modules.learned import LearnedDense
from gatewright.fit.modules.plan import Planned
from gatewright.graph.nodes import AnyNode, Floats, Stored


class TrainConv(TrainDense):
    """y = relu(window @ w + b) for each window of a map (n, [height,] width, channels); see TrainDense for the rest.

    What lies outside the map counts as 0, before the inputs' centre is subtracted and after: the centre is folded into
    the bias, so that the first layer, too, pads the hardware's codes with zeros.
    """

    def __init__(self, plan: Planned, *, widths: Widths | None, generator: torch.Generator) -> None:
        taps, deep = prod(plan.size), plan.line.kind == "depthwise"
        n_in = taps if deep else taps * plan.reads[-1]
        super().__init__(n_in, plan.gives[-1], widths=widths, relu=True, generator=generator, norm=plan.line.norm)
        self.plan, self.taps, self.deep = plan, taps, deep
        if deep:
            self.register_buffer("centre", torch.zeros(plan.reads[-1]))

    def _sums(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the sums of every window: (n, *space, channels in) -> (n, *counts, filters)."""
        return window_sums(x, weight, bias, self.plan)

    def _shift(self, values: Any, weight: Any) -> Any:
        """Return what windows of these values, one per channel, add to each filter."""
        return values * weight.sum(0) if self.deep else super()._shift(values, weight)

    def fold_inputs(self, centre: Tensor, gain: Tensor) -> None:
        """Take up the channels' centre and gain, at every tap alike."""
        if self.deep:
            super().fold_inputs(centre, gain.reshape(1, -1) if gain.ndim else gain)
        else:
            super().fold_inputs(centre.repeat(self.taps), gain.repeat(self.taps, 1) if gain.ndim else gain)

    def _nodes(
        self, name: str, weight: Floats, bias: Floats, stored: Stored | None, then: list[AnyNode]
    ) -> list[AnyNode]:
        return window_nodes(name, weight, bias, stored, then, self.plan)


class LearnedConv(LearnedDense):
    """A convolution of learnt widths: of every weight, and of every filter's activations; see LearnedDense.

    Its cost is that of one window's sums, which a stream's unit computes for all windows one after the other.
    """

    def __init__(
        self, plan: Planned, *, granularity: Granularity = "weight", wrap: bool = False, generator: torch.Generator
    ) -> None:
        n_in, n_out = prod(plan.size) * plan.reads[-1], plan.gives[-1]
        super().__init__(
            n_in,
            n_out,
            relu=True,
            granularity=granularity,
            wrap=wrap,
            generator=generator,
            norm=plan.line.norm,
        )
        self.plan = plan

    def _sums(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the sums of every window: (n, *space, channels in) -> (n, *counts, filters)."""
        return window_sums(x, weight, bias, self.plan)

    def _float_sums(self, x: Tensor) -> Tensor:
        weight, bias = self.weight * self.gain, self.bias * self.bias_gain + self.bias_shift
        return self._sums(x, weight, bias if self.centre is None else bias - self.centre @ weight)

    def fold_inputs(self, centre: Tensor, gain: Tensor) -> None:
        """Take up the channels' centre and gain, at every tap alike."""
        taps = prod(self.plan.size)
        super().fold_inputs(centre.repeat(taps), gain.repeat(taps, 1) if gain.ndim else gain)

    def _nodes(
        self, name: str, weight: Floats, bias: Floats, stored: Stored | None, then: list[AnyNode]
    ) -> list[AnyNode]:
        return window_nodes(name, weight, bias, stored, then, self.plan)


def window_sums(x: Tensor, weight: Tensor, bias: Tensor, plan: Planned) -> Tensor:
    """Return the sums of every window of maps: (n, *space, channels in) -> (n, *counts, filters).

    weight: (taps * channels in, filters), of a depthwise layer (taps, channels); bias: (filters,).
    """
    signal = len(plan.size) == 1  # as an image of one row
    size, strides, pads = plan.size, plan.strides, plan.pads
    if signal:
        x, size, strides, pads = x.unsqueeze(1), (1, *size), (1, *strides), ((0, 0), *pads)
    filters = weight.shape[1]
    kernel = weight.reshape(*size, -1, filters).permute(3, 2, 0, 1)
    maps = x.permute(0, 3, 1, 2)
    if any(before != after for before, after in pads):
        maps, around = pad(maps, (*pads[1], *pads[0])), (0, 0)
    else:
        around = (pads[0][0], pads[1][0])
    y = conv2d(maps, kernel, bias, stride=strides, padding=around, groups=_groups(plan)).permute(0, 2, 3, 1)
    return y.squeeze(1) if signal else y


def window_nodes(
    name: str, weight: Floats, bias: Floats, stored: Stored | None, then: list[AnyNode], plan: Planned
) -> list[AnyNode]:
    """Return the frozen convolution of a matrix of weights, and what follows it."""
    shape = (*plan.size, -1, weight.shape[1])
    if stored is not None and stored.weight is not None and stored.weight.frac_bits.ndim > 1:
        grid = stored.weight
        parts = {"width_bits": grid.width_bits.reshape(shape), "frac_bits": grid.frac_bits.reshape(shape)}
        stored = replace(stored, weight=replace(grid, **parts))
    return conv_layer(
        name,
        weight.reshape(shape),
        bias,
        strides=plan.strides,
        pads=plan.pads,
        groups=_groups(plan),
        stored=stored,
        then=then,
    )


def _groups(plan: Planned) -> int:
    return plan.gives[-1] if plan.line.kind == "depthwise" else 1
