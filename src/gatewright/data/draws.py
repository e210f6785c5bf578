"""Row numbers drawn by a seed: plain, by class, or whole groups, the same rows that scikit-learn's splitters draw.

Written here because importing scikit-learn, and SciPy's statistics with it, takes longer than reading most data; a test
compares every draw with StratifiedShuffleSplit, ShuffleSplit and GroupShuffleSplit. They draw from NumPy's RandomState,
whose stream is frozen, so a seed means the same rows for ever.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import DataError

Rows = NDArray[np.int64]


def draw_rows(count: int, share: float, seed: int) -> Rows:
    """Return a share of the numbers 0 .. count-1, rounded up. Raises DataError where none or all would be drawn."""
    drawn = _between(math.ceil(share * count), count)
    return np.random.RandomState(seed).permutation(count)[:drawn]


def draw_groups(group: NDArray[np.generic], share: float, seed: int) -> Rows:
    """Return the rows of a share of the groups, rounded up. group: (n,) names. Raises DataError as draw_rows does."""
    names, inverse = np.unique(group, return_inverse=True)
    return np.flatnonzero(np.isin(inverse, draw_rows(len(names), share, seed)))


def draw_by_class(y: NDArray[np.int64], share: float, seed: int) -> Rows:
    """Return a share of the rows of each class, in all as many as the nearest whole number, at least one per class.

    y: (n,) class of each row. Raises DataError for a class of one row, and where a side would have too few rows.
    """
    counts = np.bincount(y)
    inverse = (np.cumsum(counts > 0) - 1)[y]
    counts = counts[counts > 0]
    drawn = _between(max(round(share * len(y)), len(counts)), len(y))
    if counts.min() < 2:
        raise DataError("a class has a single row")
    if len(y) - drawn < len(counts):
        raise DataError(f"{len(y) - drawn} rows would stay for {len(counts)} classes")
    rng = np.random.RandomState(seed)
    kept = _apportioned(counts, len(y) - drawn, rng)
    taken = _apportioned(counts - kept, drawn, rng)
    narrow = inverse.astype(np.uint16) if len(counts) < 1 << 16 else inverse  # of these NumPy sorts in linear time
    members = np.split(np.argsort(narrow, kind="stable"), np.cumsum(counts)[:-1])
    mixed = [rows[rng.permutation(len(rows))] for rows in members]
    parts = [rows[k : k + t] for rows, k, t in zip(mixed, kept, taken, strict=True)]
    return np.concatenate(parts)


def _apportioned(counts: NDArray[np.int64], total: int, rng: np.random.RandomState) -> NDArray[np.int64]:
    """Return how many of each class make `total`: the whole shares, then one more by largest remainder, ties by lot."""
    shares = counts / counts.sum() * total
    whole = np.floor(shares)
    left, remainders = int(total - whole.sum()), shares - whole
    for value in np.unique(remainders)[::-1]:
        if left <= 0:
            break
        tied = np.flatnonzero(remainders == value)
        chosen = rng.choice(tied, size=min(len(tied), left), replace=False)
        whole[chosen] += 1
        left -= len(chosen)
    return whole.astype(np.int64)


def _between(drawn: int, count: int) -> int:
    if not 0 < drawn < count:
        raise DataError(f"{drawn} would be drawn of {count}")
    return drawn
