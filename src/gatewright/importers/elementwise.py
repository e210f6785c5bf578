"""Elementwise layers in the source's axis order in, nodes out: activations, arithmetic, affine steps, quantizers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Overflow, Rounding
from gatewright.graph.nodes import Activation, ActivationKind, Affine, Combine, Constant, Floats, Quantize, Thresholds
from gatewright.importers.builder import Builder, Const, Tensor, Value

Arithmetic = Literal["add", "sub", "mul", "max", "min"]


def activation(b: Builder, x: Tensor, kind: ActivationKind, *parameters: float) -> Tensor:
    """Apply an elementwise function."""
    return replace(x, result=b.emit(Activation, x.result, kind=kind, parameters=tuple(map(float, parameters))))


def clip(b: Builder, x: Tensor, lo: float, hi: float) -> Tensor:
    """Bound a tensor on one side or both; infinite: no bound."""
    if lo == 0:
        return activation(b, x, "relu", *(() if np.isinf(hi) else (hi,)))
    if np.isfinite(lo) and np.isfinite(hi):
        return activation(b, x, "hard_tanh", lo, hi)
    if np.isfinite(lo):
        return combine(b, "max", x, Const(value=np.array(lo)))
    return combine(b, "min", x, Const(value=np.array(hi))) if np.isfinite(hi) else x


def prelu(b: Builder, x: Tensor, slope: NDArray[Any]) -> Tensor:
    """Apply max(x, 0) + slope * min(x, 0); slope broadcasts to x's shape and varies along one axis at most."""
    b.check_fits(slope, x, "slope")
    spread = np.asarray(b.spread(slope, x), dtype=np.float64)
    varying = _varying(spread, x)
    if len(varying) > 1:
        b.fail(f"its slope varies along several axes (shape {slope.shape}); one slope per channel is supported")
    x = b.with_last(x, varying[0]) if varying else x
    slopes = np.broadcast_to(spread.reshape(-1), (x.stored[-1],))
    return activation(b, x, "prelu", *slopes.tolist())


def affine(b: Builder, x: Tensor, scale: NDArray[Any], offset: NDArray[Any]) -> Tensor:
    """Return x * scale + offset, with NumPy's broadcasting: the result may have more axes, and greater ones, than x."""
    scale, offset = finite(b, scale, "scale"), finite(b, offset, "offset")
    x = b.lifted(x, max(scale.ndim, offset.ndim))
    shape = b.broadcast(x.shape, scale.shape, offset.shape)
    if shape != x.shape:
        return _affine_widening(b, x, scale, offset)
    stored = (b.spread(scale, x), b.spread(offset, x))
    varying = sorted({axis for array in stored for axis in _varying(array, x)})
    if len(varying) > 1 or not x.stored:
        return _affine_per_element(b, x, *stored)
    if varying:
        x = b.with_last(x, varying[0])
    elif (merged := _doubled(b, x, *stored)) is not None:
        return merged
    per_channel = [np.array(np.broadcast_to(array.reshape(-1), (x.stored[-1],))) for array in stored]
    return replace(x, result=b.emit(Affine, x.result, scale=per_channel[0], offset=per_channel[1]))


def _doubled(b: Builder, x: Tensor, scale: NDArray[Any], offset: NDArray[Any]) -> Tensor | None:
    """Return x * scale where x and the result are one value times powers of two: 0.5 undoes 2, exactly."""
    before = b.node(x.result)
    if offset.any() or not isinstance(before, Affine) or before.offset.any():
        return None
    gains = np.append(before.scale, scale)
    if (np.abs(np.frexp(gains)[0]) != 0.5).any() or (before.scale != before.scale[0]).any():
        return None
    x = replace(x, result=before.sources[0])
    gain = before.scale[0] * float(scale)
    return x if gain == 1 else affine(b, x, np.array(gain), np.zeros(()))


def _varying(stored: NDArray[Any], x: Tensor) -> list[int]:
    """The source's axes along which a stored constant has more than one element."""
    return [axis for axis, size in zip(x.order[1:], stored.shape or (1,) * (x.rank - 1), strict=True) if size > 1]


def _affine_per_element(b: Builder, x: Tensor, scale: NDArray[Any], offset: NDArray[Any]) -> Tensor:
    result = x.result
    if (scale != 1).any():
        result = b.emit(Combine, result, b.emit(Constant, value=np.asarray(scale)), kind="mul")
    if (offset != 0).any():
        result = b.emit(Combine, result, b.emit(Constant, value=np.asarray(offset)), kind="add")
    return replace(x, result=result)


def _affine_widening(b: Builder, x: Tensor, scale: NDArray[Any], offset: NDArray[Any]) -> Tensor:
    """Return the same where a constant repeats x: one that changes no number still gives the result its shape."""
    if (scale != 1).any() or b.broadcast(x.shape, scale.shape) != x.shape:
        x = _combine_tensors(b, "mul", x, b.as_tensor(Const(value=scale), x))
    if (offset != 0).any() or b.broadcast(x.shape, offset.shape) != x.shape:
        x = _combine_tensors(b, "add", x, b.as_tensor(Const(value=offset), x))
    return x


def combine(b: Builder, kind: Arithmetic, left: Value, right: Value) -> Tensor:
    """Add, subtract, multiply, or take the greater or lesser of two values, one of them at least a tensor."""
    if isinstance(left, Tensor) and isinstance(right, Const) and kind in ("add", "sub", "mul"):
        value = np.asarray(right.value, dtype=np.float64)
        one, zero = np.ones(()), np.zeros(())
        return affine(b, left, value if kind == "mul" else one, {"add": value, "sub": -value, "mul": zero}[kind])
    if isinstance(left, Const) and isinstance(right, Tensor):
        if kind == "sub":
            return affine(b, right, -np.ones(()), np.asarray(left.value, dtype=np.float64))
        return combine(b, kind, right, left)
    assert isinstance(left, Tensor), "constants are folded before"
    rank = max(left.rank, right.rank if isinstance(right, Tensor) else np.ndim(right.value))
    left = b.lifted(left, rank)
    return _combine_tensors(b, kind, left, b.lifted(b.as_tensor(right, left), rank))


def _combine_tensors(b: Builder, kind: Arithmetic, left: Tensor, right: Tensor) -> Tensor:
    if left.rank != right.rank or left.sample_axis != right.sample_axis:
        b.fail(
            f"combines values of the shapes {left.shape} and {right.shape}, whose samples lie along different axes; "
            "reshape them to as many axes"
        )
    shape = b.broadcast(left.shape, right.shape)
    if shape[left.sample_axis] != left.shape[left.sample_axis]:
        b.fail(f"combines values of {left.shape[left.sample_axis]} and {right.shape[left.sample_axis]} samples")
    sources = (left.result, b.stored_in(right, left.order))
    return b.tensor(b.emit(Combine, *sources, kind=kind), shape, left.order)


def quantize(
    b: Builder,
    x: Tensor,
    *,
    scale: NDArray[Any],
    lo: NDArray[Any],
    hi: NDArray[Any],
    zero_point: NDArray[Any],
    rounding: Rounding,
    overflow: Overflow = Overflow.SATURATE,
) -> Tensor:
    """Round and saturate to integers times scale; all constants broadcast to x's shape."""
    scale = finite(b, scale, "scale")
    for what, array in {"scale": scale, "range": lo, "zero point": zero_point}.items():
        b.check_fits(array, x, what)
    if (scale <= 0).any():
        b.fail(f"its scale must be positive, not {scale.min()!r}")
    whole = {"lo": lo, "hi": hi, "zero_point": zero_point}
    fields = {name: b.spread(np.asarray(array, dtype=np.int64), x) for name, array in whole.items()}
    made = b.emit(Quantize, x.result, scale=b.spread(scale, x), rounding=rounding, overflow=overflow, **fields)
    return replace(x, result=made)


def thresholds(b: Builder, x: Tensor, axis: int, rows: NDArray[Any], start: NDArray[Any], step: NDArray[Any]) -> Tensor:
    """Count the thresholds at or below x; rows: (1 or channels, count), channels along the source's axis `axis`.

    start and step: one number, or one per channel.
    """
    rows = finite(b, rows, "thresholds")
    if (np.diff(rows, axis=1) < 0).any():
        rows = np.sort(rows, axis=1)  # the count does not depend on their order
    if rows.shape[0] not in (1, x.shape[axis]):
        b.fail(f"its thresholds have {rows.shape[0]} rows; 1 or {x.shape[axis]} (channels) are expected")
    if rows.shape[0] > 1 or start.size > 1 or step.size > 1:
        x = b.with_last(x, axis)
    start, step = (np.asarray(a, dtype=np.float64).reshape(() if a.size == 1 else (-1,)) for a in (start, step))
    return replace(x, result=b.emit(Thresholds, x.result, thresholds=rows, start=start, step=step))


def finite(b: Builder, value: NDArray[Any], what: str) -> Floats:
    """Return the values as float64; refuse NaN and infinity."""
    floats = np.asarray(value, dtype=np.float64)
    if not np.isfinite(floats).all():
        b.fail(
            f"its {what} holds {int((~np.isfinite(floats)).sum())} NaN or infinite numbers; mend or retrain the model"
        )
    return floats
