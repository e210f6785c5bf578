"""Raw samples to input codes: a contract is made from the training rows, then applied to any rows.

The steps, in order: window, subsample (both on the last axis), flatten, scale, round, clip:
    code = clip(floor((value * scale + offset) * 2**frac_bits + 1/2), lo, hi)
with value * scale + offset in IEEE binary64 (multiply, then add, not fused) and the rest exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.errors import DataError, FormatError
from gatewright.fixedpoint import Fixed, Rounding, round_to_integers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def make_contract(x: NDArray[Any], train: NDArray[np.bool_], data: Data, number: Fixed) -> dict[str, Any]:
    """Return the JSON-able contract of the conditioning that `data` asks for, its statistics from rows `train` only.

    x: (n, ...) int64 or float64 raw samples; train: (n,) mask.
    Raises DataError for a window or factor that does not fit, FormatError for an unsigned format with "standard".
    """
    contract = _steps(x, data)
    contract["format"] = {
        "spelling": str(number),
        "width_bits": number.width_bits,
        "frac_bits": number.frac_bits,
        "signed": number.signed,
    }
    contract |= {
        "rounding": "half_up",
        "overflow": "error" if data.scaling == "none" else "saturate",
        "arithmetic": "IEEE binary64: multiply by scale, then add offset, not fused; then exact",
    }
    values = _reduced(x[train], contract)
    scale, offset, constant = _scaling(values, data.scaling, number)
    contract["scaling"] = {
        "mode": data.scaling,
        "fitted_on": "nothing" if data.scaling == "none" else "train",
        "scale": scale.tolist(),
        "offset": offset.tolist(),
        "constant_features": np.flatnonzero(constant).tolist(),
    }
    return contract


def reduced(x: NDArray[Any], data: Data) -> NDArray[Any]:
    """Return raw samples after window and subsample, flat and not yet scaled: (n, ...) -> (n, features).

    Raises DataError as make_contract does.
    """
    return _reduced(x, _steps(x, data))


def _steps(x: NDArray[Any], data: Data) -> dict[str, Any]:
    """Return what a contract says of window and subsample."""
    length = x.shape[-1]
    start = data.window.start
    keep = data.window.length or length - start
    if start >= length or start + keep > length:
        raise DataError(
            f"data.window must lie within the {length} samples of the last axis, not {start}..{start + keep - 1}; "
            f"lower its start or length"
        )
    if data.subsample.factor > keep:
        raise DataError(
            f"data.subsample.factor must be at most the {keep} samples of the window, not {data.subsample.factor}"
        )
    floors = data.subsample.mode == "average" and data.scaling == "none" and x.dtype.kind == "i"
    return {
        "version": 1,
        "raw_shape": list(x.shape[1:]),
        "window": {"start": start, "length": keep},
        "subsample": {
            "factor": data.subsample.factor,
            "mode": data.subsample.mode,
            "rounding": "floor" if floors else "none",
        },
    }


def condition(raw_x: NDArray[Any], contract: dict[str, Any]) -> Ints:
    """Turn raw samples into the hardware's input codes exactly as the training data was.

    raw_x: (n, *contract["raw_shape"]), any number type. Result: (n, features) int64 codes.
    Raises DataError for another shape, and for values outside the format where the contract's scaling is "none".
    """
    return condition_counted(raw_x, contract)[0]


def condition_counted(raw_x: NDArray[Any], contract: dict[str, Any]) -> tuple[Ints, Ints]:
    """Do as `condition` and also return how many values of each row were clipped. Shapes (n, features), (n,)."""
    shape = tuple(contract["raw_shape"])
    if raw_x.shape[1:] != shape or raw_x.ndim != len(shape) + 1:
        raise DataError(f"raw samples must have shape (n, {', '.join(map(str, shape))}), not {raw_x.shape}")
    if "missing" in contract and raw_x.dtype.kind == "f":
        raw_x = np.where(np.isnan(raw_x), np.array(contract["missing"]), raw_x)
    if raw_x.dtype.kind == "f" and not np.isfinite(raw_x).all():
        raise DataError("raw samples must be finite, not NaN or infinite; drop these rows before conditioning")
    fields = contract["format"]
    number = Fixed(width_bits=fields["width_bits"], frac_bits=fields["frac_bits"], signed=fields["signed"])
    values = _reduced(raw_x, contract)
    scale, offset = (np.array(contract["scaling"][key]) for key in ("scale", "offset"))
    unscaled = contract["scaling"]["mode"] == "none"
    scaled = values if unscaled else values * scale + offset
    codes = _round_half_up(scaled, number)
    outside = (codes < number.lo) | (codes > number.hi)
    if unscaled and outside.any():
        step = 2.0**-number.frac_bits
        wide = Fixed.holding(int(codes.min()), int(codes.max()), number.frac_bits)
        raise DataError(
            f"samples must fit {number} ({number.lo * step:g} .. {number.hi * step:g} in steps of {step:g}) when "
            f'data.scaling is "none", not {values.min():g} .. {values.max():g}; '
            f'choose a wider data.input_format ({wide} holds them) or data.scaling = "range"'
        )
    return np.clip(codes, number.lo, number.hi).astype(np.int64), outside.sum(axis=1)


def conditioned_shape(contract: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of a conditioned sample before it is flattened: the raw one, its last axis cut and thinned."""
    *rest, _ = contract["raw_shape"]
    length, factor = contract["window"]["length"], contract["subsample"]["factor"]
    decimates = contract["subsample"]["mode"] == "decimate"
    return (*rest, -(-length // factor) if decimates else length // factor)


def _reduced(x: NDArray[Any], contract: dict[str, Any]) -> NDArray[Any]:
    """Apply window and subsample to the last axis and flatten: (n, ...) -> (n, features)."""
    start, length = contract["window"]["start"], contract["window"]["length"]
    factor = contract["subsample"]["factor"]
    x = x.astype(np.int64) if x.dtype.kind in "bui" else x.astype(np.float64)
    x = x[..., start : start + length]
    if factor > 1 and contract["subsample"]["mode"] == "decimate":
        x = x[..., ::factor]
    elif factor > 1:
        groups = length // factor  # a last, incomplete group is dropped
        total = x[..., : groups * factor].reshape(*x.shape[:-1], groups, factor).sum(axis=-1)
        floors = contract["subsample"]["rounding"] == "floor"
        x = np.floor_divide(total, factor) if floors else total / factor
    return x.reshape(len(x), -1)


def _scaling(values: NDArray[Any], mode: str, number: Fixed) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return per-feature scale, offset and which features are constant (those get code 0). Shapes (features,)."""
    low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    constant = low == high
    if mode == "none":
        return np.ones(len(low)), np.zeros(len(low)), constant
    if mode == "standard" and not number.signed:
        raise FormatError(
            f'data.scaling = "standard" centres values on zero and needs a signed format, not {number}; '
            f'use e.g. fixed<{number.width_bits},4>, or data.scaling = "range"'
        )
    step = 2.0**-number.frac_bits
    with np.errstate(all="ignore"):  # what overflows is refused just below
        if mode == "range":
            scale = (number.hi - number.lo) * step / np.where(constant, 1.0, high - low)
            offset = number.lo * step - low * scale
        else:
            scale = 1.0 / np.where(constant, 1.0, values.std(axis=0, dtype=np.float64))
            offset = -values.mean(axis=0, dtype=np.float64) * scale
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        worst = int(np.flatnonzero(~(np.isfinite(scale) & np.isfinite(offset)))[0])
        raise DataError(
            f"feature {worst} must have a range that float64 can scale, not {low[worst]:g} .. {high[worst]:g}; "
            f"drop it or rescale the source"
        )
    return np.where(constant, 0.0, scale), np.where(constant, 0.0, offset), constant


def _round_half_up(values: NDArray[Any], number: Fixed) -> NDArray[Any]:
    """Return floor(values * 2**frac_bits + 1/2), exactly; adding 1/2 to a float64 could round. Same shape."""
    if values.dtype.kind == "i" and number.frac_bits == 0:
        return values
    return round_to_integers(np.ldexp(values.astype(np.float64), number.frac_bits), Rounding.HALF_UP)
