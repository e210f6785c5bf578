"""Raw samples to input codes: a contract is made from the training rows, then applied to any rows.

The steps, in order: window, baseline, subsample (all on the last axis), flatten, scale, round, clip:
    code = clip(floor((value * scale + offset) * 2**frac_bits + 1/2), lo, hi)
with value * scale + offset in IEEE binary64 (multiply, then add, not fused) and the rest exact. Samples are taken some
rows at a time and kept in the types that they came in and leave in, so memory holds hardly more than these.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.capture import Edge, first_windows
from gatewright.config import Data
from gatewright.data.dataset import storage
from gatewright.data.pieces import Rows, slices, wide
from gatewright.errors import DataError, FormatError
from gatewright.fixedpoint import Fixed

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def make_contract(x: NDArray[Any], train: NDArray[np.bool_], data: Data, number: Fixed) -> dict[str, Any]:
    """Return the JSON-able contract of the conditioning that `data` asks for, its statistics from rows `train` only.

    x: (n, ...) raw samples of any number type; train: (n,) mask.
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
    scale, offset, constant = _scaling(_rows(x, contract, train), data.scaling, number)
    contract["scaling"] = {
        "mode": data.scaling,
        "fitted_on": "nothing" if data.scaling == "none" else "train",
        "scale": scale.tolist(),
        "offset": offset.tolist(),
        "constant_features": np.flatnonzero(constant).tolist(),
    }
    return contract


def reduced(x: NDArray[Any], data: Data) -> Rows:
    """Return raw samples after window, baseline and subsample, flat and not yet scaled: (n, ...) -> (n, features).

    Raises DataError as make_contract does.
    """
    return _rows(x, _steps(x, data))


def _rows(x: NDArray[Any], contract: dict[str, Any], kept: NDArray[np.bool_] | None = None) -> Rows:
    features = math.prod(conditioned_shape(contract))
    return Rows(x=x, features=features, reduce=lambda piece: _reduced(piece, contract), kept=kept)


def _steps(x: NDArray[Any], data: Data) -> dict[str, Any]:
    """Return what a contract says of window, trigger, baseline and subsample."""
    length = x.shape[-1]
    start = data.window.start
    keep = data.window.length or length - start
    if data.trigger is not None and x.ndim != 2:
        raise DataError(
            f"data.trigger takes records of one row of samples, (n, samples), not {x.shape}; leave it out, or give one "
            "channel"
        )
    if start >= length or start + keep > length:
        raise DataError(
            f"data.window must lie within the {length} samples of the last axis, not {start}..{start + keep - 1}; "
            f"lower its start or length"
        )
    if data.subsample.factor > keep:
        raise DataError(
            f"data.subsample.factor must be at most the {keep} samples of the window, not {data.subsample.factor}"
        )
    if data.baseline.samples > keep:
        raise DataError(
            f"data.baseline.samples must be at most the {keep} samples of the window, not {data.baseline.samples}"
        )
    whole = x.dtype.kind in "bui"
    floors = data.subsample.mode == "average" and data.scaling == "none" and whole
    more: dict[str, Any] = {}
    if data.trigger is not None:
        given = data.trigger.model_dump()
        more["trigger"] = {**given, "missing": "the first window of a record; records without one are left out"}
    if data.baseline.samples:
        more["baseline"] = {"samples": data.baseline.samples, "rounding": "half_up" if whole else "none"}
    return {
        "version": 1,
        "raw_shape": list(x.shape[1:]),
        "window": {"start": start, "length": keep},
        "subsample": {
            "factor": data.subsample.factor,
            "mode": data.subsample.mode,
            "rounding": "floor" if floors else "none",
        },
        **more,
    }


def edge_of(trigger: dict[str, Any]) -> Edge:
    """Return the rule that a contract's, or a configuration's, trigger asks for."""
    return Edge(
        threshold=trigger["threshold"],
        hysteresis=trigger["hysteresis"],
        pretrigger=trigger["pretrigger"],
        holdoff=trigger["holdoff"],
        falling=trigger["edge"] == "falling",
    )


def triggered(x: NDArray[Any], data: Data) -> NDArray[np.bool_]:
    """Return which records have a window: (n, samples) -> (n,); without a trigger all. Raises as make_contract does."""
    if data.trigger is None:
        return np.ones(len(x), dtype=np.bool_)
    contract = _steps(x, data)
    found = [_starts(x[rows], contract) >= 0 for rows in slices(x)]
    return np.concatenate(found) if found else np.ones(0, dtype=np.bool_)


def _starts(x: NDArray[Any], contract: dict[str, Any]) -> Ints:
    """Return where each record's window begins, -1 where there is none: (n, samples) -> (n,)."""
    return first_windows(x, edge_of(contract["trigger"]), contract["window"]["length"])


def condition(raw_x: NDArray[Any], contract: dict[str, Any]) -> Ints:
    """Turn raw samples into the hardware's input codes exactly as the training data was.

    raw_x: (n, *contract["raw_shape"]), any number type. Result: (n, features) int64 codes.
    Raises DataError for another shape, and for values outside the format where the contract's scaling is "none".
    """
    return condition_counted(raw_x, contract)[0].astype(np.int64)


def condition_counted(raw_x: NDArray[Any], contract: dict[str, Any]) -> tuple[NDArray[np.integer[Any]], Ints]:
    """Do as `condition` and also return how many values of each row were clipped. Shapes (n, features), (n,).

    The codes have the narrowest type that holds the format, `storage`.
    """
    shape = tuple(contract["raw_shape"])
    if raw_x.shape[1:] != shape or raw_x.ndim != len(shape) + 1:
        raise DataError(f"raw samples must have shape (n, {', '.join(map(str, shape))}), not {raw_x.shape}")
    fields = contract["format"]
    number = Fixed(width_bits=fields["width_bits"], frac_bits=fields["frac_bits"], signed=fields["signed"])
    unscaled = contract["scaling"]["mode"] == "none"
    codes = np.empty((len(raw_x), math.prod(conditioned_shape(contract))), dtype=storage(number))
    clipped = np.zeros(len(raw_x), dtype=np.int64)
    for rows in slices(raw_x):
        exact = _codes(_filled(raw_x[rows], contract), contract, number)
        if exact.size and (exact.min() < number.lo or exact.max() > number.hi):
            if unscaled:
                raise _outside(raw_x, contract, number)
            clipped[rows] = ((exact < number.lo) | (exact > number.hi)).sum(axis=1)
            exact = np.clip(exact, number.lo, number.hi)
        codes[rows] = exact
    return codes, clipped


def _filled(raw_x: NDArray[Any], contract: dict[str, Any]) -> NDArray[Any]:
    """Return some samples with their gaps filled. Raises DataError for what is not finite then."""
    if raw_x.dtype.kind != "f":
        return raw_x
    if "missing" in contract:
        raw_x = np.where(np.isnan(raw_x), np.array(contract["missing"]), raw_x)
    if not np.isfinite(raw_x).all():
        raise DataError("raw samples must be finite, not NaN or infinite; drop these rows before conditioning")
    return raw_x


def _codes(raw_x: NDArray[Any], contract: dict[str, Any], number: Fixed) -> NDArray[Any]:
    """Return the codes of some samples before they are clipped: int64, or float64 that are whole."""
    values = _reduced(wide(raw_x), contract)
    if contract["scaling"]["mode"] != "none":
        scale, offset = (np.array(contract["scaling"][key]) for key in ("scale", "offset"))
        values = values * scale
        values += offset
    return _round_half_up(values, number)


def _outside(raw_x: NDArray[Any], contract: dict[str, Any], number: Fixed) -> DataError:
    """Return what to raise for samples of which some do not fit the format as they are."""
    found = [_codes(_filled(raw_x[rows], contract), contract, number) for rows in slices(raw_x)]
    ends = [(piece.min(), piece.max()) for piece in _rows(raw_x, contract)]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    step = 2.0**-number.frac_bits
    wide_enough = Fixed.holding(
        int(min(codes.min() for codes in found)), int(max(codes.max() for codes in found)), number.frac_bits
    )
    return DataError(
        f"samples must fit {number} ({number.lo * step:g} .. {number.hi * step:g} in steps of {step:g}) when "
        f'data.scaling is "none", not {low:g} .. {high:g}; '
        f'choose a wider data.input_format ({wide_enough} holds them) or data.scaling = "range"'
    )


def conditioned_shape(contract: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of a conditioned sample before it is flattened: the raw one, its last axis cut and thinned."""
    *rest, _ = contract["raw_shape"]
    length, factor = contract["window"]["length"], contract["subsample"]["factor"]
    decimates = contract["subsample"]["mode"] == "decimate"
    return (*rest, -(-length // factor) if decimates else length // factor)


def _reduced(x: NDArray[Any], contract: dict[str, Any]) -> NDArray[Any]:
    """Apply window, baseline and subsample to the last axis, flatten: (n, ...) -> (n, features), int64 or float64."""
    start, length = contract["window"]["start"], contract["window"]["length"]
    factor = contract["subsample"]["factor"]
    x = _triggered(x, contract) if "trigger" in contract else x[..., start : start + length]
    if "baseline" in contract:
        count = contract["baseline"]["samples"]
        total = x[..., :count].sum(axis=-1, keepdims=True)
        x = x - ((total + count // 2) // count if contract["baseline"]["rounding"] == "half_up" else total / count)
    if factor > 1 and contract["subsample"]["mode"] == "decimate":
        x = x[..., ::factor]
    elif factor > 1:
        groups = length // factor  # a last, incomplete group is dropped
        total = x[..., : groups * factor].reshape(*x.shape[:-1], groups, factor).sum(axis=-1)
        floors = contract["subsample"]["rounding"] == "floor"
        x = np.floor_divide(total, factor) if floors else total / factor
    return x.reshape(len(x), math.prod(x.shape[1:]))


def _triggered(x: NDArray[Any], contract: dict[str, Any]) -> NDArray[Any]:
    """Return each record's window, found by its trigger. Raises DataError where a record has none."""
    first, length = _starts(x, contract), contract["window"]["length"]
    if (first < 0).any():
        trigger = contract["trigger"]
        raise DataError(
            f"every record must have a window of {length} samples around an edge at {trigger['threshold']} "
            f"({trigger['pretrigger']} before it), and {int((first < 0).sum())} of {len(x)} have none, e.g. number "
            f"{int(np.flatnonzero(first < 0)[0])}; the chip would not answer to them: leave them out"
        )
    return x[np.arange(len(x))[:, None], first[:, None] + np.arange(length)]


def _scaling(values: Rows, mode: str, number: Fixed) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return per-feature scale, offset and which features are constant (those get code 0). Shapes (features,)."""
    low, high = (end.astype(np.float64) for end in values.ends())
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
            scale = 1.0 / np.where(constant, 1.0, values.deviation())
            offset = -values.mean() * scale
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        worst = int(np.flatnonzero(~(np.isfinite(scale) & np.isfinite(offset)))[0])
        raise DataError(
            f"feature {worst} must have a range that float64 can scale, not {low[worst]:g} .. {high[worst]:g}; "
            f"drop it or rescale the source"
        )
    return np.where(constant, 0.0, scale), np.where(constant, 0.0, offset), constant


def _round_half_up(values: NDArray[Any], number: Fixed) -> NDArray[Any]:
    """Return floor(values * 2**frac_bits + 1/2), exactly; adding 1/2 to a float64 could round. Same shape.

    What a value lies above its floor is exact where it decides: from 1/2 downwards.
    """
    if values.dtype.kind == "i" and number.frac_bits == 0:
        return values
    scaled = values * 2.0**number.frac_bits
    codes = np.floor(scaled)
    scaled -= codes
    codes += scaled >= 0.5
    return codes
