"""Pairs of digits, packed into integers: which two terms, how far apart, and whether their signs differ.

A pair of terms a << p, b << p + power is a *pattern*, whatever p is; the lower digit, term << 6 | power, comes first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.fixedpoint import Ints

PATTERN_BITS = 49  # two terms of 20 bits, a difference of powers + 64 in 8, one bit for signs that differ
AGES = 8  # neighbouring ages that count as equal; of 1, 3 and 8 the one with the fewest adders on random matrices


def parts(pattern: int) -> tuple[int, int, int, int]:
    """Return terms a and b, power of b minus power of a, and 1 where the signs differ."""
    return pattern >> 29, pattern >> 9 & 0xFFFFF, (pattern >> 1 & 0xFF) - 64, pattern & 1


def split(patterns: Ints) -> tuple[Ints, Ints, Ints, NDArray[np.bool_]]:
    """Return the parts of many patterns."""
    return patterns >> 29, patterns >> 9 & 0xFFFFF, (patterns >> 1 & 0xFF) - 64, (patterns & 1).astype(np.bool_)


def packed(a: Ints, b: Ints, power: Ints, differ: NDArray[Any]) -> Ints:
    """Return the patterns of such parts."""
    return ((a << 20 | b) << 8 | power + 64) << 1 | differ.astype(np.int64)


def age(a: Ints, b: Ints) -> Ints:
    """Return how old pairs are: the youngest first, so that large terms grow that are shared as a whole."""
    return ((1 << 21) - a - b) // AGES


def counted(patterns: Ints) -> tuple[Ints, Ints]:
    """Return the patterns that occur at least twice, in order, and how often."""
    patterns = np.sort(patterns)
    starts = np.flatnonzero(np.append(True, patterns[1:] != patterns[:-1]))
    counts = np.diff(np.append(starts, len(patterns)))
    return patterns[starts[counts >= 2]], counts[counts >= 2]
