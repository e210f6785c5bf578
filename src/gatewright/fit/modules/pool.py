"""Layers without weights: the greatest value or the mean of windows of a map, and maps read as vectors."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from gatewright.fit.modules.plan import Planned
from gatewright.fit.modules.protocol import Format, TrainLayer
from gatewright.fit.modules.rounded import Rounded
from gatewright.graph.nodes import AnyNode, Pool, Reshape


class TrainPool(Rounded):
    """The greatest value, or the mean rounded to `bits`, of each window: (n, *space, channels) -> (n, *counts, same).

    signed: whether values may be negative, as before the first layer with weights.
    """

    def __init__(self, plan: Planned, *, bits: int, signed: bool) -> None:
        mean = "average" in plan.line.kind
        super().__init__(plan, bits=bits if mean else 0, signed=signed)
        self.mean = mean

    def results(self, x: Tensor) -> Tensor:
        """Return what each window gives, means in float64: exact sums times 1 / count, as the frozen graph has them."""
        size, strides = self.plan.size, self.plan.strides
        signal = len(size) == 1
        maps = (x.unsqueeze(1) if signal else x).permute(0, 3, 1, 2)
        if signal:
            size, strides = (1, *size), (1, *strides)
        if self.mean:
            y = avg_pool2d(maps, size, strides, divisor_override=1).double() * (1.0 / prod(size))
        else:
            y = max_pool2d(maps, size, strides)
        y = y.permute(0, 2, 3, 1)
        return y.squeeze(1) if signal else y

    def node(self, name: str) -> AnyNode:
        """Return the pool."""
        plan, kind = self.plan, "average" if self.mean else "max"
        return Pool(name=name, kind=kind, size=plan.size, strides=plan.strides, pads=plan.pads)


class TrainFlatten(TrainLayer):
    """Maps as vectors, row-major: (n, *space, channels) -> (n, elements). The elements keep their formats."""

    def __init__(self, plan: Planned) -> None:
        super().__init__()
        self.plan = plan
        self.places = prod(plan.reads[:-1])

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return the values in a row."""
        return x.flatten(1), read

    def cost(self, read: Format) -> Tensor:
        """Return 0: wires."""
        return torch.zeros((), device=read.frac_bits.device)

    def fold_inputs(self, centre: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        """Return the channels' centre and gain at every place."""
        return centre.repeat(self.places), gain.repeat(self.places, 1) if gain.ndim else gain

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return the reshape; none where the values are vectors already."""
        flat = len(self.plan.reads) == 1
        return ([] if flat else [Reshape(name=name, shape=self.plan.gives)]), read
