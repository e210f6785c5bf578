"""Batch normalisation in inference: a scale and an offset per channel."""

from __future__ import annotations

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
