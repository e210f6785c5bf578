"""Sizes and widths in, a Stack of dense layers out: with fixed widths, or with learnt ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from gatewright.config import Granularity
from gatewright.fit.modules.dense import TrainDense, Widths
from gatewright.fit.modules.learned import LearnedDense, LearnedRead
from gatewright.fit.modules.packed import Packed
from gatewright.fit.modules.protocol import TrainLayer
from gatewright.fit.modules.stack import Stack
from gatewright.fit.modules.steps import Steps
from gatewright.fixedpoint import Fixed


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


def layer_name(index: int, last: int) -> str:
    """Return fc1, fc2, ... for hidden layers and out for the last."""
    return "out" if index == last else f"fc{index + 1}"
