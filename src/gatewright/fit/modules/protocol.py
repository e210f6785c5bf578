"""What a trainable layer is: values and their format in, values and their format out, and what compression asks of it.

A new kind of layer is one file with one class: `forward` and `cost`, `groups` where pruning may take its weights, and
those of the other methods whose defaults, those of a layer without parameters, do not suit it. Channels lie on the
last axis of values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gatewright.errors import FitError

if TYPE_CHECKING:
    from gatewright.fit.modules.steps import Steps
    from gatewright.graph.nodes import AnyNode, Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Format:
    """The numbers that values are: multiples of 2**-frac_bits that have so many bits.

    frac_bits, width_bits: () or one per channel, with gradients where they are learnt.
    offset: one per channel, added by whoever reads the values, since they are all so much too low; None for nothing.
    steps: values are its levels, and hardware gives their numbers 0, 1, ... instead.
    """

    frac_bits: Tensor
    width_bits: Tensor
    offset: Tensor | None = None
    steps: Steps | None = None

    @property
    def finest(self) -> Tensor:
        """The most fractional bits of any channel, ()."""
        return self.frac_bits.max() if self.frac_bits.ndim else self.frac_bits


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Weights that pruning may take, as a matrix (units, inputs): a row is what feeds one neuron or filter.

    weight: a view of the parameter, of order one, pruned ones included; mask: a view of the layer's buffer, 1 where a
    weight stays and 0 where it is pruned. A column reads channel (column modulo channels) of the layer before.
    """

    weight: Tensor
    mask: Tensor


class TrainLayer(nn.Module, ABC):
    """One layer of a stack. units: neurons or filters, each a channel of what it gives; 0 for one without weights.

    adds: the layer whose result is added to that of the one before, and this one reads the sum; "" for none.

    `read` is the format of the values that a method gets, None before formats apply: real numbers. What gives sums
    that no grid holds, as the last layer does, returns None for theirs.
    """

    units: int = 0
    adds: str = ""

    @abstractmethod
    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return what the layer makes of values, and its format. x: (n, ..., channels in) -> (n, ..., channels)."""

    @abstractmethod
    def cost(self, read: Format) -> Tensor:
        """Return the LUTs that it takes, (), by the compiler's figures; differentiable where widths are learnt."""

    @abstractmethod
    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return what was learnt as the nodes of a graph, each reading the one before, and the format of the last."""

    def groups(self) -> list[Group]:
        """Return the weights that pruning may take."""
        return []

    def stored(self, *, quantized: bool) -> list[Tensor]:
        """Return its weights as hardware has them, zero where pruned, of any shape; float before formats apply."""
        return []

    def calibrate(self, x: Tensor, read: Format, *, first: bool) -> tuple[Tensor, Format | None]:
        """Choose its formats anew for training inputs x; first: for the first time. Return what forward does."""
        return self(x, read)

    def observe(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Note what `freeze` must know of training inputs x, float64, on the CPU. Return what forward does."""
        y, gives = self(x.float(), read)
        return y.double(), gives

    def clamp(self) -> None:
        """Bring parameters back to where they can learn; called after every step."""

    def refresh(self) -> None:
        """Rebuild what is cached, after a state was loaded."""

    def decayed(self) -> list[nn.Parameter]:
        """Return the parameters that weight decay applies to: weights."""
        return []

    def biases(self) -> list[nn.Parameter]:
        """Return the parameters that it does not apply to."""
        return []

    def widths(self) -> list[nn.Parameter]:
        """Return the fractional bits that are learnt."""
        return []

    def fold_inputs(self, centre: Tensor, gain: Tensor) -> tuple[Tensor, Tensor] | None:
        """Take (x - centre) * gain for x; return what the next layer must take, None where nothing is left.

        centre: one per channel, float64; gain: () or (channels, 1), float32.
        """
        return centre, gain

    def fold_outputs(self, scale: Tensor, shift: Tensor) -> None:
        """Give y * scale + shift for y, each output in an LSB of its own. scale, shift: one per output."""
        raise FitError(
            f"the last layer of a regression must take up the targets' units, but {type(self).__name__} cannot; "
            "end the stack with a dense layer"
        )

    def start(self, weight: Floats, bias: Floats) -> None:
        """Begin with the weights and biases of a trained float layer, whose units are folded in. Shapes as frozen."""
        raise FitError(
            f"{type(self).__name__} cannot start from a trained float layer; start from random weights instead"
        )


def summed(one: Format | None, other: Format | None) -> Format | None:
    """Return the format of exact sums of values of two formats."""
    if one is None or other is None:
        return None
    frac = torch.maximum(one.frac_bits, other.frac_bits)
    whole = torch.maximum(one.width_bits - one.frac_bits, other.width_bits - other.frac_bits)
    return Format(frac_bits=frac, width_bits=whole + frac + 1)


def per_input(values: Tensor, inputs: int) -> Tensor:
    """Return one value per input of a matrix, of values of each channel: input k reads channel (k modulo channels)."""
    if values.ndim == 0:
        return values.expand(inputs)
    return values if len(values) == inputs else values.repeat(inputs // len(values))
