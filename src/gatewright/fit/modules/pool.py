"""Layers without weights: the greatest value or the mean of windows of a map, and maps read as vectors."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from gatewright.fit.device import array
from gatewright.fit.frozen import requantizer
from gatewright.fit.modules.plan import Planned
from gatewright.fit.modules.protocol import Format, TrainLayer
from gatewright.fit.modules.quantizers import GridTensors, fake_quantize, fit_grid, grid_tensors
from gatewright.fixedpoint import Grid
from gatewright.graph.nodes import AnyNode, Pool, Reshape


class TrainPool(TrainLayer):
    """The greatest value, or the mean rounded to `bits`, of each window: (n, *space, channels) -> (n, *counts, same).

    signed: whether values may be negative, as before the first layer with weights.
    """

    frac: Tensor

    def __init__(self, plan: Planned, *, bits: int, signed: bool) -> None:
        super().__init__()
        self.plan, self.bits, self.signed = plan, bits, signed
        self.mean = "average" in plan.line.kind
        self.register_buffer("frac", torch.zeros((), dtype=torch.int64))
        self._tensors: GridTensors | None = None

    def _grid(self) -> Grid:
        return Grid.uniform(self.bits, int(self.frac), signed=self.signed)

    def refresh(self) -> None:
        """Rebuild the constants of forward() after a format has changed or a checkpoint was read."""
        self._tensors = grid_tensors(self._grid(), torch.float64, self.frac.device)

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return the windows' greatest values in their format, or their means in one of its own."""
        y = self._windows(x)
        if not self.mean or read is None:
            return y.float(), read
        assert self._tensors is not None, "calibrate() chooses the format"
        return fake_quantize(y, *self._tensors).float(), self._gives()

    def _windows(self, x: Tensor) -> Tensor:
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

    def _gives(self) -> Format:
        return Format(frac_bits=self.frac, width_bits=torch.tensor(self.bits))

    def calibrate(self, x: Tensor, read: Format, *, first: bool) -> tuple[Tensor, Format | None]:
        """Choose the means' LSB by the least squared error. x: (n, *space, channels)."""
        del first
        if self.mean:
            self.frac.fill_(int(fit_grid(array(self._windows(x)), self.bits, signed=self.signed).frac_bits))
            self.refresh()
        return self(x, read)

    def cost(self, read: Format) -> Tensor:
        """Return the LUTs of its comparisons, or sums: a bit of each channel each, for values come one at a time."""
        return (read.width_bits.float().mean() * self.plan.reads[-1]).to(self.frac.device)

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return the pool, of means with its rounding."""
        plan, kind = self.plan, "average" if self.mean else "max"
        pool = Pool(name=name, kind=kind, size=plan.size, strides=plan.strides, pads=plan.pads)
        if not self.mean or read is None:
            return [pool], read
        return [pool, requantizer(f"{name}.act", name, self._grid())], self._gives()


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
