"""Hits among trials in, the interval of their share out: what every accuracy, recall and rate is given with."""

# SciPy ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

CONFIDENCE = 0.95


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share at CONFIDENCE: (low, high), (0, 1) without trials.

    Source: Wilson, Journal of the American Statistical Association 22 (1927), computed by SciPy.
    """
    from scipy.stats import binomtest

    if not trials:
        return 0.0, 1.0
    found = binomtest(hits, trials).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)
