"""Channels-last arrays and a window in, convolutions, pools and resized arrays out; exact on integers of any dtype.

Arrays are (n, *space, channels) with one or two axes of space. Products use the operands' dtype: float64 runs in BLAS
and is exact on integers while every partial sum stays below 2**53, int64 is exact always.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pads = Sequence[tuple[int, int]]  # (before, after) per axis of space


def window_counts(
    space: Sequence[int], size: Sequence[int], strides: Sequence[int], dilation: Sequence[int], pads: Pads
) -> tuple[int, ...]:
    """Return how many windows fit along each axis: floor((n + before + after - extent) / stride) + 1, or 0."""
    spans = zip(space, size, strides, dilation, pads, strict=True)
    return tuple(max((n + sum(p) - (k - 1) * d - 1) // s + 1, 0) for n, k, s, d, p in spans)


def padded(x: Array, pads: Pads, fill: Any = 0) -> Array:
    """Return x with `fill` around it; pads: for the axes from 1 on, as many as there are pairs."""
    if not any(any(pair) for pair in pads):
        return x
    sizes = x.shape[1 : 1 + len(pads)]
    grown = tuple(n + sum(pair) for n, pair in zip(sizes, pads, strict=True))
    result = np.full((len(x), *grown, *x.shape[1 + len(pads) :]), fill, dtype=x.dtype)
    result[(slice(None), *(slice(before, before + n) for n, (before, _) in zip(sizes, pads, strict=True)))] = x
    return result


def windows(
    x: Array, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int], pads: Pads, fill: Any = 0
) -> Array:
    """Return every window as a read-only view of the padded array: (n, *counts, *size, channels)."""
    x = padded(x, pads, fill)
    axes = tuple(range(1, x.ndim - 1))
    extent = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=axes)  # (n, *counts, channels, *extent)
    view = view[(slice(None), *(slice(None, None, s) for s in strides), ..., *(slice(None, None, d) for d in dilation))]
    return np.moveaxis(view, x.ndim - 1, -1)


def convolve(
    x: Array, weight: Array, strides: Sequence[int], dilation: Sequence[int], pads: Pads, groups: int
) -> Array:
    """Correlate, zero padded: weight (*kernel, c_in / groups, c_out); (n, *space, c_in) -> (n, *counts, c_out).

    One matrix product over the gathered windows (im2col) per group; a depthwise one sums over the kernel's taps.
    """
    *kernel, depth, c_out = weight.shape
    view = windows(x, kernel, strides, dilation, pads)
    n, counts = view.shape[0], view.shape[1 : 1 + len(kernel)]
    rows, taps = n * prod(counts), prod(kernel)
    if groups == 1:
        return (view.reshape(rows, taps * depth) @ weight.reshape(taps * depth, c_out)).reshape(n, *counts, c_out)
    each = c_out // groups
    if depth == 1:
        total = np.zeros((n, *counts, c_out), dtype=np.result_type(x, weight))
        for tap in itertools.product(*(range(k) for k in kernel)):
            part = view[(slice(None),) * (1 + len(kernel)) + tap]
            total += (part if each == 1 else np.repeat(part, each, axis=-1)) * weight[tap][0]
        return total
    split = np.moveaxis(view.reshape(rows, taps, groups, depth), 2, 0).reshape(groups, rows, taps * depth)
    filters = np.moveaxis(weight.reshape(taps * depth, groups, each), 1, 0)
    return np.moveaxis(split @ filters, 0, 1).reshape(n, *counts, c_out)


def convolve_transposed(x: Array, weight: Array, strides: Sequence[int], crop: Pads) -> Array:
    """Add x[i] @ weight[k] at i * stride + k, then crop each end (a negative crop appends zeros).

    weight: (*kernel, c_in, c_out); (n, *space, c_in) -> (n, *((space - 1) * stride + kernel - crops), c_out).
    """
    *kernel, _, c_out = weight.shape
    space = x.shape[1:-1]
    full = tuple((n - 1) * s + k for n, s, k in zip(space, strides, kernel, strict=True))
    total = np.zeros((x.shape[0], *full, c_out), dtype=np.result_type(x, weight))
    for tap in itertools.product(*(range(k) for k in kernel)):
        where = tuple(slice(t, t + (n - 1) * s + 1, s) for t, n, s in zip(tap, space, strides, strict=True))
        total[(slice(None), *where)] += x @ weight[tap]
    grow = tuple((max(-a, 0), max(-b, 0)) for a, b in crop)
    if any(any(g) for g in grow):
        total = np.pad(total, ((0, 0), *grow, (0, 0)))
    ends = zip(total.shape[1:-1], crop, strict=True)
    return total[(slice(None), *(slice(max(a, 0), n - max(b, 0)) for n, (a, b) in ends))]


def pool(x: Array, kind: Literal["max", "sum"], size: Sequence[int], strides: Sequence[int], pads: Pads) -> Array:
    """Return each window's greatest value, padding never winning, or its sum, padding counting as 0."""
    outside: Any = 0
    if kind == "max":
        outside = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -np.inf
    x = padded(x, pads, outside)
    reduce = np.maximum if kind == "max" else np.add
    for axis, (k, stride) in enumerate(zip(size, strides, strict=True), start=1):  # one axis after the other
        count = (x.shape[axis] - k) // stride + 1
        taps = [(slice(None),) * axis + (slice(t, t + (count - 1) * stride + 1, stride),) for t in range(k)]
        total = x[taps[0]]
        for tap in taps[1:]:
            total = reduce(total, x[tap])
        x = total
    return x


def pool_cells(space: Sequence[int], size: Sequence[int], strides: Sequence[int], pads: Pads) -> NDArray[np.int64]:
    """Return how many cells each window of a pool covers, padding not counted; space: the axes' sizes."""
    return pool(np.ones((1, *space, 1), dtype=np.int64), "sum", size, strides, pads)[0, ..., 0]


def upsample(x: Array, factors: Sequence[int]) -> Array:
    """Repeat each element factors[i] times along axis i of the shape without the sample axis."""
    for axis, factor in enumerate(factors, start=1):
        x = x if factor == 1 else np.repeat(x, factor, axis=axis)
    return x
