"""A matrix in, its columns as signed digits out: canonical ones, or in other spellings of as few digits.

A number may have several spellings of fewest digits: 3 is 4 - 1 and 2 + 1. Which one shares best hangs on its
neighbours (Park and Kang 2001, "Digital filter synthesis based on minimal signed digit representation"), so those of a
tiny matrix are all tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import cache

from gatewright.fixedpoint import Ints, digit_count, signed_digits

Columns = list[dict[int, int]]  # of each column the sign of every digit, by digit = term << 6 | power
Spelling = tuple[tuple[int, int], ...]

_TINY = 32  # digits of a matrix whose spellings are tried
_TRIED = 1024  # digits of all its spellings together: a thousand take some 20 ms


def canonical(matrix: Ints) -> Columns:
    """Return the columns of a matrix (n_in, n_out) in canonical signed digits."""
    return _columns(matrix, signed_digits)


def spellings(matrix: Ints) -> Iterator[Columns]:
    """Yield the columns of a tiny matrix for every choice of spellings, one for each odd factor of its numbers."""
    count = int(digit_count(matrix).sum())
    if count > _TINY:
        return
    odd = sorted({abs(v) // (v & -v) for v in matrix.ravel().tolist() if v})
    choices = [_spelled(v, len(signed_digits(v))) for v in odd]
    ways = math.prod(len(found) for found in choices)
    if ways == 1 or ways * count > _TRIED:
        return
    for chosen in itertools.product(*choices):
        table = dict(zip(odd, chosen, strict=True))
        yield _columns(matrix, lambda v, table=table: _scaled(v, table))


def _columns(matrix: Ints, digits: Callable[[int], list[tuple[int, int]]]) -> Columns:
    return [{i << 6 | p: s for i, v in enumerate(column) for p, s in digits(v)} for column in matrix.T.tolist()]


def _scaled(value: int, table: dict[int, Spelling]) -> list[tuple[int, int]]:
    """Return the digits of a number by the spelling of its odd factor."""
    if not value:
        return []
    lowest = value & -value
    sign = 1 if value > 0 else -1
    return [(p + lowest.bit_length() - 1, s * sign) for p, s in table[abs(value) // lowest]]


@cache
def _spelled(value: int, digits: int) -> tuple[Spelling, ...]:
    """Return all spellings of a number with at most so many digits, lowest power first."""
    if not value:
        return ((),)
    if not digits:
        return ()
    zeros = (value & -value).bit_length() - 1
    odd = value >> zeros
    return tuple(
        ((zeros, sign), *((power + zeros, s) for power, s in rest))
        for sign in (1, -1)
        for rest in _spelled(odd - sign, digits - 1)
    )
