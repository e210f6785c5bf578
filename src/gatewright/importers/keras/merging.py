"""Layers of several inputs: sums, differences, products, averages, extremes; elementwise with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from math import log2

import numpy as np

from gatewright.errors import ModelError
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call


def merge(kind: str, *, exactly: int = 0) -> Callable[[Call], Value]:
    """Add, Subtract, Multiply, Maximum, Minimum: from left to right. exactly: how many inputs it must have."""

    def handler(call: Call) -> Value:
        inputs = call.quantized_inputs()
        if len(inputs) < 2 or (exactly and len(inputs) != exactly):
            raise ModelError(f"{call.where}: expected {exactly or 'two or more'} inputs, got {len(inputs)}")
        y = inputs[0]
        for x in inputs[1:]:
            y = call.builder.combine(kind, y, x, call.where)
        return y

    return handler


def average(call: Call) -> Value:
    """Average: the sum times one over the number of inputs."""
    count = len(call.inputs)
    return _scaled_sum(call, 1.0 / count)


def average_power_of_two(call: Call) -> Value:
    """HGQ2's QAveragePow2: the sum times the power of two nearest to one over the number of inputs."""
    return _scaled_sum(call, 2.0 ** round(log2(1.0 / len(call.inputs))))


def _scaled_sum(call: Call, factor: float) -> Value:
    y = merge("add")(call)
    return call.builder.affine(y, np.asarray(factor), np.zeros(1))
