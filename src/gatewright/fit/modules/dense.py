"""A trainable dense layer of fixed widths: values in, sums or activations out, made with weights on a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewright.fit.device import array
from gatewright.fit.frozen import dense_layer, relu, steps
from gatewright.fit.modules.learnt_widths import adder_inputs, tree_luts
from gatewright.fit.modules.norm import BatchNorm, fold_norm, no_start
from gatewright.fit.modules.protocol import Format, Group, TrainLayer, per_input
from gatewright.fit.modules.quantizers import covering_grid, fake_quantize, fit_grid, grid_tensors
from gatewright.fit.modules.steps import Steps, step_activation
from gatewright.fixedpoint import Grid
from gatewright.graph.nodes import AnyNode, Floats, Stored

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


class TrainDense(TrainLayer):
    """y = (x - centre) @ w + b with w = gain * weight, or quantized: y = x @ Q(w) + Q(b - centre @ Q(w)).

    weight (n_in, n_out) and bias (n_out,) are what the optimizer sees: of order one, whatever the units of x.
    gain: () or (n_in, 1); bias_gain, bias_shift: units of the output. The affine maps are folded before
    quantization, so that the hardware's first layer reads raw codes. norm: what normalises the sums until formats
    apply, and is folded then; not of the last layer.
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
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.norm = BatchNorm(n_out) if norm else None
        self.units, self.bits, self.relu, self.steps = n_out, widths, relu, steps
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
        self.constants: dict[str, Constants] = {}  # of the grids as they stand: "weight", "activation"
        self._gives: Format | None = None
        self._unit, self._centred = False, False  # what refresh() knows of the affine maps: that they do nothing

    @property
    def even(self) -> bool:
        """Whether weights may be any integer of their width, biases are on their sums' grid, and there are no steps."""
        assert self.bits is not None
        return self.constants["weight"][3] is None and not self.bits.bias and self.steps is None

    def _weight_grid(self) -> Grid:
        """Return the format of the weights as it stands."""
        assert self.bits is not None
        return _grid(self.bits.weight, self.weight_frac, signed=True, digits=self.bits.digits)

    def _activation_grid(self) -> Grid:
        """Return the format of the activations as it stands."""
        assert self.bits is not None
        return _grid(self.bits.activation, self.activation_frac, signed=False)

    def refresh(self) -> None:
        """Rebuild the constants of forward() after a format has changed or a checkpoint was read."""
        if self.bits is None:
            return
        device = self.weight.device
        self._unit = bool((self.gain == 1).all() & (self.bias_gain == 1).all() & (self.bias_shift == 0).all())
        self._centred = not bool(self.centre.any())
        self.constants = {"weight": grid_tensors(self._weight_grid(), torch.float32, device)}
        width = self.bits.activation if self.steps is None else self.steps.width_bits
        if self.relu:
            self.constants["activation"] = grid_tensors(self._activation_grid(), torch.float32, device)
        if self.relu or self.steps is not None:
            self._gives = Format(frac_bits=self.activation_frac, width_bits=torch.tensor(width), steps=self.steps)

    def _fit_weight_grid(self, *, first: bool) -> None:
        """Choose the weights' LSB by the least squared error over the weights that are not pruned.

        Binary and ternary weights keep the first one: clipped to it, they would ask for a smaller one each time.
        """
        assert self.bits is not None
        if self.bits.weight <= FEW_BITS and not first:
            self.refresh()
            return
        w = array(self.weight * self.gain)
        kept = array(self.mask) > 0
        if self.weight_frac.ndim == 0:
            self.weight_frac.fill_(self._best_frac(w[kept]))
        for channel in range(self.weight_frac.numel() if self.weight_frac.ndim else 0):
            self.weight_frac[channel] = self._best_frac(w[kept[:, channel], channel])
        self.refresh()

    def _best_frac(self, w: NDArray[np.float32]) -> int:
        assert self.bits is not None
        return int(fit_grid(w, self.bits.weight, signed=True, digits=self.bits.digits).frac_bits)

    def _fit_activation_grid(self, z: Tensor) -> None:
        """Choose the activations' LSB by the least squared error over ReLU(z)."""
        assert self.bits is not None
        grid = fit_grid(array(z.clamp(min=0.0)), self.bits.activation, signed=False)
        self.activation_frac.fill_(int(grid.frac_bits))
        self.refresh()

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return sums or activations. x: (n, n_in) -> (n, n_out)."""
        weight, bias = self._values(read)
        return self._activate(self._sums(x, weight, bias), quantized=read is not None)

    def _sums(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return x @ weight + bias."""
        return torch.addmm(bias, x, weight)

    def _shift(self, values: Any, weight: Any) -> Any:
        """Return what values, one per input, add to each output; tensors or arrays."""
        return values @ weight

    def _values(self, read: Format | None) -> tuple[Tensor, Tensor]:
        """Return (weight, bias) as the hardware has them, with gradients; float where read is None."""
        weight = self._weight(quantized=read is not None)
        bias = self.bias if self._unit else self.bias * self.bias_gain + self.bias_shift
        if read is not None and read.offset is not None:
            bias = bias + self._shift(read.offset, weight)
        elif not self._centred:
            bias = bias - self._shift(self.centre, weight)
        if read is not None:
            bias = fake_quantize(bias, *self._bias_tensors(bias, read))
        return weight, bias

    def _weight(self, *, quantized: bool) -> Tensor:
        weight = self.weight if self._unit else self.weight * self.gain
        return (fake_quantize(weight, *self.constants["weight"]) if quantized else weight) * self.mask

    def _bias_grid(self, bias: Tensor, read: Format) -> Grid:
        """Return the bias's format: as many bits as configured, at the finest LSB that fits (at most the sum's)."""
        assert self.bits is not None
        finest = array(read.finest).astype(np.int64) + array(self.weight_frac)
        return covering_grid(array(bias.double()), self.bits.bias, finest=finest)

    def _bias_tensors(self, bias: Tensor, read: Format) -> Constants:
        """Return the (scale, lo, hi, levels) of the bias; a width of 0 follows the accumulator and never clips."""
        assert self.bits is not None
        if self.bits.bias:
            return grid_tensors(self._bias_grid(bias, read), torch.float32, bias.device)
        unbounded = _UNBOUNDED.to(bias.device)
        return torch.exp2((self.weight_frac + read.finest).float()), -unbounded, unbounded, None

    def _activate(self, z: Tensor, *, quantized: bool) -> tuple[Tensor, Format | None]:
        """Return ReLU(z), on the activations' grid where quantized; or the steps; or the sums of an output layer."""
        gives = self._gives if quantized else None
        if self.norm is not None and not quantized:
            z = self.norm(z)
        if self.steps is not None:
            return step_activation(z, self.steps, quantized=quantized), gives
        if not self.relu:
            return z, None
        return (fake_quantize(z, *self.constants["activation"]) if quantized else torch.relu(z)), gives

    def cost(self, read: Format) -> Tensor:
        """Return the LUTs of adder trees of the weights as they stand, as learnt widths are costed."""
        integer = self._weight(quantized=True).detach() * self.constants["weight"][0]
        return tree_luts(adder_inputs(integer), per_input(read.width_bits, len(integer)))

    def groups(self) -> list[Group]:
        """Return the weights, turned to (n_out, n_in); units (gain) play no part."""
        return [Group(weight=self.weight.t(), mask=self.mask.t())]

    def stored(self, *, quantized: bool) -> list[Tensor]:
        """Return the weights, (n_in, n_out)."""
        return [self._weight(quantized=quantized)]

    def calibrate(self, x: Tensor, read: Format, *, first: bool) -> tuple[Tensor, Format | None]:
        """Choose the formats of weights, then of activations. x: (n, n_in) -> (n, n_out)."""
        if first and self.norm is not None:
            fold_norm(self.norm, self._sums(x, *self._values(None)), self.weight, self.bias)
        self._fit_weight_grid(first=first)
        weight, bias = self._values(read)
        z = self._sums(x, weight, bias)
        if self.relu:
            self._fit_activation_grid(z)
        return self._activate(z, quantized=True)

    def clamp(self) -> None:
        """Bring weights back to the ends of their formats, so that none is stuck where its gradient is zero."""
        scale, lo, hi, _ = self.constants["weight"]
        if self._unit and scale.ndim == 0 and scale.device.type == "cpu":
            self.weight.clamp_((lo / scale).item(), (hi / scale).item())
            return
        unit = scale * self.gain
        self.weight.copy_(torch.clamp(self.weight, lo / unit, hi / unit))

    def decayed(self) -> list[nn.Parameter]:
        """Return the weights."""
        return [self.weight]

    def biases(self) -> list[nn.Parameter]:
        """Return the biases, and what a norm learns."""
        return [self.bias, *(self.norm.parts() if self.norm else [])]

    def fold_inputs(self, centre: Tensor, gain: Tensor) -> None:
        """Take up the inputs' centre and gain."""
        self.centre.copy_(centre)
        self.gain = gain

    def fold_outputs(self, scale: Tensor, shift: Tensor) -> None:
        """Take up the outputs' units; each output gets an LSB of its own."""
        self.gain, self.bias_gain = self.gain * scale, scale
        self.bias_shift.copy_(shift)
        self.weight_frac = torch.zeros_like(self.bias, dtype=torch.int64)

    def start(self, weight: Floats, bias: Floats) -> None:
        """Begin with given numbers, (n_in, n_out) and (n_out,)."""
        no_start(self.norm)
        wanted, centred = (torch.tensor(v, device=self.mask.device) for v in (weight, bias))
        self.weight.copy_(wanted / self.gain.double())
        centred = centred + self.centre.double() @ wanted
        self.bias.copy_((centred - self.bias_shift.double()) / self.bias_gain.double())

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return the layer: its numbers on their grids, affine maps folded."""
        if read is None:
            weight = _float64(self.weight) * _float64(self.gain) * _float64(self.mask)
            bias = _float64(self.bias) * _float64(self.bias_gain) + _float64(self.bias_shift)
            bias = bias - self._shift(_float64(self.centre), weight)
            if self.norm is not None:
                scale, shift = map(array, self.norm.affine())
                weight, bias = weight * scale, bias * scale + shift
            return self._nodes(name, weight, bias, None, relu(name, None) if self.relu else []), None
        assert self.bits is not None
        weight_t, bias_t = self._values(read)
        weight, bias, grid = _float64(weight_t), _float64(bias_t), self._weight_grid()
        stored = Stored(weight=grid, bias=self._bias_grid(bias_t, read) if self.bits.bias > 0 else None)
        if read.steps is not None:
            weight, bias, stored = _reading_counts(weight, bias, grid, read.steps)
        then = relu(name, self._activation_grid()) if self.relu else []
        if self.steps is not None:
            then = steps(name, self.steps.thresholds)
        return self._nodes(name, weight, bias, stored, then), self._gives

    def _nodes(
        self, name: str, weight: Floats, bias: Floats, stored: Stored | None, then: list[AnyNode]
    ) -> list[AnyNode]:
        """Return the layer of these numbers and what follows it."""
        return dense_layer(name, weight, bias, stored=stored, then=then)


def _reading_counts(weight: Floats, bias: Floats, grid: Grid, before: Steps) -> tuple[Floats, Floats, Stored]:
    """Return numbers that give for counts what the given ones give for lo + step * counts, biases off their grid."""
    finer = replace(grid, frac_bits=grid.frac_bits - (before.step.bit_length() - 1))
    return weight * before.step, bias + before.lo * weight.sum(axis=0), Stored(weight=finer)


def _grid(width_bits: int, frac_bits: Tensor, *, signed: bool, digits: int = 0) -> Grid:
    return Grid(width_bits=np.array(width_bits), frac_bits=array(frac_bits), signed=signed, digits=digits)


def _float64(value: Tensor) -> NDArray[np.float64]:
    return array(value.double())
