"""Layers and widths in, a Stack out: of dense layers, with fixed widths or learnt ones, or of any layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import assert_never

import torch

from gatewright.config import Granularity
from gatewright.fit.modules.conv import LearnedConv, TrainConv
from gatewright.fit.modules.dense import TrainDense, Widths
from gatewright.fit.modules.learned import LearnedDense, LearnedRead
from gatewright.fit.modules.packed import Packed
from gatewright.fit.modules.plan import Planned
from gatewright.fit.modules.pool import TrainFlatten, TrainPool
from gatewright.fit.modules.protocol import TrainLayer
from gatewright.fit.modules.rounded import TrainAdd
from gatewright.fit.modules.stack import Stack
from gatewright.fit.modules.steps import Steps
from gatewright.fixedpoint import Fixed

CHUNK_SAMPLES = 512  # that maps are evaluated of at once
MEAN_BITS = 8  # of an average pool between layers of learnt widths


def dense_stack(
    sizes: Sequence[int],
    *,
    source: Fixed,
    widths: Sequence[Widths] | None,
    dropout: float,
    generator: torch.Generator,
    steps: Steps | None = None,
) -> Stack:
    """Return dense layers of sizes (features, hidden .., outputs) with ReLU, or steps, between; widths None: float."""
    last = len(sizes) - 2
    layers: dict[str, TrainLayer] = {}
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layers[layer_name(index, last)] = TrainDense(
            n_in,
            n_out,
            widths=widths[index] if widths else None,
            relu=index < last and steps is None,
            generator=generator,
            steps=steps if index < last else None,
        )
    return Stack(layers, source=source, dropout=dropout, generator=generator)


def layer_stack(
    plan: Sequence[Planned],
    *,
    source: Fixed,
    widths: Sequence[Widths] | None,
    dropout: float,
    generator: torch.Generator,
) -> Stack:
    """Return layers as planned, ReLU behind all with weights but the last; widths: of these; None: float.

    A mean or a sum has as many bits as the activations of the last layer with weights before it, or as the input.
    """
    layers: dict[str, TrainLayer] = {}
    seen = 0
    for layer in plan:
        own = widths[seen] if widths and layer.line.weighted else None
        match layer.line.kind:
            case "conv" | "depthwise":
                layers[layer.name] = TrainConv(layer, widths=own, generator=generator)
            case "dense":
                (n_in,), (n_out,) = layer.reads, layer.gives
                relu = layer is not plan[-1]
                layers[layer.name] = TrainDense(
                    n_in, n_out, widths=own, relu=relu, generator=generator, norm=layer.line.norm
                )
            case "flatten":
                layers[layer.name] = TrainFlatten(layer)
            case "max" | "average" | "global max" | "global average":
                bits = widths[seen - 1].activation if widths and seen else source.width_bits
                layers[layer.name] = TrainPool(layer, bits=bits, signed=source.signed and not seen)
            case "residual":
                layers[layer.name] = TrainAdd(layer, bits=widths[seen - 1].activation if widths else source.width_bits)
            case _:
                assert_never(layer.line.kind)
        seen += layer.line.weighted
    return Stack(layers, source=source, dropout=dropout, generator=generator, chunk=CHUNK_SAMPLES, shape=plan[0].reads)


def learned_stack(
    sizes: Sequence[int],
    *,
    source: Fixed,
    dropout: float,
    generator: torch.Generator,
    granularity: Granularity = "weight",
    wrap: bool = False,
) -> Stack:
    """Return dense layers of sizes (features, hidden .., outputs) with ReLU between and learnt widths.

    granularity: what has a width of its own; "tensor": all features share one. wrap: see LearnedDense.
    """
    layers: dict[str, TrainLayer] = {"read": LearnedRead(sizes[0], source=source, shared=granularity == "tensor")}
    last = len(sizes) - 2
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layers[layer_name(index, last)] = LearnedDense(
            n_in, n_out, relu=index < last, granularity=granularity, wrap=wrap, generator=generator
        )
    packed = Packed.of(list(layers.values()))
    return Stack(layers, source=source, dropout=dropout, generator=generator, packed=packed)


def learned_layers(
    plan: Sequence[Planned],
    *,
    source: Fixed,
    dropout: float,
    generator: torch.Generator,
    granularity: Granularity = "weight",
    wrap: bool = False,
) -> Stack:
    """Return layers as planned with learnt widths, ReLU behind all with weights but the last.

    Means have MEAN_BITS, sums are exact.
    """
    channels = plan[0].reads[-1]
    layers: dict[str, TrainLayer] = {"read": LearnedRead(channels, source=source, shared=granularity == "tensor")}
    seen = 0
    for layer in plan:
        match layer.line.kind:
            case "conv":
                layers[layer.name] = LearnedConv(layer, granularity=granularity, wrap=wrap, generator=generator)
            case "dense":
                (n_in,), (n_out,) = layer.reads, layer.gives
                layers[layer.name] = LearnedDense(
                    n_in,
                    n_out,
                    relu=layer is not plan[-1],
                    granularity=granularity,
                    wrap=wrap,
                    generator=generator,
                    norm=layer.line.norm,
                )
            case "flatten":
                layers[layer.name] = TrainFlatten(layer)
            case "max" | "average" | "global max" | "global average":
                layers[layer.name] = TrainPool(layer, bits=MEAN_BITS, signed=source.signed and not seen)
            case "residual":
                layers[layer.name] = TrainAdd(layer, bits=0)
            case "depthwise":
                raise AssertionError("the configuration refuses depthwise layers of learnt widths")
            case _:
                assert_never(layer.line.kind)
        seen += layer.line.weighted
    return Stack(layers, source=source, dropout=dropout, generator=generator, chunk=CHUNK_SAMPLES, shape=plan[0].reads)


def layer_name(index: int, last: int) -> str:
    """Return fc1, fc2, ... for hidden layers and out for the last."""
    return "out" if index == last else f"fc{index + 1}"
