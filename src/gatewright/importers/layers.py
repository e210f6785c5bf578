"""Layers with weights and windows, channels-first or not, in; channels-last nodes out: dense, conv, pool, recurrent."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatewright.graph.nodes import (
    Activation,
    Conv,
    ConvTranspose,
    Dense,
    Floats,
    MatMul,
    Pads,
    Pool,
    Recurrent,
    Softmax,
    TopK,
)
from gatewright.importers.builder import MAX_ELEMENTS, Builder, Const, Tensor
from gatewright.importers.elementwise import activation, affine, finite
from gatewright.importers.shaping import pad, slices
from gatewright.ir.shapes import matmul_shape


def dense(b: Builder, x: Tensor, weight: Const, bias: NDArray[Any] | None) -> Tensor:
    """Return x @ weight + bias over the source's last axis; weight: (n_in, n_out); bias: None, () or (n_out,)."""
    values = finite(b, weight.value, "weight")
    if values.ndim != 2 or values.shape[0] != x.shape[-1]:
        b.fail(f"multiplies a value of the shape {x.shape} by weights of the shape {weight.value.shape}")
    if x.sample_axis == x.rank - 1:
        b.fail("multiplies along the axis of the samples; the model must treat samples alike")
    x = b.with_last(x, x.rank - 1)
    n_out = values.shape[1]
    made = b.emit(
        Dense,
        x.result,
        weight=values,
        bias=_bias(b, bias, n_out),
        weight_scale=weight_scale(b, weight, 1),
    )
    return b.tensor(made, (*x.shape[:-1], n_out), x.order)


def matmul(b: Builder, left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix products of two values over their last two axes; the first axis counts samples in both."""
    shape = matmul_shape(left.shape[1:], right.shape[1:])
    if left.rank != right.rank or left.sample_axis or right.sample_axis or shape is None:
        b.fail(
            f"multiplies values of the shapes {left.shape} and {right.shape}; supported are (samples, ..., n, k) and "
            "(samples, ..., k, m)"
        )
    order = tuple(range(left.rank))
    made = b.emit(MatMul, b.stored_in(left, order), b.stored_in(right, order))
    return b.tensor(made, (left.shape[0], *shape))


def _bias(b: Builder, bias: NDArray[Any] | None, n_out: int) -> Floats:
    if bias is None:
        return np.zeros(n_out)
    values = finite(b, bias, "bias")
    if values.size not in (1, n_out) or values.shape[-1:] not in ((), (values.size,)):  # (n_out, 1) runs over samples
        b.fail(f"its bias has the shape {bias.shape}; ({n_out},) is expected")
    return np.array(np.broadcast_to(values.reshape(-1), (n_out,)))


def weight_scale(b: Builder, weight: Const, out_axis: int) -> Floats:
    """Return what the weights are multiples of: () or one per output; 1 where they are dyadic as they stand."""
    if weight.scale is None:
        return np.ones(())
    varying = [axis for axis, size in enumerate(weight.scale.shape) if size > 1]
    if varying not in ([], [out_axis]):
        b.note("its weights have scales that vary along its inputs; they are taken as the products")
        return np.ones(())
    scale = weight.scale.reshape(-1 if varying else ())
    return np.ones(()) if (np.frexp(scale)[0] == 0.5).all() else scale


def conv(
    b: Builder,
    x: Tensor,
    weight: Const,
    bias: NDArray[Any] | None,
    *,
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    pads: Pads,
    groups: int,
) -> Tensor:
    """Correlate (n, channels, *space) with weight (c_out, c_in / groups, *kernel)."""
    values = finite(b, weight.value, "weight")
    _check_window(b, x, strides, pads, dilation)
    c_out = values.shape[0]
    if values.ndim != x.rank or values.shape[1] * groups != x.shape[1] or c_out % groups:
        b.fail(f"weights of the shape {values.shape} in {groups} groups do not fit a value of the shape {x.shape}")
    space = _windows(b, x.shape[2:], values.shape[2:], strides, dilation, pads)
    channels_last = (0, *range(2, x.rank), 1)
    made = b.emit(
        Conv,
        b.stored_in(x, channels_last),
        weight=values.transpose(*range(2, x.rank), 1, 0).copy(),
        bias=_bias(b, bias, c_out),
        weight_scale=weight_scale(b, weight, 0),
        strides=strides,
        dilation=dilation,
        pads=pads,
        groups=groups,
    )
    return b.tensor(made, (x.shape[0], c_out, *space), channels_last)


def _check_window(b: Builder, x: Tensor, strides: tuple[int, ...], pads: Pads, dilation: tuple[int, ...]) -> None:
    n_axes = x.rank - 2
    if x.sample_axis != 0:
        b.fail(f"samples lie along axis {x.sample_axis} of its input; they must come first")
    if n_axes not in (1, 2):
        b.fail(f"works on {n_axes} axes of space (input shape {x.shape}); 1 and 2 are supported")
    for what, given in (("strides", strides), ("dilations", dilation), ("pads", pads)):
        if len(given) != n_axes:
            b.fail(f"{what} {given} do not fit {n_axes} axes of space")
    if min(strides) < 1 or min(dilation) < 1 or min(p for pair in pads for p in pair) < 0:
        b.fail(f"strides {strides} and dilations {dilation} must be positive, pads {pads} not negative")


def _windows(
    b: Builder,
    space: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    pads: Pads,
) -> tuple[int, ...]:
    """Number of windows along each axis."""
    counts = tuple(
        (size + sum(pad) - (k - 1) * d - 1) // s + 1
        for size, k, s, d, pad in zip(space, kernel, strides, dilation, pads, strict=True)
    )
    if min(counts) < 1:
        b.fail(f"its window {kernel} is larger than the padded value {space}, pads {pads}")
    return counts


def conv_transpose(
    b: Builder,
    x: Tensor,
    weight: Const,
    bias: NDArray[Any] | None,
    *,
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    crop: Pads,
    groups: int,
) -> Tensor:
    """Transpose of a convolution; weight: (c_in, c_out / groups, *kernel).

    Groups become one dense kernel with zeros between groups, a dilation one with zeros between taps: the node has
    neither.
    """
    values = finite(b, weight.value, "weight")
    _check_window(b, x, strides, tuple((0, 0) for _ in strides), dilation)
    c_in, per_group, *kernel = values.shape
    if values.ndim != x.rank or c_in != x.shape[1] or c_in % groups:
        b.fail(f"weights of the shape {values.shape} in {groups} groups do not fit a value of the shape {x.shape}")
    c_out, reach = per_group * groups, tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    if c_in * c_out * prod(reach) > MAX_ELEMENTS:
        b.fail(f"its kernel with zeros between taps and groups has {c_in * c_out * prod(reach):,} elements")
    full = np.zeros((*reach, c_in, c_out))
    for g in range(groups):
        ins, outs = slice(g * c_in // groups, (g + 1) * c_in // groups), slice(g * per_group, (g + 1) * per_group)
        taps = tuple(slice(None, None, d) for d in dilation)
        full[(*taps, ins, outs)] = values[ins].transpose(*range(2, x.rank), 0, 1)
    space = tuple(
        (size - 1) * s + r - sum(cut) for size, s, r, cut in zip(x.shape[2:], strides, reach, crop, strict=True)
    )
    channels_last = (0, *range(2, x.rank), 1)
    scale = weight_scale(b, weight, 1)
    made = b.emit(
        ConvTranspose,
        b.stored_in(x, channels_last),
        weight=full,
        bias=_bias(b, bias, c_out),
        weight_scale=np.tile(scale, groups) if scale.ndim else scale,
        strides=strides,
        crop=crop,
    )
    return b.tensor(made, (x.shape[0], c_out, *space), channels_last)


def pool(
    b: Builder,
    x: Tensor,
    kind: Literal["max", "average"],
    *,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    pads: Pads,
    include_pad: bool,
    ceil: bool,
) -> Tensor:
    """Pool (n, channels, *space). ceil: the last window may reach past the end (as ONNX and torch define it).

    What lies past the end is never counted by a mean; the padding is where include_pad says so.
    """
    _check_window(b, x, strides, pads, tuple(1 for _ in size))
    if len(size) != x.rank - 2 or any(max(pair) >= k for pair, k in zip(pads, size, strict=True)):
        b.fail(f"window {size} with pads {pads} on {x.shape}: pads must be less than the window")
    if ceil:
        grown = tuple(_reach_past_end(*axis) for axis in zip(x.shape[2:], size, strides, pads, strict=True))
        if grown != pads and kind == "average" and include_pad:
            x, include_pad = pad(b, x, ((0, 0), (0, 0), *pads), 0.0), False
            grown = tuple((0, after - counted) for (_, after), (_, counted) in zip(grown, pads, strict=True))
        pads = grown
    space = _windows(b, x.shape[2:], size, strides, tuple(1 for _ in size), pads)
    channels_last = (0, *range(2, x.rank), 1)
    source = b.stored_in(x, channels_last)
    made = b.emit(Pool, source, kind=kind, size=size, strides=strides, pads=pads, include_pad=include_pad)
    return b.tensor(made, (*x.shape[:2], *space), channels_last)


def _reach_past_end(length: int, window: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
    padded = length + sum(pads)
    count = -(-(padded - window) // stride) + 1
    if (count - 1) * stride >= length + pads[0]:  # a window must start inside the value or its first padding
        count -= 1
    return pads[0], pads[1] + max((count - 1) * stride + window - padded, 0)


def reduce(
    b: Builder, x: Tensor, kind: Literal["max", "average", "sum"], axes: tuple[int, ...], *, keep_axes: bool
) -> Tensor:
    """Greatest value, mean or sum over these axes of the source."""
    axes = tuple(sorted({b.axis(axis, x.rank) for axis in axes}))
    if x.sample_axis in axes:
        b.fail(f"reduces over the axis of the samples (axis {x.sample_axis}); the model must treat samples alike")
    kept = tuple(axis for axis in range(x.rank) if axis not in axes and axis != x.sample_axis)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    sizes = tuple(x.shape[axis] for axis in axes)
    if prod(sizes) > 1:
        x = b.as_stored(x, (x.sample_axis, *axes, *kept))
        n_kept = prod(x.shape[axis] for axis in kept)
        flat = b.tensor(x.result, (x.shape[x.sample_axis], *x.stored))
        size = sizes if len(kept) == 1 and len(sizes) <= 2 else (prod(sizes),)
        flat = b.reshape(flat, (flat.shape[0], *size, n_kept))
        pads = tuple((0, 0) for _ in size)
        made = b.emit(Pool, flat.result, kind="max" if kind == "max" else "average", size=size, strides=size, pads=pads)
        flat = b.tensor(made, (flat.shape[0], *(1 for _ in size), n_kept))
        if kind == "sum":
            flat = affine(b, flat, np.array(float(prod(sizes))), np.zeros(()))
        stored = (flat.shape[0], *(shape[axis] for axis in x.order[1:]))
        x = b.tensor(b.reshape(flat, stored).result, shape, x.order)
    if keep_axes:
        return x
    return b.reshape(x, tuple(size for axis, size in enumerate(x.shape) if axis not in axes))


def softmax(b: Builder, x: Tensor, axis: int) -> Tensor:
    """Softmax over one axis of the source."""
    if axis == x.sample_axis:
        b.fail(f"runs over the axis of the samples (axis {axis}); the model must treat samples alike")
    x = b.with_last(x, axis)
    return b.tensor(b.emit(Softmax, x.result), x.shape, x.order)


def top_k(
    b: Builder, x: Tensor, k: int, axis: int, *, largest: bool = True, last: bool = False, keep_axis: bool = True
) -> Tensor:
    """Indices of the k greatest, or least, along one axis of the source; among equals the first is named, or the last.

    k = 1 may leave the axis out.
    """
    size = x.shape[axis]
    if axis == x.sample_axis or not 1 <= k <= size:
        b.fail(f"takes the {k} {'greatest' if largest else 'least'} along axis {axis} of the shape {x.shape}")
    if not largest:  # which keeps the order among equals
        x = activation(b, x, "neg")
    if last:
        x = slices(b, x, {axis: slice(None, None, -1)})
    x = b.with_last(x, axis)
    shape = tuple(k if a == axis else n for a, n in enumerate(x.shape))
    best = b.tensor(b.emit(TopK, x.result, k=k), shape, x.order)
    if last:
        best = affine(b, best, np.array(-1.0), np.array(size - 1.0))
    return best if keep_axis else b.reshape(best, (*x.shape[:axis], *x.shape[axis + 1 :]))


def recurrent(
    b: Builder,
    x: Tensor,
    kind: Literal["rnn", "lstm", "gru"],
    *,
    kernel: Floats,
    state: Floats,
    bias: Floats,
    activation: Activation,
    gate_activation: Activation,
    backwards: bool,
    reset_after: bool = False,
    sequences: bool = True,
) -> Tensor:
    """One direction over x of the shape (n, steps, features).

    sequences: every step's result, in the order of the steps read, (n, steps, units); else the last, (n, units).
    """
    values = [finite(b, w, "weight") for w in (kernel, state, bias)]
    if kernel.shape[0] != x.shape[2]:
        b.fail(f"weights for {kernel.shape[0]} features do not fit a value of the shape {x.shape}")
    made = b.emit(
        Recurrent,
        b.stored_in(x, (0, 1, 2)),
        kind=kind,
        kernel=values[0],
        recurrent=values[1],
        bias=values[2],
        activation=activation,
        gate_activation=gate_activation,
        sequences=sequences,
        backwards=backwards,
        reset_after=reset_after,
    )
    return b.tensor(made, (*x.shape[: 2 if sequences else 1], state.shape[0]))
