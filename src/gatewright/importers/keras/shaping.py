"""Layers that move values without computing, and those that do nothing in inference."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from gatewright.errors import ModelError
from gatewright.graph.nodes import Concat, Pad, Slice, Upsample
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call


def identity(*irrelevant: str) -> Callable[[Call], Value]:
    """Dropout, noise and regularising layers: nothing happens in inference. irrelevant: their settings."""

    def handler(call: Call) -> Value:
        call.settings.ignore(*irrelevant)
        return call.one_input()

    return handler


def flatten(call: Call) -> Value:
    """Flatten: channels-first images are brought to channels-last before, as Keras does."""
    first = call.channels_first()
    x = call.one_input()
    x = call.builder.to_last(x, first and len(x.shape) > 1)
    return call.builder.reshape(x, (prod(x.shape),))


def reshape(call: Call) -> Value:
    """Reshape: one size may be -1."""
    x = call.one_input()
    target = call.settings.take("target_shape")
    sizes = list(target) if isinstance(target, list) else [target]
    if sizes.count(-1) > 1 or not all(isinstance(size, int) and (size > 0 or size == -1) for size in sizes):
        raise call.settings.refuse("target_shape", target, "give every size but at most one")
    if -1 in sizes:
        known = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = prod(x.shape) // known
    if prod(sizes) != prod(x.shape):
        raise call.settings.refuse("target_shape", target, f"the input {x.shape} has {prod(x.shape)} elements")
    return call.builder.reshape(x, tuple(sizes))


def permute(call: Call) -> Value:
    """Permute: axes count from 1."""
    x = call.one_input()
    dims = call.settings.take("dims")
    if not isinstance(dims, list) or sorted(dims) != list(range(1, len(x.shape) + 1)):
        raise call.settings.refuse("dims", dims, f"the input {x.shape} has axes 1..{len(x.shape)}")
    return call.builder.transpose(x, tuple(axis - 1 for axis in dims))


def repeat_vector(call: Call) -> Value:
    """RepeatVector: (features,) to (n, features)."""
    x = call.ranked_input(1, "a vector")
    count = call.settings.integer("n")
    x = call.builder.reshape(x, (1, *x.shape))
    return call.builder.add(Upsample, [x], (count, x.shape[-1]), factors=(count, 1))


def zero_padding(rank: int) -> Callable[[Call], Value]:
    """ZeroPadding1D, ZeroPadding2D."""

    def handler(call: Call) -> Value:
        first = call.channels_first()
        x = call.ranked_input(rank + 1, f"{rank} axis/axes and channels")
        pads = _pairs(call, "padding", rank)
        pads = ((0, 0), *pads) if first else (*pads, (0, 0))
        shape = tuple(size + sum(pad) for size, pad in zip(x.shape, pads, strict=True))
        return call.builder.add(Pad, [x], shape, pads=pads)

    return handler


def cropping(rank: int) -> Callable[[Call], Value]:
    """Cropping1D, Cropping2D."""

    def handler(call: Call) -> Value:
        first = call.channels_first()
        x = call.ranked_input(rank + 1, f"{rank} axis/axes and channels")
        crops = _pairs(call, "cropping", rank)
        crops = ((0, 0), *crops) if first else (*crops, (0, 0))
        stops = tuple(size - after for size, (_, after) in zip(x.shape, crops, strict=True))
        shape = tuple(stop - before for stop, (before, _) in zip(stops, crops, strict=True))
        starts = tuple(before for before, _ in crops)
        return call.builder.add(Slice, [x], shape, starts=starts, stops=stops, steps=(1,) * len(shape))

    return handler


def upsampling(rank: int) -> Callable[[Call], Value]:
    """UpSampling1D, UpSampling2D, by repetition."""

    def handler(call: Call) -> Value:
        first = call.channels_first()
        x = call.ranked_input(rank + 1, f"{rank} axis/axes and channels")
        call.settings.only("interpolation", ("nearest",), "nearest", "use nearest")
        size = call.settings.sizes("size", rank, 2)
        factors = (1, *size) if first else (*size, 1)
        shape = tuple(old * factor for old, factor in zip(x.shape, factors, strict=True))
        return call.builder.add(Upsample, [x], shape, factors=factors)

    return handler


def concatenate(call: Call) -> Value:
    """Concatenate along an axis that counts the sample axis as 0."""
    inputs = call.quantized_inputs()
    axis = call.settings.take("axis", -1)
    rank = len(inputs[0].shape)
    if isinstance(axis, bool) or not isinstance(axis, int) or not (1 <= axis <= rank or -rank <= axis <= -1):
        raise call.settings.refuse("axis", axis, f"the inputs have axes 1..{rank}")
    at = axis - 1 if axis > 0 else rank + axis
    others = {(*value.shape[:at], *value.shape[at + 1 :]) for value in inputs}
    if len(others) != 1 or any(len(value.shape) != rank for value in inputs):
        raise ModelError(f"{call.where}: shapes {[value.shape for value in inputs]} do not join along axis {axis}")
    total = sum(value.shape[at] for value in inputs)
    if len(inputs) == 1:
        return inputs[0]
    return call.builder.add(Concat, inputs, (*inputs[0].shape[:at], total, *inputs[0].shape[at + 1 :]), axis=at)


def _pairs(call: Call, key: str, rank: int) -> tuple[tuple[int, int], ...]:
    """Read (before, after) per axis out of Keras' spellings: n, (n, m), ((a, b), (c, d))."""
    value: Any = call.settings.take(key)
    if rank == 1 and isinstance(value, list) and len(value) == 2 and all(isinstance(item, int) for item in value):
        value = [value]
    items = [value] * rank if isinstance(value, int) else value
    pairs = [[item, item] if isinstance(item, int) else item for item in items] if isinstance(items, list) else []
    if len(pairs) != rank or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, int) and n >= 0 for n in pair) for pair in pairs
    ):
        raise call.settings.refuse(key, value, f"give {rank} pair(s) of whole numbers")
    return tuple((pair[0], pair[1]) for pair in pairs)
