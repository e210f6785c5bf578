"""Trainable layers in; a network of them that trains, is pruned, costed and frozen out, whatever their kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gatewright.fit.dead import remove_dead
from gatewright.fit.frozen import frozen_graph
from gatewright.fit.modules.fixed_step import FixedStep
from gatewright.fit.modules.protocol import Format, Group, TrainLayer, summed
from gatewright.fit.start import float_layers
from gatewright.fixedpoint import Fixed
from gatewright.graph import Graph
from gatewright.graph.nodes import AnyNode

if TYPE_CHECKING:
    from gatewright.fit.modules.packed import Packed

CHUNK = 8192  # samples observed at once


class Stack(nn.Module):
    """Layers in a row, by name; sums may jump over some of them.

    quantizing: whether formats are applied (a float warm-up comes first).
    Hidden layers are those with units but the last. packed: holds the layers' numbers, lends them, and knows a fused
    step that takes the place of the walk from layer to layer; it computes the same.
    shrinkage: weight of the penalty that comes before pruning; goal: sparsity that a budget asks for. They are the
    recipe's, and kept here so that a checkpoint holds them. chunk: samples that are evaluated at once, 0 for all.
    shape: of a sample as the first layer reads it, row-major in (n, features) and channels last; () for a vector.
    """

    shrinkage: Tensor
    goal: Tensor
    projection: nn.Parameter | None
    offset: nn.Parameter | None

    def __init__(
        self,
        layers: Mapping[str, TrainLayer],
        *,
        source: Fixed,
        dropout: float,
        generator: torch.Generator,
        quantizing: bool = False,
        chunk: int = 0,
        packed: Packed | None = None,
        shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.shape = shape
        self.source, self.generator, self.dropout = source, generator, dropout
        self.quantizing, self.chunk = quantizing, chunk
        self.projection = self.offset = None
        self.register_buffer("shrinkage", torch.zeros(()))
        self.register_buffer("goal", torch.zeros((), dtype=torch.float64))
        self.layers = list(layers.values())
        self.names = tuple(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.weighted = [layer for layer in self.layers if layer.units]
        self._added = {layer.adds for layer in self.layers}
        self._reads = Format(frac_bits=torch.tensor(source.frac_bits), width_bits=torch.tensor(source.width_bits))
        self.packed = packed
        self._by_hand: FixedStep | None = None

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.shrinkage.device

    @property
    def hidden_units(self) -> list[int]:
        """Neurons or filters of each hidden layer."""
        return [layer.units for layer in self.weighted[:-1]]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for input values x = codes * 2**-frac: (n, features) -> (n, outputs)."""
        if self.packed is not None:
            return self.outputs_and_cost(x)[0]
        if self.chunk and not self.training:
            return torch.cat([self.with_hidden(part)[0] for part in x.split(self.chunk)])
        return self.with_hidden(x)[0]

    def outputs_and_cost(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs and the cost in LUTs, differentiable where widths are learnt; 0 before formats apply."""
        if self.packed is None:
            return self.walk(x)
        thins = self.training and self.dropout
        kept = [self._kept((len(x), units)) for units in self.hidden_units] if thins else None
        return self.packed.step(x, kept) if self.quantizing else self.packed.floats(x, kept)

    def by_hand(self) -> FixedStep | None:
        """Return the step that gives outputs and gradients without autograd; None where only autograd knows them.

        On processors, where calls cost more than arithmetic.
        """
        known = self.packed is None and self.quantizing and self.training and not self.dropout
        if not known or self.device.type != "cpu":
            return None
        if self._by_hand is None:
            self._by_hand = FixedStep.of(self.layers, self._reads)
        return self._by_hand

    def walk(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs and the cost, layer by layer; see outputs_and_cost, which may know a faster way."""
        costs: list[Tensor] = []
        outputs, _ = self._walked(x, costs if self.quantizing else None)
        return outputs, sum(costs, x.new_zeros(()))

    def with_hidden(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the outputs, and the activations of every hidden layer (before dropout), (n, ..., units) each."""
        return self._walked(x, None)

    def _walked(self, x: Tensor, costs: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        self._lend()
        hidden: list[Tensor] = []

        def visit(layer: TrainLayer, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
            if costs is not None and read is not None:
                costs.append(layer.cost(read))
            x, read = layer(x, read)
            if layer.units and layer is not self.weighted[-1]:
                hidden.append(x)
                if self.training and self.dropout:
                    x = x * self._kept(x.shape) if self.packed else x * self._drawn(x.shape) / (1.0 - self.dropout)
            return x, read

        return self._each(self._shaped(x), self._reads if self.quantizing else None, visit), hidden

    def _each(
        self,
        x: Tensor,
        read: Format | None,
        visit: Callable[[TrainLayer, Tensor, Format | None], tuple[Tensor, Format | None]],
    ) -> Tensor:
        """Return what the last layer makes of x where `visit` says what each does; sums are made between visits."""
        kept: dict[str, tuple[Tensor, Format | None]] = {}
        for name, layer in zip(self.names, self.layers, strict=True):
            if layer.adds:
                other, its = kept[layer.adds]
                x, read = x + other, summed(read, its)
            x, read = visit(layer, x, read)
            if name in self._added:
                kept[name] = x, read
        return x

    def _drawn(self, shape: Sequence[int]) -> Tensor:
        """Return which activations dropout keeps, 1 or 0."""
        return torch.empty(shape).bernoulli_(1.0 - self.dropout, generator=self.generator).to(self.device)

    def _kept(self, shape: Sequence[int]) -> Tensor:
        """Return what the fused step multiplies activations by, instead of a division of each: rounded once."""
        return self._drawn(shape).div_(1.0 - self.dropout)

    def add_projection(self, n_in: int, n_out: int) -> None:
        """Add the parameters that map one hidden layer to a teacher's features; they are dropped when it freezes."""
        start = torch.randn(n_in, n_out, generator=self.generator).to(self.device) / n_in**0.5
        self.projection, self.offset = nn.Parameter(start), nn.Parameter(torch.zeros_like(start[0]))

    def project(self, hidden: Tensor) -> Tensor:
        """Return what the projection makes of hidden activations. (n, width) -> (n, features)."""
        assert self.projection is not None
        assert self.offset is not None
        return torch.addmm(self.offset, hidden, self.projection)

    def decayed(self) -> list[nn.Parameter]:
        """Return the parameters that weight decay applies to: weights; none where they lie packed with biases."""
        extra = [] if self.projection is None else [self.projection]
        return [*(p for layer in self.layers if self.packed is None for p in layer.decayed()), *extra]

    def biases(self) -> list[nn.Parameter]:
        """Return the parameters that it does not apply to."""
        own = [p for layer in self.layers for p in layer.biases()] if self.packed is None else [self.packed.numbers]
        return own if self.offset is None else [*own, self.offset]

    def widths(self) -> list[nn.Parameter]:
        """Return the fractional bits that are learnt."""
        if self.packed is not None:
            return [self.packed.widths]
        return [p for layer in self.layers for p in layer.widths()]

    def refresh(self) -> None:
        """Rebuild the layers' constants after a state was loaded."""
        self._by_hand = None
        if self.packed is not None:
            self.packed.refresh()
        for layer in self.layers:
            layer.refresh()

    @torch.no_grad()
    def fold_inputs(self, centre: Tensor, gain: Tensor) -> None:
        """Let the first layers read (x - centre) * gain. centre: (channels,), float64; gain: () or (channels, 1).

        The channels of a vector are its features.
        """
        left: tuple[Tensor, Tensor] | None = centre, gain
        for layer in self.layers:
            if left is not None:
                left = layer.fold_inputs(*left)

    @torch.no_grad()
    def fold_outputs(self, scale: Tensor, shift: Tensor) -> None:
        """Let the last layer give y * scale + shift. scale, shift: (outputs,)."""
        self.layers[-1].fold_outputs(scale, shift)

    @torch.no_grad()
    def start_from(self, graph: Graph) -> None:
        """Begin with the weights and biases of a float graph of the same dense layers; units are folded already."""
        self._lend()
        for layer, given in zip(self.weighted, float_layers(graph), strict=True):
            layer.start(given.weight, given.bias)

    def groups(self) -> list[Group]:
        """Return the weights that pruning may take, in the order of the layers."""
        return [group for layer in self.layers for group in layer.groups()]

    @torch.no_grad()
    def calibrate(self, x: Tensor, *, first: bool) -> None:
        """Choose every format anew on training inputs x, (n, features), and apply them; first: for the first time."""
        self.quantizing = True
        self.refresh()
        self._lend()

        def visit(layer: TrainLayer, x: Tensor, read: Format | None) -> tuple[Tensor, Format | None]:
            assert read is not None, "a layer reads the sums of another"
            return layer.calibrate(x, read, first=first)

        self._each(self._shaped(x), self._reads, visit)

    @torch.no_grad()
    def clamp(self) -> None:
        """Bring parameters back to where they can learn."""
        if self._by_hand is not None:
            self._by_hand.clamp()
            return
        for layer in self.layers:
            layer.clamp()

    @torch.no_grad()
    def sparsity(self) -> float:
        """Return the share of weights that are zero as hardware has them (pruned ones only, before formats apply)."""
        self._lend()
        weights = [part for layer in self.layers for part in layer.stored(quantized=self.quantizing)]
        return 1.0 - sum(int(part.count_nonzero()) for part in weights) / sum(part.numel() for part in weights)

    @torch.no_grad()
    def freeze(self, *, classes: tuple[str, ...], x: Tensor | None = None) -> Graph:
        """Return what was learnt: numbers on their grids, affine maps folded, dead neurons emptied.

        x: training inputs, on the CPU, needed where widths are learnt: activations hold every value that they reach.
        """
        self._lend()
        start = self._reads if self.quantizing else None
        for part in () if x is None else x.split(CHUNK):
            self._each(self._shaped(part.double()), start, lambda layer, x, read: layer.observe(x, read))
        layers, read, last = list[list[AnyNode]](), start, ""
        ends: dict[str, tuple[str, Format | None]] = {}
        for name, layer in zip(self.names, self.layers, strict=True):
            if layer.adds:
                read = summed(read, ends[layer.adds][1])
            nodes, read = layer.freeze(name, read)
            if layer.adds:
                nodes[0] = replace(nodes[0], sources=(last, ends[layer.adds][0]))
            layers.append(nodes)
            last = nodes[-1].name if nodes else last
            ends[name] = last, read
        graph = frozen_graph(self.source, layers, classes=classes, shape=self.shape)
        return remove_dead(graph) if self.quantizing else graph

    def _shaped(self, x: Tensor) -> Tensor:
        return x.view(-1, *self.shape) if self.shape else x

    def _lend(self) -> None:
        if self.packed is not None:
            self.packed.lend()
