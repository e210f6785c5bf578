"""Figures of all cells in; means, paired gains, their intervals and what they say in words out.

Intervals are 95 % t-intervals over seeds. Where each seed draws its own split, training sets overlap and the seeds are
not independent: the variance of a mean is then s^2 (1/k + n_test/n_train) instead of s^2 / k (Nadeau and Bengio 2003,
"Inference for the generalization error", eq. 8), k seeds with deviation s.
"""

# SciPy ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from gatewright.intervals import CONFIDENCE
from gatewright.study.cells import COMBINATIONS, INGREDIENTS, Combination, name_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over seeds, the deviation of a seed, and the mean's 95 % interval (equal to the mean at one seed)."""

    mean: float
    deviation: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0.0 or self.high < 0.0


def interval(values: Sequence[float], overlap: float) -> Estimate:
    """Return mean and interval of one value per seed; overlap: n_test/n_train where splits differ, else 0."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Estimate(mean=mean, deviation=0.0, low=mean, high=mean)
    deviation = float(np.std(values, ddof=1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * deviation * math.sqrt(1 / count + overlap)
    return Estimate(mean=mean, deviation=deviation, low=mean - half, high=mean + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One combination (or the teacher). test: in the metric's own unit; figures: means over seeds of the rest."""

    name: str
    test: Estimate
    values: tuple[float, ...]
    figures: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What an ingredient adds to a combination: with minus without, per seed. Positive is better, whatever the metric.

    base: the combination it is added to; None: the mean over all four.
    """

    ingredient: str
    base: str | None
    gain: Estimate
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The study's result."""

    metric: str
    seeds: tuple[int, ...]
    samples: dict[str, int]
    resplit: bool
    teacher: Row
    rows: tuple[Row, ...]
    gains: tuple[Gain, ...]

    def of(self, ingredient: str) -> tuple[Gain, ...]:
        """Return an ingredient's gains, that over all combinations last."""
        return tuple(gain for gain in self.gains if gain.ingredient == ingredient)

    def to_json(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return {**asdict(self), "confidence": CONFIDENCE}


def summarise(
    *,
    seeds: Sequence[int],
    samples: Mapping[str, int],
    resplit: bool,
    teacher: Sequence[Mapping[str, Any]],
    cells: Mapping[Combination, Sequence[Mapping[str, Any]]],
) -> Summary:
    """Return the summary of figures per cell, one row of figures per seed, in the seeds' order."""
    overlap = samples["test"] / samples["train"] if resplit else 0.0
    metric = str(teacher[0]["metric"])
    sign = -1.0 if metric == "rmse" else 1.0
    tests = {chosen: np.array([float(row["test"]) for row in rows]) for chosen, rows in cells.items()}
    gains: list[Gain] = []
    for ingredient in INGREDIENTS:
        differences: list[np.ndarray[Any, np.dtype[np.float64]]] = []
        for base in (c for c in COMBINATIONS if ingredient not in c):
            added = tuple(name for name in INGREDIENTS if name in base or name == ingredient)
            differences.append(sign * (tests[added] - tests[base]))
            gains.append(_gain(ingredient, name_of(base), differences[-1], overlap))
        gains.append(_gain(ingredient, None, np.mean(differences, axis=0), overlap))
    return Summary(
        metric=metric,
        seeds=tuple(seeds),
        samples=dict(samples),
        resplit=resplit,
        teacher=_row("teacher", teacher, overlap),
        rows=tuple(_row(name_of(chosen), cells[chosen], overlap) for chosen in COMBINATIONS),
        gains=tuple(gains),
    )


def _gain(ingredient: str, base: str | None, values: Any, overlap: float) -> Gain:
    numbers = tuple(float(v) for v in values)
    return Gain(ingredient=ingredient, base=base, gain=interval(numbers, overlap), values=numbers)


def _row(name: str, rows: Sequence[Mapping[str, Any]], overlap: float) -> Row:
    values = tuple(float(row["test"]) for row in rows)
    keys = [key for key in ("parameters", "nonzero", "bits", "ebops", "lut", "ff", "latency_cycles") if key in rows[0]]
    figures = {key: float(np.mean([row[key] for row in rows])) for key in keys}
    return Row(name=name, test=interval(values, overlap), values=values, figures=figures)
