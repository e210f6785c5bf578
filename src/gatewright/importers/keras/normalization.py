"""Batch normalisation in inference: a scale and an offset per channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewright.errors import ModelError
from gatewright.importers.keras.builder import Value
from gatewright.importers.keras.call import Call


def batch_normalization(call: Call) -> Value:
    """BatchNormalization, QKeras' QBatchNormalization and HGQ2's: y = x * scale + offset.

    Plain and QKeras: float64 from the stored float32 values (QKeras' after their quantizers).
    HGQ2: scale and offset in float32, then through kq and bq.
    """
    x = call.one_input()
    axis = _axis(call, len(x.shape))
    channels = (x.shape[axis],)
    epsilon = call.settings.number("epsilon", 1e-3)
    has_gamma = call.settings.flag("scale", default=True)
    has_beta = call.settings.flag("center", default=True)
    hgq = call.settings.has("kq_conf")
    names = [*["gamma"] * has_gamma, *["beta"] * has_beta, "moving_mean", "moving_variance"]
    if hgq:
        stored = _hgq_weights(call, names)
    else:
        stored = call.take(*names)
    for name in names:
        call.check(stored[name], channels, name)
    if np.any(stored["moving_variance"] < 0):
        raise ModelError(f"{call.where}: moving_variance has negative values; the file is damaged")
    if hgq:
        if not has_beta:
            raise ModelError(f"{call.where}: center = False makes HGQ2 add one (its own slip); save with center")
        gamma = stored["gamma"] if has_gamma else np.float32(1)
        scale32 = gamma / np.sqrt(stored["moving_variance"] + np.float32(epsilon))
        offset32 = stored["beta"] - stored["moving_mean"] * scale32
        scale = call.quantize_weight("kernel", scale32).values
        offset = call.quantize_weight("bias", offset32).values
    else:
        roles = {"gamma": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}
        values = {name: call.quantize_weight(roles[name], stored[name]).values for name in names}
        gamma_values = values.get("gamma", np.ones(channels))
        scale = gamma_values / np.sqrt(values["moving_variance"] + epsilon)
        offset = values.get("beta", np.zeros(channels)) - values["moving_mean"] * scale
        call.settings.ignore("gamma_quantizer", "beta_quantizer", "gamma_range", "beta_range")
    rank = len(x.shape)
    back = (*range(axis), rank - 1, *range(axis, rank - 1))
    forth = (*range(axis), *range(axis + 1, rank), axis)
    y = call.builder.affine(call.builder.transpose(x, forth), scale, offset)
    return (
        call.activate(call.builder.transpose(y, back))
        if call.settings.has("activation")
        else call.builder.transpose(y, back)
    )


def _hgq_weights(call: Call, names: list[str]) -> dict[str, np.ndarray]:
    """Read HGQ2's weights; by name its own beta is the cost's and the norm's is bn_beta."""
    renamed = [f"bn_{name}" if name in ("gamma", "beta") else name for name in names]
    stored = call.take(*renamed)
    return {name: stored[other] for name, other in zip(names, renamed, strict=True)}


def _axis(call: Call, rank: int) -> int:
    """Return the normalised axis, not counting the sample axis."""
    axis = call.settings.take("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if isinstance(axis, bool) or not isinstance(axis, int) or not (1 <= axis <= rank or -rank <= axis <= -1):
        raise call.settings.refuse("axis", axis, f"one axis of 1..{rank} is")
    return axis - 1 if axis > 0 else rank + axis


def normalization(call: Call) -> Value:
    """Keras' Normalization with given or adapted statistics: (x - mean) / sqrt(variance), or its inverse."""
    x = call.one_input()
    axes = call.settings.take("axis", -1)
    axes = [] if axes is None else axes if isinstance(axes, list) else [axes]
    rank = len(x.shape)
    if not all(isinstance(axis, int) and (1 <= axis <= rank or -rank <= axis <= -1) for axis in axes):
        raise call.settings.refuse("axis", axes, f"axes of 1..{rank} are")
    kept = {axis - 1 if axis > 0 else rank + axis for axis in axes}
    shape = tuple(size if axis in kept else 1 for axis, size in enumerate(x.shape))
    given = [call.settings.take(key, None) for key in ("mean", "variance")]
    if given[0] is None or given[1] is None:
        stored = call.take("mean", "variance", "count")
        given = [stored["mean"], stored["variance"]]
    mean, variance = (_statistic(call, value, shape) for value in given)
    if np.any(variance < 0):
        raise ModelError(f"{call.where}: variance has negative values; the file is damaged")
    deviation = np.maximum(np.sqrt(variance), np.float32(1e-7)).astype(np.float64)
    if call.settings.flag("invert", default=False):
        return call.builder.scaled(x, deviation, mean.astype(np.float64))
    return call.builder.scaled(x, 1 / deviation, -mean.astype(np.float64) / deviation)


def rescaling(call: Call) -> Value:
    """Keras' Rescaling: x * scale + offset, one number each, or one per channel."""
    x = call.one_input()
    numbers = [
        _statistic(call, call.settings.take(key, default), None) for key, default in (("scale", 1.0), ("offset", 0.0))
    ]
    if any(number.shape not in ((), (1,), x.shape[-1:]) for number in numbers):
        raise ModelError(f"{call.where}: scale and offset must be one number or one per channel, {x.shape[-1]}")
    call.settings.only("data_format", (None, "channels_last"), None, "use channels_last")
    return call.builder.affine(x, numbers[0].astype(np.float64), numbers[1].astype(np.float64))


def _statistic(call: Call, value: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Return numbers in float32, of this shape."""
    if isinstance(value, dict):
        value = value.get("config", {}).get("value")
    try:
        numbers = np.asarray(value, dtype=np.float32)
        numbers = (
            numbers
            if shape is None
            else np.broadcast_to(numbers.reshape(-1) if numbers.size == 1 else numbers.reshape(shape), shape)
        )
    except (TypeError, ValueError):
        raise ModelError(f"{call.where}: its numbers {str(value)[:80]} do not fit the shape {shape}") from None
    if not np.isfinite(numbers).all():
        raise ModelError(f"{call.where}: its numbers hold NaN or infinity; adapt the layer again")
    return numbers
