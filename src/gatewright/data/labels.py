"""Labels as they stand in the source in; class indices with names, or regression targets, out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.data.raw import Raw
from gatewright.errors import DataError, nearest

_FEW = 1 << 16  # numbers from the least label to the greatest, up to which each is counted instead of sorted
_DIGITS = r"\d{1,4000}"  # Python reads no longer numbers


def encode_labels(raw: Raw, task: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return (y, classes): (n,) int64 indices and names for classification, (n, targets) float64 and () otherwise.

    Classes keep the source's own order where it has one, else are sorted naturally (2 before 10).
    Raises DataError for one class only, fractional class labels, non-numeric or non-finite targets.
    """
    if task == "regression":
        return _targets(raw), ()
    labels = raw.y.reshape(-1) if raw.y.size == len(raw.x) else raw.y
    if one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise DataError(
            f"{raw.origin}: class labels must be one per row, not shape {labels.shape}; "
            f'or one-hot, a single 1 in each row; for several targets set task = "regression"'
        )
    if labels.dtype.kind == "f":
        labels = _whole(labels, raw.origin)
    if raw.classes is not None:
        return _declared(labels, raw.classes, raw.origin), raw.classes
    found, inverse = _distinct(labels)
    names: list[str] = found.astype(str).tolist()
    if any(not name.strip() for name in names):
        row = int(np.flatnonzero(inverse == next(i for i, name in enumerate(names) if not name.strip()))[0])
        raise DataError(
            f"{raw.origin}: every row needs a label, but sample {row + 1} of {len(labels)} has none; "
            "fill it in or drop the row"
        )
    if len(names) < 2:
        raise DataError(
            f"{raw.origin}: classification needs at least 2 classes, not only {names[0]!r}; "
            f"check the label column or add data of another class"
        )
    if len(names) > 1000:
        raise DataError(
            f"{raw.origin}: classification takes at most 1000 classes, not {len(names)}; "
            f'check the label column, or set task = "regression"'
        )
    order = sorted(range(len(names)), key=lambda i: natural_key(names[i]))
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return rank[inverse], tuple(names[i] for i in order)


def leave_out(
    raw: Raw, y: NDArray[Any], classes: tuple[str, ...], names: Sequence[str]
) -> tuple[Raw, NDArray[Any], tuple[str, ...]]:
    """Return samples, class indices and classes without the rows of some classes.

    Raises DataError for a regression, for what is no class, and where fewer than two are left.
    """
    if not classes:
        raise DataError(f'{raw.origin}: data.exclude_classes goes with task = "classification"; remove it')
    for name in names:
        if name not in classes:
            raise DataError(
                f"{raw.origin}: no class is called {name!r} (data.exclude_classes).{nearest(name, list(classes))}"
            )
    kept = [index for index, name in enumerate(classes) if name not in names]
    if len(kept) < 2:
        raise DataError(f"{raw.origin}: data.exclude_classes leaves {len(kept)} classes; at least 2 must stay")
    rows = np.isin(y, kept)
    index = np.zeros(len(classes), dtype=np.int64)
    index[kept] = np.arange(len(kept))
    return raw.rows(rows), index[y[rows]], tuple(classes[i] for i in kept)


def one_hot(labels: NDArray[Any]) -> bool:
    """Say whether labels are (n, classes) zeros with a single 1 in each row, several classes among them."""
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "biuf":
        return False
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return the sort key that puts numbers inside names in numeric order: -1, 2, 10, a2, a10."""
    if re.fullmatch(rf"-{_DIGITS}", name):
        return ((0, int(name), name),)
    parts = re.findall(rf"{_DIGITS}|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _distinct(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the distinct labels, sorted, and the place of each row's among them."""
    if labels.dtype.kind not in "bui":
        return np.unique(labels.astype(str), return_inverse=True)
    least, most = int(labels.min()), int(labels.max())
    if labels.dtype.kind == "b" or most - least >= _FEW or most >= 1 << 62:
        return np.unique(labels, return_inverse=True)
    offset = labels.astype(np.int64) - least
    found = np.flatnonzero(np.bincount(offset))
    place = np.zeros(most - least + 1, dtype=np.int64)
    place[found] = np.arange(len(found))
    return found + least, place[offset]


def _declared(labels: NDArray[Any], classes: tuple[str, ...], origin: str) -> NDArray[np.int64]:
    if labels.dtype.kind not in "bui":
        index = {name: i for i, name in enumerate(classes)}
        for row, label in enumerate(labels.astype(str).tolist()):
            if label not in index:
                raise DataError(
                    f"{origin}: labels must be one of {', '.join(classes)}, not {label!r} of sample {row + 1}; "
                    f"correct `classes`"
                )
        return np.array([index[label] for label in labels.astype(str).tolist()], dtype=np.int64)
    indices = labels.astype(np.int64)
    if len(classes) < 2 or int(indices.min()) < 0 or int(indices.max()) >= len(classes):
        raise DataError(
            f"{origin}: labels must be class numbers 0..{len(classes) - 1} of at least 2 `classes`, "
            f"not {indices.min()}..{indices.max()}; correct the labels or `classes`"
        )
    return indices


def _whole(labels: NDArray[Any], origin: str) -> NDArray[np.int64]:
    wrong = np.flatnonzero(~np.isfinite(labels) | (labels != np.floor(labels)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{origin}: class labels must be names or whole numbers, not {labels[row]} of sample {row + 1}; "
            f'for a continuous target set task = "regression"'
        )
    return labels.astype(np.int64)


def _targets(raw: Raw) -> NDArray[np.float64]:
    y = _read_numbers(raw.y)
    if y.dtype.kind not in "biuf":
        raise DataError(
            f"{raw.origin}: regression targets must be numbers, not {raw.y.reshape(-1)[0].item()!r}; "
            f'choose another label column or set task = "classification"'
        )
    y = y.astype(np.float64).reshape(len(raw.y), -1)
    bad = np.argwhere(~np.isfinite(y))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise DataError(
            f"{raw.origin}: regression targets must be finite, not {y[row, column]} of sample {row + 1}, "
            f"target {column + 1}; remove or repair the row"
        )
    return y


def _read_numbers(y: NDArray[Any]) -> NDArray[Any]:
    """Return targets as numbers where all are texts of numbers: a column some of whose rows were dropped."""
    try:
        return y.astype(np.float64) if y.dtype.kind == "U" else y
    except ValueError:
        return y
