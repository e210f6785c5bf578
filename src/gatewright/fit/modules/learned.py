"""Trainable dense layers whose bit widths are learnt too: values in, values and a hardware cost out.

Every weight, every activation and every input feature has its own number of fractional bits, or those of a neuron or a
layer share one: a real number that is rounded in the forward pass and trains by straight-through gradients
(fit/modules/learnt_widths.py); a width of 0 bits prunes. Beyond Sun et al. 2024, a weight's bits also have a gradient
to its magnitude, which draws superfluous weights to zero, and the cost is LUTs of adder trees, fitted to compiled
networks.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from gatewright.config import Granularity
from gatewright.fit.frozen import cut, dense_layer, relu
from gatewright.fit.modules.learnt_widths import (
    FADE,
    AdderInputs,
    BiasOnGrid,
    CutInputs,
    ReachedBits,
    RoundedActivation,
    RoundedWeight,
    bias_on_grid,
    cut_of,
    greatest,
    tree_luts,
    whole,
    whole_bits,
)
from gatewright.fit.modules.norm import BatchNorm, fold_norm, no_start
from gatewright.fit.modules.protocol import Format, TrainLayer, per_input
from gatewright.fixedpoint import Fixed, Grid, frac_bits
from gatewright.graph.nodes import AnyNode, Floats, Stored

START_BITS = 4.0  # bits below a typical magnitude with which widths start


class LearnedRead(TrainLayer):
    """The leading bits of each feature: the first layer. feature_widths: their fractional bits, one or one for all."""

    feature_widths: Tensor
    centre: Tensor
    share: Tensor | None

    def __init__(self, features: int, *, source: Fixed, shared: bool) -> None:
        super().__init__()
        self.source = source
        self.feature_widths = nn.Parameter(torch.full((1 if shared else features,), float(source.frac_bits)))
        self.register_buffer("share", torch.zeros(features, dtype=torch.int64) if shared else None, persistent=False)
        self.register_buffer("centre", torch.zeros(features))

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return the features' leading bits. (n, ..., features), same out."""
        if read is None:
            return x, None
        frac, width = self.source.frac_bits, self.source.width_bits
        rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])  # of a map, a channel is a feature
        h, *format_of = CutInputs.apply(rows, shared_by(self.feature_widths, self.share), self.centre, frac, width)
        return h.view(x.shape), Format(width_bits=format_of[0], frac_bits=format_of[1], offset=format_of[2])

    def cost(self, read: Format) -> Tensor:
        """Return nothing: bits that are not read take no logic."""
        return self.centre.new_zeros(())

    def calibrate(self, x: Tensor, read: Format, *, first: bool) -> tuple[Tensor, Format | None]:
        """Leave the widths as they are: all bits are read at first. Return what forward does, but all bits of x."""
        return x, self(x, read)[1]

    def observe(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return what forward does, in float64. x: (n, features) on the CPU."""
        if read is None:
            return x, None
        gives = self._gives()
        scale = 2.0 ** gives.frac_bits.double()
        return torch.floor(x * scale) / scale * (gives.width_bits > 0), gives

    def _gives(self) -> Format:
        widths = shared_by(self.feature_widths, self.share).cpu()
        bits, frac, offset = cut_of(widths, self.centre.cpu(), self.source.frac_bits, self.source.width_bits)
        return Format(width_bits=bits, frac_bits=frac, offset=offset)

    def widths(self) -> list[nn.Parameter]:
        """Return the features' widths."""
        return [p for p in (self.feature_widths,) if isinstance(p, nn.Parameter)]

    def fold_inputs(self, centre: Tensor, gain: Tensor) -> tuple[Tensor, Tensor] | None:
        """Note the centre, which is what a feature that is not read counts as; the next layer takes both."""
        self.centre.copy_(centre)
        return centre, gain

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return what reads the leading bits of each feature."""
        if read is None:
            return [], None
        gives = self._gives()
        return cut(self.source, [int(bits) for bits in gives.width_bits]), gives


class LearnedDense(TrainLayer):
    """y = x @ w + b with w = gain * weight, then ReLU and rounding where `relu`; w and y in learnt widths.

    weight (n_in, n_out) and bias (n_out,) are what the optimizer sees: of order one, whatever the units of x.
    weight_widths, activation_widths: fractional bits, in units of the values; weight_share, activation_share: which of
    them each weight and activation has, None for one each. top: greatest activations seen lately.
    granularity: "weight": each weight and activation has a width of its own; "channel": a neuron's weights share one;
    "tensor": the layer's weights share one, and so do its activations.
    gain: () or (n_in, 1); bias_gain, bias_shift: units of the output; centre: (n_in,), subtracted from x, or None.
    wrap: frozen activations beyond what training inputs reach return modulo their range, instead of stopping there.
    norm: as of TrainDense.
    """

    weight: Tensor
    bias: Tensor
    weight_widths: Tensor
    activation_widths: Tensor
    weight_share: Tensor | None
    activation_share: Tensor | None
    top: Tensor
    centre: Tensor | None
    gain: Tensor
    bias_gain: Tensor
    bias_shift: Tensor

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        relu: bool,
        generator: torch.Generator,
        granularity: Granularity = "weight",
        wrap: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.norm = BatchNorm(n_out) if norm else None
        self.units, self.relu, self.wrap = n_out, relu, wrap
        std = (2.0 / n_in) ** 0.5 if relu else (1.0 / n_in) ** 0.5
        self.weight = nn.Parameter(torch.randn(n_in, n_out, generator=generator) * std)
        self.bias = nn.Parameter(torch.zeros(n_out))
        weight_share, activation_share = None, None
        if granularity != "weight":
            each = torch.arange(n_out) if granularity == "channel" else torch.zeros(n_out, dtype=torch.int64)
            weight_share = each.expand(n_in, n_out).contiguous()
        if granularity == "tensor" and relu:
            activation_share = torch.zeros(n_out, dtype=torch.int64)
        self.register_buffer("weight_share", weight_share, persistent=False)
        self.register_buffer("activation_share", activation_share, persistent=False)
        self.weight_widths = nn.Parameter(_width_of_each(weight_share, (n_in, n_out)))
        self.activation_widths = nn.Parameter(_width_of_each(activation_share, (n_out if relu else 0,)))
        self.register_buffer("top", torch.zeros(n_out if relu else 0))
        self.register_buffer("centre", None)
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("bias_gain", torch.ones(()))
        self.register_buffer("bias_shift", torch.zeros(n_out))
        self.reach: Tensor | None = None  # greatest integer activations that `observe` saw

    def forward(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Return sums or activations. x: (n, n_in) -> (n, n_out), or maps."""
        if read is None:
            z = self._float_sums(x) if self.norm is None else self.norm(self._float_sums(x))
            return (torch.relu(z) if self.relu else z), None
        fracs = shared_by(self.weight_widths, self.weight_share)
        weight = RoundedWeight.apply(self.weight * self.gain, fracs)
        bias = self.bias * self.bias_gain + self.bias_shift
        if (offset := self._offset(read)) is not None:
            bias = bias + per_input(offset, len(weight)) @ weight
        activation = whole(self._activation_fracs().detach()) if self.relu else None
        read_frac = per_input(read.frac_bits, len(weight))
        bias = BiasOnGrid.apply(bias, weight.detach(), whole(fracs.detach()), read_frac, activation)
        z = self._sums(x, weight, bias)
        if not self.relu:
            return z, None
        rows = z if z.ndim == 2 else z.reshape(-1, self.units)
        if self.training:
            torch.maximum(self.top.mul_(FADE), greatest(rows.detach()), out=self.top)
        return RoundedActivation.apply(rows, self._activation_fracs()).view(z.shape), self._gives()

    def _sums(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return x @ weight + bias."""
        return torch.addmm(bias, x, weight)

    def _float_sums(self, x: Tensor) -> Tensor:
        h = x if self.centre is None else x - self.centre
        return self._sums(h, self.weight * self.gain, self.bias * self.bias_gain + self.bias_shift)

    def _activation_fracs(self) -> Tensor:
        return shared_by(self.activation_widths, self.activation_share)

    def _offset(self, read: Format) -> Tensor | None:
        if read.offset is not None or self.centre is None:
            return read.offset
        return -self.centre

    def _gives(self) -> Format:
        fracs = self._activation_fracs()
        return Format(frac_bits=whole(fracs.detach()), width_bits=ReachedBits.apply(self.top, fracs))

    def cost(self, read: Format) -> Tensor:
        """Return LUT_PER_BIT times, over all weights, adder inputs times (bits read + GROWTH_BITS)."""
        fracs = shared_by(self.weight_widths, self.weight_share)
        weight = RoundedWeight.apply(self.weight * self.gain, fracs)
        return tree_luts(AdderInputs.apply(weight, fracs), per_input(read.width_bits, len(weight)))

    def stored(self, *, quantized: bool) -> list[Tensor]:
        """Return the weights, rounded where quantized, (n_in, n_out)."""
        weight = self.weight * self.gain
        if not quantized:
            return [weight]
        return [RoundedWeight.apply(weight, shared_by(self.weight_widths, self.weight_share))]

    def calibrate(self, x: Tensor, read: Format, *, first: bool) -> tuple[Tensor, Format | None]:
        """At first, choose widths START_BITS below typical values. Return float activations, and their format."""
        if not first:
            return self(x, read)
        if self.norm is not None:
            fold_norm(self.norm, self._float_sums(x), self.weight, self.bias)
        typical = self.weight.square().mean().sqrt() * self.gain.expand(self.weight.shape)
        _share_out(self.weight_widths, self.weight_share, START_BITS - torch.log2(typical))
        z = self._float_sums(x)
        if not self.relu:
            return z, None
        h = torch.relu(z)
        self.top.copy_(h.reshape(-1, self.units).amax(dim=0))
        typical = h.square().mean().sqrt().clamp(min=1e-6)
        start = torch.full_like(self.top, START_BITS - float(torch.log2(typical)))
        _share_out(self.activation_widths, self.activation_share, start)
        return h, self._gives()

    def biases(self) -> list[nn.Parameter]:
        """Return weights, biases and what a norm learns: none decays, their cost draws weights to zero."""
        norm = self.norm.parts() if self.norm else []
        return [p for p in (self.weight, self.bias, *norm) if isinstance(p, nn.Parameter)]

    def widths(self) -> list[nn.Parameter]:
        """Return the widths of weights and activations."""
        return [p for p in (self.weight_widths, self.activation_widths) if isinstance(p, nn.Parameter)]

    def fold_inputs(self, centre: Tensor, gain: Tensor) -> None:
        """Take up the inputs' centre and gain."""
        self.centre, self.gain = centre.to(self.gain.dtype), gain

    def fold_outputs(self, scale: Tensor, shift: Tensor) -> None:
        """Take up the outputs' units; every weight has an LSB of its own anyway."""
        self.gain, self.bias_gain = self.gain * scale, scale
        self.bias_shift.copy_(shift)

    def start(self, weight: Floats, bias: Floats) -> None:
        """Begin with given numbers, (n_in, n_out) and (n_out,)."""
        no_start(self.norm)
        wanted, centred = (torch.tensor(v, device=self.gain.device) for v in (weight, bias))
        self.weight.copy_(wanted / self.gain.double())
        if self.centre is not None:
            centred = centred + self.centre.double() @ wanted
        self.bias.copy_((centred - self.bias_shift.double()) / self.bias_gain.double())

    def observe(self, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
        """Note the greatest integer of each activation. x: (n, n_in), float64, on the CPU -> (n, n_out)."""
        if read is None:
            return super().observe(x, read)
        weight, bias = self._exact(read)
        z = self._sums(x, weight, bias)
        if not self.relu:
            return z, None
        frac = whole(self._activation_fracs()).cpu()
        scale = 2.0 ** frac.double()
        h = torch.floor(z.clamp(min=0.0) * scale + 0.5)
        top = h.reshape(-1, self.units).amax(dim=0)
        self.reach = top if self.reach is None else torch.maximum(self.reach, top)
        return h / scale, Format(frac_bits=frac, width_bits=whole_bits(self.reach))

    def _exact(self, read: Format) -> tuple[Tensor, Tensor]:
        """Return weights and biases as they are frozen, in float64, on the CPU."""
        fracs = shared_by(self.weight_widths, self.weight_share).cpu()
        weight = RoundedWeight.apply((self.weight * self.gain).cpu(), fracs)
        bias = (self.bias * self.bias_gain + self.bias_shift).cpu().double()
        if (offset := self._offset(read)) is not None:
            bias = bias + per_input(offset.cpu().double(), len(weight)) @ weight.double()
        activation = whole(self._activation_fracs()).cpu() if self.relu else None
        read_frac = per_input(read.frac_bits, len(weight))
        return weight.double(), bias_on_grid(bias, weight, whole(fracs), read_frac, activation)

    def freeze(self, name: str, read: Format | None) -> tuple[list[AnyNode], Format | None]:
        """Return the layer; its activations hold what `observe` saw."""
        if read is None:
            weight, bias = (self.weight * self.gain).cpu().double(), self.bias * self.bias_gain + self.bias_shift
            shift = 0.0 if self.centre is None else self.centre.cpu().double() @ weight
            bias64 = bias.cpu().double() - shift
            if self.norm is not None:
                scale, more = (part.cpu() for part in self.norm.affine())
                weight, bias64 = weight * scale, bias64 * scale + more
            then = relu(name, None) if self.relu else []
            return self._nodes(name, weight.numpy(), bias64.numpy(), None, then), None
        weight, bias = self._exact(read)
        weight = weight * (per_input(read.width_bits, len(weight)) > 0)[:, None]
        then, gives = list[AnyNode](), None
        if self.relu:
            assert self.reach is not None, "freeze needs training inputs"
            frac = whole(self._activation_fracs()).cpu()
            grid = _activation_grid(self.reach.numpy(), frac.numpy(), wrap=self.wrap)
            then, gives = relu(name, grid), Format(frac_bits=frac, width_bits=torch.tensor(grid.width_bits))
        self.reach = None
        stored = Stored(weight=_tight_grid(weight.numpy()), bias=_tight_grid(bias.numpy()))
        return self._nodes(name, weight.numpy(), bias.numpy(), stored, then), gives

    def _nodes(
        self, name: str, weight: Floats, bias: Floats, stored: Stored | None, then: list[AnyNode]
    ) -> list[AnyNode]:
        """Return the layer of these numbers and what follows it."""
        return dense_layer(name, weight, bias, stored=stored, then=then)


def shared_by(widths: Tensor, share: Tensor | None) -> Tensor:
    """Return the width of each number: widths themselves, or those of which `share` says who has which."""
    return widths if share is None else widths[share]


def _width_of_each(share: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    """Return a width for each number of a shape, or for each that they share."""
    return torch.zeros(shape if share is None else int(share.max()) + 1)


def _share_out(widths: Tensor, share: Tensor | None, wanted: Tensor) -> None:
    """Set widths to what each number wants, or to the mean of those that share one."""
    if share is None:
        widths.copy_(wanted)
        return
    flat = share.flatten()
    widths.zero_().index_add_(0, flat, wanted.flatten()).div_(flat.bincount())


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
