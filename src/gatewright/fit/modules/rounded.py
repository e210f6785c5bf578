"""Layers without weights whose results are rounded to so many bits, with the LSB of least squared error."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from gatewright.fit.device import array
from gatewright.fit.frozen import requantizer
from gatewright.fit.modules.plan import Planned
from gatewright.fit.modules.protocol import Format, TrainLayer
from gatewright.fit.modules.quantizers import GridTensors, fake_quantize, fit_grid, grid_tensors
from gatewright.fixedpoint import Grid
from gatewright.graph.nodes import AnyNode, Combine


class Rounded(TrainLayer):
    """What `results` makes of values, rounded to `bits`; to none where bits is 0, and its format stays what is read.

    signed: whether results may be negative, as before the first layer with weights.
    """

    frac: Tensor

    def __init__(self, plan: Planned, *, bits: int, signed: bool = False) -> None:
        super().__init__()
        self.plan, self.bits, self.signed = plan, bits, signed
        self.register_buffer("frac", torch.zeros((), dtype=torch.int64))
        self._tensors: GridTensors | None = None

    @abstractmethod
    def results(self, x: Tensor) -> Tensor:
        """Return what is rounded, float64 where it is; x: (n, ..., channels)."""

    @abstractmethod
    def node(self, name: str) -> AnyNode:
        """Return the graph's node that computes it."""

    def _grid(self) -> Grid:
        return Grid.uniform(self.bits, int(self.frac), signed=self.signed)

    def _gives(self) -> Format:
        return Format(frac_bits=self.frac, width_bits=torch.tensor(self.bits))

    def refresh(self) -> None:
        """Rebuild the constants of forward() after a format has changed or a checkpoint was read."""
        if self.bits:
            self._tensors = grid_tensors(self._grid(), torch.float64, self.frac.device)

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return the results in a format of their own, or in that which is read."""
        y = self.results(x)
        if not self.bits or read is None:
            return y.to(x.dtype), read
        assert self._tensors is not None, "calibrate() chooses the format"
        return fake_quantize(y, *self._tensors).float(), self._gives()

    def calibrate(self, x: Tensor, read: Format, *, first: bool) -> tuple[Tensor, Format | None]:
        """Choose the LSB by the least squared error. x: (n, ..., channels)."""
        del first
        if self.bits:
            self.frac.fill_(int(fit_grid(array(self.results(x)), self.bits, signed=self.signed).frac_bits))
            self.refresh()
        return self(x, read)

    def cost(self, read: Format) -> Tensor:
        """Return the LUTs of its adders or comparisons: a bit of each channel each, for values come one at a time."""
        return (read.width_bits.float().mean() * self.plan.reads[-1]).to(self.frac.device)

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return the node, and its rounding where there is one."""
        if not self.bits or read is None:
            return [self.node(name)], read
        return [self.node(name), requantizer(f"{name}.act", name, self._grid())], self._gives()


class TrainAdd(Rounded):
    """The sum of what two layers give, which the stack has made: rounded, or where bits is 0 as it is."""

    def __init__(self, plan: Planned, *, bits: int) -> None:
        super().__init__(plan, bits=bits)
        self.adds = plan.adds

    def results(self, x: Tensor) -> Tensor:
        """Return the sums, (n, ..., channels)."""
        return x.double() if self.bits else x

    def node(self, name: str) -> AnyNode:
        """Return the sum; the stack says of what."""
        return Combine(name=name, kind="add")
