"""Samples of any number type in, the same as int64 or float64 out, some rows at a time; and what is summed over them.

What is computed does not depend on the pieces: NumPy adds the rows of an array one after another, and so does `summed`.
Arrays for which it does not (a single column, columns that lie one behind the other) are one piece.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VALUES = 1 << 16
"""Values of a piece: several such arrays fit a core's cache."""


def wide(x: NDArray[Any]) -> NDArray[Any]:
    """Return samples as int64, where they are whole or truth values, or float64. A new array of the same shape."""
    if x.dtype.kind in "bui":
        return x.astype(np.int64)
    with np.errstate(over="ignore"):  # what float64 has not becomes infinite, and is refused as that
        return x.astype(np.float64)


def slices(x: NDArray[Any], features: int | None = None) -> Iterator[slice]:
    """Yield the rows of each piece. features: of a row when it is summed; None: nothing is summed over rows."""
    alone = not x.flags.c_contiguous or features == 1
    step = len(x) if alone else max(VALUES // max(math.prod(x.shape[1:]), 1), 1)
    for at in range(0, len(x), max(step, 1)):
        yield slice(at, at + step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Samples to go through several times: each piece (rows, features), int64 or float64.

    x: (n, ...) of any number type; reduce: what makes rows of some samples, None for rows as they are; features: of a
    row; kept: (n,) mask of the samples that count, None for all.
    """

    x: NDArray[Any]
    features: int
    reduce: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    kept: NDArray[np.bool_] | None = None

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for rows in slices(self.x, self.features):
            piece = wide(self.x[rows] if self.kept is None else self.x[rows][self.kept[rows]])
            yield piece if self.reduce is None else self.reduce(piece)

    def __len__(self) -> int:
        return len(self.x) if self.kept is None else int(np.count_nonzero(self.kept))

    def ends(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the least and the greatest value of each feature, (features,) each."""
        found = [(piece.min(axis=0), piece.max(axis=0)) for piece in self if len(piece)]
        return np.min([low for low, _ in found], axis=0), np.max([high for _, high in found], axis=0)

    def mean(self) -> NDArray[np.float64]:
        """Return each feature's mean, (features,): the number that `numpy.mean` returns for all rows at once."""
        return summed(self) / len(self)

    def deviation(self) -> NDArray[np.float64]:
        """Return each feature's standard deviation, (features,): the number that `numpy.std` returns."""
        mean = self.mean()
        return np.sqrt(summed(np.square(piece - mean) for piece in self) / len(self))


def summed(pieces: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
    """Return the sum over all rows of pieces (rows, features): (features,), as `numpy.sum` adds them in one array."""
    total: NDArray[np.float64] | None = None
    for piece in pieces:
        if total is None:
            total = piece.sum(axis=0, dtype=np.float64)
        elif len(piece):
            held = np.empty((len(piece) + 1, piece.shape[1]))
            held[0], held[1:] = total, piece
            total = held.sum(axis=0)
    assert total is not None
    return total
