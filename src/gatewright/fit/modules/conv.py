"""A trainable convolution of fixed widths over one axis or two: maps in, activations out; a dense layer of windows.

Its weights are a matrix (taps * channels in, filters), channels fastest, so that formats, pruning and folding are those
of a dense layer; a depthwise one has (taps, channels), a filter of its own for each channel.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gatewright.fit.frozen import conv_layer
from gatewright.fit.modules.dense import TrainDense, Widths
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
        super().__init__(n_in, plan.gives[-1], widths=widths, relu=True, generator=generator)
        self.plan, self.taps, self.deep = plan, taps, deep
        if deep:
            self.register_buffer("centre", torch.zeros(plan.reads[-1]))

    def _sums(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the sums of every window: (n, *space, channels in) -> (n, *counts, filters)."""
        plan = self.plan
        signal = len(plan.size) == 1  # as an image of one row
        size, strides, pads = plan.size, plan.strides, plan.pads
        if signal:
            x, size, strides, pads = x.unsqueeze(1), (1, *size), (1, *strides), ((0, 0), *pads)
        kernel = weight.view(*size, -1, self.units).permute(3, 2, 0, 1)
        maps = x.permute(0, 3, 1, 2)
        if any(before != after for before, after in pads):
            maps, around = pad(maps, (*pads[1], *pads[0])), (0, 0)
        else:
            around = (pads[0][0], pads[1][0])
        groups = self.units if self.deep else 1
        y = conv2d(maps, kernel, bias, stride=strides, padding=around, groups=groups).permute(0, 2, 3, 1)
        return y.squeeze(1) if signal else y

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
        plan = self.plan
        kernel = weight.reshape(*plan.size, -1, self.units)
        groups = self.units if self.deep else 1
        return conv_layer(
            name, kernel, bias, strides=plan.strides, pads=plan.pads, groups=groups, stored=stored, then=then
        )
