"""Pooling layers in, `Pool` nodes out: windows and global, maximum and average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from gatewright.graph.nodes import Pool
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call
from gatewright.importers.keras.conv import window_outputs, window_pads

PoolKind = Literal["max", "average"]


def pool(kind: PoolKind, rank: int) -> Callable[[Call], Value]:
    """MaxPooling and AveragePooling; an average divides by the cells inside the image, as TensorFlow does."""

    def handler(call: Call) -> Value:
        first = call.channels_first()
        x = call.builder.to_last(call.ranked_input(rank + 1, f"{rank} axis/axes and channels"), first)
        size = call.settings.sizes("pool_size", rank, 2)
        strides = size if call.settings.take("strides", None) is None else call.settings.sizes("strides", rank)
        padding = call.settings.only("padding", ("valid", "same"), "valid", "write valid or same")
        ones = (1,) * rank
        pads = window_pads(x.shape[:-1], size, strides, ones, padding)
        shape = (*window_outputs(x.shape[:-1], size, strides, ones, pads), x.shape[-1])
        y = call.builder.add(Pool, [x], shape, kind=kind, size=size, strides=strides, pads=pads)
        if kind == "average":
            y = _average_quantizer(call, y, int(np.prod(size)))
        return (
            call.activate(call.builder.from_last(y, first)) if kind == "average" else call.builder.from_last(y, first)
        )

    return handler


def global_pool(kind: PoolKind, rank: int) -> Callable[[Call], Value]:
    """GlobalMaxPooling and GlobalAveragePooling."""

    def handler(call: Call) -> Value:
        first = call.channels_first()
        x = call.builder.to_last(call.ranked_input(rank + 1, f"{rank} axis/axes and channels"), first)
        keep = call.settings.flag("keepdims", default=False)
        sizes, ones = x.shape[:-1], (1,) * rank
        y = call.builder.add(
            Pool, [x], (*ones, x.shape[-1]), kind=kind, size=sizes, strides=ones, pads=((0, 0),) * rank
        )
        if kind == "average":
            y = _average_quantizer(call, y, int(np.prod(sizes)))
        y = call.builder.from_last(y, first) if keep else call.builder.reshape(y, (x.shape[-1],))
        return call.activate(y) if kind == "average" else y

    return handler


def _average_quantizer(call: Call, y: Value, area: int) -> Value:
    """Replace the division by the window's area with QKeras' quantized factor, where there is one."""
    if call.settings.take("average_quantizer", None) is None:
        return y
    factor = call.quantize_weight("average", np.asarray(1.0 / area, np.float32)).values
    return call.builder.affine(y, np.asarray(area * factor), np.zeros(1))
