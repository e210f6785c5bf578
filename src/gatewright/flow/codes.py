"""A program and the input codes that somebody gave, or nobody did, in; codes that suit it out."""

from __future__ import annotations

import numpy as np

from gatewright.errors import DataError
from gatewright.fixedpoint import Ints
from gatewright.ir import Program


def random_codes(program: Program, count: int, *, seed: int = 0) -> Ints:
    """Return inputs spread evenly over the input's format: (count, *shape), the same for the same seed."""
    fixed, shape = program.input.format, program.input.shape
    return np.random.default_rng(seed).integers(fixed.lo, fixed.hi, (count, *shape), endpoint=True)


def checked_codes(codes: Ints | None, program: Program, count: int, *, seed: int = 0) -> Ints:
    """Return given codes as int64, (n, *input shape), or `count` random ones where none are given.

    Raises DataError where their shape, type or range is not the program's.
    """
    if codes is None:
        return random_codes(program, count, seed=seed)
    fixed, shape = program.input.format, program.input.shape
    if codes.shape[1:] != shape or not len(codes) or not np.issubdtype(codes.dtype, np.integer):
        raise DataError(
            f"input codes must be integers of shape (n, {', '.join(map(str, shape))}), not {codes.dtype} "
            f"{codes.shape}; "
            "encode samples as the model's export does"
        )
    if codes.min() < fixed.lo or codes.max() > fixed.hi:
        raise DataError(
            f"input codes must lie in {fixed.lo}..{fixed.hi} ({fixed}), not {codes.min()}..{codes.max()}; "
            "encode samples as the model's export does"
        )
    return codes.astype(np.int64)
