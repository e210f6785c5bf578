"""What every reader returns: raw samples and labels as they stand in the source, checked for shape and finiteness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.data.pieces import slices, wide
from gatewright.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Unconditioned data.

    x: (n, ...) numbers of any type, perhaps mapped from their file; y: (n,) labels or numbers, or (n, targets) numbers;
    group and split: (n,) or None.
    classes: names by class index where the source fixes their order, else None.
    feature_names: one per column of a 2-D x, or None. target_names: of y's columns, where the source has names.
    fill: NaN are gaps, which the training rows' means will fill.
    origin: how errors name the source.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    origin: str
    group: NDArray[Any] | None = None
    split: NDArray[Any] | None = None
    classes: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    fill: bool = False

    def rows(self, kept: NDArray[np.bool_]) -> Raw:
        """Return these samples alone, a mask of (n,)."""
        return replace(
            self,
            x=self.x[kept],
            y=self.y[kept],
            group=None if self.group is None else self.group[kept],
            split=None if self.split is None else self.split[kept],
        )


def checked(raw: Raw) -> Raw:
    """Return raw with x as (n, features...) integers or floats, or raise DataError naming the fault's place.

    They keep their type, and are read as int64 or float64. Float samples that are all whole numbers within +-2**53
    become integers, of the narrowest type that holds them: they are an ADC's codes.
    """
    x = raw.x
    _refuse_type(x, raw.origin)
    if x.ndim == 0 or x.size == 0:
        raise DataError(
            f"{raw.origin}: samples must have shape (rows, features...), not {x.shape}; the source holds no data"
        )
    for what, values in (("labels", raw.y), ("groups", raw.group), ("splits", raw.split)):
        if values is not None and values.shape[:1] != (len(x),):
            got = values.shape[0] if values.ndim else "a single value"
            raise DataError(
                f"{raw.origin}: {len(x)} samples need as many {what}, not {got}; "
                f"check that both come from the same recording"
            )
    x = x.reshape(len(x), -1) if x.ndim == 1 else x
    if x.dtype.kind == "f" and not (raw.fill and np.isnan(x).any()):
        _refuse_nonfinite(x, raw)
        x = _whole(x)
    return replace(
        raw,
        x=x,
        y=_texts(raw.y, "labels", raw.origin),
        group=None if raw.group is None else _texts(raw.group, "groups", raw.origin),
        split=None if raw.split is None else _texts(raw.split, "splits", raw.origin),
    )


def _texts(values: NDArray[Any], what: str, origin: str) -> NDArray[Any]:
    """Return bytes as the texts that they spell, anything else as it is."""
    if values.dtype.kind != "S":
        return values
    try:
        return np.strings.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{origin}: {what} must be numbers or UTF-8 text, not {error.object!r}; decode them") from None


def _refuse_type(x: NDArray[Any], origin: str) -> None:
    if x.dtype.kind not in "buif":
        raise DataError(f"{origin}: samples must be numbers, not {x.dtype}; convert them to integers or floats")
    if x.dtype == np.uint64 and x.size and int(x.max()) > 2**62:
        raise DataError(f"{origin}: samples must lie below 2**62, not {int(x.max())}; drop the column or rescale it")


def _whole(x: NDArray[Any]) -> NDArray[Any]:
    """Return finite floats as integers where all are whole numbers within +-2**53, else as they are."""
    least = most = 0.0
    for rows in slices(x):
        piece = wide(x[rows])
        if not (piece == np.floor(piece)).all():
            return x
        least, most = min(least, float(piece.min())), max(most, float(piece.max()))
    if max(-least, most) > 2.0**53:
        return x
    return x.astype(next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if _holds(kind, least, most)))


def _holds(kind: type[np.signedinteger[Any]], least: float, most: float) -> bool:
    return np.iinfo(kind).min <= least and most <= np.iinfo(kind).max


def _refuse_nonfinite(x: NDArray[Any], raw: Raw) -> None:
    count = 0
    first: list[int] = []
    for rows in slices(x):
        bad = ~np.isfinite(wide(x[rows]))
        found = int(bad.sum())
        if found and not count:
            at, *place = (int(i) for i in np.argwhere(bad)[0])
            first = [rows.start + at, *place]
        count += found
    if count == 0:
        return
    row, *place = first
    named = raw.feature_names is not None and len(place) == 1
    index = ", ".join(map(str, (row, *place)))
    where = f"column {raw.feature_names[place[0]]!r}" if named and raw.feature_names else f"x[{index}]"
    raise DataError(
        f"{raw.origin}: samples must be finite, not {wide(x[row])[tuple(place)]} of sample {row + 1}, {where} "
        f"({count} such values); remove or repair these rows"
    )
