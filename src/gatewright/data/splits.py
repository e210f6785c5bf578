"""Labels, groups and the user's own split in; one of 0 train, 1 validation, 2 test per row out.

Random splits draw the rows that scikit-learn would: stratified by class, whole groups where there are groups.
"""

# scikit-learn ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.data.dataset import SPLITS
from gatewright.data.draws import draw_by_class, draw_groups, draw_rows
from gatewright.errors import DataError

SPELLINGS = {
    **dict.fromkeys(("train", "training", "trn", "0"), 0),
    **dict.fromkeys(("validation", "val", "valid", "dev", "1"), 1),
    **dict.fromkeys(("test", "testing", "tst", "2"), 2),
}
MANY_CLASSES = 50  # beyond, the labels may well be a continuous quantity
GROUP_FOLDS = 20  # resolution of a grouped, stratified split: 5 % of the groups

Splits = NDArray[np.uint8]


def make_split(
    y: NDArray[Any],
    data: Data,
    *,
    origin: str,
    classes: tuple[str, ...],
    group: NDArray[Any] | None,
    given: NDArray[Any] | None,
) -> tuple[Splits, str]:
    """Return the split (n,) uint8 and a word on its making: "source", "source+validation", "stratified", ...

    y: (n,) class indices when `classes` is not empty. A given split is kept; where it has no validation rows and
    data.validation_fraction > 0, they are taken from its training rows. Groups never straddle splits.
    Raises DataError when a class would be missing from a split, a group straddles a given split, a name is unknown.
    """
    split = np.zeros(len(y), dtype=np.uint8)
    if given is None:
        shares = {2: data.test_fraction, 1: data.validation_fraction}
        method = "random"
    else:
        split = parse_split(given, origin)
        shares = {} if (split == 1).any() else {1: data.validation_fraction}
        method = "source+validation" if shares.get(1) else "source"
    shares = {part: share for part, share in shares.items() if share > 0}
    if given is None:
        _refuse_rare(y, classes, len(shares) + 1, origin)
    left = 1.0
    for part, share in shares.items():  # test first, then validation, both out of the training rows
        rows = np.flatnonzero(split == 0)
        split[rows[_take(y[rows], share / left, data.split_seed + part, classes, _of(group, rows), origin)]] = part
        left -= share if given is None else 0.0
    _refuse_straddling(split, group, origin)
    _refuse_missing(split, y, classes, sorted({0, *shares}), origin, grouped=group is not None)
    if method != "source":
        method += " stratified" * bool(classes) + " by group" * (group is not None)
    return split, method


def parse_split(given: NDArray[Any], origin: str) -> Splits:
    """Read split names (train, validation or val, test) or numbers (0, 1, 2). Shape (n,) in and out."""
    names, inverse = np.unique(given.reshape(-1).astype(str), return_inverse=True)
    codes: list[int] = []
    for name in names.tolist():
        key = name.strip().lower().removesuffix(".0")
        if key not in SPELLINGS:
            raise DataError(
                f"{origin}: a row's split must be train, validation (val) or test, not {name!r}; "
                f"correct the split column"
            )
        codes.append(SPELLINGS[key])
    split = np.array(codes, dtype=np.uint8)[inverse]
    for part in (0, 2):
        if not (split == part).any():
            raise DataError(
                f"{origin}: the given split must have {SPLITS[part]} rows, not only "
                f"{', '.join(sorted(set(names.tolist())))}; mark some rows {SPLITS[part]!r} or leave the split out"
            )
    return split


def _take(
    y: NDArray[Any], share: float, seed: int, classes: tuple[str, ...], group: NDArray[Any] | None, origin: str
) -> NDArray[np.int64]:
    """Return the row numbers, about `share` of all, that go to a new split."""
    if group is not None and classes:
        return _take_groups(y, share, seed, group, origin)
    if group is not None:
        _group_count(group, origin)
    try:
        if group is not None:
            return draw_groups(group, share, seed)
        return draw_by_class(y, share, seed) if classes else draw_rows(len(y), share, seed)
    except DataError as error:
        raise DataError(
            f"{origin}: {len(y)} rows cannot be split with a share of {share:.2f}: {error}; "
            f"add rows, change data.test_fraction and data.validation_fraction, or give your own split"
        ) from None


def _take_groups(y: NDArray[Any], share: float, seed: int, group: NDArray[Any], origin: str) -> NDArray[np.int64]:
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(GROUP_FOLDS, _group_count(group, origin), int(np.bincount(y).max()))
    picker = StratifiedGroupKFold(n_splits=max(folds, 2), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds; _refuse_missing decides
        parts = [test for _, test in picker.split(np.zeros(len(y)), y, group)]
    parts = [part for part in parts if len(part)]
    sizes = np.cumsum([len(part) for part in parts[:-1]])
    nearest = int(np.abs(sizes - share * len(y)).argmin()) + 1
    return np.concatenate(parts[:nearest])


def _group_count(group: NDArray[Any], origin: str) -> int:
    count = len(np.unique(group))
    if count < 2:
        raise DataError(
            f"{origin}: a split by group needs several groups, not {count}; check the group column or leave it out"
        )
    return count


def _of(values: NDArray[Any] | None, rows: NDArray[np.int64]) -> NDArray[Any] | None:
    return None if values is None else values[rows]


def _refuse_rare(y: NDArray[Any], classes: tuple[str, ...], parts: int, origin: str) -> None:
    if not classes:
        return
    counts = np.bincount(y, minlength=len(classes))
    rarest = int(counts.argmin())
    if counts[rarest] < parts:
        continuous = '; for a continuous target set task = "regression"' if len(classes) > MANY_CLASSES else ""
        raise DataError(
            f"{origin}: class {classes[rarest]!r} needs at least {parts} rows, one per split, not {counts[rarest]}; "
            f"add rows, merge or drop the class, or give your own split{continuous}"
        )


def _refuse_straddling(split: Splits, group: NDArray[Any] | None, origin: str) -> None:
    if group is None:
        return
    names, inverse = np.unique(group, return_inverse=True)
    seen = np.zeros((len(names), len(SPLITS)), dtype=bool)
    seen[inverse, split] = True
    for number in np.flatnonzero(seen.sum(axis=1) > 1)[:1]:
        parts = " and ".join(SPLITS[part] for part in np.flatnonzero(seen[number]))
        raise DataError(
            f"{origin}: a group must lie in one split, not group {names[number].item()!r} in {parts}; "
            f"correct the split column or leave it out"
        )


def _refuse_missing(
    split: Splits, y: NDArray[Any], classes: tuple[str, ...], parts: list[int], origin: str, *, grouped: bool
) -> None:
    for part in parts:
        rows = split == part
        if not rows.any():
            raise DataError(f"{origin}: the {SPLITS[part]} split has no rows; add data or change the fractions")
        absent = np.bincount(y[rows], minlength=len(classes)) == 0 if classes else np.zeros(0, dtype=bool)
        for index in np.flatnonzero(absent)[:1].tolist():
            total = int((y == index).sum())
            why = "its groups are too few" if grouped else "they are too few"
            raise DataError(
                f"{origin}: class {classes[index]!r} must have rows in the {SPLITS[part]} split, but none of its "
                f"{total} fell there ({why}); add rows, raise the fraction, or give your own split"
            )
